//! A server that answers with its own name and remembers what it was sent.
//!
//! HTTP/1.1 and HTTP/2 on one port. What it does, by path:
//! - `/status/503` answers with that status; `/reset` closes the connection without an answer;
//! - `/hold` answers when the test says so ([`Upstream::release`]); `/sse` sends an event at once and one for each release;
//! - `/ws` is a WebSocket that sends back what it receives;
//! - requests with `content-type: application/grpc` get a message and the status of `x-grpc-status` in trailers; a path that
//!   ends in `/Stream` gets back each message as it comes;
//! - `/echo` answers with the request's body, in pieces as they came;
//! - `/early` answers before it has read the body; `/later` reads the body when the test says so;
//! - everything else is read to its end and answered 200 with the upstream's name.
//!
//! How a whole version behaves, whatever it is asked, is its [`Conduct`], which can change while it serves.
//!
//! A request header `x-respond-<name>` becomes the response header `<name>`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::fault::fault;
use crate::{Body, Result, body, streamed};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The host that was asked for.
    pub host: String,
    /// The headers.
    pub headers: HeaderMap,
    /// Bytes of the body. What is streamed counts while it comes.
    pub body_bytes: u64,
    /// FNV-1a of the body.
    pub body_hash: u64,
}

impl Seen {
    /// A header's first value, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether Envoy marked it as a copy.
    pub fn is_copy(&self) -> bool {
        self.headers.contains_key("x-headgate-copy")
    }
}

/// How a version behaves. The default: well. Of requests that count for several, the first of failing, refusing, resetting and hanging is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Every answer comes so late.
    pub late: Duration,
    /// Every n-th request is answered with 503, a gRPC call with status 14 under 200; 0: none.
    pub failing: u64,
    /// Every n-th request is answered with 404; 0: none.
    pub refusing: u64,
    /// Every n-th request ends without an answer; 0: none.
    pub resetting: u64,
    /// Every n-th request is never answered; 0: none.
    pub hanging: u64,
    /// Answers predict, with scores from this one on: `{"score": …, "label": "spam" or "ham"}`, of a hundred requests each of the hundred numbers
    /// once, and one in five `spam`. None: they do not.
    pub scores_from: Option<u64>,
}

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct Upstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    seen: Mutex<Vec<Seen>>,
    gate: Semaphore,
    conduct: Mutex<Conduct>,
    asked: AtomicU64,
}

