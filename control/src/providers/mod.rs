//! Where measurements come from. Providers know nothing of each other, of steps or of verdicts: each turns a question into numbers, into
//! "no values", or into an error in words.

mod copies;
pub(crate) mod envoy;
pub(crate) mod histogram;
mod predictions;
pub(crate) mod prometheus;
pub(crate) mod queries;
mod shadows;
mod users;
pub(crate) mod webhook;

use headgate_rollout::tick::{Ask, Measured, Newest};

/// What a provider says to one question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// A finite number.
    Number(f64),
    /// It answered, and has nothing: an empty vector, NaN, null. Never success, never failure.
    Nothing,
}

/// Both versions' numbers, or that there are none.
pub(crate) fn values(
    ask: &Ask,
    canary: Found,
    stable: impl FnOnce() -> Result<Found, String>,
) -> Result<Measured, String> {
    let Found::Number(canary) = canary else { return Ok(Measured::NoValues) };
    if !ask.baseline {
        return Ok(Measured::Values { canary, stable: None, newest: Newest::Whole });
    }
    Ok(match stable()? {
        Found::Number(stable) => Measured::Values { canary, stable: Some(stable), newest: Newest::Whole },
        Found::Nothing => Measured::Values { canary, stable: None, newest: Newest::Whole },
    })
}
