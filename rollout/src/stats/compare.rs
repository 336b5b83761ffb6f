//! Is the canary worse than the baseline allows? Asked at every look, answered with one error probability for all of them.
//!
//! A limit `max(ratio * baseline, baseline + floor)` is exceeded only if both parts are; so each part is tested at the whole
//! alpha (an intersection-union test: Berger 1982, Technometrics 24) and the smaller e-value decides.
//! Two e-values watch each part: an exact one for few events ([`super::counts`]) and one from between the buckets of users
//! for many (`contrast`). Below [`FEWEST_EVENTS`] events of both versions the exact one decides alone; above it their average
//! does, which is an e-value whatever their dependence.
//!
//! Weights must stay: one call for one weight epoch. Evidence from two epochs combines by [`super::evalue`].

use super::cell::Stratum;
use super::contrast::{Clock, Contrast, lower_bound};
use super::counts::{self, Clustering, Group, Tilts};
use super::evalue::{ln_average, p_value};
use super::reason::{Reason, amount, probability};

/// Below this many events of both versions together, only the exact test decides.
pub const FEWEST_EVENTS: f64 = 100.0;
/// The normal mixture is sharpest when the variance of the excess reaches this many squared events.
const SHARPEST_EVENTS: f64 = 50.0;
/// The same for means: at this many units of the canary.
const SHARPEST_UNITS: f64 = 2000.0;

/// What a rise or a fall of the metric means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Worse {
    /// Larger is worse: errors, timeouts, latency. The rule.
    #[default]
    Higher,
    /// Smaller is worse: accuracy, conversions.
    Lower,
}

/// What is allowed. For [`Worse::Higher`] the canary may reach `max(ratio * baseline, baseline + floor)`; for [`Worse::Lower`]
/// it may fall to `min(ratio * baseline, baseline - floor)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Times the baseline: at least 1 for `Higher`, at most 1 for `Lower`. 1 leaves the floor alone: non-inferiority by a margin.
    pub ratio: f64,
    /// At least this much, in the metric's unit (0.005 = half a point for a rate). Not negative.
    pub floor: f64,
}

/// How the question is to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Chance of ever saying "exceeded" when it is not, over all looks. In (0, 1).
    pub alpha: f64,
    /// What is worse.
    pub worse: Worse,
    /// How observations depend on each other.
    pub clustering: Clustering,
}

impl Ask {
    /// Larger is worse, and observations are clustered in users: the rule for requests.
    #[must_use]
    pub fn at(alpha: f64) -> Ask {
        Ask { alpha, worse: Worse::Higher, clustering: Clustering::Buckets }
    }
}

/// Which evidence decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The exact test alone: few events, or too few buckets for a variance.
    Exact,
    /// Variance between buckets alone: means.
    Buckets,
    /// Both, averaged.
    Both,
}

/// What was found. Rates are per unit, means in the metric's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Is the limit exceeded, with at most alpha of a chance to be wrong over all looks?
    pub exceeded: bool,
    /// ln of the e-value against "within the limit".
    pub log_e: f64,
    /// Anytime-valid p-value: `min(1, 1/e)`.
    pub p: f64,
    /// The canary's rate or mean.
    pub canary: f64,
    /// The baseline's, in the canary's mix of segments; `None` against an absolute limit.
    pub baseline: Option<f64>,
    /// The canary's value that the limit allows, at the baseline's estimate.
    pub allowed: f64,
    /// Lower bound of canary less baseline (of the canary alone against an absolute limit), each bound one-sided at alpha,
    /// valid at every look. `None` where the data cannot bound it.
    pub low: Option<f64>,
    /// Upper bound of the same. From between buckets alone.
    pub high: Option<f64>,
    /// Lower bound of canary / baseline for `Higher`, upper bound for `Lower`; `None` against an absolute limit or without bound.
    pub ratio_bound: Option<f64>,
    /// Events of both versions (of the bad kind); for means 0.
    pub events: f64,
    /// Units of the canary.
    pub units: f64,
    /// Units of the baseline.
    pub baseline_units: f64,
    /// Degrees of freedom of the variance between buckets, at the limit; infinite if observations are independent.
    pub df: f64,
    /// Which evidence decided.
    pub method: Method,
    /// Why the buckets gave no variance, where they did not.
    pub buckets: Option<Reason>,
}

