//! Gzip (RFC 1952), decoded while it streams and no further than the sink's limit: what a small body unpacks to is
//! never held, and never made, beyond it.

use std::io::{Error, ErrorKind, Result, Write};

use flate2::write::MultiGzDecoder;

use crate::body::Sink;

/// About what a decoder holds, in bytes: a window of 32 KiB that is written out in pieces of as much, and its tables.
pub(crate) const HELD: usize = 76 << 10;

/// The decoder is given pieces of this size whatever comes: how much of a broken stream it writes out depends on them.
const PIECE: usize = 1_024;

/// Decodes one gzip stream into a sink.
#[derive(Debug)]
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<Out>,
    /// Less than a piece.
    waiting: Vec<u8>,
    sound: bool,
}

#[derive(Debug)]
struct Out(Option<Sink>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = self.0.as_mut().is_some_and(|sink| sink.take(bytes));
        if taken { Ok(bytes.len()) } else { Err(Error::from(ErrorKind::FileTooLarge)) }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Gunzip {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { decoder: MultiGzDecoder::new(Out(Some(sink))), waiting: Vec::with_capacity(PIECE), sound: true }
    }

    /// Whether more is wanted: not once the limit is passed or the stream is broken.
    pub(crate) fn chunk(&mut self, mut bytes: &[u8]) -> bool {
        while self.sound && !bytes.is_empty() {
            let (mine, rest) = bytes.split_at(bytes.len().min(PIECE - self.waiting.len()));
            bytes = rest;
            if mine.len() == PIECE {
                self.decode(mine);
            } else {
                self.waiting.extend_from_slice(mine);
                if self.waiting.len() == PIECE {
                    self.decode_waiting();
                }
            }
        }
        self.sound
    }

    fn decode_waiting(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        self.decode(&waiting);
        self.waiting = waiting;
        self.waiting.clear();
    }

    fn decode(&mut self, piece: &[u8]) {
        self.sound = self.sound && self.decoder.write_all(piece).is_ok();
    }

    /// What came out, and whether the stream was whole.
    pub(crate) fn finish(mut self) -> (Sink, bool) {
        self.decode_waiting();
        let sound = self.sound && self.decoder.try_finish().is_ok();
        let sink = self.decoder.get_mut().0.take();
        (sink.unwrap_or_else(|| Sink::new(crate::body::Keep::Digest, 0)), sound)
    }

    pub(crate) fn sink(&self) -> Option<&Sink> {
        self.decoder.get_ref().0.as_ref()
    }
}
