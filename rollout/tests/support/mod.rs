//! A small world around `tick`: proxies that confirm and count, and a virtual clock.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test file uses a part of it, and panics where it should"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_rollout::file::{Problem, Rollout, check};
use headgate_rollout::measure::{Counters, Replicates, Snapshot};
use headgate_rollout::plan::{Plan, Weights};
use headgate_rollout::state::State;
use headgate_rollout::tick::{
    Action, Command, Confirmation, EventKind, InForce, Input, Output, ProxyStatus, Reading, Verb, tick, wanted,
};
use serde_json::{Value, json};

/// A rollout file out of its `spec`, with the obligatory parts filled in.
pub fn rollout(spec: Value) -> Rollout {
    let mut whole = json!({"target": "target.yaml", "route": "shop"});
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let document = json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "shop-v2"}, "spec": whole
    });
    serde_json::from_value(document).unwrap()
}

/// Its plan.
pub fn plan(spec: Value) -> Plan {
    check(&rollout(spec)).unwrap()
}

/// What is wrong with it.
pub fn problems(spec: Value) -> Vec<Problem> {
    check(&rollout(spec)).unwrap_err()
}

/// What one version answers: requests per second of its whole share, and how many in 1,000 fail.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub failing_per_mille: u64,
    pub timeouts_per_mille: u64,
    pub hanging_per_mille: u64,
    pub latency_us: u64,
    /// Requests in 1,000 that reach the goal `purchase`.
    pub converting_per_mille: u64,
}

impl Version {
    pub fn good() -> Self {
        Self {
            failing_per_mille: 0,
            timeouts_per_mille: 0,
            hanging_per_mille: 0,
            latency_us: 20_000,
            converting_per_mille: 0,
        }
    }
}

/// Proxies, their counters and a clock.
pub struct World {
    pub plan: Plan,
    pub state: State,
    pub now_ms: u64,
    /// Requests per second over all proxies.
    pub rate: u64,
    pub stable: Version,
    pub canary: Version,
    /// Of 1,000 requests of the canary's users so many never reach the proxies.
    pub lost_per_mille: u64,
    /// Each proxy's counters; none when it does not answer.
    pub proxies: BTreeMap<String, Snapshot>,
    /// What each proxy says of the last publish.
    pub status: BTreeMap<String, ProxyStatus>,
    pub silent: Vec<String>,
    pub published: Weights,
    pub fence: u64,
    pub killed: bool,
    pub applied_fence: u64,
    pub log: Vec<(u64, EventKind, String)>,
    pub effects: Vec<Action>,
    done: Vec<u64>,
    commands: Vec<Command>,
    /// Changed by a test before each tick.
    pub with: Input,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let state = State::new(plan.name.clone());
        Self {
            plan,
            state,
            now_ms: 1_700_000_000_000,
            rate: 1_000,
            stable: Version::good(),
            canary: Version::good(),
            lost_per_mille: 0,
            proxies: ["edge-1", "edge-2"].map(|p| (p.to_owned(), Snapshot::default())).into(),
            status: BTreeMap::new(),
            silent: Vec::new(),
            published: Weights::none(),
            fence: 0,
            killed: false,
            applied_fence: 0,
            log: Vec::new(),
            effects: Vec::new(),
            done: Vec::new(),
            commands: Vec::new(),
            with: Input::default(),
        }
    }

    /// Asks for something at the next tick.
    pub fn say(&mut self, verb: Verb) {
        let id = format!("c{}", self.commands.len());
        self.commands.push(Command {
            id,
            actor: "ana".to_owned(),
            reason: "because".to_owned(),
            at_ms: self.now_ms,
            verb,
        });
    }

    /// Lets `ms` pass with traffic, then ticks.
    pub fn pass(&mut self, ms: u64) -> Output {
        self.traffic(ms);
        self.now_ms += ms;
        let input = self.input();
        let state = self.state.clone();
        let output = tick(&self.plan, state, &input);
        self.done.clear();
        for effect in &output.effects {
            self.effects.push(effect.action.clone());
            match &effect.action {
                Action::Publish { fence, weights, .. } => {
                    if *fence > self.fence {
                        self.fence = *fence;
                        self.published = weights.clone();
                    }
                }
                Action::Kill { .. } => self.killed = true,
                Action::Revive { .. } => self.killed = false,
                Action::Notify { .. } | Action::RecordBaseline { .. } | Action::Propose { .. } => {}
            }
            self.done.push(effect.id);
        }
        for event in &output.events {
            self.log.push((self.now_ms, event.kind, event.text.clone()));
        }
        self.state = output.state.clone();
        output
    }

    /// Ticks each `ms` until `until` holds, at most `most` times.
    pub fn run(&mut self, ms: u64, most: usize, until: impl Fn(&State) -> bool) {
        for _ in 0..most {
            if until(&self.state) {
                return;
            }
            self.pass(ms);
        }
        assert!(
            until(&self.state),
            "not reached in {most} ticks: {:?} {}\n{:#?}",
            self.state.phase,
            self.state.because,
            self.log
        );
    }

    pub fn saw(&self, kind: EventKind) -> bool {
        self.log.iter().any(|(_, k, _)| *k == kind)
    }

    /// The program is killed and started again: what is in JSON is all it knows.
    pub fn restart(&mut self) {
        let text = serde_json::to_string(&self.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        self.done.clear();
    }

    fn input(&mut self) -> Input {
        let wanted = wanted(&self.plan, &self.state);
        let mut input = std::mem::take(&mut self.with);
        input.now_ms = self.now_ms;
        if wanted.readings {
            input.readings = self
                .proxies
                .iter()
                .map(|(proxy, snapshot)| {
                    let mut snapshot = snapshot.clone();
                    snapshot.taken_ms = self.now_ms;
                    let silent = self.silent.contains(proxy);
                    let snapshot = if silent { Err("connection refused".to_owned()) } else { Ok(Arc::new(snapshot)) };
                    Reading { proxy: proxy.clone(), snapshot }
                })
                .collect();
        }
        if wanted.confirmations {
            input.proxies = self
                .proxies
                .keys()
                .map(|proxy| Confirmation {
                    proxy: proxy.clone(),
                    fence: self.fence,
                    status: self.status.get(proxy).copied().unwrap_or(ProxyStatus::Applied),
                    why: "seen".to_owned(),
                })
                .collect();
        }
        input.in_force.get_or_insert(InForce {
            weights: Some(self.published.clone()),
            killed: self.killed,
            detail: String::new(),
        });
        input.commands = self.commands.clone();
        input.done = std::mem::take(&mut self.done);
        input
    }

    fn traffic(&mut self, ms: u64) {
        let proxies = self.proxies.len() as u64;
        if proxies == 0 {
            return;
        }
        let share = if self.killed { 0 } else { u64::from(self.published.canary) };
        let (stable, canary) = (self.stable, self.canary);
        for (at, snapshot) in self.proxies.values_mut().enumerate() {
            let all = self.rate * ms / 1_000 / proxies;
            let to_canary = all * share / 10_000;
            let copied = all * u64::from(self.published.mirror) / 10_000;
            let arriving = to_canary - to_canary * self.lost_per_mille / 1_000;
            count(snapshot, &self.plan.canary, arriving, canary, at as u64);
            count(snapshot, &self.plan.stable, all - to_canary, stable, at as u64);
            if self.published.mirror > 0 {
                let copies = snapshot.copies.get_or_insert_default();
                add(copies, copied, canary, at as u64);
            }
        }
    }
}

