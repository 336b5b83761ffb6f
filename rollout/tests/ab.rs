//! A/B tests in the state machine: what each answer leads to, and what holds a test whatever its metric says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::state::{Answer, HoldCause, Outcome, Phase, State, TestLook};
use headgate_rollout::tick::{Action, EventKind, Verb};
use serde_json::{Value, json};
use support::{Version, World, add, plan, problems};

/// A test of the error rate, looked at each second, with a guardrail on latency alone.
fn spec(extra: Value) -> Value {
    let mut test = json!({
        "primary": {"metric": "errorRate"},
        "minimumEffect": "1 points",
        "observe": "5s",
        "horizon": "5m",
        "guardrails": [{"metric": "latencyP95", "versusBaseline": "3x"}],
    });
    for (key, value) in extra.as_object().unwrap() {
        test[key] = value.clone();
    }
    json!({
        "strategy": {"abTest": test},
        "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "max": "50%"}, {"metric": "latencyP95", "versusBaseline": "3x"}]},
        "monitoring": {"duration": "10s"},
        "finalising": {"verify": false},
    })
}

fn world(extra: Value, stable: u64, canary: u64) -> World {
    let mut world = World::new(plan(spec(extra)));
    world.stable.failing_per_mille = stable;
    world.canary.failing_per_mille = canary;
    world
}

fn test(state: &State) -> &TestLook {
    state.look.as_ref().unwrap().test.as_ref().unwrap()
}

#[test]
fn b_is_better_and_goes_on_to_everybody() {
    let mut world = world(json!({}), 100, 60);
    world.run(1_000, 20, |s| s.judged.is_some());
    let size: Vec<&String> = world.log.iter().filter(|l| l.1 == EventKind::Power).map(|l| &l.2).collect();
    assert!(size.iter().any(|t| t.contains("to find a difference of 1 points in errorRate")), "{size:#?}");
    assert!(size.iter().any(|t| t.contains("with the traffic seen (60000 requests a minute)")), "{size:#?}");
    assert_eq!(world.published.canary, 5_000);
    world.run(1_000, 200, |s| s.phase == Phase::Promoting);
    let said = world.log.iter().find(|l| l.1 == EventKind::Verdict).unwrap();
    assert!(said.2.contains("B (canary) is better than A (stable): errorRate is 5.9"), "{}", said.2);
    assert!(said.2.contains("95 % interval -") && said.2.contains("however often one looks"), "{}", said.2);
    assert_eq!(world.published.canary, 10_000);
    world.run(1_000, 60, |s| s.outcome == Some(Outcome::Promoted));
}

#[test]
fn a_is_better_and_everybody_goes_back() {
    let mut world = world(json!({}), 60, 100);
    world.run(1_000, 300, |s| s.outcome == Some(Outcome::RolledBack));
    assert!(world.state.because.contains("A (stable) is better than B (canary)"), "{}", world.state.because);
    assert!(world.published.is_none());
}

#[test]
fn versions_that_differ_by_less_than_matters_are_called_so_and_the_old_one_stays() {
    let mut world = world(json!({"minimumEffect": "3 points"}), 50, 50);
    world.run(1_000, 310, |s| s.outcome.is_some());
    assert_eq!(world.state.outcome, Some(Outcome::RolledBack));
    assert_eq!(world.state.test.as_ref().unwrap().answer, Some(Answer::Equivalent));
    assert!(world.state.because.contains("differ by less than 3 points"), "{}", world.state.because);
}

#[test]
fn what_was_asked_to_be_shown_equivalent_or_not_worse_goes_on() {
    for (hypothesis, words) in [
        ("equivalence", "differ by less than"),
        ("nonInferiority", "is not worse than A (stable) by more than 3 points"),
    ] {
        let mut world = world(json!({"hypothesis": hypothesis, "margin": "3 points"}), 50, 50);
        world.run(1_000, 300, |s| s.phase == Phase::Promoting);
        let said = world.log.iter().find(|l| l.1 == EventKind::Verdict).unwrap();
        assert!(said.2.contains(words) && said.2.contains("90 % interval"), "{}", said.2);
    }
}

