//! Agreement with what people said of disagreements: answers that agree, or that people accept although they do not.
//!
//! Disagreement is no error by itself. Where people looked at some disagreements and found the shadow right, or either answer good enough,
//! the share of those among the disagreements they looked at is taken to be the one among all: true of a sample in which each is as likely.

use crate::stats::Arm;
use crate::stats::paired::clustered;

/// A share of comparisons, with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Accepted {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Disagreements that people looked at, and those in which they accept the shadow's answer.
    pub(super) looked: f64,
    pub(super) accepted: f64,
}

/// Of all comparisons, those that agree or would be accepted. `labelled`: disagreements that were looked at and the accepted among them, by
/// bucket of users. Half of alpha bounds agreement, half the share accepted, and the two together hold (Bonferroni). None where nobody looked, or too
/// few users' disagreements.
pub(super) fn of(agreement: &Arm, labelled: &Arm, independent: bool, alpha: f64) -> Option<Accepted> {
    let agree = clustered::share(agreement, independent, alpha / 2.0).ok()?;
    let accept = clustered::share(labelled, independent, alpha / 2.0).ok()?;
    let both = |agree: f64, accept: f64| 1.0 - (1.0 - agree) * (1.0 - accept);
    Some(Accepted {
        value: both(agree.value, accept.value),
        low: both(agree.low, accept.low),
        high: both(agree.high, accept.high),
        looked: labelled.units(),
        accepted: labelled.total(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixed::intervals::wilson;
    use crate::stats::fixed::proportions::Proportion;

    fn arm(buckets: usize, units: f64, total: f64) -> Arm {
        let mut arm = Arm::default();
        (0..buckets).for_each(|bucket| arm.add(bucket, units, total));
        arm
    }

    #[test]
    fn accepted_disagreements_count_as_agreement_as_far_as_is_known() {
        let found = of(&arm(1, 1_000.0, 700.0), &arm(1, 50.0, 45.0), true, 0.05).unwrap();
        assert!((found.value - (1.0 - 0.3 * 0.1)).abs() < 1e-12, "{found:?}");
        let bounds = |events, units| wilson(Proportion { events, units }, 0.025).unwrap();
        let ([agree, _], [accept, _]) = (bounds(700.0, 1_000.0), bounds(45.0, 50.0));
        assert!((found.low - (1.0 - (1.0 - agree) * (1.0 - accept))).abs() < 1e-12 && found.high > found.value);
        // Of two users in one bucket nothing can be said.
        assert!(of(&arm(32, 100.0, 70.0), &arm(1, 50.0, 45.0), false, 0.05).is_none());
        assert!(of(&arm(32, 100.0, 70.0), &Arm::default(), true, 0.05).is_none());
    }
}
