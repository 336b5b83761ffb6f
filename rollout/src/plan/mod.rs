//! A checked rollout: steps with weights in parts of 10,000, criteria with their bounds in one unit, alpha shared out.
//!
//! Made by [`crate::file::check()`] alone. Units: shares as fractions of 1, times of measurements in microseconds, times of
//! the rollout in milliseconds. It says what is wanted, never what happened: that is [`crate::state::State`].

mod ab;
mod bandit;
mod share;

use std::collections::{BTreeMap, BTreeSet};

use headgate_contract::{Goal, Replicate};
use serde::{Deserialize, Serialize};

use crate::file::{
    Action, FailureLimit, Importance, JudgeMode, Metric, Notification, Procedure, Provider, ReadinessRequest, WHOLE,
    Webhook,
};

pub use ab::{AfterPlan, PLANNED_LOOKS, Primary, TestPlan};
pub use bandit::{BanditPlan, RewardSource};
pub(crate) use share::share_alpha;

/// A checked rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the rollout.
    pub name: String,
    /// Labels for people.
    pub labels: BTreeMap<String, String>,
    /// Path of the target file, as written.
    pub target: String,
    /// The route in the target's configuration.
    pub route: String,
    /// The old version's variant.
    pub stable: String,
    /// The new version's variant.
    pub canary: String,
    /// Which strategy made the steps.
    pub strategy: StrategyKind,
    /// The steps in order. The last one that sets weights is at 100 %.
    pub steps: Vec<Step>,
    /// The time at 100 % after the last step, before promotion; its duration may be 0.
    pub monitoring: Step,
    /// How measurements are judged.
    pub judging: Judging,
    /// After a failed criterion.
    pub on_fail: Action,
    /// After a step without enough samples.
    pub on_inconclusive: Action,
    /// After a step that could not be measured.
    pub on_error: Action,
    /// How long a hold lasts before the rollout ends as held, ms.
    pub hold_limit_ms: Option<u64>,
    /// Time on each step of a way back by steps, ms; none: all at once.
    pub rollback_interval_ms: Option<u64>,
    /// What is tolerated of proxies.
    pub proxies: ProxyPolicy,
    /// After how long at 100 % it is stale, ms.
    pub stale_after_ms: u64,
    /// Metrics that the published configuration must keep in replicate buckets (`metrics.replicates`), so that a variance
    /// between users is known. Whoever publishes adds them to those that are there.
    pub replicates: BTreeSet<Replicate>,
    /// Goals that the published route must count. Whoever publishes puts them in the place of those of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
    /// What is watched after promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<crate::drift::Watch>,
    /// Providers, by name, as written.
    pub providers: BTreeMap<String, Provider>,
    /// Who is told, as written.
    pub notifications: Vec<Notification>,
    /// The cluster that the fail-safe route must name in the end; none: that of the canary in the plugin configuration.
    pub failsafe_cluster: Option<String>,
    /// Whether the end waits until the fail-safe route was seen to reach the new version.
    pub verify_failsafe: bool,
    /// A passed drill must be younger than this, ms.
    pub drill_within_ms: Option<u64>,
    /// Refusals that were overridden: `path: reason`. Empty unless forced.
    pub forced: Vec<String>,
    /// Who forced them and why; empty unless forced.
    pub forced_because: String,
    /// What a bandit plays; none for every other strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandit: Option<BanditPlan>,
}

/// Which strategy a plan follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StrategyKind {
    /// Step by step.
    Canary,
    /// All at once, there and back.
    BlueGreen,
    /// Copies first.
    Shadow,
    /// A fixed division, and a question.
    AbTest,
    /// Shares that follow rewards.
    Bandit,
}

/// How measurements are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Judging {
    /// Anytime-valid or plain threshold.
    pub mode: JudgeMode,
    /// Chance of a false rollback of the whole rollout.
    pub alpha: f64,
    /// Time between two looks, ms.
    pub interval_ms: u64,
    /// Finished requests of the new version that a step needs to pass.
    pub min_requests: u64,
    /// Part of a step's duration that it may take longer to come to a verdict.
    pub patience: f64,
    /// Name of a recorded baseline; none: the stable version at the same time.
    pub recorded_baseline: Option<String>,
    /// How old a recorded baseline may be when the rollout begins, ms.
    pub baseline_within_ms: u64,
}

/// What is tolerated of proxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyPolicy {
    /// Share of proxies that may not answer or not have the weights, parts of 10,000.
    pub tolerate: u32,
    /// How long more may be missing, ms.
    pub patience_ms: u64,
    /// What happens then.
    pub on_exceeded: Action,
    /// Share of requests that may be misrouted before nothing passes, parts of 10,000.
    pub misrouted: u32,
}

