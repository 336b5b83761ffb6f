//! Simulated rollouts: what must come out whatever the seed, and how fast.

use super::*;
use crate::file::{Rollout, check};

fn plan(spec: &str) -> Plan {
    let file = format!(
        r#"{{"apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {{"name": "r"}},
            "spec": {{"target": "t.yaml", "route": "shop", {spec}}}}}"#
    );
    let file: Rollout = serde_json::from_str(&file).unwrap();
    check(&file).unwrap()
}

const DEFAULT: &str = r#""strategy": {"canary": {}}, "monitoring": {"duration": "1h"}"#;

#[test]
fn equal_seeds_live_equal_lives() {
    let plan = plan(DEFAULT);
    let scenario = Scenario { canary: Version { error: 0.02, ..Version::default() }, ..Scenario::default() };
    let one = simulate(&plan, &scenario, 11, true);
    let two = simulate(&plan, &scenario, 11, true);
    assert_eq!((one.events, one.looks, one.ended_ms), (two.events, two.looks, two.ended_ms));
}

#[test]
fn a_version_as_good_as_the_old_one_is_promoted() {
    let lived = simulate(&plan(DEFAULT), &Scenario::default(), 1, false);
    assert_eq!(lived.outcome(), Outcome::Promoted, "{:?}", lived.state.because);
    assert_eq!(lived.state.weights.canary, WHOLE);
    let hours = (lived.ended_ms - BEGAN_MS) as f64 / 3_600_000.0;
    assert!((3.5..3.7).contains(&hours), "{hours}");
}

/// How each of so many lives ended, on all cores.
fn outcomes(plan: &Plan, scenario: &Scenario, seeds: u64) -> Vec<Lived> {
    let threads = 4;
    std::thread::scope(|scope| {
        let lives: Vec<_> = (0..threads)
            .map(|t| {
                scope.spawn(move || -> Vec<Lived> {
                    (0..seeds).filter(|s| s % threads == t).map(|s| simulate(plan, scenario, s, false)).collect()
                })
            })
            .collect();
        lives.into_iter().flat_map(|life| life.join().unwrap()).collect()
    })
}

fn count(lives: &[Lived], outcome: Outcome) -> usize {
    lives.iter().filter(|l| l.outcome() == outcome).count()
}

/// The traffic of the naive rule that rolled back 36 % of all healthy rollouts: 100 requests/s, 0.5 % errors, a 1 % step.
const CRY_WOLF: &str =
    r#""strategy": {"canary": {}}, "monitoring": {"duration": "0"}, "analysis": {"interval": "1m", "mode": "MODE"}"#;

#[test]
fn of_a_thousand_healthy_rollouts_at_most_alpha_are_rolled_back() {
    let plan = plan(&CRY_WOLF.replace("MODE", "anytime"));
    let lives = outcomes(&plan, &Scenario::default(), 1_000);
    let (back, promoted) = (count(&lives, Outcome::RolledBack), count(&lives, Outcome::Promoted));
    assert!(back <= 10, "{back} of 1,000, alpha is {}", plan.judging.alpha);
    assert!(promoted >= 900, "{promoted} of 1,000");
}

#[test]
fn plain_thresholds_roll_back_many_healthy_rollouts() {
    let plan = plan(&CRY_WOLF.replace("MODE", "threshold"));
    let lives = outcomes(&plan, &Scenario::default(), 100);
    let back = count(&lives, Outcome::RolledBack);
    assert!(back > 10, "{back} of 100");
}

