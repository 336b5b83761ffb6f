//! Whatever is seen and whoever says what: nothing panics, users get only what the plan says, and a way back never turns round.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_rollout::measure::Snapshot;
use headgate_rollout::plan::Weights;
use headgate_rollout::state::Phase;
use headgate_rollout::tick::{
    Action, Answer, GateAnswer, InForce, Measured, Measurement, Newest, ProxyStatus, Sums, Verb,
};
use proptest::prelude::*;
use serde_json::json;
use support::{Version, World, plan};

#[derive(Debug, Clone)]
enum Prank {
    Say(Verb),
    Status(usize, ProxyStatus),
    Silence(usize),
    Restart(usize),
    Leave(usize),
    Join(usize),
    Garbage(usize, u64),
    Kill(bool),
    SetByOthers(u32),
    Measure(f64, Option<f64>),
    Sums(u64, f64),
    NoValues,
    Gate(bool),
    Failsafe(bool),
    Clock(i64),
    Bad(u64),
    Good,
    Traffic(u64),
    Crash,
}

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        1 => Just(Verb::Pause),
        1 => Just(Verb::Resume),
        1 => Just(Verb::Abort),
        1 => Just(Verb::Rollback),
        3 => Just(Verb::Retry),
        1 => Just(Verb::Kill),
        2 => Just(Verb::Revive),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(full, force)| Verb::Promote { full, force }),
    ]
}

fn status() -> impl Strategy<Value = ProxyStatus> {
    prop_oneof![
        3 => Just(ProxyStatus::Applied),
        1 => Just(ProxyStatus::Pending),
        1 => Just(ProxyStatus::Rejected),
        1 => Just(ProxyStatus::Unreachable)
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(0.0), Just(f64::MAX), 0.0..2.0]
}

fn prank() -> impl Strategy<Value = Prank> {
    prop_oneof![
        4 => verb().prop_map(Prank::Say),
        1 => (0..3_usize, status()).prop_map(|(p, s)| Prank::Status(p, s)),
        1 => (0..3_usize).prop_map(Prank::Silence),
        1 => (0..3_usize).prop_map(Prank::Restart),
        1 => (0..3_usize).prop_map(Prank::Leave),
        1 => (0..3_usize).prop_map(Prank::Join),
        1 => (0..3_usize, any::<u64>()).prop_map(|(p, n)| Prank::Garbage(p, n >> 20)),
        1 => any::<bool>().prop_map(Prank::Kill),
        1 => (0..=10_000_u32).prop_map(Prank::SetByOthers),
        1 => (number(), proptest::option::of(number())).prop_map(|(c, s)| Prank::Measure(c, s)),
        1 => (any::<u32>(), number()).prop_map(|(n, t)| Prank::Sums(u64::from(n), t)),
        1 => Just(Prank::NoValues),
        3 => any::<bool>().prop_map(Prank::Gate),
        1 => any::<bool>().prop_map(Prank::Failsafe),
        1 => (-100_000_000..100_000_000_i64).prop_map(Prank::Clock),
        1 => (1..=1_000_u64).prop_map(Prank::Bad),
        2 => Just(Prank::Good),
        1 => (0..2_000_u64).prop_map(Prank::Traffic),
        1 => Just(Prank::Crash),
    ]
}

