//! Has a rate of failures risen from one window to another? One look, with its own share of alpha, so no price for further ones.

use statrs::function::factorial::ln_binomial;

use crate::stats::cell::Arm;
use crate::stats::design;
use crate::stats::reason::Reason;

/// Fewest buckets of users from which a design effect is estimated.
const FEWEST_BUCKETS: f64 = 8.0;

/// Chance that of two windows with these `[events, units]` the second has so many of all events or more, if both have one rate.
///
/// Fisher 1935, "The Design of Experiments", ch. 2 (one-sided): the hypergeometric tail. Exact for independent units, and conservative.
/// More events than units are taken for as many as units.
#[must_use]
pub fn fisher(was: [u64; 2], now: [u64; 2]) -> f64 {
    let [[was_events, was_units], [now_events, now_units]] =
        [was, now].map(|[events, units]| [events.min(units), units]);
    let (all, events) = (was_units + now_units, was_events + now_events);
    let most = events.min(now_units);
    let mut term = (ln_binomial(events, now_events) + ln_binomial(all - events, now_units - now_events)
        - ln_binomial(all, now_units))
    .exp();
    let mut sum = 0.0;
    for x in now_events..=most {
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
        let (x, units) = (x as f64, now_units as f64);
        // Events still to be had times places for them, over those that it takes them from.
        term *= (events as f64 - x) * (units - x) / ((x + 1.0) * ((all - events) as f64 - units + x + 1.0));
    }
    sum.min(1.0)
}

/// [`fisher`] for counts by bucket of users who come back: divided by their design effects, each with its margin at `alpha`
/// ([`design::margin`]), and rounded so that the answer is no smaller for it.
///
/// Degenerate: [`Reason::TooFew`] with data in fewer than 8 buckets of either window.
pub fn risen(was: &Arm, now: &Arm, alpha: f64) -> Result<f64, Reason> {
    let mut counted = [[0; 2]; 2];
    for ((arm, into), round) in [was, now].into_iter().zip(&mut counted).zip([f64::ceil, f64::floor]) {
        let have = arm.occupied() as f64;
        if have < FEWEST_BUCKETS {
            return Err(Reason::TooFew { what: "buckets of users with data", have, need: FEWEST_BUCKETS });
        }
        let rate = arm.mean().unwrap_or(0.0);
        let effect = design::of_mean(arm, rate * (1.0 - rate)) * design::margin(arm.occupied(), alpha);
        *into = [whole(round(arm.total() / effect)), whole((arm.units() / effect).floor())];
    }
    let [was, now] = counted;
    Ok(fisher(was, now))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts far below 2^53, rounded and not negative"
)]
fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(units: f64, events: impl Fn(usize) -> f64) -> Arm {
        let mut arm = Arm::default();
        (0..32).for_each(|bucket| arm.add(bucket, units, events(bucket)));
        arm
    }

    #[test]
    fn tails_add_up_and_nothing_is_beyond_them() {
        assert!((fisher([0, 10], [0, 10]) - 1.0).abs() < 1e-12);
        assert!((fisher([3, 10], [10, 10]) - fisher([3, 10], [12, 10])).abs() < 1e-12);
        assert!((fisher([0, 0], [5, 10]) - 1.0).abs() < 1e-12);
        // All five events in five of ten places: 1 / C(10, 5).
        assert!((fisher([0, 5], [5, 5]) - 1.0 / 252.0).abs() < 1e-12);
        // Nobody waits for windows of millions.
        assert!(fisher([100_000, 10_000_000], [110_000, 10_000_000]) < 1e-100);
    }

    #[test]
    fn a_few_dozen_are_enough_for_a_large_fall_unless_they_are_of_few_users() {
        let (was, now) =
            (arm(3.0, |b| f64::from(u8::from(b % 3 == 0))), arm(3.0, |b| if b % 5 == 0 { 1.0 } else { 2.0 }));
        assert!(risen(&was, &now, 1e-4).unwrap() < 1e-4);
        assert!(risen(&now, &was, 1e-4).unwrap() > 0.99);
        // The same failures, but all of users in two buckets.
        let few = arm(3_000.0, |b| if b < 2 { 3_000.0 } else { 0.0 });
        assert!(risen(&arm(3_000.0, |_| 30.0), &few, 1e-4).unwrap() > 0.01);
        let one = Arm { cells: was.cells[..4].to_vec() };
        assert!(matches!(risen(&one, &now, 0.01), Err(Reason::TooFew { .. })));
    }
}
