//! What is known of an arm's reward, and how likely each arm is the best.

use serde::{Deserialize, Serialize};
use statrs::function::beta::ln_beta;

use crate::stats::bayes::{Mean, Rate};
use crate::stats::{Arm, Reason, adaptive, design};

/// What a reward is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reward {
    /// A unit earns 1 or nothing: successes among outcomes or requests.
    Rate,
    /// A unit earns any number of whole things, 0 as a rule: goals met for each exposed request.
    Count,
    /// A unit earns any number: values of outcomes.
    Value,
}

/// The distribution of what one unit of an arm earns on average, given what was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Posterior {
    /// Of a rate: a Beta distribution.
    Rate(Rate),
    /// Of a mean: a normal distribution.
    Mean(Mean),
}

impl Posterior {
    /// After what was counted of an arm, by bucket of users.
    ///
    /// Users who come back are no independent observations: a rate's counts are divided by their design effect
    /// ([`design::effect`]), and a mean's variance comes from between the buckets ([`adaptive::error`]). Priors: uniform for a rate, flat for a mean.
    /// A count's variance is never taken below that of independent events, one of them yet to come.
    /// Degenerate: [`Reason::NoData`] without units, [`Reason::TooFew`] buckets for a mean, [`Reason::ZeroVariance`] for values that are all alike.
    pub fn of(reward: Reward, arm: &Arm) -> Result<Posterior, Reason> {
        let (units, total) = (arm.units(), arm.total());
        if units <= 0.0 {
            return Err(Reason::NoData("arm"));
        }
        match reward {
            Reward::Rate => {
                let cells: Vec<(f64, f64)> = arm.cells.iter().map(|c| (c.units, c.total)).collect();
                let effect = design::effect(&cells);
                Rate::new((total / effect).min(units / effect), units / effect, 1.0).map(Posterior::Rate)
            }
            Reward::Count => {
                let least = (total + 1.0).sqrt() / units;
                let error = adaptive::error(arm).unwrap_or(0.0).max(least);
                Mean::new(total / units, error, None).map(Posterior::Mean)
            }
            Reward::Value => Mean::new(total / units, adaptive::error(arm)?, None).map(Posterior::Mean),
        }
    }

    /// Its mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self {
            Posterior::Rate(rate) => rate.mean(),
            Posterior::Mean(mean) => mean.mean,
        }
    }

    /// Its standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        match self {
            Posterior::Rate(rate) => rate.deviation(),
            Posterior::Mean(mean) => mean.deviation,
        }
    }

    /// The interval that holds `1 - alpha` of it, equally much outside on either side.
    pub fn interval(&self, alpha: f64) -> Result<[f64; 2], Reason> {
        match self {
            Posterior::Rate(rate) => rate.interval(alpha),
            Posterior::Mean(mean) => mean.interval(alpha),
        }
    }

    /// Its density at `x`.
    #[must_use]
    pub fn density(&self, x: f64) -> f64 {
        Shape::of(self).density(x)
    }

    /// From and to where a chart of it need reach.
    #[must_use]
    pub fn reach(&self) -> [f64; 2] {
        let (low, high) = (self.mean() - 4.0 * self.deviation(), self.mean() + 4.0 * self.deviation());
        match self {
            Posterior::Rate(_) => [low.max(0.0), high.min(1.0)],
            Posterior::Mean(_) => [low, high],
        }
    }
}

/// A density with its constants worked out.
struct Shape {
    /// For Beta: `a - 1`, `b - 1`, -ln of the Beta function. For normal: mean, 1 / deviation, ln of the factor.
    constants: [f64; 3],
    rate: bool,
    mean: f64,
    low: f64,
    high: f64,
    step: f64,
}

/// Standard deviations below and above the mean that matter.
const REACH: (f64, f64) = (8.0, 12.0);
/// How finely they are cut, in standard deviations: within four of the mean, and beyond.
const CUT: (f64, f64) = (0.125, 0.5);
/// So close to 0 and 1 nothing is missed, and logarithms are finite.
const EDGE: f64 = 1e-12;