/// Has the canary's rate of events exceeded what the limit allows at the baseline's rate?
///
/// Units: events per unit, each unit has one at most. Assumes: users divided by hash, weights constant, both versions counted at the same
/// time. Degenerate: [`Reason::NoData`] without units in either arm; no event at all is an answer (not exceeded).
pub fn rate(strata: &[Stratum], limit: &Limit, ask: &Ask) -> Result<Finding, Reason> {
    check(limit, ask)?;
    match ask.worse {
        Worse::Higher => {
            let lines = [(limit.ratio, 0.0), (1.0, limit.floor)];
            rates(strata, ask, &lines, false)
        }
        // Low rates are high rates of the complement: 1-c > 1 - a*b = a*(1-b) + 1-a.
        Worse::Lower => {
            let lines = [(limit.ratio, 1.0 - limit.ratio), (1.0, limit.floor)];
            Ok(rates(&complement(strata), ask, &lines, false)?.complemented())
        }
    }
}

/// Has the canary's rate exceeded `max` (for [`Worse::Lower`]: fallen below it)? No baseline is looked at.
pub fn rate_bound(strata: &[Stratum], max: f64, ask: &Ask) -> Result<Finding, Reason> {
    probability("alpha", ask.alpha)?;
    amount("the bound", max)?;
    if max > 1.0 {
        return Err(Reason::OutOfRange { what: "the bound of a rate", value: max, allowed: "between 0 and 1" });
    }
    match ask.worse {
        Worse::Higher => rates(strata, ask, &[(0.0, max)], true),
        Worse::Lower => Ok(rates(&complement(strata), ask, &[(0.0, 1.0 - max)], true)?.complemented()),
    }
}

/// Has the canary's mean exceeded what the limit allows at the baseline's mean?
///
/// Units: the metric's. Only from between buckets of users, at least 8 with data in each arm: asymptotic, so heavy tails need more
/// units. Degenerate: [`Reason::ZeroVariance`] when all buckets agree exactly; [`Reason::TooFew`] buckets.
/// `clustering` must be [`Clustering::Buckets`]: totals alone say nothing about the spread of independent values.
pub fn mean(strata: &[Stratum], limit: &Limit, ask: &Ask) -> Result<Finding, Reason> {
    check(limit, ask)?;
    means(strata, ask, &[(limit.ratio, 0.0), (1.0, limit.floor)], false)
}

/// Has the canary's mean exceeded `max` (for [`Worse::Lower`]: fallen below it)? As [`mean`], without a baseline.
pub fn mean_bound(strata: &[Stratum], max: f64, ask: &Ask) -> Result<Finding, Reason> {
    probability("alpha", ask.alpha)?;
    if !max.is_finite() {
        return Err(Reason::NotFinite("the bound"));
    }
    means(strata, ask, &[(0.0, max)], true)
}

fn check(limit: &Limit, ask: &Ask) -> Result<(), Reason> {
    probability("alpha", ask.alpha)?;
    amount("the floor", limit.floor)?;
    let ratio = amount("the ratio", limit.ratio)?;
    let (fits, allowed) = match ask.worse {
        Worse::Higher => (ratio >= 1.0, "at least 1"),
        Worse::Lower => (ratio <= 1.0, "at most 1"),
    };
    if fits { Ok(()) } else { Err(Reason::OutOfRange { what: "the ratio", value: ratio, allowed }) }
}

fn complement(strata: &[Stratum]) -> Vec<Stratum> {
    let turn = |stratum: &Stratum| Stratum {
        canary: stratum.canary.complement(),
        baseline: stratum.baseline.complement(),
        ..stratum.clone()
    };
    strata.iter().map(turn).collect()
}

