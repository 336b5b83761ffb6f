//! What a proxy counted of compared copies (`headgate_shadow_*`), from its page of statistics: increments of nothing, only what stands there.
//!
//! Pairs count on both sides: what users got, and what the shadow answered to the same requests or failed to. Envoy shows no classes of them, so
//! each is a success or a failure.

use headgate_rollout::measure::{BUCKETS, Counters, Histogram, Replicates, Shadowed, Snapshot};

use crate::exposition::Labels;

/// One side of a pair.
fn side<'s>(pairs: &'s mut Shadowed, labels: &Labels<'_>) -> Option<&'s mut Counters> {
    match labels.iter().find(|(name, _)| *name == "side").map(|(_, value)| value) {
        Some("primary") => Some(&mut pairs.primary),
        Some("shadow") => Some(&mut pairs.shadow),
        _ => None,
    }
}

/// The pairs that labels belong to; `None` for other routes.
fn place<'s>(snapshot: &'s mut Snapshot, labels: &Labels<'_>, route: &str) -> Option<&'s mut Shadowed> {
    let find = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    if find("route") != Some(route) {
        return None;
    }
    let segment = find("segment").unwrap_or("default");
    if !snapshot.shadow.contains_key(segment) {
        snapshot.shadow.insert(segment.to_owned(), Shadowed::default());
    }
    snapshot.shadow.get_mut(segment)
}

/// Takes in a counter by bucket of users; `what` is its name after `headgate_shadow_replicate_`.
pub(super) fn replicate(snapshot: &mut Snapshot, what: &str, labels: &Labels<'_>, value: u64, route: &str) {
    let bucket = labels.iter().find(|(name, _)| *name == "bucket").and_then(|(_, value)| value.parse::<usize>().ok());
    let Some(bucket) = bucket.filter(|bucket| *bucket < BUCKETS) else { return };
    let Some(pairs) = place(snapshot, labels, route) else { return };
    match what {
        "compared" | "mismatched" => {
            let list = if what == "compared" { &mut pairs.compared } else { &mut pairs.mismatched };
            list.resize(BUCKETS, 0);
            if let Some(count) = list.get_mut(bucket) {
                *count += value;
            }
        }
        "pairs" => {
            for counters in [&mut pairs.primary, &mut pairs.shadow] {
                if let Some(cell) = cell(counters, bucket) {
                    cell.requests += value;
                    cell.finished += value;
                }
            }
        }
        "failures" => {
            if let Some(cell) = side(pairs, labels).and_then(|counters| cell(counters, bucket)) {
                cell.failures += value;
            }
        }
        "latency_us" => {
            if let Some(cell) = side(pairs, labels).and_then(|counters| cell(counters, bucket)) {
                cell.latency_us += value;
            }
        }
        _ => {}
    }
}

fn cell(counters: &mut Counters, bucket: usize) -> Option<&mut Replicates> {
    counters.replicates.resize(BUCKETS, Replicates::default());
    counters.replicates.get_mut(bucket)
}

/// Takes in a side's latencies.
pub(super) fn latency(snapshot: &mut Snapshot, labels: &Labels<'_>, histogram: Histogram, route: &str) {
    if let Some(counters) = place(snapshot, labels, route).and_then(|pairs| side(pairs, labels)) {
        counters.latency = Histogram { sum: counters.latency.sum, ..histogram };
    }
}

/// Takes in the sum of a side's latencies.
pub(super) fn latency_sum(snapshot: &mut Snapshot, labels: &Labels<'_>, sum: f64, route: &str) {
    if let Some(counters) = place(snapshot, labels, route).and_then(|pairs| side(pairs, labels)) {
        counters.latency.sum = sum;
    }
}

/// Adds up what stands by bucket.
pub(super) fn finish(snapshot: &mut Snapshot) {
    for pairs in snapshot.shadow.values_mut() {
        for counters in [&mut pairs.primary, &mut pairs.shadow] {
            let of = |f: fn(&Replicates) -> u64| counters.replicates.iter().map(f).sum::<u64>();
            let (all, failed) = (of(|r| r.finished), of(|r| r.failures));
            counters.requests = all;
            counters.classes = [0, all.saturating_sub(failed), 0, 0, failed.min(all), 0];
        }
    }
}
