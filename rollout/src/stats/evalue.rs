//! E-values: evidence against a hypothesis that may be looked at whenever one likes.
//!
//! An e-process is a non-negative process whose mean, under the hypothesis, is at most 1 at every stopping time. Ville's
//! inequality (1939; Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid inference", eq. 9) bounds the
//! chance that it ever reaches `1/alpha` by `alpha`. Products of independent e-values and averages of any are e-values.
//! Kept as logarithms: an all-failing canary reaches e^1000 quickly.

/// ln of the average of e-values given as logarithms: an e-value whatever their dependence (Vovk and Wang 2021, section 3).
/// An empty list gives 0 (no evidence).
#[must_use]
pub fn ln_average(logs: &[f64]) -> f64 {
    if logs.is_empty() { 0.0 } else { ln_sum_exp(logs) - (logs.len() as f64).ln() }
}

/// ln of the product of independent e-values given as logarithms: one for each weight epoch, say.
#[must_use]
pub fn ln_product(logs: &[f64]) -> f64 {
    logs.iter().sum()
}

/// The anytime-valid p-value of an e-value given as logarithm: `min(1, 1/e)`.
#[must_use]
pub fn p_value(log_e: f64) -> f64 {
    (-log_e).exp().min(1.0)
}

/// ln(sum of exp), without overflow. Empty or all `-inf`: `-inf`.
#[must_use]
pub(super) fn ln_sum_exp(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln() } else { top }
}

/// Where `falling`, which is at least 0 up to some point and below 0 from there on, crosses 0 within `[low, high]`: the last point
/// known to be at or above 0. `low` if it is nowhere. To 1e-10 of the larger of 1 and the root.
///
/// Illinois' false position (Dowell and Jarratt 1971, BIT 11, 168), with a halving whenever a step does less, so that no shape is slow.
pub(super) fn crossing(low: f64, high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    let (mut at_low, mut at_high) = (falling(low), falling(high));
    if at_high >= 0.0 {
        return high;
    }
    if at_low < 0.0 {
        return low;
    }
    let mut halve = false;
    for _ in 0..160 {
        let width = high - low;
        if width <= 1e-10 * low.abs().max(1.0) {
            break;
        }
        let guess = (low * at_high - high * at_low) / (at_high - at_low);
        let middle = 0.5 * (low + high);
        let x = if !halve && guess > low && guess < high { guess } else { middle };
        let y = falling(x);
        if y >= 0.0 {
            (low, at_low) = (x, y);
            at_high *= 0.5;
        } else {
            (high, at_high) = (x, y);
            at_low *= 0.5;
        }
        halve = high - low > 0.5 * width;
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_products() {
        assert!((ln_average(&[0.0, 100f64.ln()]) - 50.5f64.ln()).abs() < 1e-12);
        assert_eq!(ln_average(&[]), 0.0);
        assert!((ln_average(&[2000.0, 0.0]) - (2000.0 - 2f64.ln())).abs() < 1e-9);
        assert!((ln_product(&[3f64.ln(), 4f64.ln()]) - 12f64.ln()).abs() < 1e-12);
        assert_eq!(p_value(-3.0), 1.0);
        assert!((p_value(20f64.ln()) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn crossings() {
        assert!((crossing(0.0, 10.0, |x| 2.0 - x * x) - 2f64.sqrt()).abs() < 1e-9);
        assert!((crossing(0.0, 1e6, |x| (3.0 - x).powi(3)) - 3.0).abs() < 1e-9);
        assert!(
            (crossing(-1.0, 1.0, |x| if x < 0.25 { f64::INFINITY } else { f64::NEG_INFINITY }) - 0.25).abs() < 1e-9
        );
        assert_eq!(crossing(0.0, 10.0, |_| -1.0), 0.0);
        assert_eq!(crossing(0.0, 10.0, |_| 1.0), 10.0);
    }
}
