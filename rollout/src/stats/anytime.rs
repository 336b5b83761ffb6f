//! Bounds on one rate or one mean that hold at every look.
//!
//! A confidence sequence covers the true value at all times at once with probability `1 - alpha`, so it may be looked at
//! whenever one likes. Rates: exact, for counts; mixture of binomial likelihood ratios over a Beta(1/2, 1/2) prior (Robbins 1970,
//! Annals of Mathematical Statistics 41, 1397; Howard et al. 2021, section 3.2). Means: asymptotic, from between buckets.
//! To compare two versions take [`super::compare`]: two separate bounds that do not overlap need twice the evidence.

use statrs::function::beta::ln_beta;

use super::cell::{Arm, Cell, Stratum};
use super::compare::{self, Ask};
use super::reason::Reason;

/// ln of the mixture likelihood ratio of `events` in `trials` against the rate `rate`.
pub(super) fn ln_e(events: f64, trials: f64, rate: f64) -> f64 {
    let term = |count: f64, p: f64| if count > 0.0 { count * p.ln() } else { 0.0 };
    ln_beta(events + 0.5, trials - events + 0.5)
        - ln_beta(0.5, 0.5)
        - term(events, rate)
        - term(trials - events, 1.0 - rate)
}

/// Lower bound of a rate at a one-sided `alpha`, valid at every look. Counts may be fractional (divided by a design effect).
///
/// Degenerate: no trials, NaN, or alpha outside of (0, 1) give 0; events are taken between 0 and the trials.
#[must_use]
pub fn rate_lower(events: f64, trials: f64, alpha: f64) -> f64 {
    if !(trials > 0.0 && trials.is_finite() && alpha > 0.0 && alpha < 1.0 && events > 0.0) {
        return 0.0;
    }
    let events = events.min(trials);
    let (constant, need) = (ln_e(events, trials, events / trials), -alpha.ln());
    // Evidence falls from infinity at 0 to its least at the estimate: the bound is where it crosses `need`.
    let at = |rate: f64| constant + loss(events, trials, rate) >= need;
    bisect_ln(events / trials, at)
}

/// Upper bound of a rate: as [`rate_lower`], 1 where nothing is known.
#[must_use]
pub fn rate_upper(events: f64, trials: f64, alpha: f64) -> f64 {
    if !(trials > 0.0 && trials.is_finite() && alpha > 0.0 && alpha < 1.0 && events.is_finite()) {
        return 1.0;
    }
    1.0 - rate_lower(trials - events.clamp(0.0, trials), trials, alpha)
}

/// ln likelihood at the estimate less the one at `rate`.
fn loss(events: f64, trials: f64, rate: f64) -> f64 {
    let estimate = events / trials;
    let mut loss = events * (estimate / rate).ln();
    if events < trials {
        loss += (trials - events) * ((1.0 - estimate) / (1.0 - rate)).ln();
    }
    loss
}

/// The largest rate below `estimate` at which `holds`, by halving its logarithm: from e^-200 up.
fn bisect_ln(estimate: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (estimate.ln() - 200.0, estimate.ln());
    for _ in 0..44 {
        let middle = 0.5 * (low + high);
        if holds(middle.exp()) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.exp()
}

/// Lower bound of a mean (ratio of sums) from up to 32 (count, sum) buckets of users, at a one-sided `alpha`, valid at every look.
///
/// Asymptotic (Waudby-Smith et al. 2024, arXiv 2103.06476), with the few degrees of freedom taken into account.
/// Degenerate: [`Reason::TooFew`] below 8 buckets with units, [`Reason::ZeroVariance`] if all means agree exactly.
pub fn mean_lower(buckets: &[(f64, f64)], alpha: f64) -> Result<f64, Reason> {
    Ok(mean_bounds(buckets, alpha)?.0)
}

/// Upper bound of a mean: as [`mean_lower`].
pub fn mean_upper(buckets: &[(f64, f64)], alpha: f64) -> Result<f64, Reason> {
    Ok(mean_bounds(buckets, alpha)?.1)
}

fn mean_bounds(buckets: &[(f64, f64)], alpha: f64) -> Result<(f64, f64), Reason> {
    let canary = Arm { cells: buckets.iter().map(|(units, total)| Cell { units: *units, total: *total }).collect() };
    let stratum = Stratum { canary, ..Stratum::default() };
    let found = compare::mean_bound(&[stratum], 0.0, &Ask::at(alpha))?;
    match (found.low, found.high) {
        (Some(low), Some(high)) => Ok((low, high)),
        _ => Err(Reason::ZeroVariance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_where_the_mixture_reaches_one_over_alpha() {
        for (events, trials, alpha) in [(8.0, 8.0, 1e-5), (3.0, 1000.0, 0.01), (50.5, 99.25, 0.001)] {
            let low = rate_lower(events, trials, alpha);
            assert!((ln_e(events, trials, low) + f64::ln(alpha)).abs() < 1e-6, "{events} of {trials}: {low}");
            let high = rate_upper(events, trials, alpha);
            assert!(high == 1.0 || (ln_e(events, trials, high) + f64::ln(alpha)).abs() < 1e-6, "{high}");
        }
    }

    #[test]
    fn a_few_failures_of_a_few_are_enough() {
        assert!(rate_lower(8.0, 8.0, 1e-5) > 0.1);
        assert!(rate_lower(3.0, 3.0, 0.001) > 0.02);
    }

    #[test]
    fn nothing_is_known_without_trials() {
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!((rate_lower(1.0, odd, 0.01), rate_upper(1.0, odd, 0.01)), (0.0, 1.0));
        }
        assert_eq!(rate_lower(0.0, 100.0, 0.01), 0.0);
        assert_eq!(rate_upper(100.0, 100.0, 0.01), 1.0);
        assert_eq!(
            mean_lower(&[(1.0, 2.0)], 0.01),
            Err(Reason::TooFew { what: "buckets of users", have: 1.0, need: 8.0 })
        );
        assert_eq!(mean_lower(&[(1.0, 2.0); 32], 0.01), Err(Reason::ZeroVariance));
    }

    #[test]
    fn a_mean_lies_within_its_bounds() {
        let buckets: Vec<(f64, f64)> = (0..32).map(|b| (100.0, 1000.0 + f64::from(b % 5) * 40.0)).collect();
        let (low, high) = (mean_lower(&buckets, 0.01).unwrap(), mean_upper(&buckets, 0.01).unwrap());
        assert!(low < 10.77 && 10.77 < high && high - low < 1.5, "{low} {high}");
    }
}
