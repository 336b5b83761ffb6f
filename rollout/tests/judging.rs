//! Bad versions are taken back by the criterion that shows them; good ones are not; nothing passes without values.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::state::{HoldCause, Outcome, Phase, VerdictKind};
use headgate_rollout::tick::{EventKind, Measured, Measurement, Sums, Verb};
use serde_json::{Value, json};
use support::{Version, World, plan};

/// One step at 20 %, two minutes long, looked at each second.
fn world(extra: Value) -> World {
    let mut spec = json!({
        "strategy": {"canary": {"steps": [
            {"weight": "20%", "duration": "2m"}, {"weight": "100%", "duration": "30s"}
        ]}},
        "analysis": {"interval": "1s"},
        "monitoring": {"duration": "1m"}
    });
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    World::new(plan(spec))
}

/// How long the canary had users until the way back began, ms, and which criterion it was.
fn caught(world: &mut World) -> (u64, String) {
    world.run(1_000, 60, |s| s.judged.is_some() && s.window.is_some());
    let since = world.now_ms;
    world.run(1_000, 400, |s| s.phase == Phase::RollingBack);
    let failed = world.state.look.as_ref().unwrap().figures.iter().find(|f| f.verdict == VerdictKind::Fail);
    let name = failed.map(|f| f.name.clone()).unwrap_or_default();
    let took = world.now_ms - since;
    world.run(1_000, 3, |s| s.phase == Phase::RolledBack);
    assert_eq!(world.state.outcome, Some(Outcome::RolledBack));
    assert!(world.published.is_none());
    (took, name)
}

#[test]
fn a_wholly_failing_version_is_taken_back_at_the_first_look() {
    let mut world = world(json!({}));
    world.canary.failing_per_mille = 1_000;
    assert_eq!(caught(&mut world), (1_000, "errorRate".to_owned()));
}

#[test]
fn a_version_that_begins_to_fail_after_hours_of_calm_is_taken_back_as_fast() {
    let mut world = world(json!({"strategy": {"canary": {"steps": [{"weight": "20%", "duration": "8h"}]}}}));
    world.rate = 40;
    world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for _ in 0..1_500 {
        world.pass(2_000);
    }
    assert_eq!(world.state.phase, Phase::Progressing, "{}", world.state.because);
    world.canary.failing_per_mille = 1_000;
    let since = world.now_ms;
    world.run(1_000, 10, |s| s.phase == Phase::RollingBack);
    assert!(world.now_ms - since <= 5_000, "8 canary requests a second: {} ms", world.now_ms - since);
}

#[test]
fn timeouts_hangs_and_slowness_are_each_taken_back_by_their_criterion() {
    let mut timeouts = world(json!({}));
    timeouts.canary.timeouts_per_mille = 100;
    assert_eq!(caught(&mut timeouts).1, "timeoutRate");
    let mut hangs = world(json!({}));
    hangs.canary.hanging_per_mille = 300;
    assert_eq!(caught(&mut hangs).1, "unfinishedRate");
    let mut slow = world(json!({}));
    slow.canary.latency_us = 60_000;
    assert_eq!(caught(&mut slow).1, "latencyP50");
}

#[test]
fn four_times_the_errors_are_found_within_the_step() {
    let mut world = world(json!({}));
    world.stable.failing_per_mille = 5;
    world.canary.failing_per_mille = 20;
    let (took, name) = caught(&mut world);
    assert!(name == "errorRate" && took < 100_000, "{name} {took}");
}

#[test]
fn a_version_that_never_finishes_a_request_never_passes() {
    let mut world = world(json!({"analysis": {"interval": "1s", "criteria": [
        {"metric": "errorRate", "max": "5%"}
    ]}}));
    world.canary.hanging_per_mille = 1_000;
    world.run(1_000, 600, |s| s.hold.is_some());
    assert_eq!(world.state.hold.as_ref().unwrap().cause, HoldCause::Unmeasured, "{}", world.state.because);
    assert!(world.state.because.contains("none has finished"), "{}", world.state.because);
    assert_eq!(world.state.weights.canary, 2_000);
}

#[test]
fn a_step_without_traffic_holds_and_goes_on_by_itself_when_there_is_some() {
    let mut world = world(json!({"onInconclusive": "hold", "onError": "hold"}));
    world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    world.rate = 0;
    world.run(1_000, 600, |s| s.hold.is_some());
    assert_eq!((world.state.phase, world.state.step), (Phase::Waiting, 0));
    world.rate = 1_000;
    world.run(1_000, 60, |s| s.step == 1);
    assert!(world.state.hold.is_none());
}