fn count(snapshot: &mut Snapshot, variant: &str, requests: u64, version: Version, salt: u64) {
    if requests == 0 {
        return;
    }
    let segment = snapshot.variants.entry(variant.to_owned()).or_default().entry("default".to_owned()).or_default();
    add(segment, requests, version, salt);
}

/// Adds requests to counters, evenly over the buckets; the version's badness is dealt out exactly.
pub fn add(counters: &mut Counters, requests: u64, version: Version, salt: u64) {
    if counters.replicates.is_empty() {
        counters.replicates = vec![Replicates::default(); 32];
    }
    let bounds: Arc<[f64]> = (0..60).map(|i| 1_000.0 * 1.2_f64.powi(i)).collect();
    for histogram in [&mut counters.latency, &mut counters.headers] {
        if histogram.bounds.is_empty() {
            histogram.bounds = Arc::clone(&bounds);
            histogram.cumulative = vec![0; bounds.len()];
        }
    }
    for _ in 0..requests {
        counters.requests += 1;
        let n = counters.requests;
        // Every 1,000 have exactly so many of each kind, and they do not come one after the other.
        let nth = n * 389 % 1_000;
        let bucket = ((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) ^ salt) as usize % 32;
        let replicate = &mut counters.replicates[bucket];
        replicate.requests += 1;
        if n * 617 % 1_000 < version.converting_per_mille {
            counters.goals.entry("purchase".to_owned()).or_insert_with(|| vec![0; 32])[bucket] += 1;
        }
        if nth < version.hanging_per_mille {
            continue;
        }
        replicate.finished += 1;
        let failed = nth < version.failing_per_mille;
        counters.classes[if failed { 4 } else { 1 }] += 1;
        replicate.failures += u64::from(failed);
        let timeout = nth < version.timeouts_per_mille;
        counters.timeouts += u64::from(timeout);
        replicate.timeouts += u64::from(timeout);
        // Spread over half to one and a half of the given latency.
        let latency = version.latency_us * (500 + n * 7 % 1_000) / 1_000;
        replicate.latency_us += latency;
        for histogram in [&mut counters.latency, &mut counters.headers] {
            for (bound, total) in histogram.bounds.iter().zip(&mut histogram.cumulative) {
                *total += u64::from(latency as f64 <= *bound);
            }
            histogram.count += 1;
            histogram.sum += latency as f64;
        }
    }
}
