//! What came of many simulated rollouts.

use std::collections::BTreeMap;

use headgate_rollout::simulate::{BEGAN_MS, Lived};
use headgate_rollout::state::{Answer, Look, Outcome, VerdictKind};
use headgate_rollout::tick::EventKind;
use serde::Serialize;

/// How one life ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ended {
    pub(crate) outcome: &'static str,
    /// The step that it was in.
    pub(crate) step: String,
    /// The criterion that failed, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) criterion: Option<String>,
    /// Why, in a sentence with the figures.
    pub(crate) why: String,
    /// When it was decided, milliseconds of virtual time since the beginning.
    pub(crate) after_ms: u64,
    /// Since the canary behaves as the scenario says and has users, or as far back as it has users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) noticed_ms: Option<u64>,
}

/// All lives together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) seeds: u64,
    /// How many ended so.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    /// What A/B tests came to, and how many did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) answers: BTreeMap<&'static str, u64>,
    /// How long a test took until it had its answer: the median, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answered_ms: Option<u64>,
    /// Of those rolled back, how many at which step by which criterion.
    pub(crate) rolled_back: BTreeMap<String, u64>,
    /// From the canary's fault to the rollback: the median and the longest, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) noticed_ms: Option<(u64, u64)>,
    /// Shares of users of the canary at the rollback, in 1/10,000: the greatest.
    pub(crate) exposed: u32,
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted => "promoted",
        Outcome::RolledBack => "rolledBack",
        Outcome::Held => "held",
        Outcome::Aborted => "aborted",
        Outcome::Failed => "failed",
    }
}

const fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::BWins => "bWins",
        Answer::AWins => "aWins",
        Answer::Equivalent => "equivalent",
        Answer::Inconclusive => "inconclusive",
    }
}

impl Ended {
    /// How a life ended.
    pub(crate) fn of(lived: &Lived, good_for_ms: u64) -> Self {
        let outcome = word(lived.outcome());
        let back = lived.events.iter().find(|(_, e)| e.kind == EventKind::RollingBack);
        let faulty = BEGAN_MS + good_for_ms;
        let users = lived.events.iter().find(|(_, e)| e.weights.canary > 0);
        match back {
            Some((at, event)) => Self {
                outcome,
                step: event.step.clone(),
                criterion: event.look.as_ref().and_then(failed),
                why: event.text.clone(),
                after_ms: at.saturating_sub(BEGAN_MS),
                noticed_ms: users.map(|(from, _)| at.saturating_sub((*from).max(faulty))),
            },
            None => Self {
                outcome,
                step: lived.state.look.as_ref().map(|look| look.step.clone()).unwrap_or_default(),
                criterion: None,
                why: lived.state.hold.as_ref().map_or_else(|| lived.state.because.clone(), |hold| hold.reason.clone()),
                after_ms: lived.ended_ms.saturating_sub(BEGAN_MS),
                noticed_ms: None,
            },
        }
    }
}

/// The first criterion of a look that failed and counts.
fn failed(look: &Look) -> Option<String> {
    let figures = look.figures.iter().find(|f| f.verdict == VerdictKind::Fail && !f.dry_run);
    figures.map(|f| f.name.clone())
}

/// All of them together.
pub(crate) fn summary(lives: &[Lived], ended: &[Ended]) -> Summary {
    let mut out = Summary { seeds: lives.len() as u64, ..Summary::default() };
    let mut noticed = Vec::new();
    let mut answered = Vec::new();
    for (lived, ended) in lives.iter().zip(ended) {
        *out.outcomes.entry(ended.outcome).or_insert(0) += 1;
        if let Some(answer) = lived.state.test.as_ref().and_then(|t| t.answer) {
            *out.answers.entry(answer_word(answer)).or_insert(0) += 1;
            let told = lived.events.iter().find(|(_, e)| matches!(e.kind, EventKind::Verdict | EventKind::Held));
            answered.extend(told.map(|(at, _)| at.saturating_sub(BEGAN_MS)));
        }
        if ended.outcome == "rolledBack" {
            let by = ended.criterion.as_deref().unwrap_or("policy");
            *out.rolled_back.entry(format!("{} by {by}", ended.step)).or_insert(0) += 1;
            noticed.extend(ended.noticed_ms);
            let most = lived.events.iter().map(|(_, e)| e.weights.canary).max().unwrap_or(0);
            out.exposed = out.exposed.max(most);
        }
    }
    answered.sort_unstable();
    out.answered_ms = answered.get(answered.len() / 2).copied();
    noticed.sort_unstable();
    if let (Some(median), Some(longest)) = (noticed.get(noticed.len() / 2), noticed.last()) {
        out.noticed_ms = Some((*median, *longest));
    }
    out
}
