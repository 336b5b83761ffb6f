//! Does the shadow fail no more often than it may? One look, with bounds from between buckets of users.
//!
//! Allowed is `max(factor * primary, primary + floor)`. It holds where the upper bound of what is beyond either part does not lie above 0; both
//! versions answered the same requests, so the difference is taken within each bucket, and what requests and users have in common cancels out.

use crate::stats::paired::clustered;
use crate::stats::{Arm, Reason, normal};

/// From so many errors of the shadow on its share is taken to be nearly normal.
const ENOUGH: f64 = 10.0;

/// How many times as many pairs it takes until the shadow's share of errors is known to be within what is allowed, if shares stay: at most 1
/// when it is. None where shares themselves are beyond. `primary` and `shadow`: pairs and errors, by bucket.
pub(super) fn growth(
    primary: &Arm,
    shadow: &Arm,
    factor: f64,
    floor: f64,
    independent: bool,
    alpha: f64,
) -> Option<f64> {
    if shadow.total() < ENOUGH {
        // Few: the floor alone, whatever the version in service does. Their bound falls as pairs grow.
        return clustered::share(shadow, independent, alpha).ok().map(|share| share.high / floor);
    }
    let line = |slope: f64, offset: f64| {
        let (value, half) = excess(primary, shadow, slope, independent, alpha)?;
        (value < offset).then(|| (half / (offset - value)).powi(2))
    };
    [line(factor, 0.0), line(1.0, floor)].into_iter().flatten().reduce(f64::min)
}

/// `shadow - slope * primary`, and half the width of its interval.
fn excess(primary: &Arm, shadow: &Arm, slope: f64, independent: bool, alpha: f64) -> Option<(f64, f64)> {
    if independent {
        let (p, s, n) = (primary.mean()?, shadow.mean()?, shadow.units());
        // As if the two were independent: errors that come together make it less.
        let variance = (s * (1.0 - s) + slope * slope * p * (1.0 - p)) / n;
        return Some((s - slope * p, normal::isf(0.5 * alpha) * variance.sqrt()));
    }
    let mut excess = Arm::default();
    for (bucket, cell) in shadow.cells.iter().enumerate() {
        let base = primary.cells.get(bucket).map_or(0.0, |cell| cell.total);
        excess.add(bucket, cell.units, cell.total - slope * base);
    }
    match clustered::mean(&excess, alpha) {
        Ok(mean) => Some((mean.value, mean.interval[1] - mean.value)),
        // All buckets alike: nothing is left to chance.
        Err(Reason::ZeroVariance) => excess.mean().map(|value| (value, 0.0)),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(units: f64, errors: impl Fn(usize) -> f64) -> Arm {
        let mut arm = Arm::default();
        (0..32).for_each(|bucket| arm.add(bucket, units, errors(bucket)));
        arm
    }

    fn within(primary: &Arm, shadow: &Arm, factor: f64, floor: f64, independent: bool, alpha: f64) -> bool {
        growth(primary, shadow, factor, floor, independent, alpha).is_some_and(|times| times <= 1.0)
    }

    #[test]
    fn few_errors_hold_when_there_are_comparisons_enough() {
        let none = |units| (arm(units, |_| 0.0), arm(units, |_| 0.0));
        for (units, holds) in [(10.0, false), (50.0, true)] {
            let (primary, shadow) = none(units);
            assert_eq!(within(&primary, &shadow, 2.0, 0.005, false, 0.05), holds, "{units}");
        }
    }

    #[test]
    fn errors_that_come_together_cancel_out_and_others_do_not() {
        // A bad hour hits both: the share differs much between buckets, the difference does not.
        let hour = |bucket: usize| if bucket.is_multiple_of(4) { 40.0 } else { 1.0 };
        let primary = arm(500.0, hour);
        assert!(within(&primary, &arm(500.0, |b| hour(b) + 1.0), 2.0, 0.005, false, 0.05));
        // As many errors of the shadow, elsewhere: not known yet.
        assert!(!within(&primary, &arm(500.0, |b| hour(b + 1) + 1.0), 1.0, 0.005, false, 0.05));
        // One user with all of the shadow's errors.
        let loud = |bucket: usize| if bucket == 7 { 300.0 } else { 0.0 };
        assert!(!within(&arm(500.0, |_| 10.0), &arm(500.0, loud), 2.0, 0.005, false, 0.05));
        assert_eq!(growth(&arm(500.0, |_| 1.0), &arm(500.0, |_| 10.0), 2.0, 0.005, false, 0.05), None);
        assert!(within(&arm(500.0, |_| 20.0), &arm(500.0, |_| 20.0), 2.0, 0.005, true, 0.05));
    }
}