fn play(world: &mut World, prank: &Prank) {
    let name = |at: &usize| format!("edge-{at}");
    let mut measured = |value| {
        world.with.measurements = vec![Measurement { criterion: "truth".to_owned(), at_ms: world.now_ms + 1, value }];
    };
    match prank {
        Prank::Measure(canary, stable) => {
            measured(Measured::Values { canary: *canary, stable: *stable, newest: Newest::Whole })
        }
        Prank::Sums(count, total) => {
            let of = |factor: f64| Sums { buckets: vec![(*count, total * factor); 32] };
            measured(Measured::Sums { canary: of(1.0), stable: of(0.5) });
        }
        Prank::NoValues => measured(Measured::NoValues),
        Prank::Say(verb) => world.say(*verb),
        Prank::Status(at, status) => drop(world.status.insert(name(at), *status)),
        Prank::Silence(at) => world.silent = vec![name(at)],
        Prank::Restart(at) => {
            if let Some(proxy) = world.proxies.get_mut(&name(at)) {
                *proxy = Snapshot::default();
            }
        }
        Prank::Leave(at) => drop(world.proxies.remove(&name(at))),
        Prank::Join(at) => drop(world.proxies.entry(name(at)).or_default()),
        Prank::Garbage(at, n) => {
            if let Some(proxy) = world.proxies.get_mut(&name(at)) {
                for counters in proxy.variants.values_mut().flat_map(|s| s.values_mut()) {
                    counters.requests = *n;
                    counters.classes = [*n, 0, *n / 2, 1, *n / 3, 0];
                    counters.latency.cumulative.reverse();
                    if let Some(first) = counters.replicates.first_mut() {
                        first.failures = first.finished + n;
                    }
                }
            }
        }
        Prank::Kill(on) => world.killed = *on,
        Prank::SetByOthers(parts) => {
            world.with.in_force = Some(InForce {
                weights: Some(Weights::canary(*parts)),
                killed: world.killed,
                detail: "others".to_owned(),
            });
        }
        Prank::Gate(approved) => {
            let answer = GateAnswer {
                gate: "ok".to_owned(),
                approved: *approved,
                actor: "ana".to_owned(),
                reason: String::new(),
            };
            world.with.gates = vec![answer];
        }
        Prank::Failsafe(holds) => world.with.failsafe = Some(Answer { holds: *holds, detail: "seen".to_owned() }),
        Prank::Clock(ms) => world.now_ms = world.now_ms.saturating_add_signed(*ms),
        Prank::Bad(per_mille) => world.canary.failing_per_mille = *per_mille,
        Prank::Good => {
            world.canary = Version::good();
            world.status.clear();
            world.silent.clear();
        }
        Prank::Traffic(rate) => world.rate = *rate,
        Prank::Crash => world.restart(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_users_get_what_the_plan_says(
        pranks in proptest::collection::vec((prank(), 1..6_usize), 1..60)
    ) {
        let mut world = World::new(plan(json!({
            "strategy": {"canary": {"steps": [
                {"shadow": {"share": "10%", "duration": "3s"}},
                {"weight": "10%", "duration": "3s"}, {"gate": {"name": "ok"}}, {"pause": {"duration": "2s"}},
                {"weight": "50%", "duration": "3s"}, {"weight": "100%", "duration": "3s"}
            ]}},
            "providers": {"truth": {"webhook": {"url": "http://127.0.0.1:1/"}}},
            "analysis": {"interval": "1s", "minRequests": 20, "criteria": [
                {"metric": "errorRate", "versusBaseline": "2x"}, {"metric": "latencyP95", "maxRise": "50ms"},
                {"name": "truth", "metric": "custom", "provider": "truth", "max": 1, "importance": "dryRun"}
            ]},
            "monitoring": {"duration": "3s"},
            "notifications": [{"webhook": {"url": "http://127.0.0.1:1/"}}]
        })));
        world.rate = 200;
        let ladder = [0, 1_000, 5_000, 10_000];
        let (mut fence, mut going_back) = (0, false);
        for (prank, ticks) in &pranks {
            play(&mut world, prank);
            for _ in 0..*ticks {
                let attempt = world.state.attempt;
                let output = world.pass(1_000);
                if world.state.attempt > attempt {
                    going_back = false;
                }
                for effect in &output.effects {
                    let Action::Publish { fence: number, weights, .. } = &effect.action else { continue };
                    prop_assert!(*number >= fence, "publish {} after {}", number, fence);
                    fence = *number;
                    prop_assert!(ladder.contains(&weights.canary), "{weights:?} stands in no step");
                    prop_assert!(!going_back || weights.is_none(), "on the way back, and {weights:?}");
                }
                going_back |= matches!(world.state.phase, Phase::RollingBack | Phase::RolledBack);
                let text = serde_json::to_string(&world.state).unwrap();
                let again: headgate_rollout::State = serde_json::from_str(&text).unwrap();
                let state = &world.state;
                prop_assert_eq!((again.phase, again.step, again.fence), (state.phase, state.step, state.fence));
            }
        }
    }
}
