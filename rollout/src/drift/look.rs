//! One window held against the reference.

use serde::{Deserialize, Serialize};

use super::decline::of_decline;
use super::distributions::{Distribution, distributions};
use super::{Told, Watch};
use crate::measure::{Counters, Totals};
use crate::state::Baseline;
use crate::stats::drift::{Finding, share_of_alpha};
use crate::text::trimmed;

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
    /// Of what: `latency`, `prediction score`, `answers without a failure`, `goal purchase`, `successes`, `values`.
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
    /// Of a distribution: how much of the reference and of the window lies in each bin that is compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// One bin of a distribution, then and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its upper edge (of times in milliseconds), or the class.
    pub bin: String,
    /// Share of the reference's values, 0 to 1.
    pub reference: f64,
    /// Share of the window's.
    pub now: f64,
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
/// most `alpha`. Totals of the reference are looked up under its own variant. `told` are the outcomes of both times.
pub fn look(
    watch: &Watch,
    reference: &Baseline,
    totals: &Totals,
    told: &Told,
    number: u32,
    (since_ms, until_ms): (u64, u64),
) -> Look {
    let was = merged(&reference.totals, &reference.variant);
    let now = merged(totals, &watch.variant);
    let requests = now.finished();
    let distributions = distributions(watch, &was, &now);
    let measures_of = |distribution: &Distribution| if distribution.has_order() { 2 } else { 1 };
    let measures = distributions.iter().map(|(_, d)| measures_of(d)).sum::<usize>() + watch.performance.len();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let alpha = share_of_alpha(watch.alpha, number) / measures.max(1) as f64;
    let few = [(was.finished(), "the reference"), (requests, "the window")]
        .into_iter()
        .find(|(count, _)| *count < watch.min_requests)
        .map(|(count, which)| format!("{which} has {count} finished requests, {} are needed", watch.min_requests));
    let mut found = Vec::new();
    for (name, distribution) in &distributions {
        let limits = watch.limits(name);
        for (measure, limit) in [("psi", limits.psi), ("ks", limits.ks)].into_iter().take(measures_of(distribution)) {
            let result = match &few {
                Some(few) => Err(few.clone()),
                None => distribution.distance(measure, alpha),
            };
            let parts = distribution.parts();
            found.push(Measure { parts, ..of_distance(name, measure, limit, result) });
        }
    }
    for performance in &watch.performance {
        found.push(of_decline(performance, [&was, &now], told, alpha, few.as_deref()));
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

pub(super) fn of_distance(name: &str, measure: &str, limit: f64, found: Result<Finding, String>) -> Measure {
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
        parts: Vec::new(),
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

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(super) fn f(count: u64) -> f64 {
    count as f64
}
