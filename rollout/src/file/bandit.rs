//! The bandit as people write it: which variants, what a reward is, how exploring is weighed against earning, what is never paid for it.

use serde::{Deserialize, Serialize};

use super::{Criterion, Metric, Percent, Span};

/// Shares of users follow the rewards that the variants earn, batch by batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bandit {
    /// The route's variants that compete with the stable one, 1 to 15. Default: the canary alone. Example: `[short, long, funny]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<String>,
    /// What is earned. Example: `{metric: success, provider: orders}`.
    pub reward: RewardMetric,
    /// How exploring is weighed against earning. Default `thompson`.
    #[serde(default)]
    pub policy: BanditPolicy,
    /// With `epsilonGreedy`: the part of users that explores. Default `10%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<Percent>,
    /// What every variant keeps, at least `0.1%`: without users nothing is learnt any more. Default `2%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Percent>,
    /// Weights change at most this often; at least `2s`. Default `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Span>,
    /// A weight that would change by less stays, so that users keep their variant. Default `1%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_change: Option<Percent>,
    /// Rewards (or units that could have earned one) that each variant needs before any is preferred. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<u64>,
    /// After so long a reward weighs half as much: for tastes that change. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<Span>,
    /// For so long after a batch rewards may still come in for it; they are credited to the variant that the user had then. Default `0s`;
    /// at most 50 batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Measured time after which it ends. Default `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Criteria that a variant must hold against the stable one, whatever it earns. Default: those of `analysis`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guardrails: Vec<Criterion>,
    /// What happens to a variant that fails a guardrail. Default `drop`.
    #[serde(default)]
    pub on_guardrail: OnGuardrail,
    /// What happens when time is up. Default `hold`.
    #[serde(default)]
    pub at_end: AtEnd,
    /// With `atEnd: best`: how likely a variant must be the best to get all users; above 0.5, below 1. Default 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// What is earned; more is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RewardMetric {
    /// `success` (of outcomes with a provider; without one, of requests: no 5xx, no gRPC failure, no reset), `value` (of outcomes), or
    /// `goal` (conversions that the proxies count, for each request that exposed a user).
    pub metric: Metric,
    /// With `metric: goal`: which one, a name of `goals`. Example: `checkout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// A name of `providers` that takes outcomes. Default: the proxies' counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// How exploring is weighed against earning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BanditPolicy {
    /// A variant's share is its chance to be the best.
    #[default]
    Thompson,
    /// A fixed part explores, everybody else gets the best so far.
    EpsilonGreedy,
}

/// What happens to a variant that fails a guardrail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum OnGuardrail {
    /// It gets nobody any more; the others go on. When none is left, the rollout goes back.
    #[default]
    Drop,
    /// The whole rollout goes back.
    Rollback,
}

/// What happens when time is up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum AtEnd {
    /// A person decides; shares go on following the rewards meanwhile.
    #[default]
    Hold,
    /// The best variant gets all users as soon as it is likely enough to be the best.
    Best,
}
