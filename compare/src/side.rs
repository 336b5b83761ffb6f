//! One answer, gathered as it streams past.

use crate::body::{Body, Coding, Keep};
use crate::digest;
use crate::limits::HEADER_BYTES;
use crate::rules::Rules;

/// One answer: what the rules need of it and no more. Made by [`Rules::side`].
#[derive(Debug)]
pub struct Side {
    status: u16,
    /// The rules' headers, in their order.
    headers: Vec<Option<Value>>,
    /// `grpc-status` of an answer of gRPC; `None` inside while it has not come.
    grpc: Option<Option<u64>>,
    body: Body,
    finished: bool,
}

/// A header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Short(Vec<u8>),
    /// Of one longer than [`HEADER_BYTES`]: its length and digest.
    Long(usize, u128),
}

impl Value {
    fn new(bytes: &[u8]) -> Self {
        if bytes.len() > HEADER_BYTES {
            return Self::Long(bytes.len(), digest::of(bytes));
        }
        Self::Short(bytes.to_vec())
    }

    fn held(&self) -> usize {
        match self {
            Self::Short(bytes) => bytes.capacity(),
            Self::Long(..) => 0,
        }
    }
}

impl Side {
    pub(crate) fn new<V: AsRef<[u8]>>(rules: &Rules, status: u16, mut header: impl FnMut(&str) -> Option<V>) -> Self {
        let limit = rules.body_bytes();
        let is_grpc = header("content-type").is_some_and(|kind| is_grpc(kind.as_ref()));
        let (grpc, body) = if is_grpc {
            let status = header("grpc-status").and_then(|value| number(value.as_ref()));
            let coding = header("grpc-encoding");
            (Some(status), Body::grpc(limit, Coding::of(coding.as_ref().map(V::as_ref))))
        } else {
            let keep = rules.keep();
            let coding = if keep == Keep::Nothing { None } else { header("content-encoding") };
            (None, Body::new(keep, limit, Coding::of(coding.as_ref().map(V::as_ref))))
        };
        let value = |name: &String| header(name).map(|value| Value::new(value.as_ref()));
        let headers = rules.compared_headers().iter().map(value).collect();
        Self { status, headers, grpc, body, finished: false }
    }

    /// The next piece of the body, of any size. Pieces after [`finish`](Self::finish) are left out.
    pub fn chunk(&mut self, bytes: &[u8]) {
        self.body.chunk(bytes);
    }

    /// Whether more of the body could change anything: once it is beyond the limit, or where the rules do not look at
    /// it, no piece need be read.
    pub const fn wants_body(&self) -> bool {
        self.body.wanted()
    }

    /// A trailer; `grpc-status` of an answer of gRPC is taken, the others are not looked at.
    pub fn trailer(&mut self, name: &str, value: &[u8]) {
        if let (Some(status @ None), "grpc-status") = (&mut self.grpc, name) {
            *status = number(value);
        }
    }

    /// The answer has ended as it should. One that has not is not compared.
    pub fn finish(&mut self) {
        self.body.finish();
        self.finished = true;
    }

    /// Whether it ended as it should.
    pub const fn finished(&self) -> bool {
        self.finished
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The status of gRPC; none of an answer that is not gRPC or that came without.
    pub const fn grpc_status(&self) -> Option<u64> {
        match self.grpc {
            Some(status) => status,
            None => None,
        }
    }

    /// Whether it is a failure of the server: a 5xx, or of gRPC status 2, 4, 12, 13, 14, 15 or none (the same that
    /// `headgate_replicate_failures` counts).
    pub const fn failed(&self) -> bool {
        self.status >= 500 || matches!(self.grpc, Some(None | Some(2 | 4 | 12 | 13 | 14 | 15)))
    }

    /// Bytes of the body that were looked at, decoded; up to the limit, and 0 where the rules do not look at bodies.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Bytes of memory that it holds: about 200, with the headers' values; beside that up to the rules' limit where they look into
    /// bodies (twice as much while one grows), and 76 KiB while one is decompressed.
    pub fn held(&self) -> usize {
        size_of::<Self>()
            + self.headers.capacity() * size_of::<Option<Value>>()
            + self.headers.iter().flatten().map(Value::held).sum::<usize>()
            + self.body.held()
    }

    pub(crate) const fn is_grpc(&self) -> bool {
        self.grpc.is_some()
    }

    pub(crate) fn headers(&self) -> &[Option<Value>] {
        &self.headers
    }

    pub(crate) const fn body(&self) -> &Body {
        &self.body
    }
}

/// Whether a `content-type` is gRPC's. Not that of gRPC-Web, which has its trailers in the body.
fn is_grpc(kind: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((start, rest)) = kind.trim_ascii().split_at_checked(GRPC.len()) else { return false };
    // Most are ruled out by their last letter.
    let may_be = start.last().is_some_and(|last| last.eq_ignore_ascii_case(&b'c'));
    may_be && start.eq_ignore_ascii_case(GRPC) && rest.first().is_none_or(|b| matches!(b, b'+' | b';' | b' '))
}

fn number(value: &[u8]) -> Option<u64> {
    core::str::from_utf8(value).ok()?.trim().parse().ok()
}