#[test]
fn an_undecided_test_holds_at_its_horizon_and_a_person_decides() {
    let mut world = world(json!({"horizon": "20s", "minimumEffect": "0.2 points"}), 50, 49);
    world.run(1_000, 60, |s| s.hold.is_some());
    let hold = world.state.hold.clone().unwrap();
    assert_eq!(hold.cause, HoldCause::Inconclusive);
    assert!(hold.reason.contains("time is up, and it is not decided"), "{}", hold.reason);
    assert_eq!(world.published.canary, 5_000);
    world.say(Verb::Promote { full: false, force: false });
    world.run(1_000, 3, |s| s.phase == Phase::Promoting);
}

#[test]
fn what_follows_an_answer_is_the_files_choice() {
    let mut world = world(json!({"after": {"bWins": "hold"}}), 100, 60);
    world.run(1_000, 300, |s| s.hold.is_some());
    assert_eq!(world.state.hold.as_ref().unwrap().cause, HoldCause::Answered);
    let mut world = self::world(
        json!({"after": {"inconclusive": "rollback"}, "horizon": "20s", "minimumEffect": "0.2 points"}),
        50,
        49,
    );
    world.run(1_000, 80, |s| s.outcome == Some(Outcome::RolledBack));
}

#[test]
fn a_guardrail_takes_the_new_version_back_in_the_middle_of_the_test() {
    let mut world = world(json!({"minimumEffect": "0.1 points"}), 50, 50);
    world.run(1_000, 60, |s| s.look.as_ref().is_some_and(|l| l.test.is_some()));
    for _ in 0..10 {
        world.pass(1_000);
    }
    assert_eq!(world.state.phase, Phase::Progressing, "{}", world.state.because);
    world.canary.latency_us = 200_000;
    world.run(1_000, 100, |s| s.outcome == Some(Outcome::RolledBack));
    assert!(world.state.because.contains("latencyP95"), "{}", world.state.because);
    assert_eq!(world.state.test.as_ref().unwrap().answer, None);
}

#[test]
fn users_who_are_not_divided_as_they_should_be_hold_the_test_whatever_its_metric_says() {
    let mut world = world(json!({}), 100, 60);
    world.lost_per_mille = 150;
    world.run(1_000, 100, |s| s.hold.is_some() || s.outcome.is_some() || s.phase == Phase::Promoting);
    let hold = world.state.hold.clone().unwrap_or_else(|| panic!("{:#?}", world.log));
    assert_eq!(hold.cause, HoldCause::SampleRatio);
    assert!(hold.reason.contains("do not get the users that the weights say: B has 46"), "{}", hold.reason);
    // It is not concluded however plain the metric becomes, and nobody but a person with force goes on.
    for _ in 0..60 {
        world.pass(1_000);
    }
    assert_eq!(world.published.canary, 5_000);
    world.say(Verb::Promote { full: false, force: false });
    world.pass(1_000);
    assert!(world.saw(EventKind::Refused) && world.published.canary == 5_000);
    // A guardrail still acts.
    world.canary.latency_us = 400_000;
    world.run(1_000, 100, |s| s.outcome == Some(Outcome::RolledBack));
}

#[test]
fn a_retry_does_not_forget_who_was_missing() {
    let mut world = world(json!({}), 50, 50);
    world.lost_per_mille = 150;
    world.run(1_000, 100, |s| s.hold.is_some());
    let before = world.state.test.clone().unwrap().ratio.unwrap();
    world.say(Verb::Retry);
    world.pass(1_000);
    let memory = world.state.test.clone().unwrap();
    assert_eq!(memory.ratio_epochs, [before]);
    world.restart();
    assert_eq!(world.state.test.clone().unwrap(), memory);
}

