//! Series of predictions (`headgate_prediction_*`): numbers and classes by bin and bucket of users, and what could not be read.

use headgate_rollout::measure::{BUCKETS, Snapshot};

use super::envoy::slot;
use crate::exposition::Labels;

/// Takes one series in, `what` being its name after `headgate_prediction_`. None of another route, or that is not as the filter
/// writes it.
pub(super) fn take(snapshot: &mut Snapshot, what: &str, labels: &Labels<'_>, value: u64, wanted: &str) -> Option<()> {
    let (mut route, mut variant, mut segment, mut prediction, mut bin, mut bucket) = ("", "", "", "", "", "");
    for (name, value) in labels.iter() {
        match name {
            "route" => route = value,
            "variant" => variant = value,
            "segment" => segment = value,
            "prediction" => prediction = value,
            "up_to" | "class" | "reason" => bin = value,
            "bucket" => bucket = value,
            _ => {}
        }
    }
    if route != wanted || bin.is_empty() {
        return None;
    }
    let counters = slot(snapshot, variant, segment)?;
    let of = counters.predictions.entry(prediction.to_owned()).or_default();
    let bins = match what {
        "values" => &mut of.values,
        "classes" => &mut of.classes,
        "unread" => {
            *of.unread.entry(bin.to_owned()).or_default() += value;
            return Some(());
        }
        _ => return None,
    };
    let bucket = bucket.parse::<usize>().ok()?;
    if !bins.contains_key(bin) {
        bins.insert(bin.to_owned(), vec![0; BUCKETS]);
    }
    *bins.get_mut(bin)?.get_mut(bucket)? += value;
    Some(())
}
