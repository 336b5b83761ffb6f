//! Kolmogorov and Smirnov's distance of two histograms, with the error of what is binned.

use super::{Ask, Drift, Finding, totals};
use crate::stats::histogram::Histogram;
use crate::stats::reason::Reason;

/// Kolmogorov and Smirnov's distance of two histograms: the largest difference of their distribution functions at the edges.
///
/// Smirnov 1948; the p-value is Kolmogorov's limit at `D sqrt(nm/(n+m))`. Between edges the distance may be larger, so the size is a lower
/// bound, and the p-value an upper one. Categories in a fixed order will do as bins.
pub fn kolmogorov_smirnov(reference: &Histogram, now: &Histogram) -> Result<Drift, Reason> {
    let found = smirnov(reference, now, &Ask::at(0.5))?;
    Ok(Drift { size: found.size, p: found.p })
}

/// The same with the noise at `ask`'s alpha, and with the most that the distance can be between the edges: within a bin one
/// function may already have its value at the upper edge while the other still has that at the lower one.
pub fn smirnov(reference: &Histogram, now: &Histogram, ask: &Ask) -> Result<Finding, Reason> {
    ask.check()?;
    if reference.edges() != now.edges() {
        return Err(Reason::EdgesDiffer);
    }
    let (n, m) = totals(reference.counts(), now.counts())?;
    let (mut size, mut at_most) = (0.0_f64, 0.0_f64);
    let (mut p, mut q) = (0.0, 0.0);
    for (in_reference, in_now) in reference.counts().iter().zip(now.counts()) {
        let (p_high, q_high) = (p + in_reference / n, q + in_now / m);
        size = size.max((p_high - q_high).abs());
        at_most = at_most.max(p_high - q).max(q_high - p);
        (p, q) = (p_high, q_high);
    }
    let unit = (ask.reference_effect / n + ask.now_effect / m).sqrt();
    let noise = kolmogorov_isf(ask.alpha) * unit;
    Ok(Finding {
        size,
        at_most: at_most.max(size).min(1.0),
        noise,
        p: kolmogorov_sf(size / unit),
        bins: reference.counts().len(),
    })
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

/// The x that Kolmogorov's distribution exceeds with probability `alpha`, by bisection of [`kolmogorov_sf`]; 0 for an alpha of 1 or
/// more.
#[must_use]
pub fn kolmogorov_isf(alpha: f64) -> f64 {
    if alpha.is_nan() || alpha >= 1.0 {
        return 0.0;
    }
    // Above 1 the first term alone is an upper bound.
    let (mut low, mut high) = (0.0, (0.5 * (2.0 / alpha.max(f64::MIN_POSITIVE)).ln()).sqrt().max(1.0));
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if kolmogorov_sf(middle) > alpha { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