#[test]
fn misrouted_requests_let_nothing_pass() {
    let mut world = world(json!({}));
    world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    world.pass(1_000);
    world.proxies.get_mut("edge-1").unwrap().misrouted.insert("canary".to_owned(), 1);
    world.run(1_000, 600, |s| s.hold.is_some());
    assert_eq!(world.state.hold.as_ref().unwrap().cause, HoldCause::Unmeasured);
    assert!(world.state.because.contains("another cluster"), "{}", world.state.because);
    assert_eq!(world.state.step, 0);
}

#[test]
fn a_dry_run_is_told_once_and_never_acted_on() {
    let mut world = world(json!({"analysis": {"interval": "1s", "criteria": [
        {"metric": "errorRate", "max": "1%", "importance": "dryRun"}, {"metric": "latencyP95", "max": "1s"}
    ]}}));
    world.canary.failing_per_mille = 500;
    world.run(1_000, 400, |s| s.step == 1);
    let told = world.log.iter().filter(|(_, kind, _)| *kind == EventKind::LookFailed).count();
    assert_eq!(told, 1);
    assert_eq!(world.state.results[0].verdict, Some(VerdictKind::Pass));
}

#[test]
fn an_ordinary_criterion_fails_after_its_limit_of_looks_in_a_row() {
    let mut world = world(json!({"analysis": {"interval": "1s", "criteria": [
        {"metric": "errorRate", "max": "1%", "importance": "ordinary", "failureLimit": {"consecutive": 4, "total": 9}}
    ]}}));
    world.canary.failing_per_mille = 1_000;
    let (took, _) = caught(&mut world);
    assert_eq!(took, 4_000);
}

#[test]
fn on_fail_hold_keeps_the_weights_until_a_person_decides() {
    let mut world = world(json!({"onFail": "hold"}));
    world.canary.failing_per_mille = 1_000;
    world.run(1_000, 60, |s| s.hold.is_some());
    assert_eq!(world.state.hold.as_ref().unwrap().cause, HoldCause::Failed);
    world.canary = Version::good();
    for _ in 0..400 {
        world.pass(1_000);
    }
    assert_eq!((world.state.step, world.state.weights.canary), (0, 2_000));
    world.say(Verb::Promote { full: false, force: false });
    world.pass(1_000);
    assert!(world.saw(EventKind::Refused));
    world.say(Verb::Rollback);
    world.run(1_000, 3, |s| s.phase == Phase::RolledBack);
}

#[test]
fn after_the_switch_the_last_window_of_the_stable_version_is_the_baseline() {
    let mut world = world(json!({}));
    world.stable.failing_per_mille = 10;
    world.canary.failing_per_mille = 10;
    world.run(1_000, 600, |s| s.phase == Phase::Promoting && s.look.as_ref().is_some_and(|l| l.canary_requests > 0));
    let figures = &world.state.look.as_ref().unwrap().figures[0];
    assert_eq!(figures.baseline_from, "stable in 20% of attempt 1");
    assert!((figures.baseline.unwrap() - 0.01).abs() < 0.002, "{figures:?}");
    world.canary.failing_per_mille = 300;
    world.run(1_000, 10, |s| s.phase == Phase::RollingBack);
    assert!(world.state.because.contains("errorRate"));
}

#[test]
fn a_threshold_fails_on_the_measured_value_alone() {
    let spec = |mode: &str| json!({"analysis": {"interval": "1s", "mode": mode, "minRequests": 100, "criteria": [{"metric": "errorRate", "max": "1%"}]}});
    for (mode, rolled_back) in [("threshold", true), ("anytime", false)] {
        let mut world = world(spec(mode));
        world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
        // Two failures among the first hundred: beyond 1 %, and quite possibly chance.
        (world.rate, world.canary.failing_per_mille) = (15, 1_000);
        world.pass(1_000);
        (world.rate, world.canary.failing_per_mille) = (500, 0);
        for _ in 0..3 {
            world.pass(1_000);
        }
        assert_eq!(
            world.state.phase == Phase::RollingBack || world.state.phase == Phase::RolledBack,
            rolled_back,
            "{mode}"
        );
    }
}

