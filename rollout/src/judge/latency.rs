//! Quantiles of latency and of the time to response headers.

use super::sides::{Sides, sides};
use super::{Case, Evidence, alphas, beyond, by_threshold, f, quantile_of, segments};
use crate::file::Metric;
use crate::measure::{Counters, Histogram};
use crate::plan::{Bound, Criterion};
use crate::stats::compare::Limit;
use crate::stats::quantile::{self, Ask, Pair};
use crate::stats::{Arm, design, histogram};

/// Measures a quantile in the whole step and in its newest part, with where the baseline comes from.
pub(super) fn measure(case: &Case<'_>, criterion: &Criterion) -> (Evidence, String) {
    let (alpha, alpha_recent) = alphas(criterion, case.recent.map_or(1, |r| r.block));
    let found = sides(case, &case.window.totals);
    let measured = |sides: &Sides<'_>, alpha, full| of(case, criterion, sides, alpha, full);
    let mut evidence = segments::of_sides(&found, alpha, case.full, measured);
    if !evidence.exceeded
        && !by_threshold(case)
        && let Some(recent) = case.recent
    {
        let newest = segments::of_sides(&sides(case, &recent.window.totals), alpha_recent, false, measured);
        if newest.exceeded {
            evidence = newest;
        }
    }
    (evidence, found.from)
}

fn of(case: &Case<'_>, criterion: &Criterion, sides: &Sides<'_>, alpha: f64, full: bool) -> Evidence {
    let metric = criterion.metric;
    let relative = criterion.bound.is_relative();
    let seen = |c: &Counters| pick(metric, c).count > 0;
    let compared: Vec<_> = sides
        .each
        .iter()
        .filter(|s| seen(&s.canary) && (!relative || s.baseline.as_deref().is_some_and(seen)))
        .collect();
    let samples: u64 = compared.iter().map(|s| pick(metric, &s.canary).count).sum();
    if samples == 0 {
        return if sides.each.iter().any(|s| seen(&s.canary)) {
            Evidence::unmeasured("there is no latency of the stable version to compare with")
        } else {
            Evidence::open("no latency of the new version was seen")
        };
    }
    let q = quantile_of(metric);
    let measured = mixed(compared.iter().map(|s| (1.0, pick(metric, &s.canary))), q);
    let (canary, error) = (measured.map(|(value, _)| value), measured.map(|(_, width)| width));
    let baseline = if relative {
        let weighed = compared.iter().filter_map(|s| {
            let theirs = pick(metric, s.baseline.as_deref()?);
            Some((f(pick(metric, &s.canary).count) / f(theirs.count), theirs))
        });
        match mixed(weighed, q) {
            Some((value, _)) => Some(value),
            None => {
                return Evidence::unmeasured(
                    "the stable version's quantile lies above the last bucket of the histogram",
                );
            }
        }
    } else {
        None
    };
    let limit = criterion.bound.limit(baseline.unwrap_or(0.0));
    let mut evidence =
        Evidence { measured: canary, error, baseline, limit: Some(limit), samples, ..Evidence::default() };
    // A quantile above the last bucket is above every limit that can be seen.
    let wrong = canary.is_none_or(|value| beyond(criterion, value, limit));
    evidence.beyond = wrong;
    if canary.is_none() {
        evidence.undecided = Some("it lies above the last bucket of the histogram".to_owned());
    }
    if by_threshold(case) {
        evidence.exceeded = wrong && samples >= super::needed(case);
        return evidence;
    }
    if !wrong && !full {
        return evidence;
    }
    let largest = |counters: &mut dyn Iterator<Item = &Counters>| -> f64 {
        counters.map(|c| design_effect(c, pick(metric, c))).fold(1.0, f64::max)
    };
    let of_baseline = largest(&mut compared.iter().filter_map(|s| s.baseline.as_deref()));
    let of_canary = if sides.copies { of_baseline } else { largest(&mut compared.iter().map(|s| &*s.canary)) };
    // Few buckets show little of how far users differ: of the two versions the larger effect holds for both.
    let larger = of_canary.max(of_baseline);
    let ask = Ask { q, alpha, canary_effect: larger, baseline_effect: larger, buckets: crate::measure::BUCKETS };
    let found = match criterion.bound {
        Bound::Max { value } | Bound::Min { value } => {
            let histograms: Result<Vec<_>, _> = compared.iter().map(|s| theirs(pick(metric, &s.canary))).collect();
            histograms.and_then(|h| quantile::bound(&h, value, &ask))
        }
        Bound::Rise { by } | Bound::Drop { by } | Bound::NotWorse { margin: by, .. } => {
            pairs(&compared, metric).and_then(|p| quantile::compare(&p, &Limit { ratio: 1.0, floor: by }, &ask))
        }
        Bound::Ratio { factor, floor } => {
            pairs(&compared, metric).and_then(|p| quantile::compare(&p, &Limit { ratio: factor, floor }, &ask))
        }
    };
    match found {
        Ok(finding) => {
            evidence.exceeded = finding.exceeded && wrong;
            evidence.lower = finding.canary_low;
            evidence.upper = finding.canary_high;
        }
        Err(reason) => evidence.undecided = Some(reason.to_string()),
    }
    evidence
}

