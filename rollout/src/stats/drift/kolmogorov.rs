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
        let root = (2.0 * std::f64::consts::PI).sqrt();
        let first = -std::f64::consts::PI * std::f64::consts::PI / (8.0 * x * x);
        return 1.0 - root / x * series(|k| (f64::from(2 * k - 1).powi(2) * first).exp());
    }
    let sign = |k: u32| if k % 2 == 1 { 1.0 } else { -1.0 };
    (2.0 * series(|k| sign(k) * (-2.0 * f64::from(k * k) * x * x).exp())).clamp(0.0, 1.0)
}

/// The sum of a series from k = 1, whose terms fall faster than geometrically, up to the first that no longer changes it.
fn series(term: impl Fn(u32) -> f64) -> f64 {
    let mut sum = 0.0;
    for k in 1..=20 {
        let next = sum + term(k);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// The x that Kolmogorov's distribution exceeds with probability `alpha`; 0 for an alpha of 1 or more.
///
/// For alpha up to 0.25 by Newton's method on the logarithm of [`kolmogorov_sf`], from the point at which the first term alone is alpha: what
/// that leaves out is less than `(alpha/2)^3` of it, so the root is at most 1e-3 below, and three steps reach the last digits. Above, where few
/// ask and the other series is the quicker one, by bisection.
#[must_use]
pub fn kolmogorov_isf(alpha: f64) -> f64 {
    if alpha.is_nan() || alpha >= 1.0 {
        return 0.0;
    }
    let alpha = alpha.max(f64::MIN_POSITIVE);
    let first = (0.5 * (2.0 / alpha).ln()).sqrt();
    if alpha <= 0.25 {
        let mut x = first;
        for _ in 0..4 {
            let sign = |k: u32| if k % 2 == 1 { 1.0 } else { -1.0 };
            let term = |k: u32| sign(k) * (-2.0 * f64::from(k * k) * x * x).exp();
            let density = 8.0 * x * series(|k| f64::from(k * k) * term(k));
            let above = 2.0 * series(term);
            let step = (above / alpha).ln() * above / density;
            x += step;
            if step.abs() <= 1e-14 * x {
                break;
            }
        }
        return x;
    }
    let (mut low, mut high) = (0.0, first.max(1.1));
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if kolmogorov_sf(middle) > alpha { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_where_the_tail_is_alpha() {
        for n in 1..=400 {
            for alpha in [f64::from(n) / 401.0, (-f64::from(n)).exp()] {
                let found = kolmogorov_sf(kolmogorov_isf(alpha));
                assert!((found - alpha).abs() < 1e-12 * alpha.max(1e-3), "{found} instead of {alpha}");
            }
        }
        assert_eq!((kolmogorov_isf(1.0), kolmogorov_isf(f64::NAN)), (0.0, 0.0));
        assert!(kolmogorov_isf(0.0).is_finite());
    }
}