#[test]
fn a_version_that_wholly_fails_is_caught_in_seconds() {
    let plan = plan(r#""strategy": {"canary": {}}, "analysis": {"interval": "1s"}"#);
    let canary = Version { error: 1.0, ..Version::default() };
    // 200 requests a second on the 1 % that the canary has.
    let scenario = Scenario { canary, requests_per_s: 20_000.0, users: 200_000, ..Scenario::default() };
    for lived in outcomes(&plan, &scenario, 20) {
        assert_eq!(lived.outcome(), Outcome::RolledBack);
        let first = lived.events.iter().find(|(_, e)| e.weights.canary > 0).unwrap().0;
        let back = lived.events.iter().find(|(_, e)| e.kind == crate::tick::EventKind::RollingBack).unwrap().0;
        assert!(back - first <= 2_000, "{} ms", back - first);
    }
}

/// Users of which few have nearly all the 4xx, and come back with them.
#[test]
fn users_who_meet_4xx_again_and_again_do_not_cry_wolf_and_a_version_that_refuses_more_is_caught() {
    let plan = plan(
        r#""strategy": {"canary": {"steps": [{"weight": "10%", "duration": "30m"}, {"weight": "100%", "duration": "1m"}]}},
        "monitoring": {"duration": "0"}, "analysis": {"interval": "30s", "criteria": [
            {"metric": "clientErrorRate", "versusBaseline": "1.2x", "floor": "0 points"}]}"#,
    );
    let usual = Version { client_error: 0.05, ..Version::default() };
    let heavy = Scenario { stable: usual, canary: usual, users: 3_000, correlation: 0.6, ..Scenario::default() };
    let lives = outcomes(&plan, &heavy, 300);
    let back = count(&lives, Outcome::RolledBack);
    // Users differ from version to version: only what chance explains is forgiven.
    assert!(back <= 3, "{back} of 300, alpha is {}", plan.judging.alpha);
    let more = Version { client_error: 0.3, ..usual };
    let worse = Scenario { canary: more, users: 30_000, ..heavy };
    for lived in outcomes(&plan, &worse, 8) {
        let why = lived.events.iter().find(|(_, e)| e.kind == crate::tick::EventKind::RollingBack);
        let text = why.map(|(_, e)| e.text.clone()).unwrap_or_default();
        assert_eq!(lived.outcome(), Outcome::RolledBack, "{}", lived.state.because);
        assert!(text.contains("clientErrorRate"), "{text}");
    }
}

#[test]
fn each_kind_of_badness_is_caught_and_named() {
    let criteria = r#""analysis": {"criteria": [
        {"metric": "errorRate", "versusBaseline": "2x"}, {"metric": "timeoutRate", "versusBaseline": "2x"},
        {"metric": "clientErrorRate", "versusBaseline": "2x"},
        {"metric": "unfinishedRate", "versusBaseline": "2x"}, {"metric": "latencyP50", "versusBaseline": "1.2x"},
        {"metric": "latencyP95", "versusBaseline": "1.5x"},
        {"metric": "success", "provider": "truth", "maxDrop": "5 points"},
        {"metric": "value", "provider": "truth", "min": 0.8},
        {"metric": "goal", "goal": "purchase", "maxDrop": "3 points"},
        {"metric": "cpu", "provider": "prom"}, {"metric": "memory", "provider": "prom"},
        {"name": "score", "metric": "custom", "provider": "prom", "query": "score", "min": 0.8}]},
        "goals": [{"name": "purchase", "match": {"path": {"exact": "/buy"}}}],
        "providers": {"truth": {"outcomes": {"file": "outcomes.jsonl"}}, "prom": {"prometheus": {"address": "http://localhost"}}}"#;
    let plan = plan(&format!("{DEFAULT}, {criteria}"));
    let good = Version::default();
    let fine = Scenario { requests_per_s: 200.0, users: 100_000, ..Scenario::default() };
    for lived in outcomes(&plan, &fine, 4) {
        assert_eq!(lived.outcome(), Outcome::Promoted, "{}", lived.state.because);
        assert_eq!(lived.left_out, Vec::<String>::new());
    }
    for (canary, named) in [
        (Version { error: 0.2, ..good }, vec!["errorRate"]),
        (Version { client_error: 0.2, ..good }, vec!["clientErrorRate"]),
        (Version { timeout: 0.1, ..good }, vec!["errorRate", "timeoutRate"]),
        (Version { hang: 0.2, ..good }, vec!["unfinishedRate"]),
        (Version { p50_ms: 100.0, p95_ms: 110.0, ..good }, vec!["latencyP50"]),
        (Version { p95_ms: 400.0, ..good }, vec!["latencyP95"]),
        (Version { success: 0.5, ..good }, vec!["success"]),
        (Version { value: good.value * 0.5, ..good }, vec!["value"]),
        (Version { conversion: good.conversion * 0.5, ..good }, vec!["purchase", "goal"]),
        (Version { cpu: good.cpu * 2.0, ..good }, vec!["cpu"]),
        (Version { memory: good.memory * 2.0, ..good }, vec!["memory"]),
        (Version { custom: 0.5, ..good }, vec!["score"]),
    ] {
        let scenario = Scenario { canary, requests_per_s: 200.0, users: 100_000, ..Scenario::default() };
        for lived in outcomes(&plan, &scenario, 4) {
            let why = lived.events.iter().find(|(_, e)| e.kind == crate::tick::EventKind::RollingBack);
            let text = why.map(|(_, e)| e.text.clone()).unwrap_or_default();
            assert_eq!(lived.outcome(), Outcome::RolledBack, "{named:?}: {}", lived.state.because);
            assert!(named.iter().any(|name| text.contains(name)), "{named:?}: {text}");
        }
    }
}

#[test]
fn a_rollout_of_five_days_is_looked_at_a_bounded_number_of_times() {
    let steps = r#"[{"weight": "1%", "duration": "1d"}, {"weight": "10%", "duration": "1d"}, {"weight": "50%", "duration": "1d"}, {"weight": "100%", "duration": "1d"}]"#;
    let plan = plan(&format!(r#""strategy": {{"canary": {{"steps": {steps}}}}}, "monitoring": {{"duration": "1d"}}"#));
    let lived = simulate(&plan, &Scenario::default(), 1, false);
    assert_eq!(lived.outcome(), Outcome::Promoted, "{}", lived.state.because);
    assert!((lived.ended_ms - BEGAN_MS) / 86_400_000 == 5);
    assert!((10_000..=5 * LOOKS + 200).contains(&lived.ticks), "{}", lived.ticks);
}

#[test]
fn a_version_that_turns_bad_late_is_taken_back_from_where_it_is() {
    let canary = Version { error: 0.3, ..Version::default() };
    let scenario = Scenario { canary, good_for_ms: 2 * 3_600_000, ..Scenario::default() };
    let lived = simulate(&plan(DEFAULT), &scenario, 3, false);
    let back = lived.events.iter().find(|(_, e)| e.kind == crate::tick::EventKind::RollingBack).unwrap();
    assert_eq!(lived.outcome(), Outcome::RolledBack);
    assert!(back.1.weights.canary >= 5_000 && back.0 >= BEGAN_MS + scenario.good_for_ms, "{back:?}");
    assert!(back.0 - BEGAN_MS - scenario.good_for_ms < 120_000, "{}", back.0);
}
