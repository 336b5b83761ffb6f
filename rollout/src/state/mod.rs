//! Where a rollout is: everything that must survive a restart of the program, and nothing else.
//!
//! Plain data for JSON. It is written before the effects that stand in it are acted on (rollbacks and kills alone do not wait), and
//! effects stay in it until they are reported done, so that whoever reads it back after a crash does what was left to
//! do. Proxies' last readings are the one thing that a restart forgets: see [`crate::measure::Readings`].

mod bandit;
mod look;
mod test;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Lagged, Readings, Totals, Window};
use crate::plan::Weights;
use crate::tick::{Effect, Measured, ProxyStatus};

pub use bandit::{ArmLook, BanditLook, BanditState, Interval, Known};
pub use look::{Figures, Look, VerdictKind};
pub use test::{Answer, Ratio, SegmentLook, TestLook, TestState};

/// Where a rollout is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Form of this state: 1.
    pub version: u32,
    /// The rollout's name.
    pub rollout: String,
    /// The phase.
    pub phase: Phase,
    /// Why it is in this phase, for people.
    pub because: String,
    /// Index of the step in the plan; the number of steps stands for the monitoring after them.
    pub step: usize,
    /// How often it was begun: 1, and one more with each retry.
    pub attempt: u32,
    /// The weights asked for.
    pub weights: Weights,
    /// Number of the last publish of this rollout, 0 before the first; a publish with a lower one is out of date.
    pub fence: u64,
    /// Whether a publish of this attempt was asked for.
    pub taken_over: bool,
    /// What became of that publish.
    pub delivery: Delivery,
    /// When the rollout began, unix ms; 0 before.
    pub started_ms: u64,
    /// Since when in this phase, unix ms.
    pub phase_since_ms: u64,
    /// When this step was entered, unix ms.
    pub step_since_ms: u64,
    /// The latest time that was seen, unix ms; earlier ones are taken for it.
    pub now_ms: u64,
    /// What is measured of the step that is judged; none before its weights are in force.
    pub window: Option<Window>,
    /// The newest part of that window, so that an old calm does not drown a new failure.
    pub recent: Option<Recent>,
    /// What had started some time ago, to tell hanging requests from those on their way.
    pub lagged: Lagged,
    /// Index of the step whose criteria are judged; it stays while a pause or a gate follows.
    pub judged: Option<usize>,
    /// The last window in which the stable version was measured sufficiently.
    pub baseline: Option<Baseline>,
    /// For how long the step that is judged could not be measured, ms.
    pub blind_ms: u64,
    /// Failed looks by criterion, in the step that is judged.
    pub tallies: BTreeMap<String, Tally>,
    /// The last look at the step that is judged.
    pub look: Option<Look>,
    /// What steps came to, in order.
    pub results: Vec<StepResult>,
    /// A hold: a person has to decide.
    pub hold: Option<Hold>,
    /// The phase that a pause by a person goes back to.
    pub paused_from: Option<Phase>,
    /// Effects that are not reported done.
    pub pending: Vec<Effect>,
    /// Id of the next effect.
    pub next_effect: u64,
    /// Ids of commands that were taken, newest last; the last 64.
    pub taken: Vec<String>,
    /// Whether a kill is known to be in force.
    pub killed: bool,
    /// Whether somebody else changed the weights.
    pub drifted: bool,
    /// Whether a person went on without what must be there before it begins.
    pub excused: bool,
    /// Whether the gate of this step was told to people.
    pub gate_told: bool,
    /// Whether a failure that the policy lets pass was told.
    pub fail_told: bool,
    /// How far this program's clock was set back since the rollout began, ms; added to what it shows.
    pub clock_offset_ms: u64,
    /// What a way back ends as.
    pub ending: Option<Outcome>,
    /// The end; none while it goes on.
    pub outcome: Option<Outcome>,
    /// Since when all users are on the new version, unix ms.
    pub full_since_ms: Option<u64>,
    /// When it was last reported stale, unix ms.
    pub stale_told_ms: Option<u64>,
    /// Whether the fail-safe route was seen to reach the new version, and what was seen.
    pub failsafe: Option<Failsafe>,
    /// When the next weight of a way back by steps is due, unix ms.
    pub next_down_ms: Option<u64>,
    /// What the A/B test remembers; none before it was planned, and for other strategies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestState>,
    /// What a bandit has learnt; none for every other strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandit: Option<BanditState>,
    /// Proxies' last readings.
    #[serde(skip)]
    pub readings: Readings,
}

/// The phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The route is taken over with all users on the stable version, and it is seen whether measuring works.
    Initializing,
    /// A step sets weights, measures and judges.
    Progressing,
    /// A pause, a gate or a hold.
    Waiting,
    /// A person paused it.
    Paused,
    /// All users are on the new version, which is still judged.
    Promoting,
    /// It is verified that the fail-safe route reaches the new version.
    Finalising,
    /// The new version is in service.
    Succeeded,
    /// On the way back.
    RollingBack,
    /// All users are on the stable version again.
    RolledBack,
    /// It could not begin, or ended as held.
    Failed,
}

