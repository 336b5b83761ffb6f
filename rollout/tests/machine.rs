//! What people ask for, gates, pauses, holds, kills and the way back, in every phase.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::plan::Weights;
use headgate_rollout::state::{HoldCause, Outcome, Phase};
use headgate_rollout::tick::{Action, Answer, EventKind, GateAnswer, InForce, Verb};
use serde_json::{Value, json};
use support::{World, plan};

const PROMOTE: Verb = Verb::Promote { full: false, force: false };
const FORCED: Verb = Verb::Promote { full: false, force: true };

fn world(strategy: Value) -> World {
    World::new(plan(json!({
        "strategy": strategy,
        "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "versusBaseline": "2x"}]},
        "monitoring": {"duration": "1m", "staleAfter": "1h"},
        "notifications": [{"webhook": {"url": "http://127.0.0.1:1/"}}]
    })))
}

fn steps() -> World {
    world(json!({"canary": {"steps": [
        {"weight": "10%", "duration": "30s"},
        {"pause": {"duration": "20s"}},
        {"gate": {"name": "sign-off", "timeout": "1h", "onTimeout": "rollback"}},
        {"weight": "50%", "duration": "30s"},
        {"weight": "100%", "duration": "30s"}
    ]}}))
}

/// A rollout in each phase that is not over.
fn in_each_phase() -> Vec<(Phase, World)> {
    let phases = [Phase::Initializing, Phase::Progressing, Phase::Waiting, Phase::Promoting, Phase::Finalising];
    let mut all: Vec<(Phase, World)> = phases
        .into_iter()
        .map(|phase| {
            let mut world = steps();
            world.pass(1_000);
            for _ in 0..600 {
                if world.state.phase == phase && world.state.delivery.applied_ms.is_some() {
                    break;
                }
                approve(&mut world, true);
                world.pass(1_000);
            }
            assert_eq!(world.state.phase, phase, "{}", world.state.because);
            (phase, world)
        })
        .collect();
    let mut paused = steps();
    paused.run(1_000, 60, |s| s.phase == Phase::Progressing && s.window.is_some());
    paused.say(Verb::Pause);
    paused.pass(1_000);
    all.push((Phase::Paused, paused));
    all
}

fn approve(world: &mut World, approved: bool) {
    world.with.gates = vec![GateAnswer {
        gate: "sign-off".to_owned(),
        approved,
        actor: "ana".to_owned(),
        reason: "looked at it".to_owned(),
    }];
}

#[test]
fn a_rollback_an_abort_and_a_kill_work_at_once_in_every_phase() {
    for (verb, outcome) in
        [(Verb::Rollback, Outcome::RolledBack), (Verb::Abort, Outcome::Aborted), (Verb::Kill, Outcome::RolledBack)]
    {
        for (phase, mut world) in in_each_phase() {
            world.say(verb);
            let output = world.pass(1_000);
            assert_eq!(world.state.phase, Phase::RollingBack, "{verb:?} in {phase:?}");
            let urgent: Vec<_> = output.effects.iter().filter(|e| e.urgent).map(|e| &e.action).collect();
            assert!(
                urgent.iter().any(|a| matches!(a, Action::Publish { weights, .. } if weights.is_none())),
                "{verb:?} in {phase:?}: {urgent:?}"
            );
            assert_eq!(verb == Verb::Kill, urgent.iter().any(|a| matches!(a, Action::Kill { .. })));
            world.run(1_000, 3, |s| s.phase == Phase::RolledBack);
            assert_eq!(world.state.outcome, Some(outcome), "{verb:?} in {phase:?}");
        }
    }
}

#[test]
fn a_failing_version_is_taken_back_in_every_phase_in_which_it_has_users() {
    for (phase, mut world) in in_each_phase() {
        if phase == Phase::Initializing {
            continue;
        }
        world.canary.failing_per_mille = 1_000;
        world.run(1_000, 5, |s| s.phase == Phase::RollingBack);
    }
}