impl Shape {
    fn of(posterior: &Posterior) -> Shape {
        let deviation = posterior.deviation();
        let (low, high) = (posterior.mean() - REACH.0 * deviation, posterior.mean() + REACH.1 * deviation);
        let step = CUT.0 * deviation;
        match posterior {
            Posterior::Rate(rate) => Shape {
                constants: [rate.a - 1.0, rate.b - 1.0, -ln_beta(rate.a, rate.b)],
                rate: true,
                mean: posterior.mean(),
                low: low.max(EDGE),
                high: high.min(1.0 - EDGE),
                step,
            },
            Posterior::Mean(mean) => Shape {
                constants: [mean.mean, deviation.recip(), -deviation.ln() - 0.5 * std::f64::consts::TAU.ln()],
                rate: false,
                mean: posterior.mean(),
                low,
                high,
                step,
            },
        }
    }

    fn density(&self, x: f64) -> f64 {
        let [a, b, c] = self.constants;
        if self.rate {
            if x <= 0.0 || x >= 1.0 {
                return 0.0;
            }
            (a * x.ln() + b * (-x).ln_1p() + c).exp()
        } else {
            let z = (x - a) * b;
            (c - 0.5 * z * z).exp()
        }
    }
}

/// How the arms compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Best {
    /// For each arm the chance that its reward is the largest; they add up to 1.
    pub chance: Vec<f64>,
    /// The expected reward of the best arm, whichever it is: at least that of each.
    pub top: f64,
}