impl Phase {
    /// Whether it is over; only a retry goes on from here.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::RolledBack | Self::Failed)
    }

    /// As the audit and people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Progressing => "Progressing",
            Self::Waiting => "Waiting",
            Self::Paused => "Paused",
            Self::Promoting => "Promoting",
            Self::Finalising => "Finalising",
            Self::Succeeded => "Succeeded",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Failed => "Failed",
        }
    }
}

/// The end of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The new version is in service.
    Promoted,
    /// Taken back, by the judge, a policy or a person.
    RolledBack,
    /// Ended while holding.
    Held,
    /// Stopped by a person.
    Aborted,
    /// It could not begin.
    Failed,
}

/// What became of the last publish.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// When it was asked for, unix ms.
    pub asked_ms: u64,
    /// When enough proxies had it in force, unix ms.
    pub applied_ms: Option<u64>,
    /// Since when too few have it, unix ms.
    pub short_since_ms: Option<u64>,
    /// Whether that lasted beyond the patience and was told.
    pub told: bool,
    /// Each proxy's answer, by name, with the reason.
    pub proxies: BTreeMap<String, (ProxyStatus, String)>,
    /// Proxies whose counters could not be read at the last tick, with the reason.
    pub unread: BTreeMap<String, String>,
}

/// The newest part of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recent {
    /// Number of this part in the step, from 1; the evidence it needs grows with it.
    pub block: u32,
    /// What was counted in it.
    pub window: Window,
}

/// A window in which a version was measured, to compare with when it has no traffic any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// What it is, for people: `5% of attempt 1`, or the recorded baseline's name.
    pub name: String,
    /// The variant that was measured.
    pub variant: String,
    /// From, unix ms.
    pub since_ms: u64,
    /// To, unix ms.
    pub until_ms: u64,
    /// Its counters alone, under its name.
    pub totals: Totals,
    /// What providers said last of it while it was measured, by the criterion's name; nothing of the other version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provided: BTreeMap<String, Measured>,
}

/// Failed looks of one criterion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// In a row.
    pub consecutive: u32,
    /// In the step.
    pub total: u32,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// Index of the step.
    pub step: usize,
    /// Its name.
    pub name: String,
    /// The attempt.
    pub attempt: u32,
    /// When it was entered, unix ms.
    pub since_ms: u64,
    /// When it was left, unix ms.
    pub until_ms: u64,
    /// What it came to; none for a step that does not judge.
    pub verdict: Option<VerdictKind>,
    /// In one sentence.
    pub sentence: String,
}

/// Why it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Since when, unix ms.
    pub since_ms: u64,
    /// What for.
    pub cause: HoldCause,
    /// In words, with the way out.
    pub reason: String,
}

/// What it holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HoldCause {
    /// A criterion failed and `onFail` is `hold`.
    Failed,
    /// Too few samples.
    Inconclusive,
    /// No measurement.
    Unmeasured,
    /// Proxies reject or do not answer.
    Proxies,
    /// Somebody else changed what is published.
    Drift,
    /// Something that must be there before it begins.
    Precondition,
    /// A gate was rejected or timed out.
    Gate,
    /// The versions do not get the users that the weights say: nothing may be concluded.
    SampleRatio,
    /// An A/B test has its answer, and the file leaves what follows to a person.
    Answered,
}

/// Whether the fail-safe route reaches the new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failsafe {
    /// Seen to reach it on every proxy.
    pub reached: bool,
    /// What was seen, or exactly what is to be changed.
    pub detail: String,
}

impl State {
    /// A rollout that has not begun.
    pub fn new(rollout: impl Into<String>) -> Self {
        Self {
            version: 1,
            rollout: rollout.into(),
            phase: Phase::Initializing,
            because: "not begun".to_owned(),
            step: 0,
            attempt: 1,
            weights: Weights::none(),
            fence: 0,
            taken_over: false,
            delivery: Delivery::default(),
            started_ms: 0,
            phase_since_ms: 0,
            step_since_ms: 0,
            now_ms: 0,
            window: None,
            recent: None,
            lagged: Lagged::default(),
            judged: None,
            baseline: None,
            blind_ms: 0,
            tallies: BTreeMap::new(),
            look: None,
            results: Vec::new(),
            hold: None,
            paused_from: None,
            pending: Vec::new(),
            next_effect: 1,
            taken: Vec::new(),
            killed: false,
            drifted: false,
            excused: false,
            gate_told: false,
            fail_told: false,
            clock_offset_ms: 0,
            ending: None,
            outcome: None,
            full_since_ms: None,
            stale_told_ms: None,
            failsafe: None,
            next_down_ms: None,
            test: None,
            bandit: None,
            readings: Readings::default(),
        }
    }

    /// Whether the old version must be kept: users may still be on it, or go back to it.
    pub fn keep_old_version(&self) -> bool {
        self.phase != Phase::Succeeded || self.failsafe.as_ref().is_some_and(|f| !f.reached)
    }

    /// Whether a drill may run now: never while users' requests are being judged or on the way back.
    ///
    /// # Errors
    /// Why not.
    pub fn may_drill(&self) -> Result<(), String> {
        match self.phase {
            Phase::Succeeded | Phase::RolledBack | Phase::Failed => Ok(()),
            Phase::Initializing if self.hold.is_some() => Ok(()),
            phase => Err(format!("the rollout is {}: a drill would disturb what is measured", phase.name())),
        }
    }
}
