//! What is kept of a body while it streams past: a digest, or its bytes, up to a limit.
//!
//! A coded body is also hashed as it came, so that two that cannot be decoded are still the same when they are equal.

use crate::digest::Digest;
use crate::grpc::Frames;
use crate::gzip::Gunzip;

/// What the rules need of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    Digest,
    Bytes,
}

/// Takes decoded bytes up to a limit.
#[derive(Debug)]
pub(crate) struct Sink {
    limit: usize,
    /// Bytes taken.
    len: usize,
    over: bool,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Digest(Box<Digest>),
    Bytes(Vec<u8>),
}

impl Sink {
    pub(crate) fn new(keep: Keep, limit: usize) -> Self {
        let kept = match keep {
            Keep::Bytes => Kept::Bytes(Vec::new()),
            Keep::Nothing | Keep::Digest => Kept::Digest(Box::default()),
        };
        Self { limit, len: 0, over: false, kept }
    }

    /// Takes some more, or says that it is beyond the limit; what was kept is let go then.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> bool {
        if self.over || bytes.len() > self.limit - self.len {
            self.over = true;
            if let Kept::Bytes(kept) = &mut self.kept {
                *kept = Vec::new();
            }
            return false;
        }
        self.len += bytes.len();
        match &mut self.kept {
            Kept::Digest(digest) => digest.update(bytes),
            Kept::Bytes(kept) => kept.extend_from_slice(bytes),
        }
        true
    }

    /// Adds to the digest what is no byte of the body: where a message ends.
    pub(crate) fn mark(&mut self, number: usize) {
        if let Kept::Digest(digest) = &mut self.kept {
            digest.update(&(number as u64).to_le_bytes());
        }
    }

    pub(crate) const fn over(&self) -> bool {
        self.over
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn held(&self) -> usize {
        match &self.kept {
            Kept::Digest(_) => size_of::<Digest>(),
            Kept::Bytes(kept) => kept.capacity(),
        }
    }
}

/// How a body's bytes are taken.
#[derive(Debug)]
enum Way {
    /// Not at all: the rules do not look at bodies.
    Nothing,
    Plain(Sink),
    Gzip(Box<Gunzip>),
    Grpc(Box<Frames>),
    /// In a coding that this build does not know: only as it came. The sink stays empty.
    Foreign(Sink),
    Done(Sink),
}

/// How a body is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    /// Its name.
    Other(Vec<u8>),
}

impl Coding {
    /// From `content-encoding`.
    pub(crate) fn of(value: Option<&[u8]>) -> Self {
        match value.map(<[u8]>::trim_ascii) {
            None | Some(b"") => Self::Identity,
            Some(value) if value.eq_ignore_ascii_case(b"identity") => Self::Identity,
            Some(value) if value.eq_ignore_ascii_case(b"gzip") || value.eq_ignore_ascii_case(b"x-gzip") => Self::Gzip,
            Some(value) => Self::Other(value.to_ascii_lowercase()),
        }
    }
}

/// One answer's body.
#[derive(Debug)]
pub(crate) struct Body {
    way: Way,
    coding: Coding,
    /// Of a coded body: as it came.
    raw: Option<Sink>,
    broken: bool,
    wanted: bool,
}

impl Body {
    pub(crate) fn new(keep: Keep, limit: usize, coding: Coding) -> Self {
        let raw = || Some(Sink::new(Keep::Digest, limit));
        let (way, raw) = match (keep, &coding) {
            (Keep::Nothing, _) => (Way::Nothing, None),
            (_, Coding::Identity) => (Way::Plain(Sink::new(keep, limit)), None),
            (_, Coding::Gzip) => (Way::Gzip(Box::new(Gunzip::new(Sink::new(keep, limit)))), raw()),
            (_, Coding::Other(_)) => (Way::Foreign(Sink::new(keep, limit)), raw()),
        };
        Self { wanted: keep != Keep::Nothing, way, coding, raw, broken: false }
    }

    /// A body of gRPC messages; `coding` is theirs.
    pub(crate) fn grpc(limit: usize, coding: Coding) -> Self {
        let way = Way::Grpc(Box::new(Frames::new(Sink::new(Keep::Digest, limit), coding == Coding::Gzip)));
        Self { way, coding, raw: Some(Sink::new(Keep::Digest, limit)), broken: false, wanted: true }
    }