#[test]
fn a_kill_that_somebody_else_set_is_adopted_and_never_overwritten() {
    for (phase, mut world) in in_each_phase() {
        world.killed = true;
        world.run(1_000, 3, |s| s.phase == Phase::RolledBack);
        assert!(world.state.killed && world.killed, "{phase:?}");
        assert!(!world.effects.iter().any(|e| matches!(e, Action::Revive { .. })));
        world.say(Verb::Retry);
        world.pass(1_000);
        assert!(world.saw(EventKind::Refused), "{phase:?}: a kill is in force");
        world.say(Verb::Revive);
        world.run(1_000, 3, |s| !s.killed);
        world.say(Verb::Retry);
        world.pass(1_000);
        assert_eq!((world.state.phase, world.state.attempt), (Phase::Initializing, 2));
    }
}

#[test]
fn a_pause_ends_by_itself_and_a_gate_by_an_answer() {
    let mut world = steps();
    world.run(1_000, 120, |s| s.step == 1);
    let paused = world.now_ms;
    world.run(1_000, 60, |s| s.step == 2);
    assert!((20_000..=22_000).contains(&(world.now_ms - paused)));
    for _ in 0..30 {
        world.pass(1_000);
    }
    assert_eq!((world.state.step, world.state.weights.canary), (2, 1_000));
    approve(&mut world, true);
    world.run(1_000, 3, |s| s.step == 3);
    assert!(world.log.iter().any(|(_, kind, text)| *kind == EventKind::Gate && text.contains("ana: looked at it")));
}

#[test]
fn a_rejected_gate_and_one_that_nobody_answers_go_back() {
    let mut rejected = steps();
    rejected.run(1_000, 200, |s| s.step == 2);
    approve(&mut rejected, false);
    rejected.run(1_000, 5, |s| s.phase == Phase::RolledBack);
    let mut silent = steps();
    silent.run(1_000, 200, |s| s.step == 2);
    silent.run(60_000, 70, |s| s.phase == Phase::RolledBack);
}

#[test]
fn a_pause_by_a_person_stops_the_clock_and_a_failure_is_still_acted_on() {
    let mut world = steps();
    world.run(1_000, 60, |s| s.step == 0 && s.window.is_some() && s.judged.is_some());
    world.say(Verb::Pause);
    world.pass(1_000);
    let measured = world.state.window.as_ref().unwrap().measured_ms;
    for _ in 0..100 {
        world.pass(1_000);
    }
    assert_eq!((world.state.phase, world.state.step), (Phase::Paused, 0));
    assert_eq!(world.state.window.as_ref().unwrap().measured_ms, measured);
    world.say(Verb::Resume);
    world.run(1_000, 60, |s| s.step == 1);
}

#[test]
fn promote_skips_nothing_unless_forced_with_a_reason() {
    let mut world = steps();
    world.run(1_000, 60, |s| s.step == 0 && s.window.is_some() && s.judged.is_some());
    world.say(PROMOTE);
    world.pass(1_000);
    assert!(world.saw(EventKind::Refused));
    world.say(Verb::Promote { full: true, force: false });
    world.pass(1_000);
    assert_eq!(world.state.step, 0, "to 100 % skips stages");
    world.say(FORCED);
    world.pass(1_000);
    assert_eq!(world.state.step, 1);
    world.say(PROMOTE);
    world.pass(1_000);
    assert_eq!(world.state.step, 2, "a pause may be ended");
    world.say(Verb::Promote { full: true, force: true });
    world.run(1_000, 3, |s| s.phase == Phase::Promoting);
    assert!(world.published.is_full());
}

#[test]
fn a_command_is_taken_once_even_across_a_restart() {
    let mut world = steps();
    world.run(1_000, 200, |s| s.step == 1);
    world.say(PROMOTE);
    world.pass(1_000);
    assert_eq!(world.state.step, 2);
    world.restart();
    // The world repeats all commands at each tick.
    world.pass(1_000);
    assert_eq!(world.state.step, 2);
}