impl Upstream {
    /// Starts one.
    pub async fn start(name: &str) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, name)
    }

    /// Starts one on a port that the caller has.
    pub fn on(listener: TcpListener, name: &str) -> Result<Self> {
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            seen: Mutex::default(),
            gate: Semaphore::new(0),
            conduct: Mutex::default(),
            asked: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let mut server = auto::Builder::new(TokioExecutor::new());
                    server.http1().max_headers(1_000);
                    // A client that goes away, and `/reset`, end here.
                    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { addr, shared, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What it was sent, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests it was sent.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets what it was sent.
    pub fn forget(&self) {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The request that came last.
    pub fn last(&self) -> Result<Seen> {
        let last = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
        last.ok_or_else(|| fault(format!("`{}` was sent nothing", self.shared.name)))
    }

    /// From now on it behaves so.
    pub fn behave(&self, conduct: Conduct) {
        *self.shared.conduct.lock().unwrap_or_else(PoisonError::into_inner) = conduct;
    }

    /// Lets one `/hold` answer, one `/sse` send its next event, or one `/later` read its body.
    pub fn release(&self) {
        self.shared.gate.add_permits(1);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn note(&self, request: &Request<Incoming>) -> usize {
        let uri = request.uri();
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let host = request.headers().get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let seen = Seen {
            method: request.method().to_string(),
            path,
            host: host.or_else(|| uri.authority().map(ToString::to_string)).unwrap_or_default(),
            headers: request.headers().clone(),
            body_bytes: 0,
            body_hash: 0,
        };
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        all.len() - 1
    }

    /// What the answer to the `index`-th request predicts, if any does.
    fn prediction(&self, index: usize) -> Option<String> {
        let from = self.conduct.lock().unwrap_or_else(PoisonError::into_inner).scores_from?;
        let place = (index as u64).wrapping_mul(37) % 100;
        let label = if place < 20 { "spam" } else { "ham" };
        Some(format!(r#"{{"score":{},"label":"{label}"}}"#, from + place))
    }

    fn note_body(&self, index: usize, bytes: u64, hash: u64) {
        // A test may have made this server forget while the body came.
        if let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
            seen.body_bytes = bytes;
            seen.body_hash = hash;
        }
    }

    /// Behaves as it is to; the status that the answer has for it.
    async fn conduct(&self) -> Result<Option<StatusCode>> {
        let conduct = *self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let nth = |every: u64| every > 0 && asked.is_multiple_of(every);
        if !conduct.late.is_zero() {
            tokio::time::sleep(conduct.late).await;
        }
        if nth(conduct.failing) {
            return Ok(Some(StatusCode::SERVICE_UNAVAILABLE));
        }
        if nth(conduct.refusing) {
            return Ok(Some(StatusCode::NOT_FOUND));
        }
        if nth(conduct.resetting) {
            return Err(fault("as it is to"));
        }
        if nth(conduct.hanging) {
            std::future::pending::<()>().await;
        }
        Ok(None)
    }

    async fn pass(&self) {
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>> {
    let index = shared.note(&request);
    let unwell = shared.conduct().await?;
    let path = request.uri().path().to_owned();
    let mut response = Response::new(body(shared.prediction(index).unwrap_or_else(|| shared.name.clone())));
    let headers = response.headers_mut();
    headers.insert("x-upstream", HeaderValue::try_from(shared.name.as_str())?);
    for (name, value) in request.headers() {
        if let Some(name) = name.as_str().strip_prefix("x-respond-") {
            headers.append(HeaderName::try_from(name)?, value.clone());
        }
    }
    let content_type = request.headers().get("content-type");
    if content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return grpc(&shared, index, request, response, unwell.is_some());
    }
    if path == "/ws" && request.headers().contains_key("sec-websocket-key") {
        return websocket(request, response);
    }
    match path.as_str() {
        "/reset" => return Err(fault("as asked")),
        "/later" => shared.pass().await,
        "/echo" => {
            let (sender, receiver) = mpsc::channel(16);
            let mut incoming = request.into_body();
            tokio::spawn(async move {
                while let Some(Ok(frame)) = incoming.frame().await {
                    if sender.send(frame).await.is_err() {
                        break;
                    }
                }
            });
            *response.body_mut() = streamed(receiver);
            return Ok(response);
        }
        "/early" => {
            tokio::spawn(read(shared, index, request.into_body()));
            return Ok(response);
        }
        "/sse" => {
            headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move {
                for n in 0_u32.. {
                    if sender.send(Frame::data(Bytes::from(format!("data: {n}\n\n")))).await.is_err() {
                        break;
                    }
                    // A stream whose reader is gone must not take the next one's releases.
                    tokio::select! {
                        () = shared.pass() => {}
                        () = sender.closed() => break,
                    }
                }
            });
            *response.body_mut() = streamed(receiver);
            return Ok(response);
        }
        _ => {}
    }
    let head = request.method() == hyper::Method::HEAD;
    read(Arc::clone(&shared), index, request.into_body()).await?;
    if head {
        // The length alone is told: over HTTP/2 the library would send the body too.
        response.headers_mut().insert("content-length", HeaderValue::from(shared.name.len()));
        *response.body_mut() = crate::empty();
    }
    if path == "/hold" {
        shared.pass().await;
    }
    if let Some(status) = path.strip_prefix("/status/") {
        *response.status_mut() = status.parse()?;
    }
    if let Some(status) = unwell {
        *response.status_mut() = status;
    }
    Ok(response)
}

/// Reads a body to its end and notes how far it came.
async fn read(shared: Arc<Shared>, index: usize, mut incoming: Incoming) -> Result<()> {
    use core::hash::Hasher;
    let (mut bytes, mut hash) = (0, fnv::FnvHasher::default());
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame?.into_data() {
            hash.write(&data);
            bytes += data.len() as u64;
            shared.note_body(index, bytes, hash.finish());
        }
    }
    Ok(())
}

/// A service in gRPC's shape: messages in, messages out, the status in trailers.
fn grpc(
    shared: &Arc<Shared>,
    index: usize,
    request: Request<Incoming>,
    mut response: Response<Body>,
    unwell: bool,
) -> Result<Response<Body>> {
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let asked = request.headers().get("x-grpc-status").cloned();
    let status = match asked {
        _ if unwell => HeaderValue::from_static("14"),
        Some(asked) => asked,
        None => HeaderValue::from_static("0"),
    };
    let echoes = request.uri().path().ends_with("/Stream");
    let (sender, receiver) = mpsc::channel(16);
    let name = HeaderValue::try_from(shared.name.as_str())?;
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        let mut bytes = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            if let Ok(data) = frame.into_data() {
                bytes += data.len() as u64;
                shared.note_body(index, bytes, 0);
                if echoes && sender.send(Frame::data(data)).await.is_err() {
                    return;
                }
            }
        }
        if !echoes {
            // One message: not compressed, five bytes long.
            let _ = sender.send(Frame::data(Bytes::from_static(b"\0\0\0\0\x05hello"))).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status);
        trailers.insert("x-served-by-upstream", name);
        // The client may be gone.
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    *response.body_mut() = streamed(receiver);
    Ok(response)
}

fn websocket(mut request: Request<Incoming>, mut response: Response<Body>) -> Result<Response<Body>> {
    let key = request.headers().get("sec-websocket-key").ok_or_else(|| fault("no key"))?;
    let accept = derive_accept_key(key.as_bytes());
    *response.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
    *response.body_mut() = crate::empty();
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", HeaderValue::try_from(accept)?);
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(&mut request).await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                break;
            }
        }
    });
    Ok(response)
}
