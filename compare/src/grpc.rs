//! gRPC's messages: each five bytes of prefix (compressed or not, length), then as many bytes of message.
//!
//! The digest is of each message decoded and of its length, so that it depends neither on how messages came in frames nor
//! on whether one side compresses them.

use crate::body::{Keep, Sink};
use crate::gzip::Gunzip;

/// Messages in the making.
#[derive(Debug)]
pub(crate) struct Frames {
    gzip: bool,
    prefix: [u8; 5],
    /// Bytes of the prefix that came.
    have: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Length of the digest's input when the message began.
    began: usize,
    state: State,
    sound: bool,
}

#[derive(Debug)]
enum State {
    Plain(Sink),
    /// In the middle of a message that is compressed.
    Gzip(Box<Gunzip>),
}

impl Frames {
    pub(crate) const fn new(sink: Sink, gzip: bool) -> Self {
        Self { gzip, prefix: [0; 5], have: 0, left: 0, began: 0, state: State::Plain(sink), sound: true }
    }

    /// Whether more is wanted.
    pub(crate) fn chunk(&mut self, mut bytes: &[u8]) -> bool {
        while self.sound && !bytes.is_empty() {
            if self.have < self.prefix.len() {
                let (mine, rest) = bytes.split_at(bytes.len().min(self.prefix.len() - self.have));
                for (to, from) in self.prefix.iter_mut().skip(self.have).zip(mine) {
                    *to = *from;
                }
                self.have += mine.len();
                bytes = rest;
                if self.have == self.prefix.len() {
                    self.begin();
                }
            } else {
                let (mine, rest) = bytes.split_at(bytes.len().min(self.left));
                self.left -= mine.len();
                bytes = rest;
                self.sound = match &mut self.state {
                    State::Plain(sink) => sink.take(mine),
                    State::Gzip(gunzip) => gunzip.chunk(mine),
                };
                if self.left == 0 {
                    self.end();
                }
            }
        }
        self.sound
    }

    fn begin(&mut self) {
        let [flag, a, b, c, d] = self.prefix;
        self.left = u32::from_be_bytes([a, b, c, d]) as usize;
        self.began = self.sink().map_or(0, Sink::len);
        match flag {
            0 => {}
            1 if self.gzip => {
                let plain = core::mem::replace(&mut self.state, State::Plain(Sink::new(Keep::Digest, 0)));
                self.state = match plain {
                    State::Plain(sink) => State::Gzip(Box::new(Gunzip::new(sink))),
                    gzip @ State::Gzip(_) => gzip,
                };
            }
            // In a compression that this build does not know, or no gRPC at all.
            _ => self.sound = false,
        }
        if self.left == 0 && self.sound {
            self.end();
        }
    }

    fn end(&mut self) {
        self.have = 0;
        let state = core::mem::replace(&mut self.state, State::Plain(Sink::new(Keep::Digest, 0)));
        let mut sink = match state {
            State::Plain(sink) => sink,
            State::Gzip(gunzip) => {
                let (sink, sound) = gunzip.finish();
                self.sound &= sound;
                sink
            }
        };
        let long = sink.len() - self.began.min(sink.len());
        sink.mark(long);
        self.state = State::Plain(sink);
    }

    /// What came out, and whether the last message was whole.
    pub(crate) fn finish(self) -> (Sink, bool) {
        let whole = self.have == 0;
        match self.state {
            State::Plain(sink) => (sink, self.sound && whole),
            State::Gzip(gunzip) => (gunzip.finish().0, false),
        }
    }

    pub(crate) fn sink(&self) -> Option<&Sink> {
        match &self.state {
            State::Plain(sink) => Some(sink),
            State::Gzip(gunzip) => gunzip.sink(),
        }
    }

    /// Bytes of memory.
    pub(crate) const fn held(&self) -> usize {
        match &self.state {
            State::Plain(_) => size_of::<Self>(),
            State::Gzip(_) => size_of::<Self>() + crate::gzip::HELD,
        }
    }
}
