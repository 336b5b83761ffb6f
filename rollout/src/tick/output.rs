//! What is to be done and what is to be told.

use std::collections::BTreeSet;

use headgate_contract::Replicate;
use serde::{Deserialize, Serialize};

use crate::file::{NotificationKind, ReadinessRequest, Webhook};
use crate::plan::Weights;
use crate::state::{Baseline, Look, State};

/// What a tick comes to.
#[derive(Debug, Clone)]
pub struct Output {
    /// The next state. Write it before acting on the effects, but for the urgent ones.
    pub state: State,
    /// What is to be done, urgent ones first: all that is not reported done, also from earlier ticks. Each may be done twice.
    pub effects: Vec<Effect>,
    /// What happened in this tick, for the audit and for people.
    pub events: Vec<Event>,
    /// When to tick again at the latest, unix ms.
    pub next_ms: u64,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// Its id, by which it is reported done.
    pub id: u64,
    /// Whether it does not wait for the store: rollbacks and kills.
    pub urgent: bool,
    /// What.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Action {
    /// Publish the route's weights.
    Publish {
        /// Number of this publish in the rollout. Never publish a lower one after a higher one.
        fence: u64,
        /// The weights.
        weights: Weights,
        /// Name of the stage, for the configuration's `stage`.
        stage: String,
        /// What the configuration must keep in replicate buckets, beside what it keeps already.
        replicates: BTreeSet<Replicate>,
        /// Why, for the audit.
        why: String,
    },
    /// Kill the route, in the configuration and where possible in the proxies' runtime.
    Kill {
        /// Who and why.
        why: String,
    },
    /// Clear the kill.
    Revive {
        /// Who and why.
        why: String,
    },
    /// Tell those who want to know.
    Notify {
        /// Of what.
        kind: NotificationKind,
        /// In words.
        text: String,
    },
    /// Write a proposal down for people, each segment with the version it had better get. It is never applied by itself.
    Propose {
        /// The version by segment.
        segments: std::collections::BTreeMap<String, String>,
        /// Why.
        why: String,
    },
    /// Keep a baseline under its name.
    RecordBaseline {
        /// The baseline.
        baseline: Box<Baseline>,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// In words.
    pub text: String,
    /// The step's name at that time.
    pub step: String,
    /// The weights asked for at that time.
    pub weights: Weights,
    /// Who, when a person or a gate caused it; else `headgate`.
    pub actor: String,
    /// The reason that the person gave; empty otherwise.
    pub reason: String,
    /// The command that caused it.
    pub command: Option<String>,
    /// The measurements that it rests on.
    pub look: Option<Look>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// The rollout began.
    Started,
    /// Something was overridden by force.
    Forced,
    /// The phase changed.
    Phase,
    /// A step was entered.
    StepStarted,
    /// A bandit's batch is over: shares followed the rewards, or an arm was dropped.
    Shares,
    /// Its weights are in force, its clock runs.
    StepMeasuring,
    /// A step came to a verdict.
    Verdict,
    /// A criterion failed a look without consequence yet: ordinary or dry-run.
    LookFailed,
    /// A gate waits, or was answered.
    Gate,
    /// It holds.
    Held,
    /// A hold is over.
    Released,
    /// It goes back.
    RollingBack,
    /// All users are on the stable version again.
    RolledBack,
    /// The new version is in service.
    Promoted,
    /// Proxies reject, do not answer or restarted.
    Proxies,
    /// What is published is not what was asked for.
    Drift,
    /// A kill or a revive.
    Kill,
    /// Long at 100 % and not finished.
    Stale,
    /// What the fail-safe route does.
    Failsafe,
    /// A command was taken.
    Command,
    /// A command was refused.
    Refused,
    /// An effect went wrong and is tried again.
    EffectFailed,
    /// What each step can detect with the traffic seen.
    Power,
    /// The clock jumped.
    Clock,
    /// What segments of a test say that the whole does not.
    Segments,
}

/// What the next tick wants to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Whether the proxies' counters are needed.
    pub readings: bool,
    /// Whether they need what the copies' cluster answered ([`crate::measure::Snapshot::copies`]).
    pub copies: bool,
    /// Whether the proxies' confirmation of the last publish is needed.
    pub confirmations: bool,
    /// What providers are to be asked.
    pub asks: Vec<Ask>,
    /// Epochs of a bandit whose rewards are told as outcomes.
    pub rewards: Vec<RewardAsk>,
    /// A gate whose webhook is to be asked, with how long it has waited in ms.
    pub gate: Option<GateAsk>,
    /// The requests that the new side must answer.
    pub readiness: Option<Vec<ReadinessRequest>>,
    /// Whether to look where the fail-safe route goes.
    pub failsafe: bool,
    /// Name of the recorded baseline that is needed.
    pub recorded: Option<String>,
}

/// A question for a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// Name of the criterion, which the answer repeats.
    pub criterion: String,
    /// What is measured.
    pub metric: crate::file::Metric,
    /// The provider's name.
    pub provider: String,
    /// The query; none: the provider's own for the metric.
    pub query: Option<String>,
    /// The window begins here, unix ms, and never earlier.
    pub since_ms: u64,
    /// Whether the stable version's value is needed too.
    pub baseline: bool,
}

/// What was earned in an epoch: outcomes of requests of its time, credited to the variant that the user had then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewardAsk {
    /// The epoch's number.
    pub epoch: u64,
    /// From here, unix ms.
    pub since_ms: u64,
    /// To here, excluded, unix ms; none while it lasts.
    pub until_ms: Option<u64>,
    /// Whether values are meant, or successes.
    pub values: bool,
}

/// A gate that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateAsk {
    /// The gate.
    pub gate: String,
    /// What is asked.
    pub question: String,
    /// The webhook that answers; none: a person does.
    pub webhook: Option<Webhook>,
    /// Since when it waits, unix ms.
    pub since_ms: u64,
}
