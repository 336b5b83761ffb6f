//! Shadow steps whose copies the filter compares: how they are checked, and what becomes of versions that agree or do not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::file::Metric;
use headgate_rollout::measure::Shadowed;
use headgate_rollout::plan::{Bound, StepKind};
use headgate_rollout::simulate::{Scenario, Version, simulate};
use headgate_rollout::state::{Outcome, Phase};
use headgate_rollout::tick::EventKind;
use serde_json::{Value, json};
use support::{World, add, plan, problems};

fn first(shadow: Value) -> Value {
    json!({"strategy": {"shadow": shadow}})
}

#[test]
fn a_step_that_compares_has_criteria_of_its_own() {
    let of = plan(first(json!({"mode": "compare", "share": "20%"})));
    let step = &of.steps[0];
    assert_eq!((step.weights.shadow, step.weights.mirror, step.weights.canary), (2_000, 0, 0));
    assert_eq!(step.kind, StepKind::Compare { min: 1_000 });
    let bounds: Vec<(Metric, Bound)> = step.criteria.iter().map(|c| (c.metric, c.bound)).collect();
    assert_eq!(
        bounds,
        [
            (Metric::Agreement, Bound::Min { value: 0.85 }),
            (Metric::ErrorRate, Bound::Ratio { factor: 2.0, floor: 0.005 }),
            (Metric::LatencyP95, Bound::Ratio { factor: 1.5, floor: 10_000.0 }),
        ]
    );
    // Named ones take their place, and agreement is asked for whatever else is.
    let named = json!({"mode": "compare", "minComparisons": 50, "criteria": [{"metric": "agreement", "min": "99%"}]});
    let mut spec = first(named);
    spec["analysis"] = json!({"criteria": [{"metric": "errorRate", "max": "1%"}, {"metric": "timeoutRate"}]});
    let of = plan(spec.clone());
    let names: Vec<&str> = of.steps[0].criteria.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((of.steps[0].kind.clone(), names), (StepKind::Compare { min: 50 }, vec!["errorRate", "agreement"]));
    assert_eq!(of.steps[0].criteria[1].bound, Bound::Min { value: 0.99 });
    assert!(of.steps[1].criteria.iter().all(|c| c.metric != Metric::Agreement), "users' steps compare nothing");
    spec["strategy"]["shadow"].as_object_mut().unwrap().remove("criteria");
    assert_eq!(plan(spec).steps[0].criteria[1].metric, Metric::Agreement);
}

#[test]
fn what_cannot_be_is_refused() {
    for (spec, path, word) in [
        (first(json!({"minComparisons": 5})), "spec.strategy.shadow.minComparisons", "nothing is compared"),
        (first(json!({"mode": "compare", "minComparisons": 0})), "spec.strategy.shadow.minComparisons", "is 0"),
        (
            first(json!({"criteria": [{"metric": "agreement", "min": "90%"}]})),
            "spec.strategy.shadow.criteria",
            "compared alone",
        ),
        (
            first(json!({"mode": "compare", "criteria": [{"metric": "agreement", "maxDrop": "1 point"}]})),
            "spec.strategy.shadow.criteria[0].maxDrop",
            "of both versions",
        ),
        (
            first(json!({"mode": "compare", "criteria": [{"metric": "timeoutRate"}]})),
            "spec.strategy.shadow.criteria",
            "cannot be seen on copies",
        ),
    ] {
        let found = problems(spec);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].path == path && found[0].reason.contains(word), "{found:#?}");
    }
}

fn lived(canary: Version, seed: u64) -> (Outcome, String) {
    let file = json!({"strategy": {"shadow": {"mode": "compare", "share": "20%", "duration": "10m", "steps": [
        {"weight": "10%", "duration": "10m"}, {"weight": "100%", "duration": "10m"}]}}, "monitoring": {"duration": "0"}});
    let scenario = Scenario { canary, requests_per_s: 50.0, users: 20_000, ..Scenario::default() };
    let lived = simulate(&plan(file), &scenario, seed, false);
    let back = lived.events.iter().find(|(_, e)| e.kind == EventKind::RollingBack);
    // Whoever comes back from the shadow has met no user.
    let met = lived.events.iter().any(|(_, e)| e.weights.canary > 0);
    let text = back.map(|(_, e)| e.text.clone()).unwrap_or_default();
    (lived.outcome(), format!("{text}{}", if met { " after users" } else { "" }))
}

