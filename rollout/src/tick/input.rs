//! What was seen, and what people said.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::measure::{Snapshot, Totals};
use crate::plan::Weights;
use crate::state::Baseline;

/// All that a tick gets to know. Empty lists mean that nothing was seen.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The time, unix ms. One earlier than the last is taken for the last.
    pub now_ms: u64,
    /// The proxies' counters; one entry for each proxy that was asked.
    pub readings: Vec<Reading>,
    /// Whether each proxy of the target has the last publish in force; one entry for each.
    pub proxies: Vec<Confirmation>,
    /// Answers of providers.
    pub measurements: Vec<Measurement>,
    /// What was earned in a bandit's epochs, of those that were asked for ([`crate::tick::Wanted::rewards`]).
    pub rewards: Vec<RewardAnswer>,
    /// What is published of this route; none: not looked at.
    pub in_force: Option<InForce>,
    /// What people asked for, oldest first.
    pub commands: Vec<Command>,
    /// Answers of gates.
    pub gates: Vec<GateAnswer>,
    /// Whether the new side answers as it must (blue-green).
    pub readiness: Option<Answer>,
    /// Whether the fail-safe route reaches the new version.
    pub failsafe: Option<Answer>,
    /// The recorded baseline that was asked for.
    pub recorded: Option<Recorded>,
    /// When the last passed drill was, unix ms.
    pub last_drill_ms: Option<u64>,
    /// Ids of effects that were done.
    pub done: Vec<u64>,
    /// Ids of effects that went wrong, and why; they are asked for again.
    pub failed: Vec<(u64, String)>,
}

/// One proxy's counters, or why they could not be read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The proxy's name.
    pub proxy: String,
    /// What it counted.
    pub snapshot: Result<Arc<Snapshot>, String>,
}

/// Whether a proxy has our last publish in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// The proxy's name.
    pub proxy: String,
    /// The publish that this is about ([`crate::tick::Action::Publish`]); an answer about an older one is not looked at.
    pub fence: u64,
    /// Whether.
    pub status: ProxyStatus,
    /// Why, in words.
    pub why: String,
}

/// What became of a publish on a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxyStatus {
    /// In force in every VM, by itself or as part of a later configuration.
    Applied,
    /// Not seen in force yet.
    Pending,
    /// Refused: what was in force stays in force.
    Rejected,
    /// It does not answer.
    Unreachable,
}

/// A provider's answer for one criterion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Name of the criterion ([`crate::tick::Ask`]).
    pub criterion: String,
    /// When it was asked, unix ms.
    pub at_ms: u64,
    /// What it said.
    pub value: Measured,
}

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Measured {
    /// One number for each version; the stable one's may be missing where only an absolute bound is asked.
    Values {
        /// The canary's.
        canary: f64,
        /// The stable version's.
        stable: Option<f64>,
        /// What of it is new since the last reading.
        newest: Newest,
    },
    /// Sums by version, for outcomes and counted things: since [`crate::tick::Ask::since_ms`].
    Sums {
        /// The canary's.
        canary: Sums,
        /// The stable version's.
        stable: Sums,
    },
    /// As `Sums`, by segment: those of proxies that count in buckets of users.
    Strata {
        /// The canary's and the stable version's.
        each: std::collections::BTreeMap<String, (Sums, Sums)>,
    },
    /// It answered, and had no values: an empty vector, NaN, nothing yet. Never a success.
    NoValues,
    /// It could not be asked, or its answer could not be read.
    Error {
        /// Why.
        reason: String,
    },
}

/// What of a number is new since the last reading: readings that share a past cannot be counted as several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Newest {
    /// The whole: it was not read before, or is of this moment alone.
    #[default]
    Whole,
    /// Nothing was measured since: it is no further reading.
    Nothing,
    /// These, of the time since the last reading.
    Part {
        /// The canary's.
        canary: f64,
        /// The stable version's.
        stable: Option<f64>,
    },
}