/// The shares in force during a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    /// The canary's share in parts of [`WHOLE`]; the stable version has the rest, any other variant nothing.
    pub canary: u32,
    /// The canary's share in segments of the route that differ; every other segment gets [`Self::canary`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, u32>,
    /// Share of users whose requests are copied to the canary, parts of [`WHOLE`]; 0: no copies.
    #[serde(default)]
    pub mirror: u32,
    /// Share of users whose requests the filter copies and compares, parts of [`WHOLE`]; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shadow: u32,
    /// `true` at the very end: the route has one variant, the canary or the arm that a bandit gave all users, which is also what a kill goes to.
    #[serde(default)]
    pub only_canary: bool,
    /// The shares of a bandit's arms by variant, parts of [`WHOLE`], the same in every segment; [`Self::canary`] is then what the stable
    /// version does not have. Empty: there are two versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arms: BTreeMap<String, u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(parts: &u32) -> bool {
    *parts == 0
}

impl Weights {
    /// All users on the stable version, no copies.
    pub fn none() -> Self {
        Self::default()
    }

    /// Shares of arms, which add up to [`WHOLE`]. All for the stable version: as [`Self::none`].
    pub fn of_arms<'a>(stable: &str, arms: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let arms: BTreeMap<String, u32> = arms.into_iter().map(|(name, parts)| (name.to_owned(), parts)).collect();
        let canary = WHOLE.saturating_sub(arms.get(stable).copied().unwrap_or(0));
        if canary == 0 { Self::none() } else { Self { canary, arms, ..Self::default() } }
    }

    /// The same share in every segment.
    pub fn canary(parts: u32) -> Self {
        Self { canary: parts.min(WHOLE), ..Self::default() }
    }

    /// For people: the canary's share, or each arm's of a bandit: `5 %`, `stable 20%, short 80%`.
    pub fn words(&self) -> String {
        if self.arms.is_empty() {
            return format!("{} %", f64::from(self.canary) / 100.0);
        }
        let one = |(name, parts): (&String, &u32)| format!("{name} {}", crate::text::percent(*parts));
        self.arms.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Whether no user can get the canary and none is copied.
    pub fn is_none(&self) -> bool {
        self.canary == 0
            && self.segments.values().all(|w| *w == 0)
            && self.mirror == 0
            && self.shadow == 0
            && !self.only_canary
    }

    /// Whether stable answers nobody.
    pub fn is_full(&self) -> bool {
        self.only_canary || (self.canary == WHOLE && self.segments.values().all(|w| *w == WHOLE))
    }

    /// Whether they give every user the same, however they are written.
    pub fn same_as(&self, other: &Self) -> bool {
        self.canary == other.canary
            && self.mirror == other.mirror
            && self.shadow == other.shadow
            && self.only_canary == other.only_canary
            && self.arms == other.arms
            && self.segments.keys().chain(other.segments.keys()).all(|s| self.in_segment(s) == other.in_segment(s))
    }

    /// The canary's share in a segment (`default` outside of all), parts of [`WHOLE`].
    pub fn in_segment(&self, segment: &str) -> u32 {
        self.segments.get(segment).copied().unwrap_or(self.canary)
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// The shares in force while it lasts.
    pub weights: Weights,
    /// Measured time of a judged step, time of a pause, ms; none: until somebody decides.
    pub duration_ms: Option<u64>,
    /// What it is judged by; empty for steps that are not judged.
    pub criteria: Vec<Criterion>,
}

impl Step {
    /// Whether it measures and comes to a verdict.
    pub fn is_judged(&self) -> bool {
        matches!(
            self.kind,
            StepKind::Weight
                | StepKind::Shadow
                | StepKind::Compare { .. }
                | StepKind::Analysis
                | StepKind::Monitoring
                | StepKind::Bandit
                | StepKind::Test(_)
        )
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum StepKind {
    /// Sets a share and judges.
    Weight,
    /// Copies and judges the copies.
    Shadow,
    /// Copies, and judges how their answers compare with what users got.
    Compare {
        /// Comparisons that it needs to pass.
        min: u64,
    },
    /// Waits.
    Pause,
    /// Waits for an approval.
    Gate(Box<GatePlan>),
    /// Judges at the weights in force.
    Analysis,
    /// Asks the new side for the answers it must give.
    Readiness {
        /// The requests.
        requests: Vec<ReadinessRequest>,
    },
    /// Measures the old side for a baseline.
    Observe,
    /// Shares follow rewards; what is judged are guardrails.
    Bandit,
    /// The time at 100 % after the last step.
    Monitoring,
    /// Divides users once, and answers a question.
    Test(Box<TestPlan>),
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatePlan {
    /// Its name, unique in the rollout.
    pub name: String,
    /// What is asked.
    pub question: String,
    /// A webhook that answers; none: a person does.
    pub webhook: Option<Webhook>,
    /// How long it waits, ms.
    pub timeout_ms: Option<u64>,
    /// What happens then.
    pub on_timeout: Action,
}

/// One measurement and its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    /// Its name, unique in a step.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// Which of the plan's goals, for [`Metric::Goal`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Where the measurement comes from.
    pub source: Source,
    /// What it may be.
    pub bound: Bound,
    /// What a failure means.
    pub importance: Importance,
    /// How many looks of an ordinary criterion may fail.
    pub failure_limit: FailureLimit,
    /// Its share of alpha in this step: the chance that it fails here for an equally good version.
    pub alpha: f64,
    /// An alpha of its own, which no share takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_alpha: Option<f64>,
    /// How [`Bound::NotWorse`] is shown.
    #[serde(default)]
    pub procedure: Procedure,
    /// Whether that is looked at once, at the step's end.
    #[serde(default)]
    pub at_end: bool,
}

/// Where a measurement comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum Source {
    /// The counters of the proxies.
    Proxies,
    /// A provider.
    Provider {
        /// Its name.
        name: String,
        /// What it is asked; none: its own query for the metric.
        query: Option<String>,
    },
}

/// What a measurement may be, in the metric's unit (shares as fractions, times in microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Bound {
    /// At most.
    Max {
        /// The bound.
        value: f64,
    },
    /// At least.
    Min {
        /// The bound.
        value: f64,
    },
    /// At most so much less than the baseline.
    Drop {
        /// The difference.
        by: f64,
    },
    /// At most so much more than the baseline.
    Rise {
        /// The difference.
        by: f64,
    },
    /// At most so many times the baseline, and never failing for a rise below the floor.
    Ratio {
        /// The factor.
        factor: f64,
        /// The rise below which nothing fails.
        floor: f64,
    },
    /// Shown to be not worse than the baseline by more.
    NotWorse {
        /// The difference.
        margin: f64,
        /// Whether less is worse.
        lower: bool,
    },
}

impl Bound {
    /// What is allowed against `baseline`; absolute bounds do not look at it.
    pub fn limit(&self, baseline: f64) -> f64 {
        match *self {
            Self::Max { value } | Self::Min { value } => value,
            Self::Drop { by } => baseline - by,
            Self::Rise { by } => baseline + by,
            Self::NotWorse { margin, lower: true } => baseline - margin,
            Self::NotWorse { margin, lower: false } => baseline + margin,
            Self::Ratio { factor, floor } => (baseline * factor).max(baseline + floor),
        }
    }

    /// Whether it needs a baseline.
    pub fn is_relative(&self) -> bool {
        !matches!(self, Self::Max { .. } | Self::Min { .. })
    }

    /// Whether less is worse.
    pub fn is_lower(&self) -> bool {
        matches!(self, Self::Min { .. } | Self::Drop { .. } | Self::NotWorse { lower: true, .. })
    }
}

impl Plan {
    /// The step of this index; the one after the last is [`Self::monitoring`].
    pub fn step(&self, index: usize) -> &Step {
        self.steps.get(index).unwrap_or(&self.monitoring)
    }

    /// The A/B test of this plan, if it is one.
    pub fn test(&self) -> Option<&TestPlan> {
        self.steps.iter().find_map(|step| match &step.kind {
            StepKind::Test(test) => Some(&**test),
            _ => None,
        })
    }

    /// The variants that users may get: the stable one, then the others.
    pub fn variants(&self) -> Vec<&str> {
        match &self.bandit {
            Some(bandit) => bandit.arms.iter().map(String::as_str).collect(),
            None => vec![&self.stable, &self.canary],
        }
    }

    /// Time that the rollout takes when everything passes at once, ms, without pauses that a person ends.
    pub fn shortest_ms(&self) -> u64 {
        self.steps.iter().chain([&self.monitoring]).filter_map(|s| s.duration_ms).sum()
    }
}

/// Which unit a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Share,
    Micros,
    Number,
}

pub(crate) fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::ErrorRate
        | Metric::ClientErrorRate
        | Metric::TimeoutRate
        | Metric::UnfinishedRate
        | Metric::Goal
        | Metric::Agreement
        | Metric::Success => Unit::Share,
        Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::LatencyP99
        | Metric::LatencyMean
        | Metric::HeadersP50
        | Metric::HeadersP95
        | Metric::HeadersP99 => Unit::Micros,
        Metric::Value | Metric::Cpu | Metric::Memory | Metric::Custom => Unit::Number,
    }
}
