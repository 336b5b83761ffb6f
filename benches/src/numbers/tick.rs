//! One look of the judge at a bandit of 3 variants: 10 criteria of each against the stable version, in 20 segments, by buckets of users, with all bounds
//! worked out; posteriors, chances to be the best, estimates by weight epoch, regret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use headgate_rollout::file::{Rollout, check};
use headgate_rollout::measure::{BUCKETS, Counters, Histogram, Replicates, Snapshot};
use headgate_rollout::plan::{Plan, Weights};
use headgate_rollout::state::State;
use headgate_rollout::tick::{Action, Confirmation, InForce, Input, ProxyStatus, Reading, tick};
use serde_json::json;

const ARMS: [&str; 3] = ["stable", "short", "long"];
const SEGMENTS: u64 = 20;

/// Seconds of so many looks at which everything was worked out.
pub(super) fn measure(looks: usize) -> Result<Vec<f64>> {
    let metrics = [
        "errorRate",
        "timeoutRate",
        "unfinishedRate",
        "clientErrorRate",
        "latencyP50",
        "latencyP95",
        "latencyP99",
        "headersP50",
        "headersP95",
        "headersP99",
    ];
    let criteria: Vec<_> = metrics.iter().map(|metric| json!({"metric": metric, "versusBaseline": "2x"})).collect();
    let file: Rollout = serde_json::from_value(json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "bench"},
        "spec": {"target": "target.yaml", "route": "shop", "variants": {"stable": "stable", "canary": "short"},
            "analysis": {"interval": "10s", "criteria": criteria},
            "strategy": {"bandit": {"arms": ["short", "long"], "reward": {"metric": "success"}, "batch": "10s", "duration": "365d"}}}
    }))?;
    let plan = check(&file).map_err(|problems| anyhow!("the bench's own file: {problems:?}"))?;
    let mut seconds = Vec::with_capacity(looks);
    while seconds.len() < looks {
        let before = seconds.len();
        life(&plan, looks, &mut seconds)?;
        ensure!(seconds.len() > before, "the rollout does not begin to play");
    }
    Ok(seconds)
}

/// A rollout's first hours: the longer its window, the seldomer all bounds are worked out, so many looks take many lives.
fn life(plan: &Plan, looks: usize, seconds: &mut Vec<f64>) -> Result<()> {
    let (mut state, mut in_force, mut done) = (State::new("bench"), Weights::none(), Vec::new());
    let mut now = 1_700_000_000_000_u64;
    for n in 1..=1_000 {
        if seconds.len() == looks {
            break;
        }
        now += 10_000;
        let confirmation = Confirmation {
            proxy: "edge".to_owned(),
            fence: state.fence,
            status: ProxyStatus::Applied,
            why: String::new(),
        };
        let input = Input {
            now_ms: now,
            readings: vec![Reading { proxy: "edge".to_owned(), snapshot: Ok(Arc::new(snapshot(now, n))) }],
            proxies: vec![confirmation],
            in_force: Some(InForce { weights: Some(in_force.clone()), ..InForce::default() }),
            done: std::mem::take(&mut done),
            ..Input::default()
        };
        let before = std::mem::replace(&mut state, State::new(""));
        let bounds = before.look.as_ref().map_or(0, |look| look.bounds_at_ms);
        let begin = Instant::now();
        let out = tick(plan, before, &input);
        let took = begin.elapsed().as_secs_f64();
        let looked = out.state.look.as_ref();
        // Only looks at which all bounds were worked out, and the arms compared, count.
        if looked.is_some_and(|look| look.bounds_at_ms > bounds && look.bandit.is_some() && look.figures.len() == 20) {
            seconds.push(took);
        }
        for effect in &out.effects {
            if let Action::Publish { weights, .. } = &effect.action {
                in_force = weights.clone();
            }
            done.push(effect.id);
        }
        state = out.state;
        ensure!(state.outcome.is_none(), "the bench's rollout ended: {}", state.because);
    }
    Ok(())
}

/// What a proxy has counted after `n` intervals: all variants alike, but for a little more errors of `short`.
fn snapshot(now: u64, n: u64) -> Snapshot {
    let mut snapshot = Snapshot { taken_ms: now, ..Snapshot::default() };
    for (arm, name) in ARMS.iter().enumerate() {
        let segments: BTreeMap<String, Counters> =
            (0..SEGMENTS).map(|s| (format!("segment-{s}"), counters(n, arm as u64, s))).collect();
        snapshot.variants.insert((*name).to_owned(), segments);
    }
    snapshot
}

fn counters(n: u64, arm: u64, segment: u64) -> Counters {
    let mut counters = Counters::default();
    for bucket in 0..BUCKETS as u64 {
        let requests = n * (20 + (bucket * 7 + segment * 3) % 5);
        let failures = requests * (8 + arm % 2 + (bucket * 5 + segment) % 4) / 1_000;
        let timeouts = failures / 3;
        let replicate = Replicates {
            requests,
            finished: requests,
            failures,
            timeouts,
            latency_us: requests * (20_000 + bucket * 50),
            client_errors: failures / 2,
        };
        counters.requests += requests;
        counters.timeouts += timeouts;
        counters.classes[1] += requests - failures - failures / 2;
        counters.classes[3] += failures / 2;
        counters.classes[4] += failures;
        counters.replicates.push(replicate);
    }
    let bounds: Arc<[f64]> = (0..40).map(|i| 500.0 * 1.3_f64.powi(i)).collect();
    let total = counters.requests;
    let share = |bound: f64| 1.0 / (1.0 + (20_000.0 / bound).powi(3));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "counts")]
    let cumulative: Vec<u64> = bounds.iter().map(|bound| (total as f64 * share(*bound)) as u64).collect();
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let histogram = Histogram { bounds, cumulative, count: total, sum: total as f64 * 20_000.0 };
    counters.headers = histogram.clone();
    counters.latency = histogram;
    counters
}
