//! What each arm earns when the weights followed the rewards: inference from a bandit's data.
//!
//! An arm that did badly by chance gets fewer users and stays where it is, one that did well is measured on: so plain
//! averages of a bandit are too low, and tests that take the weights for fixed are wrong (Nie, Tian, Taylor and Zou 2018, "Why
//! adaptively collected data have negative bias and how to correct for it"). Within a *weight epoch*, a time of constant weights, users are
//! divided at random; so each epoch is compared within itself, by inverse propensity, and epochs are added with weights that no
//! result of their own can move.
//!
//! Estimator: the adaptively weighted, augmented inverse-propensity score of Hadad, Hirshberg, Zhan, Wager and Athey 2021, "Confidence intervals
//! for policy evaluation in adaptive experiments", PNAS 118, eq. 5 and 7, with the variance-stabilising weights `h = sqrt(e)` of
//! their section 2.C (`e`: the arm's share). A unit of the epoch scores `m + 1{arm} (y - m) / e`, where `m` is the arm's mean in earlier
//! epochs (in the first, that of the epoch itself).
//!
//! Users come back, within an epoch and in the next ones, so the variance comes from between the replicate buckets, each summed over all
//! epochs (cluster-robust, `G / (G - 1)`; Student's t with `G - 1` degrees of freedom).

use serde::{Deserialize, Serialize};

use super::cell::Arm;
use super::normal;
use super::reason::{Reason, probability};
use super::sequential::confidence;

/// Fewest buckets with units that a variance is estimated from.
const FEWEST_BUCKETS: f64 = 8.0;

/// Sums over weight epochs, from which what each arm earns is inferred. They add up as epochs come, and nothing else need be kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adaptive {
    arms: Vec<Scores>,
    /// Weight epochs that were added.
    pub epochs: u32,
}

/// One arm's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scores {
    /// By bucket: the sum of `h` times the scores, and of `h` times the units.
    cells: Vec<(f64, f64)>,
    /// Units and total of the arm itself so far.
    seen: (f64, f64),
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom of that.
    pub df: f64,
    /// The interval's ends.
    pub low: f64,
    /// See [`Self::low`].
    pub high: f64,
}

/// When an interval must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// At one look, fixed in advance.
    Once,
    /// At every look, after each epoch; narrowest after so many of them.
    Always {
        /// Epochs that are planned.
        best: f64,
    },
}

impl Adaptive {
    /// Adds an epoch that is over: each arm's share of the users (above 0 for those that had units) and what was counted, by bucket.
    ///
    /// Degenerate: [`Reason::LengthsDiffer`], [`Reason::NotAProbability`] for shares beyond 0 to 1, [`Reason::OutOfRange`] for units of an arm whose
    /// share was 0. An epoch without any units adds nothing.
    pub fn add(&mut self, shares: &[f64], arms: &[Arm]) -> Result<(), Reason> {
        if shares.len() != arms.len() || (!self.arms.is_empty() && self.arms.len() != arms.len()) {
            return Err(Reason::LengthsDiffer { left: shares.len(), right: arms.len().max(self.arms.len()) });
        }
        for (share, arm) in shares.iter().zip(arms) {
            if !(0.0..=1.0).contains(share) {
                return Err(Reason::NotAProbability { what: "a share", value: *share });
            }
            arm.check(false)?;
            if *share == 0.0 && arm.units() > 0.0 {
                return Err(Reason::OutOfRange {
                    what: "the share of an arm with units",
                    value: 0.0,
                    allowed: "above 0",
                });
            }
        }
        self.arms.resize(arms.len(), Scores::default());
        let buckets = arms.iter().map(|arm| arm.cells.len()).max().unwrap_or(0);
        let units_in =
            |bucket: usize| -> f64 { arms.iter().filter_map(|arm| arm.cells.get(bucket)).map(|cell| cell.units).sum() };
        let all: Vec<f64> = (0..buckets).map(units_in).collect();
        if all.iter().sum::<f64>() <= 0.0 {
            return Ok(());
        }
        for ((scores, share), arm) in self.arms.iter_mut().zip(shares).zip(arms) {
            if *share == 0.0 {
                continue;
            }
            let (seen_units, seen_total) = scores.seen;
            let mean = if seen_units > 0.0 { seen_total / seen_units } else { arm.mean().unwrap_or(0.0) };
            if scores.cells.len() < buckets {
                scores.cells.resize(buckets, (0.0, 0.0));
            }
            let h = share.sqrt();
            for (bucket, (units, sums)) in all.iter().zip(&mut scores.cells).enumerate() {
                let cell = arm.cells.get(bucket).copied().unwrap_or_default();
                sums.0 += h * (mean * units + (cell.total - mean * cell.units) / share);
                sums.1 += h * units;
            }
            scores.seen = (seen_units + arm.units(), seen_total + arm.total());
        }
        self.epochs += 1;
        Ok(())
    }

