//! Has a distribution moved since a reference window? Of predictions, or of latency, from histograms with the same edges.
//!
//! Differences between large windows are always "significant"; what matters is how large they are. So each measure gives its size, and the
//! p-value beside it. Counts must be of independent units for the p-value; the sizes need no such assumption.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::histogram::Histogram;
use super::reason::{Reason, amount, counted};

/// How far two distributions are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The measure.
    pub size: f64,
    /// Chance of a size as large if nothing moved; asymptotic.
    pub p: f64,
}

/// By custom below 0.1 nothing moved.
pub const PSI_MODERATE: f64 = 0.1;
/// By custom from 0.25 on much did.
pub const PSI_LARGE: f64 = 0.25;

/// Population stability index of `now` against `reference`: `sum (p - q) ln(p / q)` over categories, which is Jeffreys' divergence.
///
/// Siddiqi 2006, "Credit Risk Scorecards", ch. 8 (thresholds 0.1 and 0.25); p-value after Yurdakul and Naranjo 2020, "Statistical properties of the
/// population stability index", Journal of Risk Model Validation 14: size / (1/n + 1/m) is chi-square with `categories - 1`. Empty categories
/// would make it infinite: where one side has none, half a count is added to every category of both. Categories empty in both are left out.
pub fn psi(reference: &[f64], now: &[f64]) -> Result<Drift, Reason> {
    let (n, m) = totals(reference, now)?;
    let pairs = || reference.iter().zip(now).filter(|(p, q)| **p > 0.0 || **q > 0.0);
    let categories = pairs().count() as f64;
    if categories < 2.0 {
        return Err(Reason::TooFew { what: "categories with data", have: categories, need: 2.0 });
    }
    let added = if pairs().any(|(p, q)| *p == 0.0 || *q == 0.0) { 0.5 } else { 0.0 };
    let size = pairs()
        .map(|(p, q)| {
            let (p, q) = ((p + added) / (n + added * categories), (q + added) / (m + added * categories));
            (q - p) * (q / p).ln()
        })
        .sum::<f64>();
    let law = ChiSquared::new(categories - 1.0).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    Ok(Drift { size, p: law.sf(size / (1.0 / n + 1.0 / m)) })
}

/// Kolmogorov and Smirnov's distance of two histograms: the largest difference of their distribution functions at the edges.
///
/// Smirnov 1948; the p-value is Kolmogorov's limit at `D sqrt(nm/(n+m))`. Between edges the distance may be larger, so the size is a lower
/// bound, and the p-value an upper one. Categories in a fixed order will do as bins.
pub fn kolmogorov_smirnov(reference: &Histogram, now: &Histogram) -> Result<Drift, Reason> {
    if reference.edges() != now.edges() {
        return Err(Reason::EdgesDiffer);
    }
    let (n, m) = totals(reference.counts(), now.counts())?;
    let pairs = reference.cumulative().into_iter().zip(now.cumulative());
    let size = pairs.map(|(p, q)| (p / n - q / m).abs()).fold(0.0, f64::max);
    Ok(Drift { size, p: kolmogorov_sf(size * (n * m / (n + m)).sqrt()) })
}

/// P(K > x) of Kolmogorov's distribution: `2 sum (-1)^(k-1) exp(-2 k^2 x^2)`; for small x by the other series (Marsaglia, Tsang
/// and Wang 2003, eq. 1).
#[must_use]
pub fn kolmogorov_sf(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let tail = std::f64::consts::PI * std::f64::consts::PI / (8.0 * x * x);
        let sum: f64 = (1..=8).map(|k| (-f64::from(2 * k - 1).powi(2) * tail).exp()).sum();
        return 1.0 - (2.0 * std::f64::consts::PI).sqrt() / x * sum;
    }
    let term = |k: i32| (-2.0 * f64::from(k * k) * x * x).exp() * if k % 2 == 1 { 1.0 } else { -1.0 };
    (2.0 * (1..=20).map(term).sum::<f64>()).clamp(0.0, 1.0)
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
