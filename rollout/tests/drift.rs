//! Drift after promotion: windows against the reference, episodes, and what cannot be known.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::drift::{EventKind, Progress, Told, Verdict, Watch, tick};
use headgate_rollout::measure::{Counters, Totals};
use headgate_rollout::state::Baseline;
use serde_json::{Value, json};
use support::{Version, add, plan, problems};

fn watch(drift: Value) -> Watch {
    let mut spec = json!({"strategy": {"canary": {}}, "goals": [{"name": "purchase"}]});
    spec["drift"] = drift;
    plan(spec).drift.unwrap()
}

/// What a version does in a window of `requests`.
fn totals(requests: u64, version: Version) -> Totals {
    let mut counters = Counters::default();
    add(&mut counters, requests, version, 7);
    let mut totals = Totals::default();
    totals.variants.entry("canary".to_owned()).or_default().insert("default".to_owned(), counters);
    totals
}

/// A watch with a reference of 20,000 good requests.
struct Life {
    watch: Watch,
    progress: Progress,
    now_ms: u64,
    told: Vec<(EventKind, u32, String)>,
}

impl Life {
    fn new(drift: Value) -> Self {
        let good = Version { converting_per_mille: 100, failing_per_mille: 2, ..Version::good() };
        let reference = Baseline::of("shop", "canary", 0, 1, &totals(20_000, good));
        let progress = Progress { reference: Some(reference), ..Progress::default() };
        let mut life = Self { watch: watch(drift), progress, now_ms: 1_000_000, told: Vec::new() };
        life.pass(0, good);
        life
    }

    /// A whole window.
    fn pass(&mut self, requests: u64, version: Version) -> Option<Verdict> {
        self.now_ms += self.watch.window_ms;
        // As after a restart of the program: what is in JSON is all it knows.
        let progress: Progress = serde_json::from_str(&serde_json::to_string(&self.progress).unwrap()).unwrap();
        let (progress, look, events) = tick(
            &self.watch,
            progress,
            self.now_ms,
            self.watch.window_ms,
            &totals(requests, version),
            &Told::default(),
        );
        self.progress = progress;
        self.told.extend(events.into_iter().map(|e| (e.kind, e.episode, e.text)));
        look.map(|look| look.verdict)
    }
}

fn good() -> Version {
    Version { converting_per_mille: 100, failing_per_mille: 2, ..Version::good() }
}

#[test]
fn an_episode_is_told_when_it_begins_and_when_it_is_over() {
    let mut life = Life::new(json!({"window": "10m"}));
    assert_eq!(life.pass(5_000, good()), Some(Verdict::Steady));
    let slow = Version { latency_us: 30_000, ..good() };
    for _ in 0..3 {
        assert_eq!(life.pass(5_000, slow), Some(Verdict::Drifted));
    }
    assert_eq!(life.told.len(), 1, "{:#?}", life.told);
    assert!(life.told[0].2.contains("latency moved: population stability index"), "{:?}", life.told);
    // Too few requests: not known, and so no end.
    assert_eq!(life.pass(500, good()), Some(Verdict::Inconclusive));
    assert!(life.progress.episode.is_some());
    assert_eq!(life.pass(5_000, good()), Some(Verdict::Steady));
    assert_eq!(life.pass(5_000, slow), Some(Verdict::Drifted));
    let told: Vec<(EventKind, u32)> = life.told.iter().map(|(kind, number, _)| (*kind, *number)).collect();
    assert_eq!(told, [(EventKind::Began, 1), (EventKind::Over, 1), (EventKind::Began, 2)]);
    assert_eq!(life.progress.looks, 7);
}

#[test]
fn a_decline_of_performance_is_drift_and_a_smaller_one_is_not() {
    let mut life = Life::new(
        json!({"performance": [{"metric": "errorRate"}, {"metric": "goal", "goal": "purchase", "decline": "20%"}]}),
    );
    assert_eq!(life.pass(10_000, good()), Some(Verdict::Steady));
    assert_eq!(
        life.pass(10_000, Version { failing_per_mille: 30, converting_per_mille: 90, ..good() }),
        Some(Verdict::Steady)
    );
    assert_eq!(life.pass(10_000, Version { failing_per_mille: 80, ..good() }), Some(Verdict::Drifted));
    let look = life.progress.last.clone().unwrap();
    let declined: Vec<&str> = look.measures.iter().filter(|m| m.drifted).map(|m| m.of.as_str()).collect();
    assert_eq!(declined, ["answers without a failure"], "{}", look.sentence);
    assert!(look.sentence.contains("from 99.8 % to 92 %"), "{}", look.sentence);
    assert_eq!(life.pass(10_000, good()), Some(Verdict::Steady));
    assert_eq!(life.pass(10_000, Version { converting_per_mille: 60, ..good() }), Some(Verdict::Drifted));
    let sentence = &life.progress.last.as_ref().unwrap().sentence;
    assert!(sentence.contains("goal purchase declined by 40 %"), "{sentence}");
}

#[test]
fn a_window_is_full_when_it_was_measured_for_its_length() {
    let mut life = Life::new(json!({"window": "1h"}));
    let (at, increment) = (life.now_ms, totals(100, good()));
    let (progress, look, _) =
        tick(&life.watch, life.progress.clone(), at + 3_600_000, 600_000, &increment, &Told::default());
    assert!(look.is_none() && progress.window.as_ref().unwrap().measured_ms == 600_000);
    life.progress = Progress { reference: None, ..life.progress };
    assert_eq!(life.pass(5_000, good()), None, "without a reference nothing is looked at");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let refused = |drift: Value| {
        let mut spec = json!({"strategy": {"canary": {}}});
        spec["drift"] = drift;
        let mut paths: Vec<String> = problems(spec).into_iter().map(|p| p.path).collect();
        paths.sort();
        paths
    };
    let wrong = json!({"window": "1ms", "alpha": 0, "psi": -1, "ks": 1, "minRequests": 0, "reference": "no spaces",
        "performance": [{"metric": "latencyP50"}, {"metric": "goal", "goal": "sale"}, {"metric": "errorRate", "decline": "0%"}],
        "retrain": {"url": "ftp://x"}});
    assert_eq!(
        refused(wrong),
        [
            "alpha",
            "ks",
            "minRequests",
            "performance[0].metric",
            "performance[1].goal",
            "performance[2].decline",
            "psi",
            "reference",
            "retrain.url",
            "window"
        ]
        .map(|field| format!("spec.drift.{field}"))
    );
}
