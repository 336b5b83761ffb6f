//! One window held against the reference.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Performance, Watch};
use crate::file::Metric;
use crate::measure::{Counters, Histogram as Counted, Totals};
use crate::state::Baseline;
use crate::stats::compare::{self, Ask as Repeated, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::drift::{Ask, Bins, FEWEST_IN_BIN, Finding, decline, population_stability, share_of_alpha, smirnov};
use crate::stats::histogram::Histogram;
use crate::stats::{Arm, Reason, Stratum, design};
use crate::text::trimmed;

/// Bins of a population stability index: tenths of the reference, by custom.
const TENTHS: usize = 10;

/// What a window came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Something drifted.
    Drifted,
    /// Everything could be measured, and nothing drifted.
    Steady,
    /// Nothing is known to have drifted, and something could not be measured.
    Inconclusive,
}

/// One measure of one distribution, or of performance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measure {
    /// Of what: `latency`, `prediction score`, `errorRate`, `goal purchase`.
    pub of: String,
    /// `psi`, `ks` or `decline`.
    pub measure: String,
    /// How large it is; none when it could not be measured.
    pub size: Option<f64>,
    /// From which size on it is drift.
    pub limit: f64,
    /// The size that chance alone may well reach; none for a decline, whose chance is `p`'s.
    pub noise: Option<f64>,
    /// What the distance can be at most, with values within bins unknown.
    pub at_most: Option<f64>,
    /// Chance of such a size if nothing moved.
    pub p: Option<f64>,
    /// The measure in the reference, for a decline.
    pub reference: Option<f64>,
    /// The measure now, for a decline.
    pub now: Option<f64>,
    /// Whether it is drift.
    pub drifted: bool,
    /// Why it could not be measured.
    pub undecided: Option<String>,
    /// In one sentence.
    pub sentence: String,
}

/// What a window showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// Number of the window since the watch began, from 1.
    pub number: u32,
    /// From, unix ms.
    pub since_ms: u64,
    /// To, unix ms.
    pub until_ms: u64,
    /// Finished requests in it.
    pub requests: u64,
    /// What it was held against.
    pub reference: String,
    /// Measure by measure.
    pub measures: Vec<Measure>,
    /// All together.
    pub verdict: Verdict,
    /// In one sentence.
    pub sentence: String,
}

/// Holds the `number`-th window of a variant, `totals` from `since_ms` to `until_ms`, against the reference.
///
/// The look spends its share of alpha ([`share_of_alpha`]), divided among its measures, so that chance alone is ever called drift with at
/// most `alpha`. Totals of the reference are looked up under its own variant.
pub fn look(watch: &Watch, reference: &Baseline, totals: &Totals, number: u32, since_ms: u64, until_ms: u64) -> Look {
    let was = merged(&reference.totals, &reference.variant);
    let now = merged(totals, &watch.variant);
    let requests = now.finished();
    let distributions = distributions(&was, &now);
    let measures = 2 * distributions.len() + watch.performance.len();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let alpha = share_of_alpha(watch.alpha, number) / measures.max(1) as f64;
    let few = [(was.finished(), "the reference"), (requests, "the window")]
        .into_iter()
        .find(|(count, _)| *count < watch.min_requests)
        .map(|(count, which)| format!("{which} has {count} finished requests, {} are needed", watch.min_requests));
    let mut found = Vec::new();
    for (name, (was, now)) in &distributions {
        for (measure, limit) in [("psi", watch.psi), ("ks", watch.ks)] {
            let result = match &few {
                Some(few) => Err(few.clone()),
                None => distance(measure, was, now, alpha).map_err(|e| e.to_string()),
            };
            found.push(of_distance(name, measure, limit, result));
        }
    }
    for performance in &watch.performance {
        found.push(of_decline(performance, &was, &now, alpha, few.as_deref()));
    }
    let verdict = match () {
        () if found.iter().any(|m| m.drifted) => Verdict::Drifted,
        () if found.is_empty() || found.iter().any(|m| m.undecided.is_some()) => Verdict::Inconclusive,
        () => Verdict::Steady,
    };
    let sentence = together(&found, verdict, few.as_deref(), &reference.name);
    Look { number, since_ms, until_ms, requests, reference: reference.name.clone(), measures: found, verdict, sentence }
}

