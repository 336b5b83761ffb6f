//! By how much do two versions differ? An interval from between the buckets of users, by the procedure of one's choice.
//!
//! [`super::compare`] asks whether a limit is exceeded, tuned to notice harm early. An experiment asks for the difference itself, in both
//! directions, tuned to the size that was planned. The estimate and its variance are those of `contrast`: within strata, jackknife over
//! buckets, Satterthwaite's degrees of freedom. What differs between procedures is how far the bounds lie from the estimate:
//!
//! | [`Procedure`] | looks | bounds |
//! |---|---|---|
//! | `Anytime` | any | e-values of the normal mixture, sharpest at the planned size; with few events the exact ones |
//! | `ConfidenceSequence` | any | [`super::sequential::confidence`] (Waudby-Smith et al. 2024) |
//! | `Msprt` | any | [`super::sequential::msprt`] (Johari et al. 2022) |
//! | `Bound` | as planned | the difference at which z reaches a bound: a planned look's, or that of a single look |
//!
//! Below `FEWEST_EVENTS` events (or non-events) the exact test and the bounds of each rate decide alone, whatever the procedure.

mod evidence;
mod size;

use super::cell::Stratum;
use super::contrast::Both;
use super::counts::Clustering;
use super::reason::{Reason, probability};

pub use evidence::Evidence;
pub use size::{boundary, detectable, size, unit_variance};

/// The exact test's part of the bet, where buckets speak too. Small, because an experiment is planned for many events.
const EXACT_PART: f64 = 0.1;

/// How the bounds are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Procedure {
    /// E-values: holds at every look.
    Anytime,
    /// The asymptotic confidence sequence: holds at every look.
    ConfidenceSequence,
    /// The mixture sequential probability ratio test: holds at every look.
    Msprt,
    /// z must reach this bound: of one planned look.
    Bound(f64),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Chance that either bound is ever wrong, each by itself (one-sided). In (0, 0.5].
    pub alpha: f64,
    /// How.
    pub procedure: Procedure,
    /// Units of B at which it should be sharpest, fixed before the first look; none: [`USUAL_UNITS`].
    pub planned: Option<f64>,
    /// The difference that is looked for, in the metric's unit, above 0: what `Msprt` is sharpest at.
    pub effect: f64,
    /// Whether totals count events, of which each unit has one at most.
    pub rate: bool,
    /// How observations depend on each other; means need [`Clustering::Buckets`].
    pub clustering: Clustering,
}

/// Units of B at which procedures are sharpest that were not planned.
pub const USUAL_UNITS: f64 = 2000.0;

/// What was found, in the metric's unit. B is the stratum's canary, A its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// A's rate or mean, in B's mix of strata.
    pub a: f64,
    /// B's rate or mean.
    pub b: f64,
    /// B less A.
    pub estimate: f64,
    /// Its standard error, from between buckets.
    pub error: f64,
    /// Degrees of freedom of that error.
    pub df: f64,
    /// Lower bound of B less A, one-sided at alpha. `None` where the data cannot bound it.
    pub low: Option<f64>,
    /// Upper bound, the same.
    pub high: Option<f64>,
    /// Units of A and of B.
    pub units: [f64; 2],
    /// Whether few events left the exact test alone.
    pub exact: bool,
}

/// By how much does B differ from A?
///
/// Assumes: users divided by hash, weights constant, both versions counted at the same time. Degenerate: [`Reason::NoData`] without units in an
/// arm, [`Reason::TooFew`] buckets, [`Reason::ZeroVariance`] for means that all agree.
pub fn compare(strata: &[Stratum], ask: &Ask) -> Result<Found, Reason> {
    Evidence::of(strata, ask)?.compare(ask.procedure)
}

impl Found {
    /// The same, said of the complement of the rate.
    fn complemented(self) -> Found {
        Found {
            a: 1.0 - self.a,
            b: 1.0 - self.b,
            estimate: -self.estimate,
            low: self.high.map(|x| -x),
            high: self.low.map(|x| -x),
            ..self
        }
    }
}