impl Measured {
    /// What it says of the stable version alone, if it says something. Finite, because JSON, in which states are kept, has no other numbers.
    pub(crate) fn of_stable(&self) -> Option<Self> {
        match self {
            Self::Values { stable, .. } => {
                let stable = stable.filter(|s| s.is_finite())?;
                Some(Self::Values { canary: 0.0, stable: Some(stable), newest: Newest::Whole })
            }
            Self::Sums { stable, .. } => {
                let some = stable.buckets.iter().any(|(count, _)| *count > 0);
                let finite = stable.buckets.iter().all(|(_, sum)| sum.is_finite());
                (some && finite).then(|| Self::Sums { canary: Sums::default(), stable: stable.clone() })
            }
            Self::Strata { each } => {
                let of_stable = |sums: &Sums| Self::Sums { canary: Sums::default(), stable: sums.clone() }.of_stable();
                let kept = each.iter().filter(|(_, (_, stable))| of_stable(stable).is_some());
                let each: std::collections::BTreeMap<_, _> =
                    kept.map(|(name, (_, stable))| (name.clone(), (Sums::default(), stable.clone()))).collect();
                (!each.is_empty()).then_some(Self::Strata { each })
            }
            Self::NoValues | Self::Error { .. } => None,
        }
    }
}

/// Sums over some things (requests, outcomes), in replicate buckets of users where the key is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// For each bucket how many things, and the sum of their values (of successes: 1 each). [`crate::measure::BUCKETS`] of them, or one
    /// when no key is known.
    pub buckets: Vec<(u64, f64)>,
}

/// What was earned in one epoch of a bandit: everything that is known of it, not what is new.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewardAnswer {
    /// The epoch's number.
    pub epoch: u64,
    /// Sums by variant.
    pub arms: std::collections::BTreeMap<String, Sums>,
}

/// What is published of this rollout's route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// The weights; none when the route or a variant is not there.
    pub weights: Option<Weights>,
    /// Whether a kill is in force: of the configuration, of the route, or in a proxy's runtime.
    pub killed: bool,
    /// Who set it or where it was found, for people.
    pub detail: String,
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Unique; a command is taken once.
    pub id: String,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When, unix ms.
    pub at_ms: u64,
    /// What.
    pub verb: Verb,
}

/// What people can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Verb {
    /// Stop progressing; the weights stay, and a failure is still acted on.
    Pause,
    /// Go on after a pause, by a person or of a step.
    Resume,
    /// Go on to the next step from a pause, gate or hold; with `full` to 100 %.
    Promote {
        /// To 100 %, skipping the steps between. Refused without `force`.
        full: bool,
        /// Also out of a step that has not passed, or that failed.
        force: bool,
    },
    /// Stop, and put all users back on the stable version.
    Abort,
    /// Put all users back on the stable version.
    Rollback,
    /// Begin again: the step that holds, or the rollout when it is over.
    Retry,
    /// Everything to the stable version at once, until a revive.
    Kill,
    /// Clear a kill.
    Revive,
}

/// A gate's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateAnswer {
    /// The gate.
    pub gate: String,
    /// Yes or no.
    pub approved: bool,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Whether something holds that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whether.
    pub holds: bool,
    /// What was seen, or what is to be changed.
    pub detail: String,
}

/// A recorded baseline, or that there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is there.
    Found(Box<Baseline>),
    /// There is none of that name.
    Missing,
}

impl Baseline {
    /// A baseline of one variant's counters out of totals.
    pub fn of(name: impl Into<String>, variant: &str, since_ms: u64, until_ms: u64, totals: &Totals) -> Self {
        let mut own = Totals::default();
        if let Some(segments) = totals.variants.get(variant) {
            own.variants.insert(variant.to_owned(), segments.clone());
        }
        let provided = std::collections::BTreeMap::new();
        Self { name: name.into(), variant: variant.to_owned(), since_ms, until_ms, totals: own, provided }
    }
}