#[test]
fn outcomes_are_judged_by_users_and_missing_ones_are_no_success() {
    let spec = json!({
        "providers": {"truth": {"outcomes": {"file": "outcomes.jsonl"}}},
        "analysis": {"interval": "1s", "criteria": [
            {"name": "accuracy", "metric": "success", "provider": "truth", "maxDrop": "2 points"}
        ]}
    });
    let sums =
        |rate: f64| Sums { buckets: (0..32).map(|b| (100 + b % 3, ((100 + b % 3) as f64 * rate).round())).collect() };
    let mut good = world(spec.clone());
    let answer =
        |world: &World, value| Measurement { criterion: "accuracy".to_owned(), at_ms: world.now_ms + 1_000, value };
    good.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for _ in 0..150 {
        let value = Measured::Sums { canary: sums(0.9), stable: sums(0.9) };
        good.with.measurements = vec![answer(&good, value)];
        good.pass(1_000);
    }
    assert!(good.state.step >= 1, "{}", good.state.because);

    let mut bad = world(spec.clone());
    bad.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for _ in 0..10 {
        let value = Measured::Sums { canary: sums(0.5), stable: sums(0.9) };
        bad.with.measurements = vec![answer(&bad, value)];
        bad.pass(1_000);
    }
    assert_eq!(bad.state.outcome, Some(Outcome::RolledBack), "{}", bad.state.because);

    let mut silent = world(spec);
    silent.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for _ in 0..300 {
        silent.with.measurements = vec![answer(&silent, Measured::NoValues)];
        silent.pass(1_000);
    }
    assert_eq!(silent.state.hold.as_ref().map(|h| h.cause), Some(HoldCause::Unmeasured));
}

#[test]
fn a_plain_number_fails_only_after_several_looks() {
    let mut world = world(json!({
        "providers": {"prom": {"prometheus": {"address": "http://127.0.0.1:9090"}}},
        "analysis": {"interval": "1s", "criteria": [{"metric": "cpu", "provider": "prom", "versusBaseline": "1.5x"}]}
    }));
    world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    let mut ticks = 0;
    while world.state.phase != Phase::RollingBack {
        let value = Measured::Values { canary: 2.0, stable: Some(1.0) };
        world.with.measurements = vec![Measurement { criterion: "cpu".to_owned(), at_ms: world.now_ms + 1_000, value }];
        world.pass(1_000);
        ticks += 1;
        assert!(ticks < 10);
    }
    assert_eq!(ticks, 3);
}

#[test]
fn segments_are_compared_with_themselves_not_with_each_other() {
    // Premium users fail more whoever serves them, and half of them are on the canary: pooled, the canary looks four times as bad.
    let step = json!([{"weight": "10%", "duration": "2m", "segments": {"premium": "50%"}}, {"weight": "100%", "duration": "30s"}]);
    let run = |canary_failing: u64| {
        let mut world = world(json!({
            "strategy": {"canary": {"steps": step}},
            "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "versusBaseline": "1.5x"}]}
        }));
        world.run(1_000, 60, |s| s.step == 0 && s.judged.is_some() && s.window.is_some());
        for _ in 0..130 {
            for snapshot in world.proxies.values_mut() {
                for (variant, failing) in [("stable", 200), ("canary", canary_failing)] {
                    let segment = snapshot.variants.entry(variant.to_owned()).or_default().entry("premium".to_owned());
                    let version = Version { failing_per_mille: failing, ..Version::good() };
                    support::add(segment.or_default(), 60, version, 5);
                }
            }
            world.pass(1_000);
        }
        world
    };
    let good = run(200);
    assert!(good.state.step >= 1, "{:?} {}", good.state.phase, good.state.because);
    let bad = run(400);
    assert_eq!(bad.state.outcome, Some(Outcome::RolledBack), "{:?}", bad.state.look);
}

#[test]
fn a_version_whose_users_convert_less_is_taken_back_by_its_goal_alone() {
    let judged = |converting| {
        let mut world = world(json!({
            "goals": [{"name": "purchase", "match": {"path": {"exact": "/checkout"}}}],
            "analysis": {"interval": "1s", "criteria": [{"metric": "goal", "goal": "purchase", "maxDrop": "1 points"}]}
        }));
        world.stable.converting_per_mille = 100;
        world.canary.converting_per_mille = converting;
        world
    };
    let mut worse = judged(50);
    let (_, name) = caught(&mut worse);
    assert_eq!(name, "goal");
    let figures = &worse.state.look.as_ref().unwrap().figures[0];
    let (measured, baseline) = (figures.measured.unwrap(), figures.baseline.unwrap());
    assert!(measured > 0.0 && measured < baseline - 0.01, "{measured} {baseline}");
    let mut same = judged(100);
    same.run(1_000, 300, |s| s.step == 1);
    assert!(!same.saw(EventKind::LookFailed), "{:#?}", same.log);
}
