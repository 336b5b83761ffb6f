//! Has a distribution moved since a reference window? Of predictions, or of latency, from counts in the same bins.
//!
//! Differences between large windows are always "significant"; what matters is how large they are. And small windows differ
//! by chance alone; what matters then is the noise. So each measure gives its size, the size that chance alone exceeds with a given probability
//! ([`Finding::noise`]), and the p-value; it is drift when the size reaches what somebody cares about *and* exceeds the noise ([`Finding::moved`]).
//!
//! Noise is that of independent values. Requests of one user are not, so counts are divided by a design effect first
//! ([`super::design`]). Looking repeatedly is paid for by whoever looks: see [`share_of_alpha`]. The mix of users is part of the
//! distribution: where one user makes a third of the requests and leaves, it has moved.

mod bins;
pub mod clustering;
mod fall;
mod kolmogorov;
mod psi;

pub use bins::{Bins, FEWEST_IN_BIN};
pub use fall::{fisher, risen};
pub use kolmogorov::{kolmogorov_isf, kolmogorov_sf, kolmogorov_smirnov, smirnov};
pub use psi::{PSI_LARGE, PSI_MODERATE, population_stability, psi};

use super::reason::{Reason, amount, counted, probability};

/// How far two distributions are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The measure.
    pub size: f64,
    /// Chance of a size as large if nothing moved; asymptotic.
    pub p: f64,
}

/// How a difference is told from chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Chance of exceeding the noise if nothing moved, at this look. In (0, 1).
    pub alpha: f64,
    /// Design effect of the reference's counts, at least 1.
    pub reference_effect: f64,
    /// The same of the counts now.
    pub now_effect: f64,
}

impl Ask {
    /// Independent values.
    #[must_use]
    pub fn at(alpha: f64) -> Ask {
        Ask { alpha, reference_effect: 1.0, now_effect: 1.0 }
    }

    fn check(&self) -> Result<(), Reason> {
        probability("alpha", self.alpha)?;
        for effect in [self.reference_effect, self.now_effect] {
            if !(effect.is_finite() && effect >= 1.0) {
                return Err(Reason::OutOfRange { what: "a design effect", value: effect, allowed: "at least 1" });
            }
        }
        Ok(())
    }
}

/// A measure of drift, with what chance alone would make of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The measure.
    pub size: f64,
    /// The most that it can be if one could look within the bins; the size itself where bins are all there is.
    pub at_most: f64,
    /// The size that chance alone exceeds with probability alpha.
    pub noise: f64,
    /// Chance of a size as large if nothing moved; asymptotic.
    pub p: f64,
    /// How many bins were compared.
    pub bins: usize,
}

impl Finding {
    /// Whether it is drift: as large as matters, and more than noise.
    #[must_use]
    pub fn moved(&self, limit: f64) -> bool {
        self.size >= limit && self.size > self.noise
    }
}

/// The part of `alpha` that the `number`-th look (from 1) may spend so that all looks together, however many, spend `alpha`:
/// `6 alpha / (pi number)^2`, which adds up to alpha (Bonferroni over Euler's series).
#[must_use]
pub fn share_of_alpha(alpha: f64, number: u32) -> f64 {
    alpha * 6.0 / (std::f64::consts::PI * f64::from(number.max(1))).powi(2)
}

/// By how much a performance measure fell, relative to its reference: 0.05 is five percent less. Negative if it rose.
pub fn decline(reference: f64, now: f64) -> Result<f64, Reason> {
    amount("the measure", now)?;
    if amount("the reference", reference)? == 0.0 {
        return Err(Reason::OutOfRange { what: "the reference", value: reference, allowed: "above 0" });
    }
    Ok((reference - now) / reference)
}

fn totals(reference: &[f64], now: &[f64]) -> Result<(f64, f64), Reason> {
    if reference.len() != now.len() {
        return Err(Reason::LengthsDiffer { left: reference.len(), right: now.len() });
    }
    for count in reference.iter().chain(now) {
        counted("a count", *count)?;
    }
    let (n, m): (f64, f64) = (reference.iter().sum(), now.iter().sum());
    if n <= 0.0 {
        return Err(Reason::NoData("reference window"));
    }
    if m <= 0.0 {
        return Err(Reason::NoData("current window"));
    }
    Ok((n, m))
}
