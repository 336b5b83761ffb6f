//! Relative lift: by which part of the first is the second larger?

use super::super::normal;
use super::super::reason::{Reason, probability};
use super::means::Moments;
use super::proportions::Proportion;

/// An estimate with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lift {
    /// `(b - a) / a`: 0.05 is 5 % more.
    pub value: f64,
    /// Variance of the estimate.
    pub variance: f64,
}

impl Lift {
    /// By the delta method from two means with the variances of those means.
    ///
    /// Deng, Knoblich and Lu 2018, "Applying the delta method in metric analytics", KDD, eq. 3, for independent means:
    /// `var(b)/a^2 + b^2 var(a)/a^4`. Assumes that `a` is many standard errors away from 0.
    /// Degenerate: [`Reason::OutOfRange`] if `a` is 0 or within 3 standard errors of it, [`Reason::ZeroVariance`].
    pub fn of_means(a: f64, var_a: f64, b: f64, var_b: f64) -> Result<Lift, Reason> {
        if ![a, b, var_a, var_b].iter().all(|value| value.is_finite()) {
            return Err(Reason::NotFinite("a mean or a variance"));
        }
        if a == 0.0 || a * a < 9.0 * var_a {
            return Err(Reason::OutOfRange {
                what: "the first mean",
                value: a,
                allowed: "at least 3 standard errors from 0",
            });
        }
        let variance = var_b / (a * a) + b * b * var_a / a.powi(4);
        if variance > 0.0 { Ok(Lift { value: (b - a) / a, variance }) } else { Err(Reason::ZeroVariance) }
    }

    /// Of two proportions of independent units.
    pub fn of_proportions(a: Proportion, b: Proportion) -> Result<Lift, Reason> {
        Lift::of_means(a.rate(), a.variance() / a.units, b.rate(), b.variance() / b.units)
    }

    /// Of two means of independent values.
    pub fn of_moments(a: Moments, b: Moments) -> Result<Lift, Reason> {
        Lift::of_means(a.mean, a.error(), b.mean, b.error())
    }

    /// Interval at confidence `1 - alpha` (two-sided), for one look.
    pub fn interval(&self, alpha: f64) -> Result<[f64; 2], Reason> {
        probability("alpha", alpha)?;
        let half = normal::isf(0.5 * alpha) * self.variance.sqrt();
        Ok([self.value - half, self.value + half])
    }
}
