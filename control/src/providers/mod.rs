//! Where measurements come from. Providers know nothing of each other, of steps or of verdicts: each turns a question into numbers, into
//! "no values", or into an error in words.

pub(crate) mod prometheus;
pub(crate) mod webhook;

/// What a provider says to one question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// A finite number.
    Number(f64),
    /// It answered, and has nothing: an empty vector, NaN, null. Never success, never failure.
    Nothing,
}