#[test]
fn a_fixed_horizon_that_would_be_looked_at_is_refused_with_the_reason() {
    let found = problems(spec(json!({"procedure": "fixedHorizon"})));
    let one = found.iter().find(|p| p.path == "spec.strategy.abTest.procedure").unwrap();
    assert!(one.reason.contains("single look") && one.fix.contains("looks: atEnd"), "{one}");
    let mut criterion = spec(json!({}));
    criterion["analysis"]["criteria"] =
        json!([{"metric": "errorRate", "notWorseThan": "baseline", "margin": "1 points", "procedure": "fixedHorizon"}]);
    let found = problems(criterion);
    assert!(found.iter().any(|p| p.reason.contains("single look")), "{found:#?}");
}

#[test]
fn a_fixed_horizon_is_looked_at_once_at_its_end() {
    let mut world = world(json!({"procedure": "fixedHorizon", "looks": "atEnd", "horizon": "30s"}), 200, 20);
    world.run(1_000, 20, |s| s.look.as_ref().is_some_and(|l| l.test.is_some()));
    let mut looks = 0;
    while world.state.phase != Phase::Promoting && looks < 60 {
        looks += 1;
        assert!(!test(&world.state).conclusive || world.state.window.as_ref().unwrap().measured_ms >= 30_000);
        world.pass(1_000);
    }
    let measured = world.log.iter().find(|l| l.1 == EventKind::Verdict).unwrap();
    assert!(measured.2.contains("B (canary) is better") && !measured.2.contains("however often"), "{}", measured.2);
    assert!(looks >= 29, "{looks}");
}

#[test]
fn a_group_sequential_test_stops_at_a_planned_look() {
    let mut world = world(json!({"procedure": "groupSequential", "horizon": "50s"}), 100, 50);
    world.run(1_000, 100, |s| s.phase == Phase::Promoting);
    let measured = world.state.results.last().unwrap();
    let took = measured.until_ms - measured.since_ms;
    // At the end of a fifth of the time, give or take the tick before the clock runs.
    assert!([10_000, 20_000, 30_000].iter().any(|planned: &u64| took.abs_diff(*planned) <= 2_500), "{took}");
}

/// Adds a segment's traffic to both proxies.
fn segment(world: &mut World, name: &str, stable: u64, canary: u64, requests: u64) {
    let versions = [("stable", stable), ("canary", canary)];
    for (at, snapshot) in world.proxies.values_mut().enumerate() {
        for (variant, failing) in versions {
            let counters = snapshot.variants.entry(variant.to_owned()).or_default().entry(name.to_owned()).or_default();
            add(counters, requests, Version { failing_per_mille: failing, ..Version::good() }, at as u64);
        }
    }
}

#[test]
fn segments_that_disagree_are_told_and_a_routing_is_proposed_but_not_applied() {
    let mut world = world(
        json!({"minimumEffect": "0.5 points", "after": {"bWins": "hold", "aWins": "hold", "equivalent": "hold"}}),
        50,
        50,
    );
    world.run(1_000, 20, |s| s.judged.is_some() && s.window.is_some());
    for _ in 0..120 {
        segment(&mut world, "premium", 100, 50, 250);
        segment(&mut world, "mobile", 50, 100, 250);
        world.pass(1_000);
        if world.saw(EventKind::Segments) {
            break;
        }
    }
    let told =
        world.log.iter().find(|l| l.1 == EventKind::Segments).unwrap_or_else(|| panic!("{:#?}", world.state.look));
    assert!(told.2.contains("the segments disagree: B (canary) is better in premium"), "{}", told.2);
    assert!(told.2.contains("A (stable) in mobile"), "{}", told.2);
    let proposed = world.effects.iter().find_map(|e| match e {
        Action::Propose { segments, .. } => Some(segments.clone()),
        _ => None,
    });
    let proposed = proposed.unwrap();
    assert_eq!(
        (proposed["premium"].as_str(), proposed["mobile"].as_str(), proposed["default"].as_str()),
        ("canary", "stable", "stable")
    );
    assert!(world.published.segments.is_empty());
    let look = test(&world.state);
    assert_eq!(look.segments.len(), 3);
}

