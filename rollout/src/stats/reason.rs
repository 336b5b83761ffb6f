//! Why numbers could not be answered: one name for each kind of degenerate input, each with what to do about it.

use std::fmt;

/// Why there is no answer. Never an error of the program: the data, or the question, cannot be answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The arm named has no observation at all.
    NoData(&'static str),
    /// Fewer observations than the procedure needs.
    TooFew {
        /// What is counted, in the plural: `buckets of users`, `values`, `looks`.
        what: &'static str,
        /// How many there are.
        have: f64,
        /// How many it takes.
        need: f64,
    },
    /// Every value is the same, so nothing says how far the estimate may be off.
    ZeroVariance,
    /// NaN or infinite.
    NotFinite(&'static str),
    /// A count or a size below zero.
    Negative(&'static str),
    /// More events than units that could have had one.
    EventsAboveUnits {
        /// Events counted.
        events: f64,
        /// Units that could have had one.
        units: f64,
    },
    /// A probability (alpha, power, a rate, a quantile) that must lie strictly between 0 and 1.
    NotAProbability {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// An argument outside of the range that its docstring names.
    OutOfRange {
        /// Which one.
        what: &'static str,
        /// What was given.
        value: f64,
        /// What is possible, in words.
        allowed: &'static str,
    },
    /// The quantile lies above the histogram's last edge: all that is known is that it is larger.
    Overflow {
        /// The last edge, in the histogram's unit.
        last_edge: f64,
    },
    /// Two histograms whose edges differ cannot be added or compared.
    EdgesDiffer,
    /// Two lists that belong together differ in length.
    LengthsDiffer {
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// Part of a test for one look was asked of data that are looked at repeatedly.
    Peeking,
    /// A test that takes the weights for fixed was asked of data whose weights followed the results.
    Adaptive,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoData(what) => write!(out, "no data: nothing was counted for the {what} yet"),
            Reason::TooFew { what, have, need } => write!(out, "too few {what}: {have} of at least {need}"),
            Reason::ZeroVariance => {
                write!(out, "zero variance: all values are the same, so nothing says how far the estimate may be off")
            }
            Reason::NotFinite(what) => write!(out, "{what} is not a finite number"),
            Reason::Negative(what) => write!(out, "{what} is below zero"),
            Reason::EventsAboveUnits { events, units } => {
                write!(out, "{events} events among {units} units: a unit can have one event at most")
            }
            Reason::NotAProbability { what, value } => {
                write!(out, "{what} is {value}; it must lie between 0 and 1, both excluded")
            }
            Reason::OutOfRange { what, value, allowed } => write!(out, "{what} is {value}; it must be {allowed}"),
            Reason::Overflow { last_edge } => write!(
                out,
                "overflow: the quantile lies above the histogram's last edge, {last_edge}; add larger buckets to measure it"
            ),
            Reason::EdgesDiffer => write!(out, "the histograms have different edges, so they cannot be compared"),
            Reason::LengthsDiffer { left, right } => {
                write!(out, "{left} entries against {right}: they belong in pairs")
            }
            Reason::Adaptive => write!(
                out,
                "the weights followed the results: a variant that began badly by chance got fewer users and no chance to make up for it, so \
                 plain averages are biased and an ordinary p-value means nothing. Use an estimate by weight epoch"
            ),
            Reason::Peeking => write!(
                out,
                "this test holds for a single look at a size fixed in advance; looked at repeatedly it cries wolf far more \
                 often than alpha says. Use an anytime-valid or a group-sequential test"
            ),
        }
    }
}

impl std::error::Error for Reason {}

/// `value` if it lies strictly between 0 and 1.
pub(super) fn probability(what: &'static str, value: f64) -> Result<f64, Reason> {
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(Reason::NotAProbability { what, value }) }
}

/// `value` if it is finite and at least 0.
pub(super) fn amount(what: &'static str, value: f64) -> Result<f64, Reason> {
    match value {
        v if !v.is_finite() => Err(Reason::NotFinite(what)),
        v if v < 0.0 => Err(Reason::Negative(what)),
        v => Ok(v),
    }
}

/// `value` if it can be a count of something, whole or divided by a design effect: 0, or between 1e-9 and 2^53, where doubles
/// are exact.
pub(super) fn counted(what: &'static str, value: f64) -> Result<f64, Reason> {
    let value = amount(what, value)?;
    if countable(value) {
        Ok(value)
    } else {
        Err(Reason::OutOfRange { what, value, allowed: "0, or between 1e-9 and 2^53" })
    }
}

/// Whether [`counted`] lets it pass.
pub(super) fn countable(value: f64) -> bool {
    value == 0.0 || (1e-9..=9_007_199_254_740_992.0).contains(&value)
}
