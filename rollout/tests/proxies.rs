//! Proxies that reject, do not answer, restart, come and go; clocks that jump; configurations that somebody else changed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::measure::Snapshot;
use headgate_rollout::plan::Weights;
use headgate_rollout::state::{HoldCause, Phase, State};
use headgate_rollout::tick::{EventKind, InForce, ProxyStatus};
use serde_json::{Value, json};
use support::{World, plan};

fn world(extra: Value) -> World {
    let mut spec = json!({
        "strategy": {"canary": {"steps": [{"weight": "20%", "duration": "1m"}, {"weight": "100%", "duration": "1m"}]}},
        "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "versusBaseline": "2x"}]},
        "monitoring": {"duration": "1m"}
    });
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    World::new(plan(spec))
}

fn measuring(state: &State) -> bool {
    state.judged == Some(0) && state.window.is_some()
}

fn measured(world: &World) -> u64 {
    world.state.window.as_ref().map_or(0, |w| w.measured_ms)
}

#[test]
fn no_clock_starts_before_the_weights_are_in_force_everywhere() {
    let mut world = world(json!({}));
    world.run(1_000, 60, |s| s.phase == Phase::Progressing);
    world.status.insert("edge-2".to_owned(), ProxyStatus::Pending);
    for _ in 0..30 {
        world.pass(1_000);
        assert_eq!(measured(&world), 0);
    }
    world.status.clear();
    world.run(1_000, 5, |s| s.window.as_ref().is_some_and(|w| w.measured_ms > 0));
}

#[test]
fn a_failing_version_is_taken_back_although_one_proxy_never_confirms() {
    let mut world = world(json!({}));
    world.run(1_000, 60, |s| s.phase == Phase::Progressing);
    world.status.insert("edge-2".to_owned(), ProxyStatus::Unreachable);
    world.canary.failing_per_mille = 1_000;
    world.run(1_000, 5, |s| s.phase == Phase::RollingBack);
    for _ in 0..100 {
        world.pass(1_000);
    }
    assert_eq!(world.state.phase, Phase::RollingBack, "edge-2 may still have the canary");
    assert!(
        world.log.iter().any(|(_, kind, text)| *kind == EventKind::Proxies && text.contains("edge-2 (unreachable"))
    );
    world.status.clear();
    world.run(1_000, 3, |s| s.phase == Phase::RolledBack);
}

#[test]
fn too_many_proxies_without_the_weights_hold_or_go_back_by_name() {
    for (policy, phase) in [("hold", Phase::Waiting), ("rollback", Phase::RollingBack)] {
        let mut world = world(json!({"proxies": {"onExceeded": policy, "patience": "10s"}}));
        world.run(1_000, 60, |s| s.phase == Phase::Progressing);
        world.status.insert("edge-1".to_owned(), ProxyStatus::Rejected);
        world.run(1_000, 20, |s| s.phase == phase);
        assert!(world.state.because.contains("edge-1 (rejected"), "{}", world.state.because);
        if policy == "hold" {
            assert_eq!(world.state.hold.as_ref().unwrap().cause, HoldCause::Proxies);
            world.status.clear();
            world.run(1_000, 3, |s| s.phase == Phase::Progressing);
            world.run(1_000, 100, |s| s.step == 1);
        }
    }
}

#[test]
fn a_tolerated_share_of_proxies_may_be_missing() {
    let mut world = world(json!({"proxies": {"tolerate": "50%"}}));
    world.status.insert("edge-1".to_owned(), ProxyStatus::Rejected);
    world.run(1_000, 200, |s| s.step == 1);
}

#[test]
fn time_in_which_a_proxy_cannot_be_read_does_not_count() {
    let mut world = world(json!({"proxies": {"patience": "1h"}}));
    world.run(1_000, 60, measuring);
    world.silent.push("edge-2".to_owned());
    let before = measured(&world);
    for _ in 0..30 {
        world.pass(1_000);
    }
    assert_eq!(measured(&world), before);
    assert!(world.state.delivery.unread["edge-2"].contains("refused"));
    world.silent.clear();
    world.run(1_000, 100, |s| s.step == 1);
}

