//! A small server that remembers what it is sent and answers as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use headgate_tests::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// One request: its path, and its body as JSON.
pub(super) type Asked = (String, Value);
/// What it answers: by the path, the number of requests to that path before, and the body.
type Answers = dyn Fn(&str, usize, &Value) -> (u16, String) + Send + Sync;

/// The server; it ends when it is dropped.
pub(super) struct Receiver {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Starts one.
    pub(super) async fn start(
        answers: impl Fn(&str, usize, &Value) -> (u16, String) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answers: Arc<Answers> = Arc::new(answers);
        let kept = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&kept), Arc::clone(&answers), request));
                    // A client that goes away ends here.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { addr, asked, task })
    }

    /// An address of its.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What was sent to a path so far.
    pub(super) fn asked(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    kept: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Answers>,
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, text) = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before = kept.iter().filter(|(at, _)| *at == path).count();
        let answer = answers(&path, before, &body);
        kept.push((path, body));
        answer
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    Ok(response)
}
