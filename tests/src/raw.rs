//! Bytes as no client library would send them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// Sends these bytes on a connection of their own and returns everything that comes back until the server closes it: send
/// `connection: close`. An HTTP/1.1 request needs its `\r\n\r\n`.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
