//! Shadow steps whose copies the filter compares: how they are checked, and what becomes of versions that agree or do not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::file::Metric;
use headgate_rollout::plan::{Bound, StepKind};
use headgate_rollout::simulate::{Scenario, Version, simulate};
use headgate_rollout::state::Outcome;
use headgate_rollout::tick::EventKind;
use serde_json::{Value, json};
use support::{plan, problems};

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
