//! Servers that say what a test tells them to, byte by byte, and no HTTP library would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use headgate_tests::{Bootstrap, Builder, Envoy, Result, shadow_wasm};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::shadowed;

/// What is said to every request.
#[derive(Debug, Clone)]
pub(super) enum Script {
    /// These bytes; the connection stays.
    Says(Arc<Vec<u8>>),
    /// These bytes, and the connection closes.
    Breaks(Arc<Vec<u8>>),
    /// 200, with a body of the first text, the number of the request, and the second text.
    Numbered(&'static str, &'static str),
    /// These bytes, and then spaces without end.
    Endless(Arc<Vec<u8>>),
}

impl Script {
    /// A sound answer.
    pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Some\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        Self::Says(Arc::new([bytes.as_bytes(), body].concat()))
    }

    /// 200 with a body.
    pub(super) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::answer(200, &[], body)
    }

    /// Bytes, and then the connection closes.
    pub(super) fn breaks(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Breaks(Arc::new(bytes.into()))
    }

    /// 200, with another body each time.
    pub(super) fn numbered(before: &'static str, after: &'static str) -> Self {
        Self::Numbered(before, after)
    }

    /// An answer whose body has no end.
    pub(super) fn endless() -> Self {
        Self::Endless(Arc::new(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()))
    }
}

/// A running server. It ends when dropped.
#[derive(Debug)]
pub(super) struct Scripted {
    addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let script = Arc::new(Mutex::new(Script::ok("")));
        let asked = Arc::new(AtomicUsize::new(0));
        let (serving, counting) = (Arc::clone(&script), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // A proxy that goes away is how a connection ends.
                let (script, asked) = (Arc::clone(&serving), Arc::clone(&counting));
                connections.spawn(async move { serve(stream, script, asked).await.unwrap_or_default() });
            }
        });
        Ok(Self { addr, script, asked, task })
    }

    /// What it says from now on.
    pub(super) fn say(&self, script: Script) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    /// Requests that came.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers requests without bodies, one after the other.
async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>, asked: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut head = Vec::new();
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        head.clear();
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        let script = script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match script {
            Script::Says(bytes) => stream.write_all(&bytes).await?,
            Script::Numbered(before, after) => {
                let Script::Says(bytes) = Script::ok(format!("{before}{number}{after}")) else { continue };
                stream.write_all(&bytes).await?;
            }
            Script::Breaks(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Script::Endless(bytes) => {
                stream.write_all(&bytes).await?;
                loop {
                    stream.write_all(&[b' '; 65_536]).await?;
                }
            }
        }
    }
}

/// A version that serves users and its shadow.
#[derive(Debug)]
pub(super) struct Two {
    pub(super) stable: Scripted,
    pub(super) shadow: Scripted,
}

impl Two {
    pub(super) async fn start() -> Result<Self> {
        Ok(Self { stable: Scripted::start().await?, shadow: Scripted::start().await? })
    }

    /// An Envoy that copies everything and compares by these rules.
    pub(super) fn envoy(&self, compare: &Value) -> Result<Builder> {
        self.behind(Bootstrap::filter_state()?, &shadowed(1, serde_json::json!({"compare": compare})))
    }

    /// An Envoy with another bootstrap and configuration.
    pub(super) fn behind(&self, bootstrap: Bootstrap, configuration: &Value) -> Result<Builder> {
        let envoy = Envoy::builder(bootstrap).cluster("model-v1", self.stable.addr);
        let envoy = envoy.cluster("model-v2", self.shadow.addr).wasm(&shadow_wasm()?);
        Ok(envoy.configuration(configuration))
    }
}
