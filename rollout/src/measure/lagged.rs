//! Counters as they were some time ago: a request that started a moment ago is not unfinished, it is on its way.
//!
//! Two readings of the started requests are kept, one at least [`Lagged::GRACE_MS`] old; what has not finished by now of those
//! is unfinished.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Counters, Replicates, Totals};

/// Started requests of a window at two earlier times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lagged {
    /// The older one; at least the grace old once it is there.
    old: Option<(u64, Arc<Totals>)>,
    /// The one that will take its place.
    next: Option<(u64, Arc<Totals>)>,
}

impl Lagged {
    /// How long a request may take before it counts as unfinished, ms: Envoy's default timeout of a route.
    pub const GRACE_MS: u64 = 15_000;

    /// Notes what had started at `now_ms`. `grace_ms`: how long a request may take, at most [`Self::GRACE_MS`]; less in steps that
    /// are themselves short.
    pub(crate) fn note(&mut self, now_ms: u64, grace_ms: u64, totals: &Totals) {
        if self.next.as_ref().is_some_and(|(at, _)| now_ms.saturating_sub(*at) >= grace_ms.min(Self::GRACE_MS)) {
            self.old = self.next.take();
        }
        if self.next.is_none() {
            self.next = Some((now_ms, Arc::new(started(totals))));
        }
    }

    /// What had started of the window, the grace ago; none before that.
    pub(crate) fn of_window(&self) -> Option<&Totals> {
        self.old.as_ref().map(|(_, totals)| &**totals)
    }

    /// The same of a later part of the window, of which `whole` and `part` are the totals now.
    pub(crate) fn of_part(&self, whole: &Totals, part: &Totals) -> Option<Totals> {
        let mut then = self.of_window()?.clone();
        for (variant, segments) in &mut then.variants {
            for (segment, counters) in segments {
                let (whole, part) = (replicates(whole, variant, segment), replicates(part, variant, segment));
                let requests = |of: &[Replicates], bucket: usize| of.get(bucket).map_or(0, |r| r.requests);
                for (bucket, replicate) in counters.replicates.iter_mut().enumerate() {
                    let before = requests(whole, bucket).saturating_sub(requests(part, bucket));
                    replicate.requests = replicate.requests.saturating_sub(before);
                }
            }
        }
        Some(then)
    }
}

/// Its buckets; none where it was not seen.
fn replicates<'t>(totals: &'t Totals, variant: &str, segment: &str) -> &'t [Replicates] {
    let counters = totals.variants.get(variant).and_then(|segments| segments.get(segment));
    counters.map_or(&[], |counters| counters.replicates.as_slice())
}

/// Started requests alone.
fn started(totals: &Totals) -> Totals {
    let of = |counters: &Counters| Counters {
        requests: counters.requests,
        replicates: counters
            .replicates
            .iter()
            .map(|r| Replicates { requests: r.requests, ..Replicates::default() })
            .collect(),
        ..Counters::default()
    };
    let segments = |s: &std::collections::BTreeMap<String, Counters>| {
        s.iter().map(|(name, counters)| (name.clone(), of(counters))).collect()
    };
    Totals { variants: totals.variants.iter().map(|(v, s)| (v.clone(), segments(s))).collect(), ..Totals::default() }
}