/// One sentence for all.
fn together(found: &[Measure], verdict: Verdict, few: Option<&str>, reference: &str) -> String {
    let said = |keep: fn(&Measure) -> bool| {
        found.iter().filter(|m| keep(m)).map(|m| m.sentence.as_str()).collect::<Vec<_>>().join("; ")
    };
    match verdict {
        Verdict::Drifted => format!("drift against {reference}: {}", said(|m| m.drifted)),
        Verdict::Steady => format!("no drift against {reference}: {}", said(|_| true)),
        Verdict::Inconclusive => match few {
            Some(few) => format!("not known: {few}"),
            None => format!("not known: {}", said(|m| m.undecided.is_some())),
        },
    }
}

/// All segments of a variant together.
fn merged(totals: &Totals, variant: &str) -> Counters {
    let mut all = Counters::default();
    for counters in totals.variants.get(variant).into_iter().flat_map(|s| s.values()) {
        all.merge(counters);
    }
    all
}

/// A distribution's values, with the design effect of their counts and from how many buckets that was estimated.
struct Values {
    histogram: Result<Histogram, Reason>,
    effect: f64,
    buckets: usize,
}

fn distributions(was: &Counters, now: &Counters) -> BTreeMap<String, (Values, Values)> {
    let mut out = BTreeMap::new();
    // Bounds that went through JSON may differ in their last digit.
    let bounds = if was.latency.same_bounds(&now.latency) { &now.latency.bounds } else { &was.latency.bounds };
    out.insert("latency".to_owned(), (latency(was, bounds), latency(now, &now.latency.bounds)));
    out
}

fn latency(counters: &Counters, bounds: &[f64]) -> Values {
    let histogram = histogram(&counters.latency, bounds);
    let mut arm = Arm::default();
    for (bucket, replicate) in counters.replicates.iter().enumerate() {
        arm.add(bucket, f(replicate.finished), f(replicate.latency_us));
    }
    let variance = histogram.as_ref().map_or(0.0, Histogram::variance);
    Values { effect: design::of_mean(&arm, variance), buckets: arm.occupied(), histogram }
}

fn histogram(counted: &Counted, bounds: &[f64]) -> Result<Histogram, Reason> {
    let mut cumulative: Vec<f64> = counted.cumulative.iter().map(|c| f(*c)).collect();
    cumulative.push(f(counted.count));
    Histogram::from_cumulative(bounds.to_vec(), &cumulative)
}

fn distance(measure: &str, was: &Values, now: &Values, alpha: f64) -> Result<Finding, Reason> {
    let (was_counts, now_counts) = (was.histogram.clone()?, now.histogram.clone()?);
    let ask = Ask {
        alpha,
        reference_effect: was.effect * design::margin(was.buckets, alpha),
        now_effect: now.effect * design::margin(now.buckets, alpha),
    };
    if measure == "ks" {
        return smirnov(&was_counts, &now_counts, &ask);
    }
    let bins = Bins::new(&was_counts, TENTHS)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful of bins")]
    let need = FEWEST_IN_BIN * bins.len() as f64;
    for (counts, effect) in [(&was_counts, ask.reference_effect), (&now_counts, ask.now_effect)] {
        let have = counts.total() / effect;
        if have < need {
            return Err(Reason::TooFew { what: "independent values", have, need });
        }
    }
    population_stability(&bins.counts(&was_counts)?, &bins.counts(&now_counts)?, &ask)
}

