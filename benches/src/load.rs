//! The client: HTTP/1.1 on kept connections, from one thread.
//!
//! Closed loop (each connection sends when its answer is there) keeps the worker busy all the time and serves to measure CPU per
//! request; open loop (requests leave by the clock, whatever happened to the earlier ones) serves to measure what a push
//! does. Every request is accounted for: an answer other than 200, a closed connection and a body that is not an
//! upstream's are failures.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::upstream::{BODY, Version};
use crate::{awake, clock};

/// How long an answer may take before the request counts as failed.
const PATIENCE: u64 = 10_000_000_000;
/// Connections of the open loop at most: each may need another one to an upstream in the same process, which by default may
/// have 1,024 files open.
const MOST: usize = 256;

/// What became of one request. Times are [`clock::now`]'s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Index of the request.
    pub(crate) request: usize,
    /// When it was to be sent (open loop), or was sent (closed loop).
    pub(crate) due: u64,
    /// When it was sent.
    pub(crate) sent: u64,
    /// When its upstream had it.
    pub(crate) arrived: u64,
    /// When its answer was there.
    pub(crate) done: u64,
    /// Who answered it; `None` when it failed.
    pub(crate) version: Option<Version>,
}

/// Connections to one listener.
pub(crate) struct Client {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    samples: Vec<Sample>,
    read_by: fn(&[u8]) -> Answer,
}

struct Connection {
    stream: TcpStream,
    request: usize,
    due: u64,
    sent: u64,
    busy: bool,
    read: Vec<u8>,
}

impl Client {
    /// Opens `count` connections.
    pub(crate) fn connect(addr: SocketAddr, count: usize) -> Result<Self> {
        let mut client = Self {
            addr,
            poll: Poll::new()?,
            events: Events::with_capacity(256),
            connections: Vec::new(),
            idle: Vec::new(),
            samples: Vec::new(),
            read_by: answer,
        };
        for _ in 0..count {
            client.open()?;
        }
        Ok(client)
    }

    /// Answers are read so, and not as the upstreams' of [`crate::upstream`].
    pub(crate) fn read_by(mut self, how: fn(&[u8]) -> Answer) -> Self {
        self.read_by = how;
        self
    }

    fn open(&mut self) -> Result<()> {
        let stream = std::net::TcpStream::connect(self.addr).with_context(|| format!("connecting to {}", self.addr))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let index = self.connections.len();
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        self.connections.push(Connection {
            stream,
            request: 0,
            due: 0,
            sent: 0,
            busy: false,
            read: Vec::with_capacity(1024),
        });
        self.idle.push(index);
        Ok(())
    }

    /// Sends the requests `from..from + count` (modulo how many there are), each connection one after the other, and
    /// returns when all are answered. Meanwhile neither it nor the upstreams sleep: see [`awake`].
    pub(crate) fn closed(&mut self, requests: &[Vec<u8>], from: usize, count: usize) -> Result<Vec<Sample>> {
        let mut next = 0;
        self.samples = Vec::with_capacity(count);
        let awake = awake::keep();
        let mut heard = clock::now();
        while self.samples.len() < count {
            while next < count
                && let Some(connection) = self.idle.pop()
            {
                self.send(connection, requests, (from + next) % requests.len(), clock::now())?;
                next += 1;
            }
            let had = self.samples.len();
            self.receive(Some(Duration::ZERO))?;
            if self.samples.len() > had {
                heard = clock::now();
            } else if clock::now() > heard + PATIENCE {
                self.give_up()?;
            } else {
                std::thread::yield_now();
            }
        }
        drop(awake);
        Ok(std::mem::take(&mut self.samples))
    }