    /// What a unit of an arm earns on average, with its interval at `1 - alpha`.
    ///
    /// Degenerate: [`Reason::NoData`], [`Reason::TooFew`] buckets of users, [`Reason::ZeroVariance`].
    pub fn value(&self, arm: usize, alpha: f64, holds: Holds) -> Result<Estimate, Reason> {
        let (value, residuals) = self.arm(arm)?;
        self.estimate(value, &residuals, alpha, holds)
    }

    /// How much more a unit of arm `b` earns than one of arm `a`.
    ///
    /// Degenerate as [`Self::value`].
    pub fn difference(&self, a: usize, b: usize, alpha: f64, holds: Holds) -> Result<Estimate, Reason> {
        let ((of_a, left), (of_b, right)) = (self.arm(a)?, self.arm(b)?);
        let residuals: Vec<f64> = (0..left.len().max(right.len()))
            .map(|i| right.get(i).copied().unwrap_or(0.0) - left.get(i).copied().unwrap_or(0.0))
            .collect();
        self.estimate(of_b - of_a, &residuals, alpha, holds)
    }

    /// Units and plain mean of an arm: for people, and biased.
    #[must_use]
    pub fn plain(&self, arm: usize) -> Option<(f64, f64)> {
        self.arms
            .get(arm)
            .map(|s| s.seen)
            .filter(|(units, _)| *units > 0.0)
            .map(|(units, total)| (units, total / units))
    }

    /// The estimate, and each bucket's part of its error.
    fn arm(&self, arm: usize) -> Result<(f64, Vec<f64>), Reason> {
        let scores = self.arms.get(arm).filter(|s| s.seen.0 > 0.0).ok_or(Reason::NoData("arm"))?;
        let (sum, weight) = scores.cells.iter().fold((0.0, 0.0), |(s, w), cell| (s + cell.0, w + cell.1));
        let value = sum / weight;
        Ok((value, scores.cells.iter().map(|(s, w)| (s - value * w) / weight).collect()))
    }

    fn estimate(&self, value: f64, residuals: &[f64], alpha: f64, holds: Holds) -> Result<Estimate, Reason> {
        let side = 0.5 * probability("alpha", alpha)?;
        let buckets = residuals.len() as f64;
        if buckets < FEWEST_BUCKETS {
            return Err(Reason::TooFew { what: "buckets of users", have: buckets, need: FEWEST_BUCKETS });
        }
        let error = (buckets / (buckets - 1.0) * residuals.iter().map(|r| r * r).sum::<f64>()).sqrt();
        if error <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let df = buckets - 1.0;
        let half = match holds {
            Holds::Once => normal::to_t(normal::isf(side), df) * error,
            Holds::Always { best } => {
                let rho = confidence::tuning(alpha, best.max(1.0))?;
                let [low, high] = confidence::interval(0.0, error, f64::from(self.epochs), rho, alpha)?;
                // As far out for Student's t as that is for the normal distribution.
                normal::to_t(0.5 * (high - low) / error, df) * error
            }
        };
        Ok(Estimate { value, error, df, low: value - half, high: value + half })
    }
}