/// The chance of each arm to be the best: `P(i is best) = integral of f_i times the product of F_k, k other than i`.
///
/// Scott 2010, "A modern Bayesian look at the multi-armed bandit", Applied Stochastic Models in Business and Industry 26, eq. 2: to
/// give each arm this chance as its share is Thompson's rule (1933). Worked out by Simpson's rule on a grid of an eighth of each
/// arm's standard deviation, to about 2e-6; independent posteriors. Empty without arms.
#[must_use]
pub fn best(arms: &[Posterior]) -> Best {
    let shapes: Vec<Shape> = arms.iter().map(Shape::of).collect();
    let mut knots: Vec<f64> = Vec::new();
    for shape in &shapes {
        let mut x = shape.low;
        while x < shape.high {
            knots.push(x);
            let near = (x - shape.mean).abs() < 32.0 * shape.step;
            x += if near { shape.step } else { shape.step * (CUT.1 / CUT.0) };
        }
        knots.push(shape.high);
    }
    knots.sort_unstable_by(f64::total_cmp);
    let from = knots.first().copied().unwrap_or(0.0);
    let least = shapes.iter().map(|s| s.step).fold(f64::INFINITY, f64::min) * 1e-3;
    knots.dedup_by(|a, b| *a - *b < least);
    let count = arms.len();
    let mut chance = vec![0.0; count];
    let (mut below, mut start) = (vec![0.0; count], vec![0.0; count]);
    for (value, shape) in start.iter_mut().zip(&shapes) {
        *value = shape.density(from);
    }
    let mut top_below = 0.0;
    let (mut middle, mut end) = (vec![0.0; count], vec![0.0; count]);
    for pair in knots.windows(2) {
        let [left, right] = pair else { continue };
        let width = right - left;
        for ((m, e), shape) in middle.iter_mut().zip(end.iter_mut()).zip(&shapes) {
            *m = shape.density(left + 0.5 * width);
            *e = shape.density(*right);
        }
        // Distribution functions at the middle (a parabola through three points) and at the end (Simpson).
        let f = |i: usize, v: &[f64]| v.get(i).copied().unwrap_or(0.0);
        let at_middle: Vec<f64> = (0..count)
            .map(|i| {
                let part = width / 24.0 * (5.0 * f(i, &start) + 8.0 * f(i, &middle) - f(i, &end));
                (f(i, &below) + part).clamp(0.0, 1.0)
            })
            .collect();
        let at_end: Vec<f64> = (0..count)
            .map(|i| {
                let part = width / 6.0 * (f(i, &start) + 4.0 * f(i, &middle) + f(i, &end));
                (f(i, &below) + part).min(1.0)
            })
            .collect();
        let others = |i: usize, v: &[f64]| -> f64 {
            v.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, value)| value).product()
        };
        for (i, won) in chance.iter_mut().enumerate() {
            *won += width / 6.0
                * (f(i, &start) * others(i, &below)
                    + 4.0 * f(i, &middle) * others(i, &at_middle)
                    + f(i, &end) * others(i, &at_end));
        }
        let all = |v: &[f64]| v.iter().product::<f64>();
        top_below += width / 6.0 * (all(&below) + 4.0 * all(&at_middle) + all(&at_end));
        below = at_end;
        start.clone_from(&end);
    }
    let sum: f64 = chance.iter().sum();
    if sum > 0.0 {
        chance.iter_mut().for_each(|c| *c /= sum);
    }
    // E max = highest point less the integral of P(max <= x).
    let high = knots.last().copied().unwrap_or(0.0);
    let top = arms.iter().map(Posterior::mean).fold(high - top_below, f64::max);
    Best { chance, top }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(events: f64, units: f64) -> Posterior {
        Posterior::Rate(Rate::new(events, units, 1.0).unwrap())
    }

    fn mean(mean: f64, deviation: f64) -> Posterior {
        Posterior::Mean(Mean { mean, deviation })
    }

    #[test]
    fn of_two_it_is_the_chance_to_win() {
        for (a, b) in [((90.0, 980.0), (120.0, 1_000.0)), ((0.0, 5.0), (3.0, 900.0)), ((5_000.0, 1e5), (51.0, 1e3))] {
            let (pa, pb) = (Rate::new(a.0, a.1, 1.0).unwrap(), Rate::new(b.0, b.1, 1.0).unwrap());
            let exact = Rate::choose(&pa, &pb);
            let found = best(&[rate(a.0, a.1), rate(b.0, b.1)]);
            assert!((found.chance[1] - exact.chance_to_win).abs() < 2e-6, "{found:?} {exact:?}");
            // E max = E a + E max(b - a, 0).
            let top = pa.mean() + exact.loss_of_a;
            assert!((found.top - top).abs() < 1e-5 * top, "{found:?} {top}");
        }
        let (a, b) = (Mean { mean: 1.0, deviation: 0.5 }, Mean { mean: 1.7, deviation: 0.1 });
        let exact = Mean::choose(&a, &b);
        let found = best(&[Posterior::Mean(a), Posterior::Mean(b)]);
        assert!(
            (found.chance[1] - exact.chance_to_win).abs() < 1e-6 && (found.top - 1.0 - exact.loss_of_a).abs() < 1e-5
        );
    }

    #[test]
    fn equal_arms_have_equal_chances_and_one_has_all() {
        for count in 1..=6 {
            let found = best(&vec![rate(30.0, 400.0); count]);
            assert!(found.chance.iter().all(|c| (c - 1.0 / count as f64).abs() < 1e-6), "{found:?}");
        }
        // The mean of the largest of three standard normal variables is 3 / (2 sqrt(pi)).
        let found = best(&[mean(0.0, 1.0), mean(0.0, 1.0), mean(0.0, 1.0)]);
        assert!((found.top - 1.5 / std::f64::consts::PI.sqrt()).abs() < 1e-5, "{found:?}");
        assert_eq!(best(&[]).chance, Vec::<f64>::new());
    }

    #[test]
    fn what_cannot_be_known_has_a_reason() {
        let empty = Arm::default();
        for reward in [Reward::Rate, Reward::Count, Reward::Value] {
            assert_eq!(Posterior::of(reward, &empty), Err(Reason::NoData("arm")));
        }
        let mut one = Arm::default();
        one.add(0, 10.0, 4.0);
        assert!(Posterior::of(Reward::Rate, &one).is_ok());
        assert!(matches!(Posterior::of(Reward::Value, &one), Err(Reason::TooFew { .. })));
        // Ten goals among a thousand requests: never surer than ten independent events make it.
        let mut even = Arm::default();
        (0..32).for_each(|b| even.add(b, 100.0, 1.0));
        let Ok(Posterior::Mean(found)) = Posterior::of(Reward::Count, &even) else { panic!("a mean") };
        assert!((found.deviation - 33f64.sqrt() / 3_200.0).abs() < 1e-12, "{found:?}");
    }
}
