//! Totals with a beginning, and the readings from which the next increment is taken.
//!
//! A proxy is measured from its first reading in the window on: what it had counted before may belong to other weights. One that restarts
//! counts from nothing; what it had counted since its last reading is lost, for all variants alike. One that does not answer for a
//! while is caught up with its next reading. Readings are kept in memory alone: after a restart of the program the first
//! reading only says where to count from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Snapshot, Totals};

/// The last reading of each proxy.
#[derive(Debug, Clone, Default)]
pub struct Readings(BTreeMap<String, Arc<Snapshot>>);

/// What happened when readings were taken in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Taken {
    /// The increments of all proxies together.
    pub(crate) increment: Totals,
    /// Proxies whose reading continued an earlier one.
    pub(crate) continued: usize,
    /// Proxies that restarted since their last reading.
    pub(crate) restarted: Vec<String>,
}

impl Readings {
    /// Forgets all: the next readings only say where to count from.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes in new readings and gives the increments of all proxies together since their last ones.
    pub fn take_in<'a>(&mut self, new: impl IntoIterator<Item = (&'a str, &'a Arc<Snapshot>)>) -> Totals {
        self.take(new).increment
    }

    /// Takes in new readings. One that is known already is left out.
    pub(crate) fn take<'a>(&mut self, new: impl IntoIterator<Item = (&'a str, &'a Arc<Snapshot>)>) -> Taken {
        let mut taken = Taken::default();
        for (proxy, now) in new {
            if let Some(before) = self.0.get(proxy) {
                if now.taken_ms == before.taken_ms {
                    continue;
                }
                if restarted(now, before) {
                    taken.restarted.push(proxy.to_owned());
                    taken.increment.add(now, None);
                } else {
                    taken.increment.add(now, Some(before));
                }
                taken.continued += 1;
            }
            self.0.insert(proxy.to_owned(), Arc::clone(now));
        }
        taken
    }
}

/// Whether a proxy restarted between two readings: it has not been up for as long as that, or a counter fell.
fn restarted(now: &Snapshot, before: &Snapshot) -> bool {
    // `server.uptime` has whole seconds, and the reading itself takes time.
    const SLACK_MS: u64 = 2_000;
    let between = now.taken_ms.saturating_sub(before.taken_ms);
    if now.uptime_ms.is_some_and(|up| up.saturating_add(SLACK_MS) < between)
        || matches!((now.uptime_ms, before.uptime_ms), (Some(now), Some(before)) if now < before)
    {
        return true;
    }
    let fell = before.variants.iter().any(|(variant, segments)| {
        segments.iter().any(|(segment, then)| {
            match now.variants.get(variant).and_then(|s| s.get(segment)) {
                Some(counters) => !counters.follows(then),
                // A series that is gone: Envoy forgets none in one life.
                None => then.requests > 0,
            }
        })
    });
    let shadow_fell = before.shadow.iter().any(|(segment, then)| match now.shadow.get(segment) {
        Some(pairs) => !pairs.follows(then),
        None => then.comparisons() > 0,
    });
    fell || shadow_fell
        || before.misrouted.iter().any(|(variant, then)| now.misrouted.get(variant).copied().unwrap_or(0) < *then)
}

/// Totals since a step's clock started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it began, unix ms.
    pub since_ms: u64,
    /// When the last increment was added, unix ms.
    pub until_ms: u64,
    /// Time in which the proxies were measured, ms.
    pub measured_ms: u64,
    /// What was counted.
    pub totals: Totals,
}

impl Window {
    /// An empty window that begins at `now_ms`.
    pub fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, until_ms: now_ms, ..Self::default() }
    }

    /// Adds an increment that took `measured_ms`.
    pub fn add(&mut self, now_ms: u64, measured_ms: u64, increment: &Totals) {
        self.until_ms = now_ms;
        self.measured_ms += measured_ms;
        self.totals.merge(increment);
    }
}
