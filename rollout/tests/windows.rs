//! Properties of windows over counters, and of a rollout that is killed and started again at any moment.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_rollout::measure::{Counters, Readings, Replicates, Snapshot, Totals};
use headgate_rollout::state::{Outcome, Phase};
use headgate_rollout::tick::{Action, Answer, ProxyStatus};
use proptest::prelude::*;
use serde_json::json;
use support::{World, add, plan};

/// What happens to a proxy between two readings.
#[derive(Debug, Clone)]
enum Happens {
    /// It counts so many requests and is read.
    Counts(u64),
    /// It counts, and cannot be read.
    Silent(u64),
    /// It restarts, counts, and is read; the reading shows less than the last one, or its uptime tells.
    Restarts(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..200_u64).prop_map(Happens::Counts),
        2 => (0..200_u64).prop_map(Happens::Silent),
        1 => (0..200_u64).prop_map(Happens::Restarts),
    ]
}

fn count(snapshot: &mut Snapshot, requests: u64, salt: u64) {
    let segments = snapshot.variants.entry("canary".to_owned()).or_default();
    let counters = segments.entry("default".to_owned()).or_default();
    add(counters, requests, support::Version { failing_per_mille: 100, ..support::Version::good() }, salt);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The window shows exactly what was counted between readings, but for what a proxy forgot when it restarted before it was
    /// read again; and never more.
    #[test]
    fn a_window_holds_exactly_what_was_counted_and_not_forgotten(
        lives in proptest::collection::vec(proptest::collection::vec(happens(), 1..20), 1..4)
    ) {
        let mut readings = Readings::default();
        let mut totals = Totals::default();
        let mut expected = 0_u64;
        let mut proxies: Vec<Snapshot> = lives.iter().map(|_| Snapshot::default()).collect();
        // What a proxy has counted since it was last read: lost when it restarts.
        let mut unread: Vec<u64> = vec![0; lives.len()];
        let mut up: Vec<u64> = vec![1_000_000; lives.len()];
        for (at, snapshot) in proxies.iter_mut().enumerate() {
            count(snapshot, 50, at as u64);
        }
        let longest = lives.iter().map(Vec::len).max().unwrap_or(0);
        for round in 0..=longest {
            let now = 10_000 * (round as u64 + 1);
            let mut read: Vec<(String, Arc<Snapshot>)> = Vec::new();
            for (at, life) in lives.iter().enumerate() {
                up[at] += 10_000;
                let step = if round == 0 { Some(&Happens::Counts(0)) } else { life.get(round - 1) };
                let snapshot = &mut proxies[at];
                match step {
                    Some(Happens::Counts(n)) => {
                        count(snapshot, *n, at as u64);
                        expected += n + std::mem::take(&mut unread[at]);
                    }
                    Some(Happens::Silent(n)) => {
                        count(snapshot, *n, at as u64);
                        unread[at] += n;
                        continue;
                    }
                    Some(Happens::Restarts(n)) => {
                        *snapshot = Snapshot::default();
                        up[at] = 1_000;
                        count(snapshot, *n, at as u64);
                        unread[at] = 0;
                        expected += n;
                    }
                    None => continue,
                }
                let mut shown = snapshot.clone();
                shown.taken_ms = now;
                shown.uptime_ms = Some(up[at]);
                read.push((format!("edge-{at}"), Arc::new(shown)));
            }
            totals.merge(&readings.take_in(read.iter().map(|(p, s)| (p.as_str(), s))));
        }
        let counters = totals.variants.get("canary").and_then(|s| s.get("default")).cloned().unwrap_or_default();
        prop_assert_eq!(counters.requests, expected);
        prop_assert_eq!(counters.finished(), expected);
        prop_assert_eq!(counters.latency.count, expected);
        prop_assert_eq!(counters.replicates.iter().map(|r: &Replicates| r.finished).sum::<u64>(), expected);
    }

    /// Merging is adding: the order and the grouping of increments do not matter.
    #[test]
    fn totals_add_up_in_any_order(parts in proptest::collection::vec((0..100_u64, 0..3_usize), 1..8)) {
        let of = |(n, segment): &(u64, usize)| {
            let mut counters = Counters::default();
            add(&mut counters, *n, support::Version::good(), 3);
            Totals {
                variants: BTreeMap::from([("canary".to_owned(), BTreeMap::from([(format!("s{segment}"), counters)]))]),
                ..Totals::default()
            }
        };
        let mut forth = Totals::default();
        parts.iter().for_each(|p| forth.merge(&of(p)));
        let mut back = Totals::default();
        parts.iter().rev().for_each(|p| back.merge(&of(p)));
        prop_assert_eq!(forth.finished("canary"), parts.iter().map(|(n, _)| n).sum::<u64>());
        prop_assert_eq!(forth.finished("canary"), back.finished("canary"));
    }

    /// Killed and started again at any ticks, with proxies that lag and fall silent: a good version is promoted and a bad one taken
    /// back, weights only rise by one step at a time, and no publish ever carries a lower number than one before it.
    #[test]
    fn a_rollout_that_is_killed_at_any_moment_goes_on_where_it_was(
        kills in proptest::collection::vec(0..120_usize, 0..12),
        lagging in proptest::collection::vec(0..120_usize, 0..6),
        bad in any::<bool>(),
    ) {
        let mut world = World::new(plan(json!({
            "strategy": {"canary": {"steps": [
                {"weight": "10%", "duration": "10s"}, {"weight": "50%", "duration": "10s"}, {"weight": "100%", "duration": "10s"}
            ]}},
            "analysis": {"interval": "1s", "criteria": [{"metric": "errorRate", "versusBaseline": "2x"}]},
            "monitoring": {"duration": "10s"}, "finalising": {"verify": true}
        })));
        world.rate = 400;
        world.canary.failing_per_mille = if bad { 1_000 } else { 0 };
        let ladder = [0, 1_000, 5_000, 10_000];
        let (mut fence, mut share) = (0, 0);
        for tick in 0..200 {
            if kills.contains(&tick) {
                let before = (world.state.phase, world.state.step, world.state.weights.clone());
                world.restart();
                prop_assert_eq!(before, (world.state.phase, world.state.step, world.state.weights.clone()));
            }
            world.status.clear();
            if lagging.contains(&tick) {
                world.status.insert("edge-1".to_owned(), ProxyStatus::Pending);
            }
            world.with.failsafe = Some(Answer { holds: true, detail: String::new() });
            let measured = world.state.window.as_ref().map_or(0, |w| w.measured_ms);
            let step = world.state.step;
            let output = world.pass(1_000);
            for effect in &output.effects {
                if let Action::Publish { fence: number, weights, .. } = &effect.action {
                    prop_assert!(*number >= fence);
                    fence = *number;
                    let from = ladder.iter().position(|w| *w == share);
                    let to = ladder.iter().position(|w| *w == weights.canary);
                    prop_assert!(weights.is_none() || to.zip(from).is_some_and(|(to, from)| to <= from + 1), "{} after {}", weights.canary, share);
                    share = weights.canary;
                }
            }
            if world.state.step > step {
                prop_assert!(measured + 1_000 >= 10_000, "left a step after {} ms", measured);
            }
            if world.state.phase.is_over() {
                break;
            }
        }
        let expected = if bad { Outcome::RolledBack } else { Outcome::Promoted };
        prop_assert_eq!(world.state.outcome, Some(expected), "{:?} {}", world.state.phase, world.state.because);
        prop_assert_eq!(world.state.phase == Phase::Succeeded, !bad);
    }
}
