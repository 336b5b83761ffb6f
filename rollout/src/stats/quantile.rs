//! Is a latency quantile of the canary too high? From histograms, looked at as often as you like.
//!
//! The `q` quantile lies above an edge exactly if more than `1 - q` of all values do, and how many lie above an edge is a
//! binomial count: so a bound on the quantile is the last edge at which that bound on a rate still holds (inversion of the
//! order-statistic interval: Thompson 1936, Annals of Mathematical Statistics 7; time-uniform: Howard and Ramdas 2022, "Sequential
//! estimation of quantiles", Bernoulli 28). Each edge is tested with the mixture of [`super::anytime`], which holds at every
//! look; testing all edges costs nothing, for the counts above are nested.
//!
//! Histograms are not kept by user, so counts are divided by a design effect first ([`super::design`]). Bounds are edges: a
//! difference within one bin cannot be seen. Interpolated values are for people, and never decide.

use super::anytime;
use super::compare::Limit;
use super::design;
use super::histogram::{Histogram, Reading};
use super::reason::{Reason, amount, probability};

/// Histograms of one segment under one set of weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The version that is judged.
    pub canary: Histogram,
    /// The version it is compared with. Empty against an absolute limit.
    pub baseline: Histogram,
}

/// What is asked of a quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Which: 0.95 for p95. In (0, 1).
    pub q: f64,
    /// Chance of ever saying "exceeded" when it is not, over all looks. In (0, 1).
    pub alpha: f64,
    /// Design effect of the canary's counts, at least 1: [`design::effect`] or [`design::of_mean`].
    pub canary_effect: f64,
    /// The same for the baseline.
    pub baseline_effect: f64,
    /// How many buckets the design effects were estimated from; 0 if they are known.
    pub buckets: usize,
}

/// What was found, in the histogram's unit. A bound that is not there could not be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Is the limit exceeded, with at most alpha of a chance to be wrong over all looks?
    pub exceeded: bool,
    /// The canary's quantile, interpolated.
    pub canary: Result<Reading, Reason>,
    /// The baseline's, in the canary's mix of segments; `None` against an absolute limit.
    pub baseline: Option<Result<Reading, Reason>>,
    /// Lower bound of the canary's quantile: an edge.
    pub canary_low: Option<f64>,
    /// Upper bound of the canary's quantile: an edge.
    pub canary_high: Option<f64>,
    /// Lower bound of the baseline's quantile: an edge.
    pub baseline_low: Option<f64>,
    /// Upper bound of the baseline's quantile: an edge.
    pub baseline_high: Option<f64>,
    /// Lower bound of canary / baseline.
    pub ratio_low: Option<f64>,
    /// What the limit allows at the baseline's upper bound: the canary's lower bound must reach it to be "exceeded".
    pub allowed: Option<f64>,
    /// Why it cannot be decided yet, or ever with these edges.
    pub undecided: Option<Reason>,
}

/// Shares above each edge, and the number of independent values they are worth.
struct Tail {
    edges: Vec<f64>,
    above: Vec<f64>,
    weight: f64,
    /// The mixed histogram, in shares.
    mixed: Histogram,
}

impl Tail {
    /// Mixes histograms with the given weights. The number of values that the mix is worth is Kish's `1 / sum(w^2/n)`.
    fn mix(parts: &[(f64, &Histogram)], effect: f64) -> Result<Tail, Reason> {
        let mut mixed = Histogram::default();
        let mut spread = 0.0;
        let all: f64 = parts.iter().map(|(weight, _)| weight).sum();
        for (weight, histogram) in parts {
            let (share, total) = (weight / all, histogram.total());
            let counts = histogram.counts().iter().map(|count| count / total * share).collect();
            mixed.merge(&Histogram::new(histogram.edges().to_vec(), counts)?)?;
            spread += share * share / total;
        }
        let above = mixed.cumulative().iter().map(|below| (1.0 - below).clamp(0.0, 1.0)).collect();
        Ok(Tail { edges: mixed.edges().to_vec(), above, weight: 1.0 / (spread * effect), mixed })
    }

    /// Is the share above an edge proved to differ from `share` to that side, at `alpha`?
    fn proved(&self, above: f64, share: f64, alpha: f64, larger: bool) -> bool {
        let right_side = if larger { above > share } else { above < share };
        right_side && anytime::ln_e(above * self.weight, self.weight, share) >= -alpha.ln()
    }

