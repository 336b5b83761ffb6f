//! From windows to episodes: drift is told when it begins and when it is over, not at each window in between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Look, Measure, Told, Verdict, Watch, look};
use crate::measure::{Totals, Window};
use crate::state::Baseline;

/// How far a watch is: all that must survive a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What windows are held against.
    pub reference: Option<Baseline>,
    /// The window that is being filled; none before the first reading.
    pub window: Option<Window>,
    /// How many windows were looked at.
    pub looks: u32,
    /// Drift that goes on.
    pub episode: Option<Episode>,
    /// How many episodes there were.
    pub episodes: u32,
    /// The last window's look.
    pub last: Option<Look>,
    /// What the last windows came to, oldest first, at most [`HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Past>,
}

/// Windows that [`Progress::history`] keeps.
pub const HISTORY: usize = 500;

/// What a window came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// Its end, unix ms.
    pub until_ms: u64,
    /// All together.
    pub verdict: Verdict,
    /// How large each measure was, as `latency psi`; those that could not be measured are left out.
    pub sizes: BTreeMap<String, f64>,
    /// Those of the measures, called so too, that were drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drifted: Vec<String>,
}

/// Drift from the window in which it was first seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Episode {
    /// Number, from 1.
    pub number: u32,
    /// End of the window that showed it first, unix ms.
    pub since_ms: u64,
    /// Whether its retraining was started; a call that failed is made again at the next window.
    pub retrained: bool,
}

/// What happened to an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// It began.
    Began,
    /// A window without drift ended it.
    Over,
}

/// Something that people are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Number of the episode.
    pub episode: u32,
    /// In words.
    pub text: String,
}

/// Adds an increment that took `measured_ms` up to `now_ms`, and looks when the window is full. A window is full when it
/// was measured for its length: time in which nobody could measure does not count.
///
/// `told` are the outcomes about the reference's time and about the window's, up to now.
///
/// Between windows progress changes in its window alone. A window that cannot be decided neither begins nor ends an episode.
pub fn tick(
    watch: &Watch,
    mut progress: Progress,
    now_ms: u64,
    measured_ms: u64,
    increment: &Totals,
    told: &Told,
) -> (Progress, Option<Look>, Vec<Event>) {
    let Some(window) = &mut progress.window else {
        // The first reading only says where to count from.
        progress.window = Some(Window::new(now_ms));
        return (progress, None, Vec::new());
    };
    window.add(now_ms, measured_ms, increment);
    if window.measured_ms < watch.window_ms {
        return (progress, None, Vec::new());
    }
    let Some(reference) = &progress.reference else { return (progress, None, Vec::new()) };
    let number = progress.looks + 1;
    let look = look(watch, reference, &window.totals, told, number, (window.since_ms, window.until_ms));
    progress.looks = number;
    progress.window = Some(Window::new(now_ms));
    let mut events = Vec::new();
    match (look.verdict, &progress.episode) {
        (Verdict::Drifted, None) => {
            progress.episodes += 1;
            let episode = progress.episodes;
            progress.episode = Some(Episode { number: episode, since_ms: look.until_ms, retrained: false });
            events.push(Event { kind: EventKind::Began, episode, text: look.sentence.clone() });
        }
        (Verdict::Steady, Some(episode)) => {
            let episode = episode.number;
            progress.episode = None;
            events.push(Event { kind: EventKind::Over, episode, text: look.sentence.clone() });
        }
        _ => {}
    }
    let called = |m: &Measure| format!("{} {}", m.of, m.measure);
    let sizes = look.measures.iter().filter_map(|m| Some((called(m), m.size?))).collect();
    let drifted = look.measures.iter().filter(|m| m.drifted).map(called).collect();
    progress.history.push(Past { until_ms: look.until_ms, verdict: look.verdict, sizes, drifted });
    let over = progress.history.len().saturating_sub(HISTORY);
    progress.history.drain(..over);
    progress.last = Some(look.clone());
    (progress, Some(look), events)
}
