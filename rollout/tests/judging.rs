//! Bad versions are taken back by the criterion that shows them; good ones are not; nothing passes without values.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::state::{HoldCause, Outcome, Phase, VerdictKind};
use headgate_rollout::tick::{EventKind, Measured, Measurement, Newest, Sums, Verb};
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
    let figures = &slow.state.look.as_ref().unwrap().figures;
    let median = figures.iter().find(|f| f.name == "latencyP50").unwrap();
    let (measured, error) = (median.measured.unwrap(), median.error.unwrap());
    assert!(error > 0.0 && (measured - 60_000.0).abs() <= error, "{measured} to within {error}");
    assert!(median.sentence.contains("to within"), "{}", median.sentence);
    assert!(figures.iter().filter(|f| f.unit == "share").all(|f| f.error.is_none()));
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

/// Judged by a number of a provider alone.
fn by_number() -> World {
    world(json!({
        "providers": {"prom": {"prometheus": {"address": "http://127.0.0.1:9090"}}},
        "analysis": {"interval": "1s", "criteria": [{"metric": "cpu", "provider": "prom", "versusBaseline": "1.5x"}]}
    }))
}

/// A tick at which the provider says so, against 1 of the stable version.
fn says(world: &mut World, canary: f64, newest: Newest) {
    let value = Measured::Values { canary, stable: Some(1.0), newest };
    world.with.measurements = vec![Measurement { criterion: "cpu".to_owned(), at_ms: world.now_ms + 1_000, value }];
    world.pass(1_000);
}

#[test]
fn a_plain_number_fails_once_its_readings_are_beyond_chance() {
    let mut bad = by_number();
    bad.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    let alpha = bad.plan.steps[0].criteria[0].alpha;
    let needed = headgate_rollout::stats::sign::in_a_row(alpha);
    assert!((9..=14).contains(&needed), "{needed} at {alpha}");
    for ticks in 1..=needed {
        assert_eq!(bad.state.phase, Phase::Progressing, "{ticks}: {}", bad.state.because);
        says(&mut bad, 2.0, Newest::Whole);
    }
    assert_eq!(bad.state.phase, Phase::RollingBack, "{:?}", bad.state.look);

    // Beyond every other time, or twice by an answer that was judged already, and what was measured since is nothing: no evidence.
    let mut noisy = by_number();
    noisy.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for n in 0..80 {
        says(&mut noisy, if n % 2 == 0 { 2.0 } else { 1.0 }, Newest::Whole);
        assert_eq!(noisy.state.phase, Phase::Progressing, "{n}: {}", noisy.state.because);
    }
    let mut still = by_number();
    still.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
    for _ in 0..80 {
        says(&mut still, 2.0, Newest::Nothing);
    }
    let figures = &still.state.look.as_ref().unwrap().figures[0];
    assert_eq!((figures.readings, figures.verdict, still.state.step), (0, VerdictKind::Inconclusive, 0));
}

#[test]
fn counts_that_know_no_users_weigh_as_few_as_they_may_come_from() {
    let judged = |per_user: Value, failed: f64| {
        let mut world = world(json!({
            "providers": {"mesh": {"prometheus":
                {"address": "http://127.0.0.1:9090", "preset": "istio", "requestsPerUser": per_user}}},
            "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "provider": "mesh", "versusBaseline": "2x"}]}
        }));
        world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
        let one = |count, events| Sums { buckets: vec![(count, events)] };
        let value = Measured::Sums { canary: one(2_000, failed), stable: one(8_000, 40.0) };
        world.with.measurements =
            vec![Measurement { criterion: "errorRate".to_owned(), at_ms: world.now_ms + 1_000, value }];
        world.pass(1_000);
        world
    };
    // 60 of 2,000 against 40 of 8,000: plain if they are of 60 people, nothing if three people had them all.
    assert_eq!(judged(json!(1), 60.0).state.phase, Phase::RollingBack);
    let few = judged(Value::Null, 60.0);
    assert_eq!(few.state.phase, Phase::Progressing);
    assert_eq!(few.state.look.unwrap().figures[0].verdict, VerdictKind::Inconclusive);
    assert_eq!(judged(Value::Null, 1_000.0).state.phase, Phase::RollingBack);
}

#[test]
fn counts_of_a_prometheus_are_judged_by_buckets_and_by_segment() {
    let spec = json!({
        "providers": {"prom": {"prometheus": {"address": "http://127.0.0.1:9090"}}},
        "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "provider": "prom", "versusBaseline": "2x"}]}
    });
    let step = |failures: fn(u64) -> f64| {
        let mut world = world(spec.clone());
        assert!(world.plan.replicates.contains(&headgate_contract::Replicate::Failures));
        world.run(1_000, 60, |s| s.window.is_some() && s.judged.is_some());
        let sums = |count: u64, of: &dyn Fn(u64) -> f64| Sums { buckets: (0..32).map(|b| (count, of(b))).collect() };
        let each = [("default", 100), ("premium", 50)].map(|(name, n)| {
            (name.to_owned(), (sums(n, &failures), sums(4 * n, &|b| f64::from(u8::from(b % 8 == 0)))))
        });
        let value = Measured::Strata { each: each.into() };
        world.with.measurements =
            vec![Measurement { criterion: "errorRate".to_owned(), at_ms: world.now_ms + 1_000, value }];
        world.pass(1_000);
        world.state
    };
    let heavy = step(|bucket| if bucket == 3 { 50.0 } else { 0.0 });
    assert_eq!(heavy.phase, Phase::Progressing, "one user may have all of them: {}", heavy.because);
    assert_eq!(heavy.look.unwrap().figures[0].verdict, VerdictKind::Inconclusive);
    assert_eq!(step(|_| 5.0).phase, Phase::RollingBack);
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
