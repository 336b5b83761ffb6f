//! A system outside: it remembers the JSON that it was sent, and answers what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::Result;

/// A running hook. It ends with the process; nobody waits for it.
#[derive(Debug, Clone)]
pub struct Hook {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Value>>>,
    answer: Arc<Mutex<(u16, Value)>>,
}

impl Hook {
    /// Starts one that answers 200 and `{}`.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let hook = Self {
            addr: listener.local_addr()?,
            seen: Arc::default(),
            answer: Arc::new(Mutex::new((200, Value::Object(serde_json::Map::new())))),
        };
        let serving = hook.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hook = serving.clone();
                // Whoever sends half a request gets no answer.
                std::thread::spawn(move || drop(hook.serve(stream)));
            }
        });
        Ok(hook)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it was sent, in order of arrival.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it answers from now on.
    pub fn answers(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = (status, body);
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(read(&body));
        let (status, body) = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let body = body.to_string();
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        Ok(())
    }
}

/// One JSON value, or a list of them where each has a line of its own; null for what is neither.
fn read(body: &[u8]) -> Value {
    let lines =
        || body.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice::<Value>).collect();
    serde_json::from_slice(body).or_else(|_| lines()).unwrap_or(Value::Null)
}
