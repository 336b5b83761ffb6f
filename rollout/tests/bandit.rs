//! Bandits through the state machine, on synthetic users in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics where it should"
)]

use std::collections::BTreeMap;

use headgate_rollout::file::{Rollout, WHOLE, check};
use headgate_rollout::plan::Plan;
use headgate_rollout::simulate::{Lived, Scenario, Version, simulate};
use headgate_rollout::state::{BanditLook, Outcome, Phase};
use headgate_rollout::tick::EventKind;
use serde_json::{Value, json};

fn file(bandit: Value) -> Rollout {
    let value = json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "texts"},
        "spec": {"target": "target.yaml", "route": "shop", "variants": {"stable": "stable", "canary": "short"},
            "strategy": {"bandit": bandit},
            "analysis": {"interval": "5s", "criteria": [{"metric": "errorRate", "versusBaseline": "3x", "floor": "5 points"}]},
            "providers": {"orders": {"outcomes": {"file": "orders.jsonl"}}, "prom": {"prometheus": {"address": "http://p:9090"}}}}
    });
    serde_json::from_value(value).unwrap()
}

fn plan(bandit: Value) -> Plan {
    check(&file(bandit)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn orders(more: Value) -> Plan {
    let mut bandit = json!({"arms": ["short", "long"], "reward": {"metric": "success", "provider": "orders"},
        "batch": "1m", "duration": "40m", "floor": "3%", "atEnd": "best"});
    bandit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plan(bandit)
}

fn scenario(stable: f64, short: f64, long: f64) -> Scenario {
    let version = |success| Version { success, error: 0.001, ..Version::default() };
    Scenario {
        requests_per_s: 50.0,
        users: 20_000,
        stable: version(stable),
        canary: version(short),
        arms: BTreeMap::from([("long".to_owned(), version(long))]),
        ..Scenario::default()
    }
}

fn last(lived: &Lived) -> &BanditLook {
    lived.looks.iter().rev().find_map(|l| l.bandit.as_ref()).expect("a look")
}

#[test]
fn weights_follow_rewards_and_the_best_gets_all_users() {
    let plan = orders(json!({}));
    let lived = simulate(&plan, &Scenario { requests_per_s: 12.0, ..scenario(0.10, 0.12, 0.16) }, 1, true);
    assert_eq!(
        (lived.outcome(), lived.state.phase),
        (Outcome::Promoted, Phase::Succeeded),
        "{:?}",
        lived.state.because
    );
    assert_eq!(lived.state.weights.arms["long"], WHOLE);
    // The fail-safe route was seen to lead to it, and the route has no other variant any more.
    assert!(lived.state.weights.only_canary && !lived.state.keep_old_version());
    let shares: Vec<_> = lived.events.iter().filter(|(_, e)| e.kind == EventKind::Shares).collect();
    assert!((2..30).contains(&shares.len()), "{}", shares.len());
    for (_, event) in &shares {
        let arms = &event.weights.arms;
        assert!(arms.values().all(|w| *w >= 300) && arms.values().sum::<u32>() == WHOLE, "{arms:?}");
    }
    let look = last(&lived);
    let [stable, short, long] = look.arms.as_slice() else { panic!("three arms") };
    assert!(long.weight > 9_000 && long.chance > Some(0.99), "{look:#?}");
    let (estimate, lead) = (long.estimate.unwrap(), long.lead.unwrap());
    assert!(estimate.low < 0.16 && 0.16 < estimate.high, "{estimate:?}");
    assert!(lead.low < 0.06 && 0.06 < lead.high, "{lead:?}");
    assert!(stable.lead.is_none() && short.units > 500.0);
    // At most half of what a uniform division would have given up: 0.06 and 0.04 of a third each.
    assert!(look.regret > 0.0 && look.regret < 0.5 * look.units * 0.10 / 3.0, "{}", look.regret);
}

/// The same with goals that the proxies count as reward, or the value of outcomes.
#[test]
fn goals_and_values_are_rewards_too() {
    let mut file = file(json!({"arms": ["short", "long"], "reward": {"metric": "goal", "goal": "checkout"},
        "batch": "1m", "duration": "40m", "floor": "3%", "atEnd": "best"}));
    let goals = json!([{"name": "checkout", "match": {"path": {"exact": "/buy"}}}]);
    file.spec.goals = serde_json::from_value(goals).unwrap();
    let plan = check(&file).unwrap_or_else(|problems| panic!("{problems:?}"));
    // Success is equal: what counts is the goal.
    let mut of_goal = scenario(0.9, 0.9, 0.9);
    for (version, conversion) in [(&mut of_goal.stable, 0.05), (&mut of_goal.canary, 0.06)]
        .into_iter()
        .chain(of_goal.arms.values_mut().map(|v| (v, 0.09)))
    {
        version.conversion = conversion;
    }
    let lived = simulate(&plan, &of_goal, 1, true);
    assert_eq!(lived.outcome(), Outcome::Promoted, "{:?}", lived.state.because);
    assert_eq!((lived.state.weights.arms["long"], lived.left_out.len()), (WHOLE, 0));
    let estimate = last(&lived).arms[2].estimate.unwrap();
    assert!(estimate.low < 0.09 && 0.09 < estimate.high, "{estimate:?}");
    let plan = orders(json!({"reward": {"metric": "value", "provider": "orders"}}));
    let mut of_value = scenario(0.9, 0.9, 0.9);
    of_value.canary.value = 1.4;
    of_value.arms.get_mut("long").unwrap().value = 0.8;
    let lived = simulate(&plan, &of_value, 1, true);
    assert_eq!(lived.outcome(), Outcome::Promoted, "{:?}", lived.state.because);
    assert_eq!(lived.state.weights.arms["short"], WHOLE);
    let lead = last(&lived).arms[1].lead.unwrap();
    assert!(lead.low < 0.4 && 0.4 < lead.high && lead.low > 0.0, "{lead:?}");
}

#[test]
fn the_same_seed_gives_the_same_life_and_states_survive_being_written() {
    let plan = orders(json!({"policy": "epsilonGreedy", "epsilon": "20%", "halfLife": "30m", "duration": "10m"}));
    let lives: Vec<Lived> = (0..2).map(|_| simulate(&plan, &scenario(0.1, 0.2, 0.1), 9, false)).collect();
    let texts: Vec<String> = lives.iter().map(|l| serde_json::to_string(&l.state).unwrap()).collect();
    assert_eq!(texts[0], texts[1]);
    let back: headgate_rollout::State = serde_json::from_str(&texts[0]).unwrap();
    let (kept, lived) = (back.bandit.unwrap(), lives[0].state.bandit.as_ref().unwrap());
    assert_eq!((kept.ledger.open.len(), kept.out), (lived.ledger.open.len(), lived.out.clone()));
    assert!((kept.ledger.units()[1] - lived.ledger.units()[1]).abs() < 1e-6);
}

#[test]
fn a_guardrail_is_above_reward() {
    // The variant that earns most answers a fifth of its requests with errors.
    let mut scenario = scenario(0.10, 0.11, 0.30);
    scenario.arms.get_mut("long").unwrap().error = 0.2;
    let lived = simulate(&orders(json!({})), &scenario, 3, true);
    let out = last(&lived).arms[2].out.clone().expect("dropped");
    assert!(out.contains("errorRate"), "{out}");
    let dropped = lived.events.iter().find(|(_, e)| e.text.starts_with("long gets nobody")).unwrap();
    let after = lived.events.iter().filter(|(at, e)| at > &dropped.0 && e.kind == EventKind::Shares);
    assert!(after.clone().all(|(_, e)| e.weights.arms.get("long").is_none_or(|w| *w == 0)));
    assert!(lived.state.weights.arms.get("long").is_none_or(|w| *w == 0));
    // Or the whole rollout goes back, when the file says so.
    let lived = simulate(&orders(json!({"onGuardrail": "rollback"})), &scenario, 3, false);
    assert_eq!(lived.outcome(), Outcome::RolledBack);
    assert!(lived.state.weights.is_none());
}

#[test]
fn with_nothing_left_to_play_it_goes_back() {
    let plan = plan(json!({"reward": {"metric": "success"}, "batch": "1m", "duration": "1h"}));
    assert_eq!(plan.variants(), ["stable", "short"]);
    let mut bad = scenario(0.1, 0.1, 0.1);
    bad.canary.error = 0.3;
    let lived = simulate(&plan, &bad, 5, false);
    assert_eq!(lived.outcome(), Outcome::RolledBack);
    assert!(lived.state.because.contains("no variant is left"), "{}", lived.state.because);
}

#[test]
fn equal_variants_are_held_for_a_person() {
    let plan = orders(json!({"duration": "12m"}));
    let lived = simulate(&plan, &scenario(0.1, 0.1, 0.1), 8, false);
    assert_eq!(lived.outcome(), Outcome::Held);
    assert!(lived.state.hold.unwrap().reason.contains("95.0 % are asked for"));
}

#[test]
fn stable_may_be_the_best() {
    let lived = simulate(&orders(json!({})), &scenario(0.25, 0.1, 0.1), 2, false);
    assert_eq!(lived.outcome(), Outcome::RolledBack);
    assert!(lived.state.because.contains("the stable version earns most"), "{}", lived.state.because);
}

#[test]
fn files_that_cannot_be_played_are_refused_with_a_way_out() {
    let problems = |bandit: Value| -> Vec<String> {
        check(&file(bandit)).unwrap_err().iter().map(|p| format!("{} {} {}", p.path, p.reason, p.fix)).collect()
    };
    let all = problems(
        json!({"arms": ["short", "stable", "short"], "reward": {"metric": "value"}, "floor": "40%", "batch": "1s",
        "delay": "2h", "epsilon": "5%", "confidence": 0.3, "halfLife": "500ms"}),
    );
    for part in [
        "arms[1] `stable` is the stable version",
        "arms[2] `short` is there twice",
        "reward.provider is missing",
        "floor is more than an equal share of 4 variants",
        "batch is 1000 ms",
        "delay is more than 50 batches",
        "epsilon is not used",
        "confidence is 0.3",
        "halfLife is shorter than a batch",
    ] {
        assert!(all.iter().any(|p| p.contains(part)), "{part}: {all:#?}");
    }
    assert!(problems(json!({"reward": {"metric": "latencyP95"}}))[0].contains("is no reward"));
    assert!(problems(json!({"reward": {"metric": "success", "provider": "prom"}}))[0].contains("takes no outcomes"));
    assert!(
        problems(json!({"reward": {"metric": "success", "provider": "nobody"}}))[0].contains("no provider `nobody`")
    );
}