#[test]
fn a_reversal_by_shares_that_differ_is_said_in_words() {
    // Better within each segment, worse added up: B has few users where all fare well, most where all fare badly.
    let mut world = world(
        json!({"segments": {"bad": "90%"}, "split": "10%", "minimumEffect": "0.1 points",
        "after": {"bWins": "hold", "aWins": "hold", "equivalent": "hold"}}),
        20,
        10,
    );
    world.rate = 2_000;
    world.run(1_000, 20, |s| s.judged.is_some() && s.window.is_some());
    for _ in 0..60 {
        for (at, snapshot) in world.proxies.values_mut().enumerate() {
            for (variant, failing, requests) in [("stable", 220, 100), ("canary", 200, 900)] {
                let counters =
                    snapshot.variants.entry(variant.to_owned()).or_default().entry("bad".to_owned()).or_default();
                add(counters, requests, Version { failing_per_mille: failing, ..Version::good() }, at as u64);
            }
        }
        world.pass(1_000);
    }
    let look = test(&world.state);
    assert!(look.estimate.unwrap() < 0.0, "{look:#?}");
    assert!(look.notes.iter().any(|n| n.contains("Simpson")), "{look:#?}");
    assert!(!look.ratio.as_ref().unwrap().mismatch, "{look:#?}");
}

#[test]
fn a_criterion_may_have_to_be_shown() {
    let spec = |margin: &str| {
        json!({
            "strategy": {"canary": {"steps": [{"weight": "20%", "duration": "30s"}, {"weight": "100%", "duration": "10s"}]}},
            "analysis": {"interval": "1s", "criteria": [
                {"metric": "errorRate", "notWorseThan": "baseline", "margin": margin, "alpha": 0.01, "procedure": "anytime"}
            ]},
            "monitoring": {"duration": "10s", "criteria": [{"name": "errorRate", "metric": "errorRate", "max": "20%"}]},
        })
    };
    let mut world = World::new(plan(spec("2 points")));
    (world.stable.failing_per_mille, world.canary.failing_per_mille) = (20, 20);
    world.run(1_000, 60, |s| s.step > 0);
    let said = &world.state.results[0].sentence;
    let told = world.log.iter().find(|l| l.1 == EventKind::Verdict).unwrap();
    assert!(said.contains("errorRate hold"), "{said} {}", told.2);
    // Two versions without any error can be shown alike too, to what so many users can show.
    let mut world = World::new(plan(spec("2 points")));
    world.run(1_000, 60, |s| s.step > 0);
    // A margin that so few requests cannot show does not pass: it is no failure either.
    let mut world = World::new(plan(spec("0.05 points")));
    (world.stable.failing_per_mille, world.canary.failing_per_mille) = (20, 20);
    world.run(1_000, 80, |s| s.hold.is_some());
    let hold = world.state.hold.clone().unwrap();
    assert_eq!(hold.cause, HoldCause::Inconclusive);
    assert!(
        hold.reason.contains("is not shown yet to be within 0.05 points of the baseline's: 2 % against 2 %"),
        "{}",
        hold.reason
    );
    // And one that is worse by more fails.
    let mut world = World::new(plan(spec("0.5 points")));
    (world.stable.failing_per_mille, world.canary.failing_per_mille) = (20, 80);
    world.run(1_000, 80, |s| s.outcome == Some(Outcome::RolledBack));
    assert!(
        world.state.because.contains("is worse than the baseline's by more than 0.5 points"),
        "{}",
        world.state.because
    );
}