    /// The last edge that the quantile is proved to lie above.
    fn low(&self, q: f64, alpha: f64) -> Option<f64> {
        let pairs = self.edges.iter().zip(&self.above);
        pairs.take_while(|(_, above)| self.proved(**above, 1.0 - q, alpha, true)).last().map(|(edge, _)| *edge)
    }

    /// The first edge that the quantile is proved not to lie above.
    fn high(&self, q: f64, alpha: f64) -> Option<f64> {
        let mut pairs = self.edges.iter().zip(&self.above);
        pairs.find(|(_, above)| self.proved(**above, 1.0 - q, alpha, false)).map(|(edge, _)| *edge)
    }
}

fn check(ask: &Ask) -> Result<(), Reason> {
    probability("alpha", ask.alpha)?;
    probability("the quantile", ask.q)?;
    for effect in [ask.canary_effect, ask.baseline_effect] {
        if !(effect.is_finite() && effect >= 1.0) {
            return Err(Reason::OutOfRange { what: "a design effect", value: effect, allowed: "at least 1" });
        }
    }
    Ok(())
}

/// Has the canary's `q` quantile exceeded what the limit allows at the baseline's?
///
/// Half of alpha bounds each version's quantile. Degenerate: [`Reason::NoData`] for an empty arm, [`Reason::EdgesDiffer`];
/// [`Reason::Overflow`] in `undecided` when the baseline's quantile, or what the limit allows, lies above the last edge.
pub fn compare(pairs: &[Pair], limit: &Limit, ask: &Ask) -> Result<Finding, Reason> {
    check(ask)?;
    amount("the floor", limit.floor)?;
    if !(limit.ratio.is_finite() && limit.ratio >= 1.0) {
        return Err(Reason::OutOfRange { what: "the ratio", value: limit.ratio, allowed: "at least 1" });
    }
    let both = || pairs.iter().filter(|pair| pair.canary.total() > 0.0 && pair.baseline.total() > 0.0);
    let canary: Vec<_> = both().map(|pair| (pair.canary.total(), &pair.canary)).collect();
    let baseline: Vec<_> = both().map(|pair| (pair.canary.total(), &pair.baseline)).collect();
    if canary.is_empty() {
        let seen = pairs.iter().any(|pair| pair.canary.total() > 0.0);
        return Err(Reason::NoData(if seen { "baseline" } else { "canary" }));
    }
    let alpha = 0.5 * ask.alpha;
    let margin = design::margin(ask.buckets, alpha);
    let canary = Tail::mix(&canary, ask.canary_effect * margin)?;
    let baseline = Tail::mix(&baseline, ask.baseline_effect * margin)?;
    if canary.edges != baseline.edges {
        return Err(Reason::EdgesDiffer);
    }
    let (canary_low, baseline_high) = (canary.low(ask.q, alpha), baseline.high(ask.q, alpha));
    let allowed = baseline_high.map(|edge| (limit.ratio * edge).max(edge + limit.floor));
    let last_edge = canary.edges.last().copied().unwrap_or(0.0);
    let interpolated = baseline.mixed.quantile(ask.q);
    let undecided = match (allowed, &interpolated) {
        (Some(allowed), _) if allowed > last_edge => Some(Reason::Overflow { last_edge }),
        (Some(_), _) => None,
        (None, Err(reason)) => Some(reason.clone()),
        (None, Ok(_)) => Some(few(&baseline)),
    };
    Ok(Finding {
        exceeded: matches!((canary_low, allowed), (Some(low), Some(allowed)) if low >= allowed),
        canary: canary.mixed.quantile(ask.q),
        baseline: Some(interpolated),
        canary_low,
        canary_high: canary.high(ask.q, alpha),
        baseline_low: baseline.low(ask.q, alpha),
        baseline_high,
        ratio_low: canary_low.zip(baseline_high).filter(|(_, high)| *high > 0.0).map(|(low, high)| low / high),
        allowed,
        undecided,
    })
}

