//! A connection to a server, over which requests go one after the other.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::{Fault, Result};

/// A request's body.
pub type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// No body.
pub fn empty() -> Body {
    Empty::new().boxed()
}

/// A body of known length.
pub fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A body of unknown length, of frames as they are sent.
pub fn streamed(frames: mpsc::Receiver<Frame<Bytes>>) -> Body {
    let frames = futures_util::stream::unfold(frames, |mut frames| async move {
        let frame = frames.recv().await?;
        Some((Ok(frame), frames))
    });
    StreamBody::new(frames).boxed()
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The trailers.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The name of the [`crate::Upstream`] that answered, or what Envoy said instead.
    pub fn upstream(&self) -> String {
        match self.headers.get("x-upstream") {
            Some(name) => String::from_utf8_lossy(name.as_bytes()).into_owned(),
            None => format!("{} {}", self.status, String::from_utf8_lossy(&self.body)),
        }
    }

    /// A header's first value, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    addr: SocketAddr,
}

#[derive(Debug)]
enum Sender {
    Http1(conn::http1::SendRequest<Body>),
    Http2(conn::http2::SendRequest<Body>),
}

impl Client {
    /// An HTTP/1.1 connection.
    pub async fn http1(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            conn::http1::Builder::new().max_headers(1_000).handshake(TokioIo::new(stream)).await?;
        // It ends with the connection; what went wrong is told to the request.
        tokio::spawn(connection);
        Ok(Self { sender: Sender::Http1(sender), addr })
    }

    /// An HTTP/2 connection, by its preface.
    pub async fn http2(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender: Sender::Http2(sender), addr })
    }

    /// `GET` of a path with some headers, for the host `model.example`.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.request(Method::GET, path, headers, empty()).await
    }

    /// A request for the host `model.example`.
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Answer> {
        self.send(self.build(method, path, headers, body)?).await
    }

    /// A request as [`Client::request`] sends it.
    pub fn build(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Result<Request<Body>> {
        let mut request = Request::builder().method(method);
        request = match &self.sender {
            Sender::Http1(_) => request.uri(path).header("host", "model.example"),
            Sender::Http2(_) => request.uri(format!("http://model.example{path}")),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.body(body)?)
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Answer> {
        let response = self.open(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let collected = response.into_body().collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Answer { status, headers, body: collected.to_bytes(), trailers })
    }

    /// Sends a request and returns as soon as the answer's headers are here.
    pub async fn open(&mut self, request: Request<Body>) -> Result<Response<Incoming>> {
        let addr = self.addr;
        let failed = |e: hyper::Error| Fault::from(e).context(format!("a request to {addr} failed"));
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await.map_err(failed)
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await.map_err(failed)
            }
        }
    }
}
