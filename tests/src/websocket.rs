//! A WebSocket client.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use crate::Result;
use crate::fault::fault;

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    stream: WebSocketStream<TcpStream>,
    upstream: String,
}

impl WebSocket {
    /// Opens one at `/ws`, with some headers.
    pub async fn open(addr: SocketAddr, headers: &[(&str, &str)]) -> Result<Self> {
        let mut request = "ws://model.example/ws".into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        let (stream, response) = tokio_tungstenite::client_async(request, TcpStream::connect(addr).await?).await?;
        let upstream = response.headers().get("x-upstream").and_then(|name| name.to_str().ok()).unwrap_or_default();
        Ok(Self { upstream: upstream.to_owned(), stream })
    }

    /// The name of the upstream at the other end.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Sends a text and returns the next one that comes.
    pub async fn say(&mut self, text: &str) -> Result<String> {
        self.stream.send(Message::text(text)).await?;
        match self.stream.next().await {
            Some(message) => Ok(message?.into_text()?.to_string()),
            None => Err(fault("the WebSocket was closed")),
        }
    }

    /// Closes it and waits until the other end has closed it too.
    pub async fn close(mut self) -> Result<()> {
        self.stream.close(None).await?;
        while let Some(Ok(_)) = self.stream.next().await {}
        Ok(())
    }
}
