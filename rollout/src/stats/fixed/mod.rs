//! One look, at a size fixed in advance: the textbook tests, for data that are complete.
//!
//! Every test asks how often the data are looked at. At [`Look::Repeated`] it refuses with [`Reason::Peeking`], because a test at
//! level 5 % that is read after each of 20 looks errs 25 % of the time (Armitage, McPherson and Rowe 1969): the
//! procedures of [`super::sequential`] and [`super::compare`] are for that. Observations must be independent: keys, or totals of
//! buckets, never requests of users who come back.

pub mod intervals;
pub mod lift;
pub mod means;
pub mod noninferiority;
pub mod power;
pub mod proportions;
pub mod ranks;
pub mod tables;

use super::normal;
use super::reason::Reason;

/// How often these data are, or will be, tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Once, at a size fixed before.
    Only,
    /// Again and again while they come in.
    Repeated,
}

/// Which deviation counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alternative {
    /// Either.
    #[default]
    TwoSided,
    /// The second is greater than the first.
    Greater,
    /// The second is less than the first.
    Less,
}

/// A test's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// z, t, chi-square or U, as the test's docstring says.
    pub statistic: f64,
    /// Degrees of freedom; infinite for a normal statistic.
    pub df: f64,
    /// p-value in [0, 1].
    pub p: f64,
}

impl Look {
    /// Refuses repeated looks.
    pub(super) fn once(self) -> Result<(), Reason> {
        if self == Look::Only { Ok(()) } else { Err(Reason::Peeking) }
    }
}

impl Alternative {
    /// p-value of a standard normal statistic.
    #[must_use]
    pub fn normal(self, z: f64) -> f64 {
        match self {
            Alternative::TwoSided => (2.0 * normal::sf(z.abs())).min(1.0),
            Alternative::Greater => normal::sf(z),
            Alternative::Less => normal::cdf(z),
        }
    }
}
