//! Sums of increments over proxies and time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counters, Shadowed, Snapshot};

/// What was counted by all proxies together in some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// By variant, then by segment.
    pub variants: BTreeMap<String, BTreeMap<String, Counters>>,
    /// Misrouted requests by variant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub misrouted: BTreeMap<String, u64>,
    /// What the copies were answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<Counters>,
    /// Compared copies by segment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shadow: BTreeMap<String, Shadowed>,
}

impl Totals {
    /// Adds what one proxy counted between two readings; `before` is none when the proxy restarted in between, and then all
    /// that it shows is new.
    pub(super) fn add(&mut self, now: &Snapshot, before: Option<&Snapshot>) {
        for (variant, segments) in &now.variants {
            let then = before.and_then(|b| b.variants.get(variant));
            if !self.variants.contains_key(variant) {
                self.variants.insert(variant.clone(), BTreeMap::new());
            }
            let Some(mine) = self.variants.get_mut(variant) else { continue };
            for (segment, counters) in segments {
                let then = then.and_then(|t| t.get(segment));
                if !mine.contains_key(segment) {
                    mine.insert(segment.clone(), Counters::default());
                }
                if let Some(total) = mine.get_mut(segment) {
                    total.add(counters, then);
                }
            }
        }
        for (variant, count) in &now.misrouted {
            let then = before.and_then(|b| b.misrouted.get(variant)).copied().unwrap_or(0);
            *self.misrouted.entry(variant.clone()).or_default() += count.saturating_sub(then);
        }
        for (segment, pairs) in &now.shadow {
            let then = before.and_then(|b| b.shadow.get(segment));
            self.shadow.entry(segment.clone()).or_default().add(pairs, then);
        }
        if let Some(copies) = &now.copies {
            // A proxy whose copies were not read before has shown all it ever answered: no increment is known.
            if before.is_none() || before.is_some_and(|b| b.copies.is_some()) {
                let then = before.and_then(|b| b.copies.as_ref());
                self.copies.get_or_insert_default().add(copies, then);
            }
        }
    }

    /// Adds other totals.
    pub fn merge(&mut self, other: &Self) {
        for (variant, segments) in &other.variants {
            let mine = self.variants.entry(variant.clone()).or_default();
            for (segment, counters) in segments {
                mine.entry(segment.clone()).or_default().add(counters, None);
            }
        }
        for (variant, count) in &other.misrouted {
            *self.misrouted.entry(variant.clone()).or_default() += count;
        }
        for (segment, pairs) in &other.shadow {
            self.shadow.entry(segment.clone()).or_default().add(pairs, None);
        }
        if let Some(copies) = &other.copies {
            self.copies.get_or_insert_default().add(copies, None);
        }
    }

    /// Requests of a variant that finished, over all segments.
    pub fn finished(&self, variant: &str) -> u64 {
        self.variants.get(variant).map_or(0, |s| s.values().map(Counters::finished).sum())
    }

    /// Requests of a variant that started, over all segments.
    pub fn requests(&self, variant: &str) -> u64 {
        self.variants.get(variant).map_or(0, |s| s.values().map(|c| c.requests).sum())
    }

    /// Compared copies, over all segments.
    pub fn comparisons(&self) -> u64 {
        self.shadow.values().map(Shadowed::comparisons).sum()
    }

    /// Misrouted requests of all variants.
    pub fn misrouted(&self) -> u64 {
        self.misrouted.values().sum()
    }
}
