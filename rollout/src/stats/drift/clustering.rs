//! How much users who come back enlarge the variance of counts by bin.
//!
//! From counts by bucket of users; with its margin ([`crate::stats::design::margin`]) it is what [`super::Ask`] wants.

use crate::stats::cell::Arm;
use crate::stats::design;

/// A cumulative share from which on, and up to one less it, a cut counts for [`of_cuts`]: beyond, a few values decide.
const TAIL: f64 = 0.05;

/// The mean design effect of categories, from counts by bucket, then by category: `sum (1 - p) d / (categories - 1)`, with `d` that of each
/// category's share. Divided by it, Pearson's chi-square, and so a population stability index, has about its usual law.
///
/// Rao and Scott 1981, "The analysis of categorical data from complex sample surveys", JASA 76, section 3 (the first-order
/// correction). At least 1; 1 too where it cannot be said (fewer than two categories with data, or than two buckets).
#[must_use]
pub fn of_categories(buckets: &[Vec<f64>]) -> f64 {
    let categories = buckets.iter().map(Vec::len).max().unwrap_or(0);
    let (mut sum, mut weights) = (0.0, 0.0);
    for category in 0..categories {
        let arm = arm(buckets, |counts| counts.get(category).copied().unwrap_or(0.0));
        let share = arm.mean().unwrap_or(0.0);
        if share > 0.0 && share < 1.0 {
            sum += (1.0 - share) * design::of_mean(&arm, share * (1.0 - share));
            weights += 1.0 - share;
        }
    }
    if weights > 0.0 { (sum / weights).max(1.0) } else { 1.0 }
}

/// The largest design effect of the share of values up to an edge, over all edges that are not in the tails: for a distance that may be
/// found at any of them. As [`of_categories`], with bins in their order.
#[must_use]
pub fn of_cuts(buckets: &[Vec<f64>]) -> f64 {
    let bins = buckets.iter().map(Vec::len).max().unwrap_or(0);
    let mut largest: f64 = 1.0;
    for cut in 1..bins {
        let arm = arm(buckets, |counts| counts.iter().take(cut).sum());
        let share = arm.mean().unwrap_or(0.0);
        if (TAIL..=1.0 - TAIL).contains(&share) {
            largest = largest.max(design::of_mean(&arm, share * (1.0 - share)));
        }
    }
    largest
}

/// How many buckets have anything.
#[must_use]
pub fn occupied(buckets: &[Vec<f64>]) -> usize {
    buckets.iter().filter(|counts| counts.iter().any(|count| *count > 0.0)).count()
}

fn arm(buckets: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) -> Arm {
    let mut arm = Arm::default();
    for (bucket, counts) in buckets.iter().enumerate() {
        arm.add(bucket, counts.iter().sum(), of(counts));
    }
    arm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_are_alike_in_all_buckets_have_no_effect() {
        let even = vec![vec![30.0, 50.0, 20.0]; 32];
        assert_eq!((of_categories(&even), of_cuts(&even), occupied(&even)), (1.0, 1.0, 32));
        assert_eq!((of_categories(&[]), of_cuts(&[vec![1.0]]), occupied(&[vec![0.0]])), (1.0, 1.0, 0));
    }

    #[test]
    fn buckets_that_each_have_one_class_weigh_as_one_value_each() {
        // 16 buckets say one class and 16 the other, a hundred times each: 32 independent values.
        let split: Vec<Vec<f64>> =
            (0..32).map(|b| if b % 2 == 0 { vec![100.0, 0.0] } else { vec![0.0, 100.0] }).collect();
        for found in [of_categories(&split), of_cuts(&split)] {
            assert!((found / 100.0 - 1.0).abs() < 0.05, "{found}");
        }
        // Between bins of the same half nothing is told by the buckets.
        let finer: Vec<Vec<f64>> = split.iter().map(|c| vec![c[0] / 2.0, c[0] / 2.0, c[1]]).collect();
        let (mean, largest) = (of_categories(&finer), of_cuts(&finer));
        assert!((largest / 100.0 - 1.0).abs() < 0.05 && mean < largest && mean > 30.0, "{mean} {largest}");
    }
}