    /// Whether more of it could change anything.
    pub(crate) const fn wanted(&self) -> bool {
        self.wanted
    }

    pub(crate) fn chunk(&mut self, bytes: &[u8]) {
        if !self.wanted {
            return;
        }
        let raw = self.raw.as_mut().is_none_or(|raw| raw.take(bytes));
        let decoded = match &mut self.way {
            Way::Nothing | Way::Foreign(_) | Way::Done(_) => true,
            Way::Plain(sink) => sink.take(bytes),
            Way::Gzip(gunzip) => gunzip.chunk(bytes),
            Way::Grpc(frames) => frames.chunk(bytes),
        };
        // What cannot be decoded is still hashed as it came, so that two of the same are the same.
        self.wanted = raw && (decoded || (self.raw.is_some() && !self.sink().is_some_and(Sink::over)));
    }

    /// The body has ended. What decoding needed is let go.
    pub(crate) fn finish(&mut self) {
        self.wanted = false;
        let (sink, sound) = match core::mem::replace(&mut self.way, Way::Nothing) {
            Way::Plain(sink) | Way::Done(sink) => (sink, true),
            Way::Gzip(gunzip) => gunzip.finish(),
            Way::Grpc(frames) => frames.finish(),
            // Of an empty body nothing is coded.
            Way::Foreign(sink) if self.raw.as_ref().is_some_and(|raw| raw.len() == 0) => (sink, true),
            way @ (Way::Nothing | Way::Foreign(_)) => {
                self.way = way;
                return;
            }
        };
        // An empty body is none, whatever its header says: answers to HEAD, and 304.
        self.broken |= !sound && !sink.over() && self.raw.as_ref().is_some_and(|raw| raw.len() > 0);
        self.way = Way::Done(sink);
    }

    /// Bytes of memory.
    pub(crate) fn held(&self) -> usize {
        self.raw.as_ref().map_or(0, Sink::held)
            + match &self.way {
                Way::Nothing | Way::Foreign(_) => 0,
                Way::Plain(sink) | Way::Done(sink) => sink.held(),
                Way::Gzip(gunzip) => gunzip.sink().map_or(0, Sink::held) + crate::gzip::HELD,
                Way::Grpc(frames) => frames.held(),
            }
    }

    /// Whether it was longer than the limit, coded or decoded.
    pub(crate) fn over(&self) -> bool {
        self.raw.as_ref().is_some_and(Sink::over) || self.sink().is_some_and(Sink::over)
    }

    /// Whether it could not be decoded.
    pub(crate) const fn broken(&self) -> bool {
        self.broken
    }

    /// Whether it is in a coding that this build does not know.
    pub(crate) const fn foreign(&self) -> bool {
        matches!(self.way, Way::Foreign(_))
    }

    /// Bytes that came, decoded.
    pub(crate) fn len(&self) -> usize {
        self.sink().or(self.raw.as_ref()).map_or(0, Sink::len)
    }

    /// Whether both came as the same bytes in the same coding.
    pub(crate) fn came_equal(&self, other: &Self) -> bool {
        let value = |body: &Self| Some(body.raw.as_ref().or_else(|| body.sink())?.value());
        self.coding == other.coding && value(self) == value(other)
    }

    /// Whether both are the same once decoded.
    pub(crate) fn equal(&self, other: &Self) -> bool {
        match (self.bytes(), other.bytes()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => self.sink().map(Sink::value) == other.sink().map(Sink::value),
        }
    }

    /// Its bytes, where they were kept.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match &self.sink()?.kept {
            Kept::Bytes(bytes) => Some(bytes),
            Kept::Digest(_) => None,
        }
    }

    fn sink(&self) -> Option<&Sink> {
        match &self.way {
            Way::Nothing | Way::Foreign(_) => None,
            Way::Plain(sink) | Way::Done(sink) => Some(sink),
            Way::Gzip(gunzip) => gunzip.sink(),
            Way::Grpc(frames) => frames.sink(),
        }
    }
}

impl Sink {
    fn value(&self) -> (usize, u128) {
        let digest = match &self.kept {
            Kept::Digest(digest) => digest.value(),
            Kept::Bytes(bytes) => crate::digest::of(bytes),
        };
        (self.len, digest)
    }
}
