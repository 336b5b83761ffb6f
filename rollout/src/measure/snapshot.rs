//! One reading of one proxy's counters of one route.
//!
//! Filled by whoever reads `/stats` (the series are described in `docs/metrics.md`). Only requests that the hash assigned belong
//! here (`assigned="hash"`): testers and listed users are no random sample.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Histogram, Predicted};

/// Replicate buckets of users.
pub const BUCKETS: usize = headgate_contract::limits::REPLICATES as usize;

/// One reading of one proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// When it was taken, unix ms.
    pub taken_ms: u64,
    /// How long the proxy had been up then (`server.uptime`), ms; tells a restart that outran the counters. None: not shown.
    pub uptime_ms: Option<u64>,
    /// Counters by variant, then by segment (`default` outside of all), of hash-assigned requests.
    pub variants: BTreeMap<String, BTreeMap<String, Counters>>,
    /// Requests served by another cluster than their variant's, or by none, by variant (`headgate_misrouted`).
    pub misrouted: BTreeMap<String, u64>,
    /// What the canary's cluster answered, copies included (Envoy's `cluster.*.upstream_rq_*`); read while a step
    /// copies, when nothing else reaches that cluster. None: not read.
    pub copies: Option<Counters>,
    /// Copies that the filter compared (`headgate_shadow_*`), by segment.
    pub shadow: BTreeMap<String, Shadowed>,
}

/// What was counted of one segment's compared copies, since the proxy started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shadowed {
    /// What users got, of the same requests.
    pub primary: Counters,
    /// What the shadow answered, failures to answer included.
    pub shadow: Counters,
    /// Compared pairs by replicate bucket of users, [`BUCKETS`] long or empty.
    pub compared: Vec<u64>,
    /// Of them, those that do not agree.
    pub mismatched: Vec<u64>,
}

impl Shadowed {
    /// Compared pairs.
    pub fn comparisons(&self) -> u64 {
        self.compared.iter().sum()
    }

    /// Whether this may follow `before` in one life of a proxy.
    pub(super) fn follows(&self, before: &Self) -> bool {
        let rises = |now: &[u64], then: &[u64]| then.iter().zip(now).all(|(then, now)| now >= then);
        self.primary.follows(&before.primary)
            && self.shadow.follows(&before.shadow)
            && rises(&self.compared, &before.compared)
            && rises(&self.mismatched, &before.mismatched)
    }

    /// Adds other pairs.
    pub fn merge(&mut self, other: &Self) {
        self.add(other, None);
    }

    /// Adds `now - before`.
    pub(super) fn add(&mut self, now: &Self, before: Option<&Self>) {
        self.primary.add(&now.primary, before.map(|b| &b.primary));
        self.shadow.add(&now.shadow, before.map(|b| &b.shadow));
        let lists = [
            (&mut self.compared, &now.compared, before.map(|b| &b.compared)),
            (&mut self.mismatched, &now.mismatched, before.map(|b| &b.mismatched)),
        ];
        for (total, now, then) in lists {
            if total.len() < now.len() {
                total.resize(now.len(), 0);
            }
            for (at, (total, now)) in total.iter_mut().zip(now).enumerate() {
                *total += now.saturating_sub(then.and_then(|t| t.get(at)).copied().unwrap_or(0));
            }
        }
    }
}

/// What was counted of one variant in one segment, since the proxy started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Requests started (`headgate_requests`, all reasons of the hash).
    pub requests: u64,
    /// Requests finished, by class: 1xx, 2xx, 3xx, 4xx, 5xx, none (a reset without an answer) (`headgate_responses`).
    pub classes: [u64; 6],
    /// gRPC requests finished by status 0 to 16, then other (`headgate_grpc`). They are in `classes` too.
    pub grpc: [u64; 18],
    /// Requests that an upstream did not answer in time (`headgate_timeouts`).
    pub timeouts: u64,
    /// `headgate_latency_us`.
    pub latency: Histogram,
    /// `headgate_headers_us`.
    pub headers: Histogram,
    /// By replicate bucket of users, [`BUCKETS`] long or empty when the configuration keeps none.
    pub replicates: Vec<Replicates>,
    /// Conversions by goal, then by replicate bucket of the user who made them (`headgate_goals`), each [`BUCKETS`] long. A user
    /// who converts twice counts twice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub goals: BTreeMap<String, Vec<u64>>,
    /// What was read of requests and answers, by prediction (`headgate_prediction_*`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub predictions: BTreeMap<String, Predicted>,
}

/// What was counted of one bucket of users (`headgate_replicate_*`); what the configuration does not keep stays 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicates {
    /// Requests started.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    /// Requests finished.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub finished: u64,
    /// 5xx answers, gRPC failures and resets, each request once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u64,
    /// Timeouts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeouts: u64,
    /// Sum of latencies, microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub latency_us: u64,
    /// 4xx answers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub client_errors: u64,
}

