//! The design effect: how many times larger a variance is because users come back.
//!
//! Kish 1965, "Survey Sampling", section 8.2: variance of the estimate as it was sampled over the variance that independent
//! observations would have had. Divide counts by it and they weigh as many independent ones. Use the tests that look between
//! buckets where you can; this is for procedures that know only counts (quantiles from histograms).

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::cell::{Arm, Cell};
use super::normal;

/// Design effect of a rate from (units, events) by bucket: at least 1; 1 too where it cannot be said (fewer than 2 buckets
/// with units, or a rate of 0 or 1).
#[must_use]
pub fn effect(buckets: &[(f64, f64)]) -> f64 {
    let arm = Arm { cells: buckets.iter().map(|(units, total)| Cell { units: *units, total: *total }).collect() };
    let rate = arm.mean().unwrap_or(0.0);
    of_mean(&arm, rate * (1.0 - rate))
}

/// Design effect of a mean whose single observations have the variance `of_one` (from a histogram, say): at least 1.
#[must_use]
pub fn of_mean(arm: &Arm, of_one: f64) -> f64 {
    let (Some(mean), units) = (arm.mean(), arm.units()) else { return 1.0 };
    let buckets = arm.occupied() as f64;
    let variance: f64 = arm
        .cells
        .iter()
        .filter(|cell| cell.units > 0.0 && cell.units < units)
        .map(|cell| ((cell.total - mean * cell.units) / (1.0 - cell.units / units)).powi(2))
        .sum();
    let found = (buckets - 1.0) / buckets * variance / (units * of_one);
    if found.is_finite() { found.max(1.0) } else { 1.0 }
}

/// The factor by which an estimated design effect is to be multiplied before it is used at a one-sided `alpha`: the square of
/// Student's quantile with `buckets - 1` degrees of freedom over the normal one. It is 1.5 for 32 buckets at alpha 0.0005.
/// Without 2 buckets or with alpha outside of (0, 0.5): 1.
#[must_use]
pub fn margin(buckets: usize, alpha: f64) -> f64 {
    let z = normal::isf(alpha);
    if buckets < 2 || !z.is_finite() || z <= 0.0 {
        return 1.0;
    }
    (normal::to_t(z, buckets as f64 - 1.0) / z).powi(2)
}

/// [`effect`] with its margin for a one-sided `alpha`. Where no overdispersion can be seen (the dispersion is within what 95 % of
/// independent counts show), the effect is 1 before the margin.
#[must_use]
pub fn effect_upper(buckets: &[(f64, f64)], alpha: f64) -> f64 {
    let occupied = buckets.iter().filter(|(units, _)| *units > 0.0).count();
    effect(buckets) * margin(occupied, alpha)
}

/// Does the dispersion between buckets exceed what independent events would show, with a p-value of the chi-square test?
/// `None` with fewer than 2 buckets or no spread to test.
#[must_use]
pub fn overdispersion(buckets: &[(f64, f64)]) -> Option<f64> {
    let occupied = buckets.iter().filter(|(units, _)| *units > 0.0).count();
    let (units, events) = buckets.iter().fold((0.0, 0.0), |(n, x), (units, events)| (n + units, x + events));
    let rate = events / units;
    if occupied < 2 || !(rate > 0.0 && rate < 1.0) {
        return None;
    }
    let chi: f64 = buckets
        .iter()
        .filter(|(units, _)| *units > 0.0)
        .map(|(units, events)| (events - rate * units).powi(2) / (units * rate * (1.0 - rate)))
        .sum();
    ChiSquared::new(occupied as f64 - 1.0).ok().map(|law| law.sf(chi))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_with_all_events_makes_the_effect_their_number() {
        let mut buckets = vec![(1000.0, 0.0); 32];
        buckets[3].1 = 100.0;
        let found = effect(&buckets);
        assert!((found / 100.0 - 1.0).abs() < 0.08, "{found}");
        assert!(overdispersion(&buckets).unwrap() < 1e-100);
    }

    #[test]
    fn even_buckets_have_no_effect() {
        assert_eq!(effect(&vec![(1000.0, 10.0); 32]), 1.0);
        assert_eq!(effect(&[]), 1.0);
        assert_eq!(effect(&[(10.0, 10.0)]), 1.0);
        assert!((effect_upper(&vec![(1000.0, 10.0); 32], 0.0005) - 1.2).abs() < 0.05);
    }
}
