//! Experiments looked at after every tick: equal versions are not called different, intervals cover, and the size that is planned finds what
//! it was planned for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

use headgate_rollout::file::{Rollout, check};
use headgate_rollout::simulate::{Scenario, Version, simulate};
use headgate_rollout::state::Answer;
use headgate_rollout::stats::cell::Stratum;
use headgate_rollout::stats::counts::Clustering;
use headgate_rollout::stats::experiment::{self, Ask, Found, Procedure};
use headgate_rollout::stats::normal;
use headgate_rollout::stats::sequential::spending::{self, Spending};
use serde_json::json;

use crate::traffic::{Habits, Random, at_most, failures, users, values};

/// Both bounds together.
const ALPHA: f64 = 0.05;
const TICKS: usize = 30;
const USUAL: Habits =
    Habits { users: 600, share: 0.5, requests: 0.5, tail: f64::INFINITY, rates: [0.2, 0.2], unlucky: 1.0 };
const ALWAYS: [Procedure; 3] = [Procedure::Anytime, Procedure::ConfidenceSequence, Procedure::Msprt];

fn ask(procedure: Procedure, rate: bool, planned: f64) -> Ask {
    let effect = if rate { 0.05 } else { 5.0 };
    Ask { alpha: ALPHA / 2.0, procedure, planned: Some(planned), effect, rate, clustering: Clustering::Buckets }
}

fn covers(found: &Found, truth: f64) -> bool {
    found.low.is_none_or(|low| low <= truth) && found.high.is_none_or(|high| high >= truth)
}

/// For each procedure, the runs in which its interval ever missed the truth.
fn misses(habits: &Habits, rate: bool, runs: usize, seed: u64) -> [usize; 3] {
    let mut random = Random(seed);
    let [of_a, of_b] = habits.rates;
    let truth = if rate { of_b - of_a } else { 0.0 };
    let planned = habits.users as f64 * habits.share * habits.requests * TICKS as f64;
    let mut missed = [0; 3];
    for _ in 0..runs {
        let users = users(habits, &mut random);
        let mut stratum = Stratum { share: Some(habits.share), ..Stratum::default() };
        let mut ever = [false; 3];
        for _ in 0..TICKS {
            if rate {
                failures(&users, &mut stratum, &mut random);
            } else {
                values(&users, 1.0, &mut stratum, &mut random);
            }
            for (ever, procedure) in ever.iter_mut().zip(ALWAYS) {
                let found = experiment::compare(std::slice::from_ref(&stratum), &ask(procedure, rate, planned));
                *ever |= found.is_ok_and(|found| !covers(&found, truth));
            }
        }
        for (missed, ever) in missed.iter_mut().zip(ever) {
            *missed += usize::from(ever);
        }
    }
    missed
}

#[test]
fn intervals_hold_at_every_look_with_heavy_users() {
    let heavy = Habits { tail: 1.2, ..USUAL };
    let cases = [
        ("equal versions, light users", USUAL, true),
        ("equal versions, heavy users", heavy, true),
        ("heavy users, few with all events", Habits { unlucky: 0.3, ..heavy }, true),
        ("a tenth for B, heavy users", Habits { share: 0.1, users: 1_200, unlucky: 0.5, ..heavy }, true),
        ("a true lift, heavy users", Habits { rates: [0.2, 0.25], ..heavy }, true),
        ("rare events of heavy users", Habits { unlucky: 0.05, rates: [0.002, 0.002], ..heavy }, true),
        ("rare events, B with more", Habits { unlucky: 0.05, rates: [0.001, 0.003], ..heavy }, true),
        ("equal means, heavy users", Habits { tail: 1.3, ..USUAL }, false),
    ];
    let runs = 120;
    let seen: Vec<_> = cases
        .iter()
        .zip(101..)
        .map(|((name, habits, rate), seed)| (*name, misses(habits, *rate, runs, seed)))
        .collect();
    let most = at_most(ALPHA, runs);
    assert!(seen.iter().all(|(_, missed)| missed.iter().all(|m| *m <= most)), "at most {most} of {runs}: {seen:?}");
}

/// Independent requests, half of them B's, added until both together are so many; whether B was ever, or at the end, shown to be higher.
fn finds(random: &mut Random, rates: [f64; 2], total: f64, looks: usize, ask: &Ask) -> (bool, bool) {
    let mut stratum = Stratum { share: Some(0.5), ..Stratum::default() };
    let (mut ever, mut last) = (false, false);
    for _ in 0..looks {
        for (arm, rate) in [(&mut stratum.baseline, rates[0]), (&mut stratum.canary, rates[1])] {
            for bucket in 0..32 {
                let units = random.poisson(total / 64.0 / looks as f64);
                let events = (0..units).filter(|_| random.uniform() < rate).count();
                arm.add(bucket, units as f64, events as f64);
            }
        }
        let found = experiment::compare(std::slice::from_ref(&stratum), ask);
        last = found.is_ok_and(|found| found.low.is_some_and(|low| low > 0.0));
        ever |= last;
    }
    (ever, last)
}