/// Has the canary's `q` quantile exceeded `max`? Tested at the first edge at or above `max`.
pub fn bound(canary: &[Histogram], max: f64, ask: &Ask) -> Result<Finding, Reason> {
    check(ask)?;
    if !max.is_finite() {
        return Err(Reason::NotFinite("the bound"));
    }
    let parts: Vec<_> = canary.iter().filter(|part| part.total() > 0.0).map(|part| (part.total(), part)).collect();
    if parts.is_empty() {
        return Err(Reason::NoData("canary"));
    }
    let tail = Tail::mix(&parts, ask.canary_effect * design::margin(ask.buckets, ask.alpha))?;
    let low = tail.low(ask.q, ask.alpha);
    let last_edge = tail.edges.last().copied().unwrap_or(0.0);
    Ok(Finding {
        exceeded: low.is_some_and(|low| low >= max),
        canary: tail.mixed.quantile(ask.q),
        baseline: None,
        canary_low: low,
        canary_high: tail.high(ask.q, ask.alpha),
        baseline_low: None,
        baseline_high: None,
        ratio_low: None,
        allowed: Some(max),
        undecided: (max > last_edge).then_some(Reason::Overflow { last_edge }),
    })
}

fn few(tail: &Tail) -> Reason {
    Reason::TooFew {
        what: "values for a bound on the baseline's quantile",
        have: tail.weight.floor(),
        need: tail.weight.floor() + 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { q: 0.95, alpha: 0.001, canary_effect: 1.0, baseline_effect: 1.0, buckets: 0 };

    fn histogram(counts: [f64; 6]) -> Histogram {
        Histogram::new(vec![10.0, 25.0, 50.0, 100.0, 250.0], counts.to_vec()).unwrap()
    }

    fn compare_one(canary: [f64; 6], baseline: [f64; 6], ask: Ask) -> Finding {
        let pair = Pair { canary: histogram(canary), baseline: histogram(baseline) };
        compare(&[pair], &Limit { ratio: 1.5, floor: 10.0 }, &ask).unwrap()
    }

    #[test]
    fn a_slow_version_is_found_and_the_same_one_is_not() {
        let good = [8000.0, 1500.0, 480.0, 20.0, 0.0, 0.0];
        let found = compare_one([300.0, 300.0, 200.0, 100.0, 100.0, 0.0], good, ASK);
        assert!(found.exceeded, "{found:?}");
        assert_eq!((found.canary_low, found.baseline_high, found.allowed), (Some(100.0), Some(50.0), Some(75.0)));
        assert!(!compare_one([800.0, 150.0, 48.0, 2.0, 0.0, 0.0], good, ASK).exceeded);
    }

    #[test]
    fn users_who_come_back_widen_the_bounds() {
        let canary = [30.0, 30.0, 20.0, 10.0, 14.0, 0.0];
        let good = [8000.0, 1500.0, 480.0, 20.0, 0.0, 0.0];
        assert_eq!(compare_one(canary, good, ASK).canary_low, Some(50.0));
        assert_eq!(compare_one(canary, good, Ask { canary_effect: 4.0, ..ASK }).canary_low, Some(25.0));
    }

    #[test]
    fn overflow_has_its_name() {
        let slow = [10.0, 0.0, 0.0, 0.0, 0.0, 1000.0];
        let found = compare_one(slow, slow, ASK);
        assert_eq!(found.undecided, Some(Reason::Overflow { last_edge: 250.0 }));
        assert_eq!(found.canary, Err(Reason::Overflow { last_edge: 250.0 }));
        assert!(!found.exceeded);
        // A canary beyond the last edge is proved to be slow all the same.
        assert!(compare_one(slow, [8000.0, 1500.0, 480.0, 20.0, 0.0, 0.0], ASK).exceeded);
    }

    #[test]
    fn an_absolute_bound_is_tested_at_an_edge() {
        let histogram = histogram([300.0, 300.0, 200.0, 100.0, 100.0, 0.0]);
        assert!(bound(std::slice::from_ref(&histogram), 60.0, &ASK).unwrap().exceeded);
        assert!(!bound(std::slice::from_ref(&histogram), 150.0, &ASK).unwrap().exceeded);
        let above = bound(&[histogram], 300.0, &ASK).unwrap();
        assert_eq!(above.undecided, Some(Reason::Overflow { last_edge: 250.0 }));
        assert_eq!(bound(&[], 300.0, &ASK), Err(Reason::NoData("canary")));
    }
}