#[test]
fn a_version_that_agrees_climbs_and_others_meet_no_user() {
    let good = Version { agreement: 0.97, ..Version::default() };
    for seed in 0..4 {
        assert_eq!(lived(good, seed).0, Outcome::Promoted);
        for (bad, named) in [
            (Version { agreement: 0.7, ..good }, "agreement"),
            (Version { error: 0.1, ..good }, "errorRate"),
            (Version { hang: 0.2, ..good }, "errorRate"),
            (Version { p95_ms: 500.0, ..good }, "latencyP95"),
        ] {
            let (outcome, why) = lived(bad, seed);
            assert_eq!(outcome, Outcome::RolledBack, "{named}");
            assert!(why.contains(named) && !why.contains("after users"), "{why}");
        }
    }
}

/// What a segment's copies are like: pairs a second, how many in 1,000 the shadow fails, its latency, and how many in 1,000 differ.
#[derive(Clone, Copy)]
struct Copies(&'static str, u64, u64, u64, u64);

/// A step of eight minutes whose pairs are these; gives whether the rollout goes on to users, and why not.
fn judged(copies: &[Copies]) -> (bool, String) {
    let mut world = World::new(plan(json!({
        "strategy": {"shadow": {"mode": "compare", "share": "20%", "duration": "8m", "steps": [{"weight": "10%", "duration": "1m"}]}},
        "analysis": {"interval": "1s"}, "monitoring": {"duration": "0s"}
    })));
    for _ in 0..600 {
        if world.published.shadow > 0 {
            for Copies(segment, pairs, failing, latency_us, differing) in copies {
                let shadow = support::Version {
                    failing_per_mille: *failing,
                    latency_us: *latency_us,
                    ..support::Version::good()
                };
                let counted = world.proxies.get_mut("edge-1").unwrap().shadow.entry((*segment).to_owned()).or_default();
                pair(counted, *pairs, shadow, *differing);
            }
        }
        world.pass(1_000);
        if world.published.canary > 0 || matches!(world.state.phase, Phase::RollingBack | Phase::RolledBack) {
            return (world.published.canary > 0, world.state.because.clone());
        }
    }
    (false, world.state.because)
}

fn pair(counted: &mut Shadowed, pairs: u64, shadow: support::Version, differing_per_mille: u64) {
    let before = counted.primary.requests;
    for (counters, version) in [(&mut counted.primary, support::Version::good()), (&mut counted.shadow, shadow)] {
        add(counters, pairs, version, 0);
    }
    counted.compared = counted.primary.replicates.iter().map(|r| r.finished).collect();
    counted.mismatched.resize(32, 0);
    for n in before..before + pairs {
        counted.mismatched[n as usize % 32] += u64::from(n * 389 % 1_000 < differing_per_mille);
    }
}

#[test]
fn a_small_segment_that_is_broken_fails_where_all_together_pass() {
    let well = || Copies("default", 100, 2, 20_000, 50);
    let (users, why) = judged(&[well(), Copies("mobile", 10, 2, 20_000, 50)]);
    assert!(users, "{why}");
    for (broken, named) in [
        (Copies("mobile", 10, 2, 20_000, 600), "agreement in segment mobile"),
        (Copies("mobile", 8, 35, 20_000, 50), "errorRate in segment mobile"),
        (Copies("mobile", 3, 2, 150_000, 50), "latencyP95 in segment mobile"),
    ] {
        let hidden = Copies("default", broken.1, broken.2, broken.3, broken.4);
        let (users, why) = judged(&[well(), broken]);
        assert!(!users && why.contains(named), "{named}: {users} {why}");
        // As one segment all are within what is allowed.
        let (users, why) = judged(&[well(), hidden]);
        assert!(users, "{named}: {why}");
    }
}