#[test]
fn the_way_back_by_steps_goes_down_the_weights_it_came_up() {
    let mut world = World::new(plan(json!({
        "strategy": {"canary": {"steps": [
            {"weight": "10%", "duration": "10s"}, {"weight": "50%", "duration": "10s"}, {"weight": "100%", "duration": "1h"}
        ]}},
        "rollback": {"mode": "steps", "interval": "30s"},
        "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "max": "50%"}]}
    })));
    world.run(1_000, 200, |s| s.step == 2 && s.window.is_some());
    let from = world.effects.len();
    world.canary.failing_per_mille = 1_000;
    world.run(1_000, 200, |s| s.phase == Phase::RolledBack);
    let mut shares: Vec<u32> = world.effects[from..]
        .iter()
        .filter_map(|e| if let Action::Publish { weights, .. } = e { Some(weights.canary) } else { None })
        .collect();
    shares.dedup();
    assert_eq!(shares, [5_000, 1_000, 0]);
}

#[test]
fn blue_green_waits_for_readiness_measures_the_old_side_and_goes_back_at_once() {
    let mut world = world(json!({"blueGreen": {
        "readiness": [{"url": "http://127.0.0.1:1/healthz"}], "observe": "30s", "duration": "30s"
    }}));
    world.run(1_000, 60, |s| s.phase == Phase::Progressing);
    for _ in 0..5 {
        world.with.readiness = Some(Answer { holds: false, detail: "503".to_owned() });
        world.pass(1_000);
    }
    assert_eq!((world.state.step, world.state.hold.as_ref().unwrap().cause), (0, HoldCause::Precondition));
    world.with.readiness = Some(Answer { holds: true, detail: "200".to_owned() });
    world.pass(1_000);
    assert_eq!(world.state.step, 1);
    world.run(1_000, 60, |s| s.step == 2);
    assert!(world.published.is_full());
    assert_eq!(world.state.baseline.as_ref().unwrap().variant, "stable");
    world.run(1_000, 100, |s| s.phase == Phase::Promoting && s.window.is_some());
    world.canary.failing_per_mille = 100;
    world.run(1_000, 5, |s| s.phase == Phase::RolledBack);
}

#[test]
fn a_shadow_gives_no_user_the_new_version_until_its_copies_hold() {
    let strategy = json!({"shadow": {"share": "20%", "duration": "30s", "steps": [
        {"weight": "10%", "duration": "30s"}, {"weight": "100%", "duration": "30s"}
    ]}});
    let mut good = world(strategy.clone());
    good.run(1_000, 30, |s| s.step == 0 && s.window.is_some() && s.judged.is_some());
    assert_eq!((good.published.canary, good.published.mirror), (0, 2_000));
    good.run(1_000, 60, |s| s.step == 1);
    good.run(1_000, 3, |s| s.delivery.applied_ms.is_some());
    assert_eq!((good.published.canary, good.published.mirror), (1_000, 0));
    let mut bad = world(strategy);
    bad.canary.failing_per_mille = 1_000;
    bad.run(1_000, 60, |s| s.phase == Phase::RolledBack);
    assert!(!bad.proxies["edge-1"].variants.contains_key("canary"), "no user ever got it");
}

#[test]
fn it_does_not_begin_where_something_is_missing_and_begins_when_it_is_there() {
    let cases: [(InForce, &str); 3] = [
        (InForce { weights: None, ..InForce::default() }, "no route"),
        (InForce { weights: Some(Weights::canary(2_000)), ..InForce::default() }, "already"),
        (InForce { weights: Some(Weights::none()), killed: true, ..InForce::default() }, "kill"),
    ];
    for (in_force, word) in cases {
        let mut world = steps();
        world.with.in_force = Some(in_force);
        world.pass(1_000);
        let hold = world.state.hold.clone().unwrap();
        assert!(hold.cause == HoldCause::Precondition && hold.reason.contains(word), "{hold:?}");
        assert!(world.state.may_drill().is_ok() && !world.state.taken_over);
        world.run(1_000, 30, |s| s.phase == Phase::Progressing);
    }
    let mut drill = World::new(plan(json!({
        "strategy": {"canary": {}}, "drill": {"requiredWithin": "30d"}
    })));
    drill.pass(1_000);
    assert!(drill.state.hold.as_ref().unwrap().reason.contains("drill"));
    drill.with.last_drill_ms = Some(drill.now_ms - 40 * 86_400_000);
    drill.pass(1_000);
    assert!(!drill.state.taken_over);
    drill.with.last_drill_ms = Some(drill.now_ms - 86_400_000);
    drill.pass(1_000);
    assert!(drill.state.taken_over);
}

