//! Sums over pairs: mean difference, its deviation, the paired t-test and Pearson's correlation, exact in one pass.

use super::super::fixed::means::{Moments, t_isf, t_sf};
use super::super::fixed::{Alternative, Look, Test};
use super::super::normal;
use super::super::reason::{Reason, probability};

/// Means, squares and products of pairs `(x, y)`, and of `y - x`. Adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pairs {
    n: f64,
    x: f64,
    y: f64,
    d: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    dd: f64,
    absolute: f64,
    largest: f64,
}

/// Paired t-test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedT {
    /// t of the mean of `y - x`, its degrees of freedom and p-value.
    pub test: Test,
    /// Interval of the mean of `y - x` at confidence `1 - alpha`.
    pub interval: [f64; 2],
}

/// Pearson's product-moment correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pearson {
    /// In [-1, 1].
    pub r: f64,
    /// Interval at confidence `1 - alpha`, by Fisher's z (1921); `None` with fewer than 4 pairs.
    pub interval: Option<[f64; 2]>,
    /// Test of no correlation: t with `n - 2` degrees of freedom. `None` with fewer than 3 pairs, or when `r` is 1 or -1.
    pub test: Option<Test>,
}

impl Pairs {
    /// Takes in a pair. Welford 1962, and for products Chan, Golub and LeVeque 1983, eq. 1.3 with one observation.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], and then nothing changes.
    pub fn push(&mut self, x: f64, y: f64) -> Result<(), Reason> {
        let d = y - x;
        if !(x.is_finite() && y.is_finite() && d.is_finite()) {
            return Err(Reason::NotFinite("a value of a pair"));
        }
        self.n += 1.0;
        let (dx, dy, dd) = (x - self.x, y - self.y, d - self.d);
        self.x += dx / self.n;
        self.y += dy / self.n;
        self.d += dd / self.n;
        self.xx += dx * (x - self.x);
        self.yy += dy * (y - self.y);
        self.xy += dx * (y - self.y);
        self.dd += dd * (d - self.d);
        self.absolute += (d.abs() - self.absolute) / self.n;
        self.largest = self.largest.max(d.abs());
        Ok(())
    }

    /// Adds other pairs. Chan, Golub and LeVeque 1983 (The American Statistician 37, eq. 2.1).
    pub fn merge(&mut self, other: &Pairs) {
        if other.n <= 0.0 {
            return;
        }
        let n = self.n + other.n;
        let weight = self.n * other.n / n;
        let share = other.n / n;
        let (dx, dy, dd) = (other.x - self.x, other.y - self.y, other.d - self.d);
        self.xx += other.xx + dx * dx * weight;
        self.yy += other.yy + dy * dy * weight;
        self.xy += other.xy + dx * dy * weight;
        self.dd += other.dd + dd * dd * weight;
        self.x += dx * share;
        self.y += dy * share;
        self.d += dd * share;
        self.absolute += (other.absolute - self.absolute) * share;
        self.largest = self.largest.max(other.largest);
        self.n = n;
    }

    /// How many pairs.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.n
    }

    /// Means of `x` and of `y`; `None` without pairs.
    #[must_use]
    pub fn means(&self) -> Option<(f64, f64)> {
        (self.n > 0.0).then_some((self.x, self.y))
    }

    /// Mean of `y - x`; `None` without pairs.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0.0).then_some(self.d)
    }

    /// Mean of `|y - x|`; `None` without pairs.
    #[must_use]
    pub fn mean_absolute(&self) -> Option<f64> {
        (self.n > 0.0).then_some(self.absolute)
    }

    /// Largest `|y - x|`; `None` without pairs.
    #[must_use]
    pub fn largest(&self) -> Option<f64> {
        (self.n > 0.0).then_some(self.largest)
    }

    /// Standard deviation of `y - x`, with `n - 1` in the denominator; `None` with fewer than 2 pairs.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        (self.n > 1.0).then(|| (self.dd / (self.n - 1.0)).sqrt())
    }

    /// Count, mean and variance of `y - x`.
    ///
    /// # Errors
    /// [`Reason::TooFew`] with fewer than 2 pairs; [`Reason::NotFinite`] when squares overflow.
    pub fn differences(&self) -> Result<Moments, Reason> {
        if self.n < 2.0 {
            return Err(Reason::TooFew { what: "pairs", have: self.n, need: 2.0 });
        }
        Moments::new(self.n, self.d, self.dd / (self.n - 1.0))
    }

    /// Paired t-test of `y` against `x`: Student 1908 (Biometrika 6), on the differences.
    ///
    /// Assumes independent pairs; where users repeat, decide by [`super::clustered::mean`].
    ///
    /// # Errors
    /// [`Reason::Peeking`], [`Reason::TooFew`] below 2 pairs, [`Reason::ZeroVariance`] when all differences are equal.
    pub fn t_test(&self, alpha: f64, alternative: Alternative, look: Look) -> Result<PairedT, Reason> {
        look.once()?;
        probability("alpha", alpha)?;
        let differences = self.differences()?;
        let error = differences.error().sqrt();
        if error <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let (df, statistic) = (self.n - 1.0, differences.mean / error);
        let half = t_isf(0.5 * alpha, df)? * error;
        let test = Test { statistic, df, p: t_p(statistic, df, alternative)? };
        Ok(PairedT { test, interval: [differences.mean - half, differences.mean + half] })
    }

    /// Pearson's correlation of `x` and `y` (1896), exact whatever the number of pairs.
    ///
    /// # Errors
    /// [`Reason::TooFew`] below 2 pairs, [`Reason::ZeroVariance`] when either side is constant, [`Reason::NotFinite`] when squares overflow.
    pub fn pearson(&self, alpha: f64) -> Result<Pearson, Reason> {
        probability("alpha", alpha)?;
        if self.n < 2.0 {
            return Err(Reason::TooFew { what: "pairs", have: self.n, need: 2.0 });
        }
        if !(self.xx.is_finite() && self.yy.is_finite() && self.xy.is_finite()) {
            return Err(Reason::NotFinite("a sum of squares"));
        }
        if self.xx <= 0.0 || self.yy <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let r = (self.xy / self.xx.sqrt() / self.yy.sqrt()).clamp(-1.0, 1.0);
        let interval = (self.n > 3.0).then(|| {
            let half = normal::isf(0.5 * alpha) / (self.n - 3.0).sqrt();
            let z = r.atanh();
            [(z - half).tanh(), (z + half).tanh()]
        });
        Ok(Pearson { r, interval, test: of_no_correlation(r, self.n, Alternative::TwoSided)? })
    }
}

/// The t-test of a correlation of 0; `None` where it has no degrees of freedom or the correlation is perfect.
pub(super) fn of_no_correlation(r: f64, n: f64, alternative: Alternative) -> Result<Option<Test>, Reason> {
    let df = n - 2.0;
    if df < 1.0 || r.abs() >= 1.0 {
        return Ok(None);
    }
    let statistic = r * (df / ((1.0 - r) * (1.0 + r))).sqrt();
    Ok(Some(Test { statistic, df, p: t_p(statistic, df, alternative)? }))
}

fn t_p(t: f64, df: f64, alternative: Alternative) -> Result<f64, Reason> {
    Ok(match alternative {
        Alternative::TwoSided => (2.0 * t_sf(t.abs(), df)?).min(1.0),
        Alternative::Greater => t_sf(t, df)?,
        Alternative::Less => t_sf(-t, df)?,
    })
}