fn of_distance(name: &str, measure: &str, limit: f64, found: Result<Finding, String>) -> Measure {
    let called = match measure {
        "psi" => "population stability index",
        _ => "Kolmogorov-Smirnov distance",
    };
    let mut out = Measure {
        of: name.to_owned(),
        measure: measure.to_owned(),
        size: None,
        limit,
        noise: None,
        at_most: None,
        p: None,
        reference: None,
        now: None,
        drifted: false,
        undecided: None,
        sentence: String::new(),
    };
    match found {
        Ok(found) => {
            out.drifted = found.moved(limit);
            out.size = Some(found.size);
            out.noise = Some(found.noise);
            out.at_most = Some(found.at_most);
            out.p = Some(found.p);
            let (size, limit, noise) = (trimmed(found.size, 3), trimmed(limit, 3), trimmed(found.noise, 3));
            out.sentence = if out.drifted {
                format!("{name} moved: {called} {size}, drift from {limit} on, chance makes {noise} at most")
            } else if found.size >= out.limit {
                format!("{name}: {called} {size} reaches {limit}, but chance alone may make {noise}")
            } else {
                format!("{name}: {called} {size}, below {limit}")
            };
        }
        Err(why) => {
            out.sentence = format!("{name}: {called} is not known: {why}");
            out.undecided = Some(why);
        }
    }
    out
}

fn of_decline(performance: &Performance, was: &Counters, now: &Counters, alpha: f64, few: Option<&str>) -> Measure {
    let name = match &performance.goal {
        Some(goal) => format!("goal {goal}"),
        None => "answers without a failure".to_owned(),
    };
    let limit = performance.decline;
    let mut out = Measure { of: name.clone(), ..of_distance(&name, "decline", limit, Err(String::new())) };
    let (was_arm, now_arm) = (arm(performance, was), arm(performance, now));
    let stratum = Stratum { name: name.clone(), canary: now_arm.clone(), baseline: was_arm.clone(), share: None };
    let ask = Repeated { alpha, worse: Worse::Lower, clustering: Clustering::Buckets };
    let level = Limit { ratio: 1.0, floor: 0.0 };
    let fallen = (was_arm.mean(), now_arm.mean());
    let found = match (few, fallen) {
        (Some(few), _) => Err(few.to_owned()),
        (None, (Some(was), Some(now))) => decline(was, now)
            .and_then(|size| {
                // What has not declined needs no proof that it has.
                if size < limit {
                    return Ok((size, None));
                }
                let strata = std::slice::from_ref(&stratum);
                let found = match performance.metric {
                    Metric::Goal => compare::mean(strata, &level, &ask),
                    _ => compare::rate(strata, &level, &ask),
                }?;
                Ok((size, Some(found)))
            })
            .map_err(|e| e.to_string()),
        (None, _) => {
            Err("it is not counted in buckets of users: `metrics.replicates` of the plugin configuration".to_owned())
        }
    };
    (out.reference, out.now) = fallen;
    match found {
        Ok((size, found)) => {
            out.undecided = None;
            out.size = Some(size);
            out.p = found.as_ref().map(|f| f.p);
            out.drifted = found.is_some_and(|f| f.exceeded);
            let percent = |share: f64| format!("{} %", trimmed(share * 100.0, 2));
            let (from, to) = (percent(fallen.0.unwrap_or(0.0)), percent(fallen.1.unwrap_or(0.0)));
            out.sentence = if out.drifted {
                format!(
                    "{name} declined by {} from {from} to {to}, more than {} and beyond chance",
                    percent(size),
                    percent(limit)
                )
            } else if size >= limit {
                format!("{name} declined by {} from {from} to {to}, which chance alone may make", percent(size))
            } else if size >= 0.0 {
                format!("{name}: {to}, {} below {from}", percent(size))
            } else {
                format!("{name}: {to}, {} above {from}", percent(-size))
            };
        }
        Err(why) => {
            out.sentence = format!("{name}: a decline is not known: {why}");
            out.undecided = Some(why);
        }
    }
    out
}

/// A performance measure by buckets of users: units, and what of them was good.
fn arm(performance: &Performance, counters: &Counters) -> Arm {
    let mut arm = Arm::default();
    match &performance.goal {
        Some(goal) => {
            for (bucket, (reached, exposed)) in counters.conversions(goal).enumerate() {
                arm.add(bucket, f(exposed), f(reached));
            }
        }
        None => {
            for (bucket, r) in counters.replicates.iter().enumerate() {
                arm.add(bucket, f(r.finished), f(r.finished.saturating_sub(r.failures)));
            }
        }
    }
    arm
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn f(count: u64) -> f64 {
    count as f64
}
