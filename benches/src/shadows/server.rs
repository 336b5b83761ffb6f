//! The versions behind Envoy, each of which behaves in one way: servers that do next to nothing.
//!
//! One thread serves all. An answer is a model's, as JSON of always the same length; to a path that begins with `/json` each
//! answer has another time in it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::load::Answer;
use crate::upstream::Version;
use crate::{awake, clock, cores};

/// How late the slow one answers, in nanoseconds.
const LATE: u64 = 200_000_000;

/// Length of an answer's body.
pub(crate) const ANSWER: usize = 256;

/// Where they listen. They serve until the process ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Servers {
    /// Answers users.
    pub(super) stable: SocketAddr,
    /// Answers at once.
    pub(super) well: SocketAddr,
    /// Answers 200 ms late.
    pub(super) slow: SocketAddr,
    /// Never answers.
    pub(super) hung: SocketAddr,
    /// Nobody is there.
    pub(super) down: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    AtOnce,
    Late,
    Never,
}

const MANNERS: [Manner; 4] = [Manner::AtOnce, Manner::AtOnce, Manner::Late, Manner::Never];

impl Servers {
    /// Starts them, on the core of the calling thread.
    pub(super) fn start() -> Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let bind = || TcpListener::bind(any);
        let listeners = [bind()?, bind()?, bind()?, bind()?];
        let [stable, well, slow, hung] = &listeners;
        let [stable, well, slow, hung] =
            [stable.local_addr()?, well.local_addr()?, slow.local_addr()?, hung.local_addr()?];
        let down = bind()?.local_addr()?;
        std::thread::Builder::new().name("versions".to_owned()).spawn(move || {
            if let Err(error) = cores::stand_back().and_then(|()| serve(listeners)) {
                eprintln!("the versions stopped: {error}");
                std::process::exit(1);
            }
        })?;
        Ok(Self { stable, well, slow, hung, down })
    }
}

struct Connection {
    stream: TcpStream,
    manner: Manner,
    read: Vec<u8>,
}

fn serve(mut listeners: [TcpListener; 4]) -> Result<()> {
    let mut poll = Poll::new()?;
    for (i, listener) in listeners.iter_mut().enumerate() {
        poll.registry().register(listener, Token(i), Interest::READABLE)?;
    }
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Events::with_capacity(256);
    let mut late: VecDeque<(u64, usize)> = VecDeque::new();
    loop {
        let next = late.front().map(|(due, _)| Duration::from_nanos(due.saturating_sub(clock::now())));
        let patience = if awake::kept() { Some(Duration::ZERO) } else { next };
        if let Err(error) = poll.poll(&mut events, patience) {
            if error.kind() == ErrorKind::Interrupted {
                continue;
            }
            return Err(error.into());
        }
        if events.is_empty() {
            std::thread::yield_now();
        }
        while let Some((due, index)) = late.front().copied()
            && due <= clock::now()
        {
            late.pop_front();
            if let Some(Some(connection)) = connections.get_mut(index) {
                // One that is gone by now is noticed by its own event.
                let _ = connection.stream.write(&answer(b"/"));
            }
        }
        for event in &events {
            let token = event.token().0;
            if let Some(listener) = listeners.get(token) {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let place = connections.iter().position(Option::is_none).unwrap_or(connections.len());
                    poll.registry().register(&mut stream, Token(place + MANNERS.len()), Interest::READABLE)?;
                    let connection = Connection { stream, manner: MANNERS[token], read: Vec::with_capacity(8192) };
                    if place == connections.len() {
                        connections.push(None);
                    }
                    connections[place] = Some(connection);
                }
                continue;
            }
            let index = token - MANNERS.len();
            let Some(slot) = connections.get_mut(index) else { continue };
            match slot.as_mut().map(Connection::read) {
                Some(Heard::Over) => *slot = None,
                Some(Heard::Late) => late.push_back((clock::now() + LATE, index)),
                Some(Heard::Done) | None => {}
            }
        }
    }
}

enum Heard {
    Done,
    /// A request is to be answered late.
    Late,
    /// The connection is over.
    Over,
}

impl Connection {
    /// Takes what has arrived, and answers a request that is whole.
    fn read(&mut self) -> Heard {
        let mut chunk = [0; 16_384];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Heard::Over,
                Ok(read) => {
                    self.read.extend_from_slice(chunk.get(..read).unwrap_or_default());
                    if read < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Heard::Over,
            }
        }
        let Some(end) = memchr::memmem::find(&self.read, b"\r\n\r\n") else { return Heard::Done };
        let (head, rest) = self.read.split_at(end);
        if rest.len() - 4 < length(head) {
            return Heard::Done;
        }
        let answer = (self.manner == Manner::AtOnce).then(|| answer(path(head)));
        self.read.clear();
        match (answer, self.manner) {
            (Some(answer), _) if self.stream.write(&answer).ok() != Some(answer.len()) => Heard::Over,
            (None, Manner::Late) => Heard::Late,
            _ => Heard::Done,
        }
    }
}

/// The path of a request.
fn path(head: &[u8]) -> &[u8] {
    head.split(|&b| b == b' ').nth(1).unwrap_or_default()
}

/// What `content-length` says; 0 without.
fn length(head: &[u8]) -> usize {
    let name = b"content-length: ";
    let Some(at) = memchr::memmem::find(head, name) else { return 0 };
    let digits = head.get(at + name.len()..).unwrap_or_default();
    digits.iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + usize::from(b - b'0'))
}

fn answer(path: &[u8]) -> Vec<u8> {
    let at = if path.starts_with(b"/json") { clock::now() } else { 0 };
    let mut body = format!(
        r#"{{"model":"digits","label":"7","score":0.9713,"probabilities":[0.0011,0.0002,0.0034,0.0057,0.0013,0.0021,0.0008,0.9713,0.0049,0.0092],"at":"{at:019}","notes":""#
    );
    while body.len() < ANSWER - 2 {
        body.push('.');
    }
    body.push_str("\"}");
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {ANSWER}\r\n\r\n{body}").into_bytes()
}

/// Reads an answer of these servers; a failure is all else.
pub(super) fn whole(bytes: &[u8]) -> Answer {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Answer::Partial };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        return Answer::Bad;
    }
    match (bytes.len() - end - 4).cmp(&ANSWER) {
        std::cmp::Ordering::Less => Answer::Partial,
        std::cmp::Ordering::Equal => Answer::Good(Version::Stable, 0),
        std::cmp::Ordering::Greater => Answer::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let bytes = answer(b"/json");
        assert!(matches!(whole(&bytes), Answer::Good(..)));
        assert!(matches!(whole(&bytes[..bytes.len() - 1]), Answer::Partial));
        assert!(matches!(whole(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Answer::Bad));
        let body = bytes.split(|&b| b == b'\n').next_back().unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_ok());
    }

    #[test]
    fn a_request_ends_with_its_body() {
        let head = b"POST /digest HTTP/1.1\r\nhost: a\r\ncontent-length: 4096\r\nx: y";
        assert_eq!((length(head), path(head)), (4_096, &b"/digest"[..]));
        assert_eq!(length(b"GET / HTTP/1.1"), 0);
    }
}
