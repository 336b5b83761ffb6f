//! The A/B test as people write it: what is asked, of which metric, how sure it must be, and what follows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Action, Criterion, Metric, Percent, Quantity, Span};

/// A fixed division of users between the stable version (A) and the new one (B), until the question is answered or time is up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbTest {
    /// The new version's share of users, the same from the first minute to the last; a user keeps the version. Default `50%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Percent>,
    /// Shares of its own for segments of the route; the others get `split`. Example: `{premium: 10%}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<String, Percent>,
    /// What is asked. Default `superiority`.
    #[serde(default)]
    pub hypothesis: Hypothesis,
    /// The one metric that decides. Example: `{metric: success, provider: orders}`.
    pub primary: PrimaryMetric,
    /// Chance that a version is called better (or not worse, or equivalent) which is not; above 0, at most 0.5. Default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Chance with which `minimumEffect` is to be found, for the sample size; above 0, below 1. Default 0.8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// The smallest difference that matters, in the metric's unit. Default `2 points` for shares; needed for other metrics.
    /// Example: `0.5 points`, `20ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_effect: Option<Quantity>,
    /// With `nonInferiority` and `equivalence`: the difference that still counts as none. Default: `minimumEffect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Quantity>,
    /// Requests (outcomes, for a provider's metric) that each version needs before anything is concluded. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_per_arm: Option<u64>,
    /// When it ends at the latest, in measured time. Default `48h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Span>,
    /// How long the stable version is observed before the test begins, for the sample size and the duration that it takes.
    /// Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Span>,
    /// The statistical procedure. Default `anytime`.
    #[serde(default)]
    pub procedure: Procedure,
    /// When the metric is looked at. Default `everyTick`; `fixedHorizon` needs `atEnd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
    /// Criteria that take the new version back at once, in the middle of the test. Default: those of `analysis`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Criterion>,
    /// What follows the answer. Default: B goes on to 100 % where it is shown to be what was asked for, an undecided test holds,
    /// everything else goes back.
    #[serde(default)]
    pub after: After,
}

/// The metric that decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrimaryMetric {
    /// What is measured.
    pub metric: Metric,
    /// Which of `spec.goals`, for `goal`. Example: `purchase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Where it comes from: a name of `providers`. Default: the proxies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's query. Default: the provider's own for the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Which way is better. Default: less, for errors and times; more, for successes and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// What is asked of B.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Hypothesis {
    /// Is it better?
    #[default]
    Superiority,
    /// Is it not worse by more than the margin?
    NonInferiority,
    /// Is it the same to within the margin?
    Equivalence,
}

/// How a difference is told from chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Procedure {
    /// Evidence that may be looked at whenever one likes.
    #[default]
    Anytime,
    /// The asymptotic confidence sequence: as `anytime`, tuned to the planned size.
    ConfidenceSequence,
    /// The mixture sequential probability ratio test, sharpest at the smallest difference that matters.
    Msprt,
    /// Five looks at fixed parts of the time, with O'Brien and Fleming's bounds.
    GroupSequential,
    /// One look at the end. Looked at earlier it cries wolf, so it needs `looks: atEnd`.
    FixedHorizon,
}

/// When a metric is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Looks {
    /// At every tick; it ends as soon as the answer is known.
    EveryTick,
    /// Once, when time is up.
    AtEnd,
}

/// What follows each answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct After {
    /// B is better (with `nonInferiority`: not worse by more than the margin). Default `proceed`: on to 100 %, still judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b_wins: Option<Action>,
    /// A is better. Default `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_wins: Option<Action>,
    /// They differ by less than matters. Default `rollback`; `proceed` with `equivalence`, where it is what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equivalent: Option<Action>,
    /// Time is up, and nothing is shown. Default `hold`: the division stays, and a person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<Action>,
}