fn pairs(compared: &[&super::sides::Side<'_>], metric: Metric) -> Result<Vec<Pair>, crate::stats::Reason> {
    compared
        .iter()
        .filter_map(|s| Some((pick(metric, &s.canary), pick(metric, s.baseline.as_deref()?))))
        .map(|(canary, baseline)| {
            // One list of bounds for both: a kept baseline may differ in the last digits.
            let edges = if baseline.same_bounds(canary) { &canary.bounds } else { &baseline.bounds };
            Ok(Pair { canary: theirs(canary)?, baseline: with_edges(baseline, edges)? })
        })
        .collect()
}

/// How much users who come back blow up the variance of counts of latencies: estimated for the mean, whose sums are kept by bucket.
fn design_effect(counters: &Counters, of: &Histogram) -> f64 {
    let mut arm = Arm::default();
    for (bucket, replicate) in counters.replicates.iter().enumerate() {
        arm.add(bucket, f(replicate.finished), f(replicate.latency_us));
    }
    theirs(of).map_or(1.0, |h| design::of_mean(&arm, h.variance()).max(1.0))
}

fn pick(metric: Metric, counters: &Counters) -> &Histogram {
    match metric {
        Metric::HeadersP50 | Metric::HeadersP95 | Metric::HeadersP99 => &counters.headers,
        _ => &counters.latency,
    }
}

/// A histogram in the statistics' form.
fn theirs(histogram: &Histogram) -> Result<histogram::Histogram, crate::stats::Reason> {
    with_edges(histogram, &histogram.bounds)
}

fn with_edges(histogram: &Histogram, edges: &[f64]) -> Result<histogram::Histogram, crate::stats::Reason> {
    let cumulative: Vec<f64> = histogram.cumulative.iter().chain([&histogram.count]).map(|c| f(*c)).collect();
    histogram::Histogram::from_cumulative(edges.to_vec(), &cumulative)
}

/// The quantile of a mix of histograms, by straight lines within buckets, and the width of its bucket, which bounds the error; none above the
/// last bound.
fn mixed<'a>(parts: impl Iterator<Item = (f64, &'a Histogram)>, q: f64) -> Option<(f64, f64)> {
    let mut parts = parts.peekable();
    let (first_weight, first) = parts.next()?;
    if parts.peek().is_none() {
        return first.quantile(q);
    }
    let mut cumulative: Vec<f64> = first.cumulative.iter().map(|c| first_weight * f(*c)).collect();
    let mut count = first_weight * f(first.count);
    for (weight, part) in parts {
        if !part.same_bounds(first) {
            continue;
        }
        for (total, more) in cumulative.iter_mut().zip(&part.cumulative) {
            *total += weight * f(*more);
        }
        count += weight * f(part.count);
    }
    let rank = q * count;
    let at = cumulative.partition_point(|c| *c < rank);
    let (high_bound, high) = (*first.bounds.get(at)?, *cumulative.get(at)?);
    let (low_bound, low) = match at.checked_sub(1) {
        Some(below) => (*first.bounds.get(below)?, *cumulative.get(below)?),
        None => (0.0, 0.0),
    };
    let part = if high > low { (rank - low) / (high - low) } else { 1.0 };
    Some((low_bound + part * (high_bound - low_bound), high_bound - low_bound))
}