    /// Sends requests, one after the other, `rate` a second by the clock until `stop` says so, opening connections
    /// where none is idle (up to [`MOST`]), and returns when all are answered.
    pub(crate) fn open_loop(
        &mut self,
        requests: &[Vec<u8>],
        rate: f64,
        stop: impl Fn() -> bool,
    ) -> Result<Vec<Sample>> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of nanoseconds")]
        let interval = (1e9 / rate) as u64;
        let start = clock::now();
        let mut sent = 0_usize;
        self.samples = Vec::new();
        loop {
            let now = clock::now();
            let mut due = start + interval * sent as u64;
            while due <= now && !stop() {
                if self.idle.is_empty() && self.connections.len() < MOST {
                    self.open()?;
                }
                // With all of them busy the request waits here, and what it waits is part of its latency.
                let Some(connection) = self.idle.pop() else { break };
                self.send(connection, requests, sent % requests.len(), due)?;
                sent += 1;
                due = start + interval * sent as u64;
            }
            self.receive(Some(Duration::ZERO))?;
            if stop() {
                break;
            }
            // Not in `poll`, whose patience has a grain of a millisecond.
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(clock::now())));
        }
        while self.samples.len() < sent {
            self.receive(Some(Duration::from_secs(1)))?;
        }
        Ok(std::mem::take(&mut self.samples))
    }

    fn send(&mut self, index: usize, requests: &[Vec<u8>], request: usize, due: u64) -> Result<()> {
        let (Some(connection), Some(bytes)) = (self.connections.get_mut(index), requests.get(request)) else {
            bail!("no connection {index} or no request {request}");
        };
        connection.request = request;
        connection.due = due;
        connection.sent = clock::now();
        connection.busy = true;
        connection.read.clear();
        if connection.stream.write(bytes).ok() != Some(bytes.len()) {
            self.failed(index)?;
        }
        Ok(())
    }

    fn receive(&mut self, patience: Option<Duration>) -> Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, patience)
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        if ready.is_empty() && patience.is_some_and(|patience| !patience.is_zero()) {
            self.give_up()?;
        }
        for index in ready {
            self.read(index)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        let mut chunk = [0; 4096];
        loop {
            match connection.stream.read(&mut chunk) {
                Ok(0) => return if connection.busy { self.failed(index) } else { self.replace(index) },
                Ok(read) => {
                    connection.read.extend_from_slice(chunk.get(..read).unwrap_or_default());
                    // A read that does not fill the chunk took all there was.
                    if read < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return self.failed(index),
            }
        }
        if !connection.busy {
            return Ok(());
        }
        match (self.read_by)(&connection.read) {
            Answer::Partial => Ok(()),
            Answer::Bad => self.failed(index),
            Answer::Good(version, arrived) => {
                connection.busy = false;
                let (request, due, sent) = (connection.request, connection.due, connection.sent);
                self.idle.push(index);
                self.samples.push(Sample { request, due, sent, arrived, done: clock::now(), version: Some(version) });
                Ok(())
            }
        }
    }

    /// Counts a failure and replaces the connection.
    fn failed(&mut self, index: usize) -> Result<()> {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.busy = false;
            let (request, due, sent) = (connection.request, connection.due, connection.sent);
            self.samples.push(Sample { request, due, sent, arrived: 0, done: clock::now(), version: None });
        }
        self.replace(index)
    }

    fn replace(&mut self, index: usize) -> Result<()> {
        self.idle.retain(|idle| *idle != index);
        if let Some(connection) = self.connections.get_mut(index) {
            // Events of the old connection must not reach another one: its place stays empty.
            let _ = self.poll.registry().deregister(&mut connection.stream);
            let _ = connection.stream.shutdown(std::net::Shutdown::Both);
        }
        self.open()
    }

    /// Fails what has waited too long.
    fn give_up(&mut self) -> Result<()> {
        let now = clock::now();
        let late = |connection: &Connection| connection.busy && now > connection.due + PATIENCE;
        let late: Vec<usize> =
            self.connections.iter().enumerate().filter(|(_, connection)| late(connection)).map(|(i, _)| i).collect();
        late.into_iter().try_for_each(|index| self.failed(index))
    }
}

/// What was read so far.
pub(crate) enum Answer {
    /// Not all of it.
    Partial,
    /// What no upstream says.
    Bad,
    /// Whose it is, and when its request arrived there.
    Good(Version, u64),
}

/// Reads an answer that is either an upstream's or a failure; Envoy's own ones have other bodies.
fn answer(bytes: &[u8]) -> Answer {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Answer::Partial };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        return Answer::Bad;
    }
    let body = bytes.get(end + 4..).unwrap_or_default();
    if body.len() < BODY {
        return Answer::Partial;
    }
    let Some((letter, time)) = body.split_first() else { return Answer::Bad };
    let version = match letter {
        b's' => Version::Stable,
        b'c' => Version::Canary,
        _ => return Answer::Bad,
    };
    match std::str::from_utf8(time).ok().and_then(|time| time.parse().ok()) {
        Some(arrived) => Answer::Good(version, arrived),
        None => Answer::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expect: Option<Option<(Version, u64)>>) {
        let seen = match answer(bytes.as_bytes()) {
            Answer::Partial => None,
            Answer::Bad => Some(None),
            Answer::Good(version, arrived) => Some(Some((version, arrived))),
        };
        assert_eq!(seen, expect, "{bytes}");
    }

    #[test]
    fn an_answer_is_an_upstreams_or_a_failure() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nc0000000000000000042", Some(Some((Version::Canary, 42))));
        check("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\ns000000", None);
        check("HTTP/1.1 200 OK\r\ncontent-le", None);
        check("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", Some(None));
        check("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nx0000000000000000042", Some(None));
    }
}