/// Two-sided anytime-valid p-value of "there is no difference", from between buckets (exact with few events).
///
/// `planned` as in [`Ask`]. Degenerate as [`compare`].
pub fn p(strata: &[Stratum], rate: bool, alpha: f64, planned: Option<f64>) -> Result<f64, Reason> {
    probability("alpha", alpha)?;
    let clustering = Clustering::Buckets;
    let ask = Ask { alpha: 0.5 * alpha, procedure: Procedure::Anytime, planned, effect: 1.0, rate, clustering };
    Evidence::from(Both::of(strata, clustering, rate)?, ask)?.p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Arm;

    fn stratum(a: (f64, f64), b: (f64, f64)) -> Stratum {
        let arm = |(units, total): (f64, f64)| {
            let mut arm = Arm::default();
            for bucket in 0..32 {
                arm.add(bucket, units / 32.0, total / 32.0);
            }
            arm
        };
        Stratum { name: "all".to_owned(), canary: arm(b), baseline: arm(a), share: Some(0.5) }
    }

    const ASK: Ask = Ask {
        alpha: 0.025,
        procedure: Procedure::Anytime,
        planned: Some(10_000.0),
        effect: 0.02,
        rate: true,
        clustering: Clustering::Buckets,
    };

    #[test]
    fn a_single_look_is_the_textbook_interval_where_buckets_are_even() {
        // Even buckets leave the binomial floor: 0.2 -> 0.23 of 10,000 each, standard error by hand.
        let found = compare(
            &[stratum((10_000.0, 2_000.0), (10_000.0, 2_300.0))],
            &Ask { procedure: Procedure::Bound(1.96), ..ASK },
        )
        .unwrap();
        let error = (0.2 * 0.8 / 10_000.0_f64 + 0.23 * 0.77 / 10_000.0).sqrt();
        assert!((found.estimate - 0.03).abs() < 1e-12);
        assert!((found.error / error - 1.0).abs() < 0.01, "{} {error}", found.error);
        let half = 0.03 - found.low.unwrap();
        assert!(half > 1.96 * error * 0.97 && half < 1.96 * error * 1.08, "{half} {}", 1.96 * error);
    }

    #[test]
    fn procedures_that_may_be_looked_at_are_wider_and_agree_roughly() {
        let data = [stratum((10_000.0, 2_000.0), (10_000.0, 2_300.0))];
        let width = |procedure| {
            let found = compare(&data, &Ask { procedure, ..ASK }).unwrap();
            found.high.unwrap() - found.low.unwrap()
        };
        let once = width(Procedure::Bound(1.96));
        for procedure in [Procedure::Anytime, Procedure::ConfidenceSequence, Procedure::Msprt] {
            let wide = width(procedure) / once;
            assert!(wide > 1.3 && wide < 2.0, "{procedure:?}: {wide}");
        }
    }

    #[test]
    fn evidence_answers_as_each_procedure_by_itself() {
        for strata in [
            [stratum((5_000.0, 500.0), (5_000.0, 600.0)), stratum((500.0, 30.0), (700.0, 50.0))],
            // Events are the rule in all, and in the second alone they are rare.
            [stratum((5_000.0, 4_500.0), (5_000.0, 4_400.0)), stratum((500.0, 30.0), (700.0, 50.0))],
        ] {
            let evidence = Evidence::of(&strata, &ASK).unwrap();
            for procedure in
                [Procedure::Anytime, Procedure::ConfidenceSequence, Procedure::Msprt, Procedure::Bound(2.5)]
            {
                assert_eq!(evidence.compare(procedure), compare(&strata, &Ask { procedure, ..ASK }));
            }
            assert_eq!(evidence.p(), p(&strata, true, 2.0 * ASK.alpha, ASK.planned));
            for (found, one) in evidence.each(Some(900.0)).zip(&strata) {
                let expected = p(std::slice::from_ref(one), true, 2.0 * ASK.alpha, Some(900.0)).unwrap();
                assert!((found.unwrap() - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn turning_successes_into_failures_turns_the_answer_round() {
        let few = compare(&[stratum((5_000.0, 500.0), (5_000.0, 600.0))], &ASK).unwrap();
        let many = compare(&[stratum((5_000.0, 4_500.0), (5_000.0, 4_400.0))], &ASK).unwrap();
        assert!((few.estimate + many.estimate).abs() < 1e-9);
        assert!((few.low.unwrap() + many.high.unwrap()).abs() < 1e-9);
        let same = |data: Stratum| p(&[data], true, 0.05, Some(5_000.0)).unwrap();
        let of_few = same(stratum((5_000.0, 500.0), (5_000.0, 600.0)));
        assert!((of_few - same(stratum((5_000.0, 4_500.0), (5_000.0, 4_400.0)))).abs() < 1e-12 && of_few < 1.0);
    }

    /// Whole events, one to a bucket.
    fn few(events: u32) -> Arm {
        let mut arm = Arm::default();
        (0..32_u32).for_each(|b| arm.add(b as usize, 150.0, f64::from(u8::from(b < events))));
        arm
    }

    #[test]
    fn few_events_leave_the_exact_test_alone() {
        let both = |a: u32, b: u32| Stratum { canary: few(b), baseline: few(a), ..stratum((1.0, 0.0), (1.0, 0.0)) };
        let found = compare(&[both(3, 5)], &ASK).unwrap();
        assert!(found.exact && found.low.is_none_or(|low| low <= 0.0), "{found:?}");
        let found = compare(&[both(1, 30)], &ASK).unwrap();
        assert!(found.exact && found.low.is_some_and(|low| low > 0.0 && low < found.estimate), "{found:?}");
        let found = compare(&[both(30, 1)], &ASK).unwrap();
        assert!(found.exact && found.high.is_some_and(|high| high < 0.0 && high > found.estimate), "{found:?}");
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let empty = Stratum::default();
        assert_eq!(compare(&[empty], &ASK), Err(Reason::NoData("canary")));
        let mean = Ask { rate: false, ..ASK };
        assert_eq!(compare(&[stratum((32.0, 64.0), (32.0, 64.0))], &mean), Err(Reason::ZeroVariance));
        assert!(matches!(
            compare(&[stratum((32.0, 64.0), (32.0, 64.0))], &Ask { clustering: Clustering::Independent, ..mean }),
            Err(Reason::TooFew { .. })
        ));
    }
}
