//! Are these two answers the same? The answer a user got, the one a shadow gave, and rules that say what counts.
//!
//! [`Rules`] are compiled from the contract's [`Comparison`](headgate_contract::Comparison). A [`Side`] gathers one answer as it
//! streams past, in pieces of any size, and keeps a 128-bit hash of its body or, where the rules look into it, its
//! bytes up to a limit. [`Rules::compare`] takes two of them to an [`Outcome`]: matched, mismatched by these kinds at
//! these paths, or not to be compared and why. [`noise::Tally`] tells differences that the stable version has with
//! itself from those of the candidate. A [`record::Record`] is what is kept of a pair. A [`Reader`] takes single values out of one
//! body.
//!
//! The filter compares by this crate in Envoy, and `headgate` offline. It does not send copies, measure time, or judge
//! whether a version is ready.
//!
//! Architecture Invariant: no clock, no randomness, no log, no I/O. Whatever bytes come, nothing here panics, and what is
//! held and done is bounded by the rules' limit on a body.

mod body;
mod digest;
mod grpc;
mod gzip;
mod json;
pub mod noise;
mod number;
mod outcome;
mod pair;
mod pointer;
mod reading;
pub mod record;
mod rules;
mod side;
mod text;

pub use outcome::{Difference, How, Kind, Kinds, Outcome, Reason, Verdict, Wanted};
pub use pointer::Pointer;
pub use reading::{Places, Reader, Unreadable, Value};
pub use rules::Rules;
pub use side::Side;

/// Bounds of a comparison.
pub mod limits {
    /// Values of one JSON document that are looked at; one with more is compared byte by byte, or not at all.
    pub const NODES: usize = 10_000;
    /// Pointers in one list of the rules.
    pub const POINTERS: usize = 64;
    /// Headers that the rules compare.
    pub const HEADERS: usize = 32;
    /// Largest body that rules may ask to compare, in bytes: 32 MiB.
    pub const BODY_BYTES: u32 = 32 << 20;
    /// Differing paths that an outcome names.
    pub const PATHS: usize = 16;
    /// Bytes of one path that an outcome names.
    pub const PATH_BYTES: usize = 200;
    /// Bytes of one value that an outcome shows.
    pub const VALUE_BYTES: usize = 128;
    /// Bytes of a header's value that are kept as they are; of a longer one a hash is.
    pub const HEADER_BYTES: usize = 128;
}
