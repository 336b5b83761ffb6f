//! Sums over pairs: mean difference, its deviation, the paired t-test and Pearson's correlation, exact in one pass.
//!
//! A pair may stand for several that were not kept: its weight is 1 / the chance with which it was. Then means, deviations and correlations
//! estimate those of all pairs, kept or not, and errors are those of such estimates.

use super::super::fixed::means::{t_isf, t_sf};
use super::super::fixed::{Alternative, Look, Test};
use super::super::normal;
use super::super::reason::{Reason, probability};

/// Means, squares and products of pairs `(x, y)`, and of `y - x`. Adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pairs {
    n: f64,
    /// Sum of weights, and of their squares.
    w: f64,
    ww: f64,
    x: f64,
    y: f64,
    d: f64,
    xx: f64,
    yy: f64,
    xy: f64,
    dd: f64,
    /// Mean and squares of `y - x`, weighed by squared weights: what the error of the mean is made of.
    heavy: f64,
    heavy_dd: f64,
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
    /// Takes in a pair that stands for itself.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], and then nothing changes.
    pub fn push(&mut self, x: f64, y: f64) -> Result<(), Reason> {
        self.weighed(x, y, 1.0)
    }

    /// Takes in a pair that stands for `weight` of them. Welford 1962, with weights West 1979 (Communications of the ACM 22), and for
    /// products Chan, Golub and LeVeque 1983, eq. 1.3 with one observation.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], also of a weight that is not above 0; and then nothing changes.
    pub fn weighed(&mut self, x: f64, y: f64, weight: f64) -> Result<(), Reason> {
        let d = y - x;
        if !(x.is_finite() && y.is_finite() && d.is_finite()) {
            return Err(Reason::NotFinite("a value of a pair"));
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Reason::NotFinite("a weight"));
        }
        self.n += 1.0;
        self.w += weight;
        let share = weight / self.w;
        let (dx, dy, dd) = (x - self.x, y - self.y, d - self.d);
        self.x += dx * share;
        self.y += dy * share;
        self.d += dd * share;
        self.xx += weight * dx * (x - self.x);
        self.yy += weight * dy * (y - self.y);
        self.xy += weight * dx * (y - self.y);
        self.dd += weight * dd * (d - self.d);
        let squared = weight * weight;
        self.ww += squared;
        let heavy = d - self.heavy;
        self.heavy += heavy * (squared / self.ww);
        self.heavy_dd += squared * heavy * (d - self.heavy);
        self.absolute += (d.abs() - self.absolute) * share;
        self.largest = self.largest.max(d.abs());
        Ok(())
    }

    /// Adds other pairs. Chan, Golub and LeVeque 1983 (The American Statistician 37, eq. 2.1).
    pub fn merge(&mut self, other: &Pairs) {
        if other.n <= 0.0 {
            return;
        }
        let w = self.w + other.w;
        let weight = self.w * other.w / w;
        let share = other.w / w;
        let ww = self.ww + other.ww;
        let heavy = other.heavy - self.heavy;
        self.heavy_dd += other.heavy_dd + heavy * heavy * (self.ww * other.ww / ww);
        self.heavy += heavy * (other.ww / ww);
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
        self.n += other.n;
        (self.w, self.ww) = (w, ww);
    }

    /// How many pairs were taken in.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.n
    }

    /// How many pairs of equal weight would tell as much: Kish 1965, section 11.7. The count, where all weights are equal.
    #[must_use]
    pub fn effective(&self) -> f64 {
        if self.ww > 0.0 { self.w * (self.w / self.ww) } else { 0.0 }
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
        (self.n > 1.0).then(|| (self.dd / self.w * (self.n / (self.n - 1.0))).sqrt())
    }

    /// Paired t-test of `y` against `x`: Student 1908 (Biometrika 6), on the differences. With weights the error of the mean is that of a ratio
    /// of sums over pairs (Cochran 1977, "Sampling Techniques", eq. 6.13), which is Student's where all weights are equal.
    ///
    /// Assumes independent pairs; where users repeat, decide by [`super::clustered::mean`].
    ///
    /// # Errors
    /// [`Reason::Peeking`], [`Reason::TooFew`] below 2 pairs, [`Reason::ZeroVariance`] when all differences are equal,
    /// [`Reason::NotFinite`] when squares overflow.
    pub fn t_test(&self, alpha: f64, alternative: Alternative, look: Look) -> Result<PairedT, Reason> {
        look.once()?;
        probability("alpha", alpha)?;
        if self.n < 2.0 {
            return Err(Reason::TooFew { what: "pairs", have: self.n, need: 2.0 });
        }
        let off = self.heavy - self.d;
        let error = (self.n / (self.n - 1.0) * (self.heavy_dd + self.ww * off * off)).sqrt() / self.w;
        if !error.is_finite() {
            return Err(Reason::NotFinite("a sum of squares"));
        }
        if error <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let (df, statistic) = (self.n - 1.0, self.d / error);
        let half = t_isf(0.5 * alpha, df)? * error;
        let test = Test { statistic, df, p: t_p(statistic, df, alternative)? };
        Ok(PairedT { test, interval: [self.d - half, self.d + half] })
    }

    /// Pearson's correlation of `x` and `y` (1896), exact whatever the number of pairs. Its interval and test rest on [`Self::effective`] pairs.
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
        let n = self.effective();
        let interval = (n > 3.0).then(|| {
            let half = normal::isf(0.5 * alpha) / (n - 3.0).sqrt();
            let z = r.atanh();
            [(z - half).tanh(), (z + half).tanh()]
        });
        Ok(Pearson { r, interval, test: of_no_correlation(r, n, Alternative::TwoSided)? })
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
