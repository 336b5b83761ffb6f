//! A checked rollout: steps with weights in parts of 10,000, criteria with their bounds in one unit, alpha shared out.
//!
//! Made by [`crate::file::check()`] alone. Units: shares as fractions of 1, times of measurements in microseconds, times of
//! the rollout in milliseconds. It says what is wanted, never what happened: that is [`crate::state::State`].

mod ab;
mod bandit;
mod criterion;
mod share;
mod step;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use headgate_contract::{Goal, Replicate};
use serde::{Deserialize, Serialize};

use crate::file::{Action, JudgeMode, Notification, Provider};

pub use ab::{AfterPlan, PLANNED_LOOKS, Primary, TestPlan};
pub use bandit::{BanditPlan, RewardSource};
pub use criterion::{Bound, Criterion, Source};
pub(crate) use criterion::{Unit, unit};
pub(crate) use share::share_alpha;
pub use step::{GatePlan, Step, StepKind};
pub use weights::Weights;

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
