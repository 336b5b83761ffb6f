//! Shares and means of pairs with intervals that respect that users repeat: variance comes from between buckets of users.

use super::super::cell::{Arm, Cell};
use super::super::design;
use super::super::fixed::Test;
use super::super::fixed::intervals::wilson;
use super::super::fixed::means::{t_isf, t_sf};
use super::super::fixed::proportions::Proportion;
use super::super::reason::{Reason, probability};

/// A share with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Events among units, in [0, 1].
    pub value: f64,
    /// Lower bound at confidence `1 - alpha` (two-sided).
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// By how much the variance exceeds that of independent pairs, with its margin; 1 where pairs are taken to be independent.
    pub effect: f64,
    /// Buckets of users with pairs; 0 where pairs are taken to be independent.
    pub buckets: usize,
}

/// The share of events among pairs, and its interval at confidence `1 - alpha`.
///
/// Wilson's score interval on the effective sample size: units divided by the design effect between buckets (Korn and Graubard 1998,
/// Survey Methodology 24, 193, section 2), with Student's quantile for the number of buckets. `independent`: nothing is known of
/// users, and each pair counts as one. Bounds are on one look at complete data.
///
/// # Errors
/// [`Reason::NoData`] without units, [`Reason::TooFew`] with fewer than 2 buckets, [`Reason::EventsAboveUnits`].
pub fn share(pairs: &Arm, independent: bool, alpha: f64) -> Result<Share, Reason> {
    probability("alpha", alpha)?;
    pairs.check(true)?;
    let (units, events) = (pairs.units(), pairs.total());
    let all = Proportion::new(events, units)?;
    let buckets = pairs.occupied();
    let effect = if independent {
        1.0
    } else if buckets < 2 {
        #[expect(clippy::cast_precision_loss, reason = "0 or 1")]
        return Err(Reason::TooFew { what: "buckets of users", have: buckets as f64, need: 2.0 });
    } else {
        let cells: Vec<(f64, f64)> = pairs.cells.iter().map(|cell| (cell.units, cell.total)).collect();
        design::effect_upper(&cells, 0.5 * alpha)
    };
    let [low, high] = wilson(Proportion { events: events / effect, units: units / effect }, alpha)?;
    Ok(Share { value: all.rate(), low, high, effect, buckets: if independent { 0 } else { buckets } })
}

/// A mean with its interval and the test that it is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Total per unit.
    pub value: f64,
    /// Interval at confidence `1 - alpha`.
    pub interval: [f64; 2],
    /// t of the mean with one degree of freedom less than there are buckets, two-sided.
    pub test: Test,
}

/// The mean per pair, from totals by bucket of users: a ratio of two sums over buckets (Cochran 1977, "Sampling Techniques", eq. 6.13).
///
/// # Errors
/// [`Reason::TooFew`] with fewer than 2 buckets that have pairs; [`Reason::ZeroVariance`] when they all have the same mean.
pub fn mean(pairs: &Arm, alpha: f64) -> Result<Mean, Reason> {
    probability("alpha", alpha)?;
    pairs.check(false)?;
    let cells: Vec<&Cell> = pairs.cells.iter().filter(|cell| cell.units > 0.0).collect();
    #[expect(clippy::cast_precision_loss, reason = "32 or so")]
    let buckets = cells.len() as f64;
    if buckets < 2.0 {
        return Err(Reason::TooFew { what: "buckets of users", have: buckets, need: 2.0 });
    }
    let units = pairs.units();
    let value = pairs.total() / units;
    let squares: f64 = cells.iter().map(|cell| (cell.total - value * cell.units).powi(2)).sum();
    let error = (buckets / (buckets - 1.0) * squares).sqrt() / units;
    if !error.is_finite() {
        return Err(Reason::NotFinite("a total"));
    }
    if error <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let (df, statistic) = (buckets - 1.0, value / error);
    let half = t_isf(0.5 * alpha, df)? * error;
    let p = (2.0 * t_sf(statistic.abs(), df)?).min(1.0);
    Ok(Mean { value, interval: [value - half, value + half], test: Test { statistic, df, p } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(cells: impl IntoIterator<Item = (f64, f64)>) -> Arm {
        let mut arm = Arm::default();
        for (bucket, (units, total)) in cells.into_iter().enumerate() {
            arm.add(bucket, units, total);
        }
        arm
    }

    #[test]
    fn one_user_who_always_disagrees_widens_the_interval() {
        let even = arm((0..32).map(|_| (100.0, 95.0)));
        let one = arm((0..32).map(|b| (100.0, if b == 3 { 0.0 } else { 98.064_516 })));
        let (even, one) = (share(&even, false, 0.05).unwrap(), share(&one, false, 0.05).unwrap());
        assert!((even.value - one.value).abs() < 1e-6);
        assert!(one.effect > 20.0 && even.effect < 1.2, "{even:?} {one:?}");
        assert!(one.high - one.low > 4.0 * (even.high - even.low));
    }

    #[test]
    fn without_users_each_pair_counts_as_one() {
        let all = arm([(1000.0, 900.0)]);
        assert!(matches!(share(&all, false, 0.05), Err(Reason::TooFew { .. })));
        let found = share(&all, true, 0.05).unwrap();
        assert_eq!(wilson(Proportion { events: 900.0, units: 1000.0 }, 0.05).unwrap(), [found.low, found.high]);
        assert_eq!(share(&Arm::default(), true, 0.05), Err(Reason::NoData("proportion")));
    }

    #[test]
    fn equal_buckets_give_the_t_test_of_their_means() {
        // Buckets of one pair each: Cochran's ratio estimator is the mean, and its error s / sqrt(n).
        let values = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let found = mean(&arm(values.map(|v| (1.0, v))), 0.05).unwrap();
        // R: t.test(sleep$extra[1:10])
        assert!((found.test.statistic - 1.325_71).abs() < 1e-5, "{found:?}");
        assert!((found.test.p - 0.217_60).abs() < 1e-5, "{found:?}");
    }
}