/// Most of what is kept by bucket is 0, and there are many buckets: what is not there is 0.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as Serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counters {
    /// Requests finished.
    pub fn finished(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Conversions of a goal and the requests that exposed its users, by replicate bucket; empty where no exposure was kept.
    pub fn conversions<'a>(&'a self, goal: &str) -> impl Iterator<Item = (u64, u64)> + 'a {
        let reached = self.goals.get(goal).map(Vec::as_slice).unwrap_or_default();
        self.replicates.iter().enumerate().map(move |(b, r)| (reached.get(b).copied().unwrap_or(0), r.requests))
    }

    /// Each scalar counter, in one order.
    fn scalars(&self) -> impl Iterator<Item = u64> + '_ {
        [self.requests, self.timeouts].into_iter().chain(self.classes).chain(self.grpc)
    }

    /// Whether this may follow `before` in one life of a proxy: nothing fell.
    pub(super) fn follows(&self, before: &Self) -> bool {
        self.scalars().zip(before.scalars()).all(|(now, then)| now >= then)
            && self.latency.follows(&before.latency)
            && self.headers.follows(&before.headers)
            && before.replicates.iter().zip(&self.replicates).all(|(then, now)| {
                now.requests >= then.requests
                    && now.finished >= then.finished
                    && now.failures >= then.failures
                    && now.timeouts >= then.timeouts
                    && now.latency_us >= then.latency_us
                    && now.client_errors >= then.client_errors
            })
            && before.goals.iter().all(|(goal, then)| {
                let now = self.goals.get(goal).map(Vec::as_slice).unwrap_or_default();
                then.iter().enumerate().all(|(b, then)| now.get(b).copied().unwrap_or(0) >= *then)
            })
            && (before.predictions.iter())
                .all(|(name, then)| self.predictions.get(name).is_some_and(|now| now.follows(then)))
    }

    /// Adds other counters.
    pub fn merge(&mut self, other: &Self) {
        self.add(other, None);
    }

    /// Adds `now - before`; `before` is none after a restart, or when the series did not exist.
    pub(super) fn add(&mut self, now: &Self, before: Option<&Self>) {
        let nothing = Self::default();
        let then = before.unwrap_or(&nothing);
        self.requests += now.requests.saturating_sub(then.requests);
        self.timeouts += now.timeouts.saturating_sub(then.timeouts);
        for ((total, now), then) in self.classes.iter_mut().zip(now.classes).zip(then.classes) {
            *total += now.saturating_sub(then);
        }
        for ((total, now), then) in self.grpc.iter_mut().zip(now.grpc).zip(then.grpc) {
            *total += now.saturating_sub(then);
        }
        self.latency.add(&now.latency, before.map(|b| &b.latency));
        self.headers.add(&now.headers, before.map(|b| &b.headers));
        if self.replicates.len() < now.replicates.len() {
            self.replicates.resize(now.replicates.len(), Replicates::default());
        }
        for (at, (total, now)) in self.replicates.iter_mut().zip(&now.replicates).enumerate() {
            let then = then.replicates.get(at).copied().unwrap_or_default();
            total.requests += now.requests.saturating_sub(then.requests);
            total.finished += now.finished.saturating_sub(then.finished);
            total.failures += now.failures.saturating_sub(then.failures);
            total.timeouts += now.timeouts.saturating_sub(then.timeouts);
            total.latency_us += now.latency_us.saturating_sub(then.latency_us);
            total.client_errors += now.client_errors.saturating_sub(then.client_errors);
        }
        for (name, now) in &now.predictions {
            if !self.predictions.contains_key(name) {
                self.predictions.insert(name.clone(), Predicted::default());
            }
            if let Some(total) = self.predictions.get_mut(name) {
                total.add(now, then.predictions.get(name));
            }
        }
        for (goal, now) in &now.goals {
            if !self.goals.contains_key(goal) {
                self.goals.insert(goal.clone(), Vec::new());
            }
            let Some(total) = self.goals.get_mut(goal) else { continue };
            if total.len() < now.len() {
                total.resize(now.len(), 0);
            }
            let then = then.goals.get(goal).map(Vec::as_slice).unwrap_or_default();
            for (bucket, (total, now)) in total.iter_mut().zip(now).enumerate() {
                *total += now.saturating_sub(then.get(bucket).copied().unwrap_or(0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_0_of_a_bucket_is_not_written_and_is_read_with_and_without() {
        let bucket = Replicates { requests: 7, latency_us: 90, ..Replicates::default() };
        let text = serde_json::to_string(&bucket).unwrap();
        assert_eq!(text, r#"{"requests":7,"latencyUs":90}"#);
        assert_eq!(serde_json::from_str::<Replicates>(&text).unwrap(), bucket);
        let whole = r#"{"requests":7,"finished":0,"failures":0,"timeouts":0,"latencyUs":90,"clientErrors":0}"#;
        assert_eq!(serde_json::from_str::<Replicates>(whole).unwrap(), bucket);
    }
}