/// The evidence about rates: exact and from buckets.
struct Rates {
    contrast: Contrast,
    groups: Vec<Group>,
    alpha: f64,
    /// May the buckets speak: enough of them, and enough events?
    buckets: bool,
}

impl Rates {
    fn ln_e(&self, slope: f64, offset: f64) -> f64 {
        self.beside(counts::ln_e(&self.groups, slope, offset), slope, offset)
    }

    /// The exact test's evidence and that of the buckets together.
    fn beside(&self, exact: f64, slope: f64, offset: f64) -> f64 {
        let other = if self.buckets { self.by_buckets(slope, offset) } else { f64::NEG_INFINITY };
        ln_average(&[exact, other])
    }

    fn by_buckets(&self, slope: f64, offset: f64) -> f64 {
        self.contrast.score(slope, offset).ln_e(Clock::Variance(SHARPEST_EVENTS), self.alpha, self.contrast.units)
    }
}

/// `lines`: the parts (slope, offset) of the hypothesis, all to be rejected.
fn rates(strata: &[Stratum], ask: &Ask, lines: &[(f64, f64)], absolute: bool) -> Result<Finding, Reason> {
    let contrast = Contrast::new(strata, ask.clustering, true, absolute)?;
    let events = contrast.total + contrast.baseline_total;
    let lacking = contrast.enough_buckets().err();
    let enough = lacking.is_none() && events >= FEWEST_EVENTS;
    let groups = counts::groups(strata, ask.clustering, absolute);
    let rates = Rates { contrast, groups, alpha: ask.alpha, buckets: enough };
    let log_e = lines.iter().map(|(slope, offset)| rates.ln_e(*slope, *offset)).fold(f64::INFINITY, f64::min);
    let slope = if absolute { 0.0 } else { 1.0 };
    let found = &rates.contrast;
    let tilts = Tilts::new(&rates.groups, slope);
    let low_offset = lower_bound(0.0, 1.0, ask.alpha, |x| match &tilts {
        Some(tilts) => rates.beside(tilts.ln_e(x), slope, x),
        None => rates.ln_e(slope, x),
    });
    let low = (low_offset > 0.0).then_some(low_offset).or_else(|| signed_low(found, slope, ask, enough));
    let high = lacking.is_none().then(|| {
        // The other tail: the hypothesis "canary above baseline + x", with the hypothesis' own binomial variance.
        let clock = Clock::Variance(SHARPEST_EVENTS);
        -lower_bound(-1.0, 1.0, ask.alpha, |x| {
            let mut score = found.score(slope, -x);
            score.excess = -score.excess;
            score.ln_e(clock, ask.alpha, found.units)
        })
    });
    let ratio_bound = (!absolute)
        .then(|| lower_bound(-9.0, 14.0, ask.alpha, |log| rates.ln_e(log.exp(), 0.0)))
        .map(f64::exp)
        .filter(|a| *a > 0.001);
    let method = if enough { Method::Both } else { Method::Exact };
    Ok(finding(found, ask, lines, log_e, Bounds { low, high, ratio_bound }, events, method, lacking))
}

/// A lower bound below 0, which only the buckets give.
fn signed_low(found: &Contrast, slope: f64, ask: &Ask, enough: bool) -> Option<f64> {
    if slope == 0.0 {
        return Some(0.0);
    }
    let clock = Clock::Variance(SHARPEST_EVENTS);
    enough.then(|| {
        lower_bound(-1.0, 0.0, ask.alpha, |x| {
            found.score(slope, x).ln_e(clock, ask.alpha, found.units) - std::f64::consts::LN_2
        })
    })
}