#[test]
fn the_planned_size_finds_what_it_was_planned_for() {
    let rates = [0.2, 0.25];
    let variances = rates.map(|p| p * (1.0 - p));
    let (power, runs) = (0.8, 200);
    let mut random = Random(201);
    let four = 4.0 * (power * (1.0 - power) / runs as f64).sqrt();
    // A single look, planned as such: as often as was computed, no more and no less than chance (32 buckets cost a little).
    let z = normal::isf(ALPHA / 2.0);
    let size = experiment::size(variances, 0.5, 0.05, z, power).unwrap();
    let once = ask(Procedure::Bound(z), true, size / 2.0);
    let found = (0..runs).filter(|_| finds(&mut random, rates, size, 1, &once).1).count() as f64 / runs as f64;
    assert!((found - power).abs() <= four + 0.02, "{found} of {power}, single look of {size}");
    // Looked at all the time: at least as often, for it may also be found on the way.
    let z = experiment::boundary(ALPHA / 2.0).unwrap();
    let size = experiment::size(variances, 0.5, 0.05, z, power).unwrap();
    let always = ask(Procedure::Anytime, true, size / 2.0);
    let seen: Vec<_> = (0..runs).map(|_| finds(&mut random, rates, size, 25, &always)).collect();
    let at_end = seen.iter().filter(|s| s.1).count() as f64 / runs as f64;
    let ever = seen.iter().filter(|s| s.0).count() as f64 / runs as f64;
    assert!((at_end - power).abs() <= four + 0.03, "{at_end} at the planned size of {size}");
    assert!(ever >= at_end && ever >= power - four, "{ever}");
}

#[test]
fn five_planned_looks_spend_no_more_than_alpha_and_a_single_test_read_five_times_does() {
    let runs = 400;
    let bounds: Vec<f64> = (1..=5)
        .map(|k| {
            let fractions: Vec<f64> = (1..=k).map(|i| f64::from(i) / 5.0).collect();
            *spending::bounds(&fractions, ALPHA, Spending::OBrienFleming, true).unwrap().last().unwrap()
        })
        .collect();
    let mut random = Random(301);
    let (mut planned, mut peeking) = (0, 0);
    for _ in 0..runs {
        let mut stratum = Stratum { share: Some(0.5), ..Stratum::default() };
        let (mut crossed, mut naive) = (false, false);
        for bound in &bounds {
            for arm in [&mut stratum.baseline, &mut stratum.canary] {
                for bucket in 0..32 {
                    let events = (0..20).filter(|_| random.uniform() < 0.2).count();
                    arm.add(bucket, 20.0, events as f64);
                }
            }
            let outside = |z: f64| {
                let found =
                    experiment::compare(std::slice::from_ref(&stratum), &ask(Procedure::Bound(z), true, 3_200.0));
                found.is_ok_and(|found| !covers(&found, 0.0))
            };
            crossed |= outside(*bound);
            naive |= outside(normal::isf(ALPHA / 2.0));
        }
        planned += usize::from(crossed);
        peeking += usize::from(naive);
    }
    assert!(planned <= at_most(ALPHA, runs), "{planned} of {runs}");
    assert!(peeking >= 2 * planned, "{peeking} of {runs}, {planned} with planned looks");
}

/// An A/B test by this metric, as a file.
fn file(primary: &serde_json::Value, effect: &str) -> Rollout {
    serde_json::from_value(json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "shop-v2"},
        "spec": {
            "target": "target.yaml", "route": "shop",
            "goals": [{"name": "purchase", "match": {"path": {"exact": "/buy"}}}],
            "providers": {"truth": {"outcomes": {"file": "outcomes.jsonl"}}},
            "strategy": {"abTest": {
                "primary": primary, "minimumEffect": effect, "horizon": "2h",
                "guardrails": [{"metric": "errorRate", "versusBaseline": "2x"}],
            }},
            "analysis": {"interval": "30s", "criteria": [{"metric": "errorRate", "versusBaseline": "2x"}]},
            "monitoring": {"duration": "0s"},
            "finalising": {"verify": false},
        }
    }))
    .unwrap()
}

#[test]
fn whole_tests_of_equal_versions_seldom_name_a_winner_and_find_a_true_one() {
    let plan = check(&file(&json!({"metric": "success", "provider": "truth"}), "2 points")).unwrap();
    // Few users who come all the time, and are much unlike each other.
    let even = Scenario { users: 1_500, correlation: 0.3, requests_per_s: 40.0, ..Scenario::default() };
    let runs = 60;
    let winners = (0..runs)
        .filter(|seed| {
            let lived = simulate(&plan, &even, *seed, false);
            matches!(lived.state.test.and_then(|t| t.answer), Some(Answer::BWins | Answer::AWins))
        })
        .count();
    assert!(winners <= at_most(ALPHA, 60), "{winners} of {runs}");
    let better = Scenario { canary: Version { success: 0.98, ..Version::default() }, ..even };
    let found =
        (0..10).filter(|seed| simulate(&plan, &better, *seed, false).state.test.unwrap().answer == Some(Answer::BWins));
    assert_eq!(found.count(), 10);
}

#[test]
fn whole_tests_by_goals_and_by_values_find_what_is_true() {
    let of_goal = check(&file(&json!({"metric": "goal", "goal": "purchase"}), "2 points")).unwrap();
    let of_value = check(&file(&json!({"metric": "value", "provider": "truth"}), "0.1")).unwrap();
    let usual = Scenario { users: 20_000, requests_per_s: 60.0, ..Scenario::default() };
    for (plan, canary, expected) in [
        (&of_goal, Version { conversion: 0.2, ..Version::default() }, Answer::BWins),
        (&of_goal, Version { conversion: 0.05, ..Version::default() }, Answer::AWins),
        (&of_value, Version { value: 1.5, ..Version::default() }, Answer::BWins),
        (&of_value, Version { value: 0.6, ..Version::default() }, Answer::AWins),
    ] {
        for seed in 0..3 {
            let lived = simulate(plan, &Scenario { canary, ..usual.clone() }, seed, false);
            assert_eq!(lived.state.test.and_then(|t| t.answer), Some(expected), "{:?}", lived.state.because);
            assert!(lived.left_out.is_empty(), "{:?}", lived.left_out);
        }
    }
}
