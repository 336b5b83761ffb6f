//! Sample ratio mismatch: do versions get the users that their weights say?
//!
//! A mismatch means that something loses or adds users of one version (a crash before counting, a cache, a bot), and then no
//! comparison of the versions is to be trusted. Requests must not be tested as such: heavy users alone make a request-level
//! test cry wolf 61 % of the time. Two ways: on distinct keys, exactly; or on buckets of users, whose variance knows about heavy ones.
//! Leave out ticks that span a change of weights. Evidence from several weight epochs: [`epochs`].

use super::cell::Arm;
use super::contrast::{Clock, FEWEST_BUCKETS, Score};
use super::evalue::{ln_average, ln_product};
use super::reason::{Reason, amount};
use super::sequential::multinomial;

/// The variance is sharpest at this many units.
const SHARPEST_UNITS: f64 = 2000.0;
/// Constant in [`super::contrast::sharpest`]: alpha for which the mixture is tuned; the test holds at any.
const TUNED_ALPHA: f64 = 0.001;

/// ln of the e-value against "distinct keys were divided by `weights`": exact, for each key counted once.
///
/// Lindon and Malek 2022 (arXiv 2011.03567), with a uniform prior. Weights are relative and above 0.
pub fn keys(counts: &[f64], weights: &[f64]) -> Result<f64, Reason> {
    multinomial::ln_bayes_factor(counts, &vec![1.0; counts.len()], weights)
}

/// ln of the e-value against "users were divided by `weights`", from requests by bucket of users.
///
/// For each variant: its requests less its share of all, over the spread of the buckets' totals (at least Poisson's, and at least its
/// share of all variants' spread), both directions, by the normal mixture of [`super::compare`]; then the average over variants. `arms` and `weights` in the same order; totals of cells are not looked at.
/// Assumes that versions do not change how often users come. Degenerate: fewer than 2 variants or 8 buckets.
pub fn buckets(arms: &[Arm], weights: &[f64]) -> Result<f64, Reason> {
    if arms.len() != weights.len() {
        return Err(Reason::LengthsDiffer { left: arms.len(), right: weights.len() });
    }
    if arms.len() < 2 {
        return Err(Reason::TooFew { what: "variants", have: arms.len() as f64, need: 2.0 });
    }
    let mut weight = 0.0;
    for one in weights {
        if amount("a weight", *one)? == 0.0 {
            return Err(Reason::OutOfRange { what: "a weight", value: *one, allowed: "above 0" });
        }
        weight += one;
    }
    let mut spreads = Vec::with_capacity(arms.len());
    for arm in arms {
        arm.check(false)?;
        let (units, buckets) = (arm.units(), arm.cells.len() as f64);
        let mean = units / buckets.max(1.0);
        let squares: f64 = arm.cells.iter().map(|cell| (cell.units - mean).powi(2)).sum();
        spreads.push((units, (squares * buckets / (buckets - 1.0).max(1.0)).max(units), buckets));
    }
    let total: f64 = spreads.iter().map(|(units, ..)| units).sum();
    if total <= 0.0 {
        return Err(Reason::NoData("variants"));
    }
    let fewest = spreads.iter().map(|(.., buckets)| *buckets).fold(f64::INFINITY, f64::min);
    if fewest < FEWEST_BUCKETS {
        return Err(Reason::TooFew { what: "buckets of users", have: fewest, need: FEWEST_BUCKETS });
    }
    let together: f64 = spreads.iter().map(|(_, of_units, _)| of_units).sum();
    let mut logs = Vec::with_capacity(2 * arms.len());
    for (i, one) in weights.iter().enumerate() {
        let share = one / weight;
        let (mut excess, mut variance, mut spread) = (-share * total, 0.0, 0.0);
        for (j, ((units, own, buckets), other)) in spreads.iter().zip(weights).enumerate() {
            let scale = if i == j { 1.0 - share } else { share };
            if i == j {
                excess += units;
            }
            // A small variant may lack heavy users by chance and look calmer than it is: if users are divided by weight,
            // so is the variance.
            let part = scale * scale * own.max(together * other / weight);
            variance += part;
            spread += part * part / (buckets - 1.0);
        }
        for sign in [1.0, -1.0] {
            let score = Score { excess: sign * excess, variance, df: variance * variance / spread };
            logs.push(score.ln_e(Clock::Units(SHARPEST_UNITS), TUNED_ALPHA, total));
        }
    }
    Ok(ln_average(&logs))
}

/// ln of the evidence of several weight epochs together: their product.
///
/// Right where epochs hold different users (distinct keys, each in the epoch of its first visit). The same users in several epochs are not
/// independent, and then the product cries wolf; for those take [`same_users`].
#[must_use]
pub fn epochs(logs: &[f64]) -> f64 {
    ln_product(logs)
}

/// ln of the evidence of several epochs together whose users are largely the same: the k-th epoch bets `2^-k` of the coin.
///
/// A sum of e-processes with weights fixed in advance that add up to 1 is one, whatever their dependence (Vovk and Wang 2021, "E-values:
/// calibration, combination and applications", Annals of Statistics 49, section 3); epochs to come keep their stake. Earliest first.
#[must_use]
pub fn same_users(logs: &[f64]) -> f64 {
    let mut left = 0.0_f64;
    let mut stakes = Vec::with_capacity(logs.len() + 1);
    for log in logs {
        left -= std::f64::consts::LN_2;
        stakes.push(log + left);
    }
    // What is not bet yet.
    stakes.push(left);
    super::evalue::ln_sum_exp(&stakes)
}