fn means(strata: &[Stratum], ask: &Ask, lines: &[(f64, f64)], absolute: bool) -> Result<Finding, Reason> {
    if ask.clustering == Clustering::Independent {
        return Err(Reason::TooFew { what: "buckets of users", have: 0.0, need: super::contrast::FEWEST_BUCKETS });
    }
    let found = Contrast::new(strata, ask.clustering, false, absolute)?;
    found.enough_buckets()?;
    let slope = if absolute { 0.0 } else { 1.0 };
    let base = found.score(slope, 0.0);
    if base.variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let clock = Clock::Units(SHARPEST_UNITS);
    // For `Lower` the excess is turned round; then an offset counts downwards.
    let sign = if ask.worse == Worse::Higher { 1.0 } else { -1.0 };
    let ln_e = |sign: f64, slope: f64, offset: f64| {
        let mut score = found.score(slope, offset);
        score.excess *= sign;
        score.ln_e(clock, ask.alpha, found.units)
    };
    let offset_of = |offset: f64| if absolute { offset } else { sign * offset };
    let log_e = lines.iter().map(|(a, f)| ln_e(sign, *a, offset_of(*f))).fold(f64::INFINITY, f64::min);
    let estimate = base.excess / found.units;
    // No bound is further away than this: 1e4 standard errors.
    let reach = 1e4 * base.variance.sqrt() / found.units;
    let low = lower_bound(estimate - reach, estimate, ask.alpha, |x| ln_e(1.0, slope, x));
    let high = -lower_bound(-estimate - reach, -estimate, ask.alpha, |x| ln_e(-1.0, slope, -x));
    let ratio_bound = (!absolute && found.expected > 0.0)
        .then(|| match ask.worse {
            Worse::Higher => lower_bound(0.0, 1e6, ask.alpha, |a| ln_e(1.0, a, 0.0)),
            Worse::Lower => -lower_bound(-1e6, 0.0, ask.alpha, |a| ln_e(-1.0, -a, 0.0)),
        })
        .filter(|a| *a > 0.0 && *a < 1e6);
    let bounds = Bounds { low: Some(low), high: Some(high), ratio_bound };
    Ok(finding(&found, ask, lines, log_e, bounds, 0.0, Method::Buckets, None))
}

struct Bounds {
    low: Option<f64>,
    high: Option<f64>,
    ratio_bound: Option<f64>,
}

#[expect(clippy::too_many_arguments, reason = "one place that fills in the whole answer, called twice")]
fn finding(
    found: &Contrast,
    ask: &Ask,
    lines: &[(f64, f64)],
    log_e: f64,
    bounds: Bounds,
    events: f64,
    method: Method,
    buckets: Option<Reason>,
) -> Finding {
    let baseline = (found.baseline_units > 0.0).then(|| found.expected / found.units);
    let at = |(slope, offset): &(f64, f64)| slope * baseline.unwrap_or(0.0) + offset;
    let down = method == Method::Buckets && ask.worse == Worse::Lower && baseline.is_some();
    let allowed = if down {
        let at = |(slope, offset): &(f64, f64)| slope * baseline.unwrap_or(0.0) - offset;
        lines.iter().map(at).fold(f64::INFINITY, f64::min)
    } else {
        lines.iter().map(at).fold(f64::NEG_INFINITY, f64::max)
    };
    let df = lines.iter().map(|(slope, offset)| found.score(*slope, *offset).df).fold(f64::INFINITY, f64::min);
    Finding {
        exceeded: log_e >= -ask.alpha.ln(),
        log_e,
        p: p_value(log_e),
        canary: found.total / found.units,
        baseline,
        allowed,
        low: bounds.low,
        high: bounds.high,
        ratio_bound: bounds.ratio_bound,
        events,
        units: found.units,
        baseline_units: found.baseline_units,
        df,
        method,
        buckets,
    }
}

impl Finding {
    /// The same, said of the complement of the rate.
    fn complemented(self) -> Finding {
        let absolute = self.baseline.is_none();
        let turn = |x: f64| if absolute { 1.0 - x } else { -x };
        Finding {
            canary: 1.0 - self.canary,
            baseline: self.baseline.map(|x| 1.0 - x),
            allowed: 1.0 - self.allowed,
            low: self.high.map(turn),
            high: self.low.map(turn),
            ratio_bound: None,
            ..self
        }
    }
}