#[test]
fn a_restarted_proxy_counts_from_nothing_and_no_counter_ever_runs_backwards() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    for _ in 0..10 {
        world.pass(1_000);
    }
    let before = world.state.window.as_ref().unwrap().totals.finished("canary");
    world.proxies.insert("edge-1".to_owned(), Snapshot::default());
    world.pass(1_000);
    let after = world.state.window.as_ref().unwrap().totals.finished("canary");
    assert_eq!(after - before, 200, "one second of 20 % of 1,000 a second");
    assert!(world.log.iter().any(|(_, _, text)| text.contains("restarted: edge-1")));
}

#[test]
fn a_restart_that_outran_its_counters_is_known_by_the_uptime() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    world.pass(1_000);
    let before = world.state.window.as_ref().unwrap().totals.finished("canary");
    // It restarts, and by the next reading shows exactly what it showed before.
    world.rate = 0;
    world.proxies.get_mut("edge-1").unwrap().uptime_ms = Some(5_000);
    world.now_ms += 60_000;
    world.pass(1_000);
    let shown = world.proxies["edge-1"].variants["canary"]["default"].finished();
    let after = world.state.window.as_ref().unwrap().totals.finished("canary");
    assert_eq!(after - before, shown, "all that it shows is new");
}

#[test]
fn a_proxy_that_joins_brings_no_past_and_one_that_leaves_takes_nothing_away() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    world.pass(1_000);
    let mut old = Snapshot::default();
    support::add(
        old.variants.entry("canary".to_owned()).or_default().entry("default".to_owned()).or_default(),
        5_000,
        support::Version { failing_per_mille: 1_000, ..support::Version::good() },
        7,
    );
    world.proxies.insert("edge-3".to_owned(), old);
    for _ in 0..5 {
        world.pass(1_000);
    }
    assert_eq!(
        world.state.phase,
        Phase::Progressing,
        "its failures of yesterday are not this step's: {}",
        world.state.because
    );
    let before = world.state.window.as_ref().unwrap().totals.finished("canary");
    world.proxies.remove("edge-3");
    world.pass(1_000);
    assert!(world.state.window.as_ref().unwrap().totals.finished("canary") > before);
    world.run(1_000, 100, |s| s.step == 1);
}

#[test]
fn weights_that_somebody_else_changed_stop_the_clock_until_they_are_back() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    let before = measured(&world);
    for _ in 0..10 {
        world.with.in_force = Some(InForce { weights: Some(Weights::canary(9_000)), ..InForce::default() });
        world.pass(1_000);
    }
    assert_eq!(measured(&world), before);
    assert_eq!(world.log.iter().filter(|(_, kind, _)| *kind == EventKind::Drift).count(), 1);
    world.run(1_000, 100, |s| s.step == 1);
}

#[test]
fn a_clock_that_goes_back_an_hour_stops_neither_the_judge_nor_the_step() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    world.pass(1_000);
    world.now_ms -= 3_600_000;
    world.pass(1_000);
    assert!(world.saw(EventKind::Clock));
    let mut failing = World::new(world.plan.clone());
    std::mem::swap(&mut failing, &mut world);
    failing.canary.failing_per_mille = 1_000;
    failing.run(1_000, 5, |s| s.phase == Phase::RollingBack);
}

#[test]
fn a_clock_that_leaps_forward_does_not_count_as_measured() {
    let mut world = world(json!({}));
    world.run(1_000, 60, measuring);
    let before = measured(&world);
    world.rate = 0;
    world.now_ms += 86_400_000;
    world.pass(1_000);
    assert!(measured(&world) - before <= 3_000);
    assert_eq!(world.state.step, 0);
}

#[test]
fn a_target_without_proxies_never_moves() {
    let mut world = world(json!({}));
    world.proxies.clear();
    for _ in 0..200 {
        world.pass(1_000);
    }
    assert_eq!(world.state.phase, Phase::Initializing);
    assert!(world.state.hold.as_ref().unwrap().reason.contains("no proxy answers"));
}
