//! The two versions behind Envoy: servers that do next to nothing.
//!
//! One thread serves both. An answer says which version it came from and when its request arrived, which is how
//! the client learns what every request got. Requests have no body, and one connection carries one request at a time, as
//! Envoy does with HTTP/1.1.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::{awake, clock, cores};

/// Length of an answer's body: one letter and the time in 19 digits.
pub(crate) const BODY: usize = 20;

/// The two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `model-v1`.
    Stable,
    /// `model-v2`.
    Canary,
}

/// How the canary does.
pub(crate) static CANARY: Canary =
    Canary { fails: AtomicBool::new(false), failed: AtomicU64::new(0), last: AtomicU64::new(0) };

/// A version that can be made to fail, and when it was asked. Times are [`clock::now`]'s; 0 is never.
pub(crate) struct Canary {
    fails: AtomicBool,
    failed: AtomicU64,
    last: AtomicU64,
}

impl Canary {
    /// It answers, and nobody has asked it.
    pub(crate) fn heal(&self) {
        self.fails.store(false, Ordering::SeqCst);
        self.failed.store(0, Ordering::SeqCst);
        self.last.store(0, Ordering::SeqCst);
    }

    /// It fails from now on.
    pub(crate) fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// When it was asked last.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::SeqCst)).filter(|at| *at > 0)
    }

    /// Seconds from its first failure to its last request.
    pub(crate) fn failing_for(&self) -> Option<f64> {
        let failed = Some(self.failed.load(Ordering::SeqCst)).filter(|at| *at > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds")]
        Some((self.last()? - failed) as f64 / 1e9)
    }

    /// It is asked; whether it answers well.
    fn asked(&self, now: u64) -> bool {
        self.last.store(now, Ordering::SeqCst);
        let fails = self.fails.load(Ordering::SeqCst);
        if fails {
            let _ = self.failed.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        }
        !fails
    }
}

/// Where the servers listen. They serve until the process ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upstreams {
    /// `model-v1`.
    pub(crate) stable: SocketAddr,
    /// `model-v2`.
    pub(crate) canary: SocketAddr,
}

impl Upstreams {
    /// Starts them, on the core of the calling thread.
    pub(crate) fn start() -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = [TcpListener::bind(any)?, TcpListener::bind(any)?];
        let [stable, canary] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        std::thread::Builder::new().name("upstreams".to_owned()).spawn(move || {
            if let Err(error) = cores::stand_back().and_then(|()| serve(listeners)) {
                eprintln!("the upstreams stopped: {error}");
                std::process::exit(1);
            }
        })?;
        Ok(Self { stable, canary })
    }
}

struct Connection {
    stream: TcpStream,
    letter: u8,
    read: Vec<u8>,
}

fn serve(mut listeners: [TcpListener; 2]) -> Result<()> {
    let mut poll = Poll::new()?;
    for (i, listener) in listeners.iter_mut().enumerate() {
        poll.registry().register(listener, Token(i), Interest::READABLE)?;
    }
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(256);
    loop {
        let patience = awake::kept().then_some(std::time::Duration::ZERO);
        if let Err(error) = poll.poll(&mut events, patience) {
            if error.kind() == ErrorKind::Interrupted {
                continue;
            }
            return Err(error.into());
        }
        if events.is_empty() {
            std::thread::yield_now();
        }
        for event in &events {
            let token = event.token().0;
            if let Some(listener) = listeners.get(token) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(connections.len() + 2), Interest::READABLE)?;
                    let letter = if token == 0 { b's' } else { b'c' };
                    connections.push(Some(Connection { stream, letter, read: Vec::with_capacity(2048) }));
                }
            } else if let Some(slot) = connections.get_mut(token - 2)
                && slot.as_mut().is_some_and(|connection| !connection.answer())
            {
                *slot = None;
            }
        }
    }
}

impl Connection {
    /// Answers what has arrived; `false` when the connection is over.
    fn answer(&mut self) -> bool {
        let mut chunk = [0; 4096];
        loop {
            let read = match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => read,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            };
            self.read.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if self.read.ends_with(b"\r\n\r\n") {
                let now = clock::now();
                let status =
                    if self.letter == b'c' && !CANARY.asked(now) { "500 Internal Server Error" } else { "200 OK" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {BODY}\r\n\r\n{}{:019}",
                    char::from(self.letter),
                    now
                );
                self.read.clear();
                if self.stream.write(answer.as_bytes()).ok() != Some(answer.len()) {
                    return false;
                }
            }
            // A read that does not fill the chunk took all there was; more will be another event.
            if read < chunk.len() {
                return true;
            }
        }
    }
}
