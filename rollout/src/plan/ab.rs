//! A checked A/B test: the question, the metric that answers it, and what follows.

use serde::{Deserialize, Serialize};

use super::{Source, Unit, unit};
use crate::file::{Action, Hypothesis, Metric, Procedure};

/// A checked A/B test: B is the plan's canary, A its stable version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestPlan {
    /// What is asked.
    pub hypothesis: Hypothesis,
    /// The metric that decides.
    pub primary: Primary,
    /// Chance of a claim that is not so.
    pub alpha: f64,
    /// Chance with which [`Self::effect`] is to be found.
    pub power: f64,
    /// The smallest difference that matters, in the metric's unit, above 0.
    pub effect: f64,
    /// The difference that still counts as none, in the metric's unit, above 0.
    pub margin: f64,
    /// Requests or outcomes of each version before anything is concluded.
    pub min_per_arm: u64,
    /// How long the stable version is observed before, ms.
    pub observe_ms: u64,
    /// How a difference is told from chance.
    pub procedure: Procedure,
    /// Whether it is looked at once, at the end.
    pub at_end: bool,
    /// What follows.
    pub after: AfterPlan,
}

/// The metric that decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Primary {
    /// What is measured.
    pub metric: Metric,
    /// Which of the plan's goals, for [`Metric::Goal`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Its name for people.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// Whether more is better.
    pub higher: bool,
}

/// What follows each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AfterPlan {
    /// B is what was asked for.
    pub b_wins: Action,
    /// A is better.
    pub a_wins: Action,
    /// They differ by less than matters.
    pub equivalent: Action,
    /// Nothing is shown in the time there was.
    pub inconclusive: Action,
}

/// Planned looks of a group-sequential test, evenly over its time.
pub const PLANNED_LOOKS: u32 = 5;

impl TestPlan {
    /// The name under which a provider is asked for the metric. No criterion can have it.
    pub fn question(&self) -> String {
        format!("primary:{}", self.primary.name)
    }

    /// The one-sided alpha of each bound: half of alpha where both sides can be claimed, all of it where one is asked.
    pub fn side(&self) -> f64 {
        match self.hypothesis {
            Hypothesis::Superiority => self.alpha / 2.0,
            Hypothesis::NonInferiority | Hypothesis::Equivalence => self.alpha,
        }
    }

    /// Whether the metric counts events, of which a request has one at most. Conversions may be more than requests that were exposed.
    pub(crate) fn is_rate(&self) -> bool {
        unit(self.primary.metric) == Unit::Share && self.primary.metric != Metric::Goal
    }
}