#[test]
fn without_traffic_of_the_stable_version_it_begins_only_by_force() {
    let mut world = steps();
    world.rate = 0;
    for _ in 0..20 {
        world.pass(1_000);
    }
    assert_eq!(world.state.phase, Phase::Initializing);
    world.say(PROMOTE);
    world.pass(1_000);
    assert!(world.saw(EventKind::Refused));
    world.say(FORCED);
    world.pass(1_000);
    assert_eq!(world.state.phase, Phase::Progressing);
}

#[test]
fn a_hold_longer_than_its_limit_ends_as_held_with_the_weights_as_they_are() {
    let mut world = World::new(plan(json!({
        "strategy": {"canary": {"steps": [{"weight": "20%", "duration": "10s"}]}},
        "analysis": {"interval": "1s", "minRequests": 1_000_000, "criteria": [{"metric": "errorRate", "max": "5%"}]},
        "holdLimit": "1m"
    })));
    world.run(1_000, 200, |s| s.outcome == Some(Outcome::Held));
    assert_eq!(world.published.canary, 2_000);
    world.pass(1_000);
    assert_eq!(world.state.outcome, None, "who goes on after that begins the limit anew");
}

#[test]
fn a_rollout_left_at_the_top_is_reported_as_stale() {
    let mut world = steps();
    for _ in 0..600 {
        approve(&mut world, true);
        world.pass(1_000);
    }
    assert_eq!(world.state.phase, Phase::Finalising);
    for _ in 0..150 {
        world.with.failsafe = Some(Answer { holds: false, detail: "the default route names shop-v1".to_owned() });
        world.pass(60_000);
    }
    let told = world.log.iter().filter(|(_, kind, _)| *kind == EventKind::Stale).count();
    assert_eq!(told, 2, "once an hour");
    assert!(world.state.because.contains("the default route names shop-v1"), "{}", world.state.because);
    assert!(world.state.keep_old_version());
}

#[test]
fn effects_are_asked_for_until_they_are_done() {
    let mut world = steps();
    let first = world.pass(1_000);
    assert!(first.effects.iter().any(|e| matches!(e.action, Action::Publish { fence: 1, .. })));
    // The program dies before it has done anything, and does not know what was confirmed.
    world.restart();
    let proxies = std::mem::take(&mut world.proxies);
    let again = world.pass(1_000);
    assert_eq!(
        again.effects.iter().filter(|e| matches!(e.action, Action::Publish { fence: 1, .. })).count(),
        1,
        "{:?}",
        again.effects
    );
    world.proxies = proxies;
    let later = world.pass(1_000);
    assert!(!later.effects.iter().any(|e| matches!(e.action, Action::Publish { fence: 1, .. })));
}

#[test]
fn a_rollback_that_was_published_but_not_written_down_is_finished_after_the_crash() {
    let mut world = steps();
    world.run(1_000, 60, |s| s.step == 0 && s.judged.is_some() && s.window.is_some());
    let before = world.state.clone();
    world.canary.failing_per_mille = 1_000;
    world.run(1_000, 5, |s| s.phase == Phase::RollingBack);
    assert!(world.published.is_none(), "the urgent publish was acted on");
    // The state was not: the program is killed, and begins with the older one.
    world.state = before;
    world.restart();
    world.run(1_000, 5, |s| s.phase == Phase::RolledBack);
    assert!(world.published.is_none());
}