/// The standard error of an arm's mean per unit, from between its buckets: the delete-one-bucket jackknife (Efron and Stein 1981,
/// eq. 1.5).
///
/// Degenerate: [`Reason::NoData`], [`Reason::TooFew`] buckets, [`Reason::ZeroVariance`].
pub fn error(arm: &Arm) -> Result<f64, Reason> {
    let (Some(mean), units, buckets) = (arm.mean(), arm.units(), arm.occupied() as f64) else {
        return Err(Reason::NoData("arm"));
    };
    if buckets < FEWEST_BUCKETS {
        return Err(Reason::TooFew { what: "buckets of users", have: buckets, need: FEWEST_BUCKETS });
    }
    let squares: f64 = arm
        .cells
        .iter()
        .filter(|cell| cell.units > 0.0)
        .map(|cell| ((cell.total - mean * cell.units) / (units - cell.units)).powi(2))
        .sum();
    let found = ((buckets - 1.0) / buckets * squares).sqrt();
    if found > 0.0 { Ok(found) } else { Err(Reason::ZeroVariance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 buckets of so many units, whose totals alternate around a mean.
    fn arm(units: f64, mean: f64, spread: f64) -> Arm {
        let mut arm = Arm::default();
        (0..32).for_each(|b| arm.add(b, units, units * (mean + if b % 2 == 0 { spread } else { -spread })));
        arm
    }

    #[test]
    fn one_epoch_is_the_plain_mean() {
        let mut sums = Adaptive::default();
        sums.add(&[0.25, 0.75], &[arm(100.0, 0.1, 0.02), arm(300.0, 0.2, 0.01)]).unwrap();
        let found = sums.value(0, 0.05, Holds::Once).unwrap();
        assert!((found.value - 0.1).abs() < 1e-12 && (found.error - 0.02 / 31f64.sqrt()).abs() < 1e-12, "{found:?}");
        // 2.0395 is the quantile of Student's t with 31 degrees of freedom.
        assert!((found.high - found.value - 2.0395 * found.error).abs() < 1e-4 * found.error, "{found:?}");
        let difference = sums.difference(0, 1, 0.05, Holds::Once).unwrap();
        assert!((difference.value - 0.1).abs() < 1e-12 && difference.low > 0.0);
        let always = sums.value(0, 0.05, Holds::Always { best: 1.0 }).unwrap();
        assert!(always.low < found.low && always.high > found.high);
    }

    #[test]
    fn epochs_weigh_by_the_root_of_the_share_and_their_units() {
        let mut sums = Adaptive::default();
        sums.add(&[0.5, 0.5], &[arm(50.0, 0.1, 0.01), arm(50.0, 0.1, 0.0)]).unwrap();
        sums.add(&[0.02, 0.98], &[arm(2.0, 0.3, 0.01), arm(98.0, 0.1, 0.0)]).unwrap();
        let (heavy, light) = (0.5f64.sqrt(), 0.02f64.sqrt());
        let found = sums.value(0, 0.05, Holds::Once).unwrap().value;
        assert!((found - (heavy * 0.1 + light * 0.3) / (heavy + light)).abs() < 1e-12, "{found}");
        assert_eq!(sums.plain(0).map(|p| p.0), Some(32.0 * 52.0));
    }

    #[test]
    fn what_cannot_be_answered_has_a_reason() {
        let mut sums = Adaptive::default();
        assert_eq!(sums.value(0, 0.05, Holds::Once), Err(Reason::NoData("arm")));
        assert!(matches!(sums.add(&[1.0], &[]), Err(Reason::LengthsDiffer { .. })));
        assert!(matches!(sums.add(&[1.5], &[arm(1.0, 0.1, 0.0)]), Err(Reason::NotAProbability { .. })));
        assert!(matches!(sums.add(&[0.0], &[arm(1.0, 0.1, 0.0)]), Err(Reason::OutOfRange { .. })));
        sums.add(&[1.0], &[arm(10.0, 0.1, 0.0)]).unwrap();
        assert_eq!(sums.value(0, 0.05, Holds::Once), Err(Reason::ZeroVariance));
        let mut few = Adaptive::default();
        let mut two = Arm::default();
        two.add(0, 5.0, 1.0);
        two.add(1, 5.0, 2.0);
        few.add(&[1.0], &[two.clone()]).unwrap();
        assert!(matches!(few.value(0, 0.05, Holds::Once), Err(Reason::TooFew { .. })));
        assert!(matches!(error(&two), Err(Reason::TooFew { .. })));
        assert_eq!(few.value(0, 0.0, Holds::Once).unwrap_err(), Reason::NotAProbability { what: "alpha", value: 0.0 });
    }
}
