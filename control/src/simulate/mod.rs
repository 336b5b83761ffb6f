//! Simulated rollouts for people: how versions are described, many seeds at once, and what came of them.
//!
//! The simulation itself is `headgate_rollout::simulate`; nothing here judges.

mod outcome;
mod version;

use headgate_rollout::Plan;
use headgate_rollout::simulate::{BEGAN_MS, Lived, Scenario, simulate};

use crate::report::{Happened, Known, Story, story};

pub(crate) use outcome::{Ended, Summary, summary};
pub(crate) use version::read;

/// Lives through the rollout once for each seed, on all cores. In the order of the seeds; the first one keeps its looks.
pub(crate) fn lives(plan: &Plan, scenario: &Scenario, first: u64, count: u64) -> Vec<Lived> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).max(1);
    let seeds: Vec<u64> = (0..count).map(|i| first.wrapping_add(i)).collect();
    let each = seeds.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = seeds
            .chunks(each)
            .map(|part| {
                scope.spawn(move || -> Vec<Lived> {
                    part.iter().map(|seed| simulate(plan, scenario, *seed, *seed == first)).collect()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    })
}

/// The story of one life, for a report.
pub(crate) fn told(plan: &Plan, lived: &Lived, how: String) -> Story {
    let events: Vec<Happened> = lived
        .events
        .iter()
        .map(|(at_ms, event)| Happened {
            at_ms: *at_ms,
            actor: event.actor.clone(),
            kind: Some(event.kind),
            action: kind(event),
            text: event.text.clone(),
            weight: Some(event.weights.canary),
        })
        .collect();
    let mut told = story(&Known { plan, state: &lived.state, looks: &lived.looks, events: &events });
    told.simulated = Some(how);
    told
}

/// The name of an event's kind, as in the audit.
pub(crate) fn kind(event: &headgate_rollout::tick::Event) -> String {
    serde_json::to_value(event.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Time since the simulated beginning, as people say it: `3h 20m`.
pub(crate) fn since_begin(at_ms: u64) -> String {
    let ms = at_ms.saturating_sub(BEGAN_MS);
    let ms = if ms >= 60_000 { ms / 1_000 * 1_000 } else { ms };
    humantime::format_duration(std::time::Duration::from_millis(ms)).to_string()
}
