//! What is measured and what it may be.

use serde::{Deserialize, Serialize};

use super::{Looks, Procedure, Quantity, Span};

/// How a rollout is judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Analysis {
    /// How a measurement is held against its bound. Default `anytime`.
    #[serde(default)]
    pub mode: JudgeMode,
    /// Chance that a rollout of a version as good as the old one is ever rolled back by the judge, shared out over steps and
    /// criteria; above 0, at most 0.5. Default 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Time between two looks. Default `10s`, at least `200ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Finished requests of the new version that a step needs before it can pass. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<u64>,
    /// How much longer than its duration a step may take to come to a verdict before `onInconclusive` or `onError` is asked,
    /// as a part of its duration. Default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<f64>,
    /// What `versusBaseline` and `maxDrop` compare with. Default `concurrent`.
    #[serde(default)]
    pub baseline: BaselineSource,
    /// Name of the recorded baseline, for `recorded`. Default: the route's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_name: Option<String>,
    /// A recorded baseline older than this is not compared with: the rollout waits for a newer one. Default `7d`. Example: `48h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_within: Option<Span>,
    /// The criteria. Default: `errorRate` 2x, `timeoutRate` 2x, `unfinishedRate` 2x, `latencyP50` 1.2x, `latencyP95` 1.5x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criteria: Option<Vec<Criterion>>,
}

/// How a measurement is held against its bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum JudgeMode {
    /// Fails only when the new version is worse beyond chance, however often one looks: its anytime-valid lower bound exceeds
    /// what is allowed.
    #[default]
    Anytime,
    /// Fails when the measurement exceeds the bound and `minRequests` were seen. Simple, and it cries wolf: two identical
    /// versions are rolled back far more often than `alpha` says.
    Threshold,
}

/// What is compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BaselineSource {
    /// The stable version at the same time on the same proxies; where it has no traffic, its last sufficient window.
    #[default]
    Concurrent,
    /// A baseline recorded before (`headgate baseline record`).
    Recorded,
}

/// One measurement and its bound: one of `max`, `min`, `maxDrop`, `maxRise`, `versusBaseline` and `notWorseThan`. Without any the metric's default
/// holds, against the baseline: 2x for rates, 1.2x for a median, 1.5x for other quantiles, CPU and memory; `goal`, `success`, `value` and
/// `custom` have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Criterion {
    /// Name, unique in a step. Default: the metric's. Example: `errors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is measured.
    pub metric: Metric,
    /// Which of `spec.goals`, for `goal`. Example: `purchase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Where it comes from: a name of `providers`. Default: the proxies; needed for `cpu`, `memory` and `custom`, and for
    /// `success` an intake of outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The provider's query; `{{variant}}`, `{{route}}`, `{{window}}` and `{{quantile}}` are filled in. Default: the
    /// provider's own for the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// At most this. Example: `2%`, `150ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Quantity>,
    /// At least this. Example: `0.80`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Quantity>,
    /// At most this much less than the baseline, in the metric's unit. Example: `2 points`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<Quantity>,
    /// At most this much more than the baseline, in the metric's unit. Example: `0.2 points`, `20ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rise: Option<Quantity>,
    /// At most this many times the baseline. Example: `1.5x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versus_baseline: Option<Quantity>,
    /// Shown to be not worse than the baseline by more than `margin` (non-inferiority). Without evidence of that nothing passes.
    /// Example: `baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_than: Option<Reference>,
    /// With `notWorseThan`: by how much it may be worse, in the metric's unit. Example: `0.1 points`, `5ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Quantity>,
    /// With `notWorseThan`: chance of calling a version not worse that is, and of failing one that is not; above 0, at most 0.5.
    /// Default: the criterion's share of the rollout's. Example: 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// With `notWorseThan`: the statistical procedure. Default `anytime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub procedure: Option<Procedure>,
    /// With `notWorseThan`: when it is looked at. Default `everyTick`; `fixedHorizon` needs `atEnd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
    /// With `versusBaseline`: a rise smaller than this never fails. Default: `0.5 points` for rates, `10ms` for times, 0
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Quantity>,
    /// What a failure means. Default `critical`.
    #[serde(default)]
    pub importance: Importance,
    /// How many failed looks an `ordinary` criterion may have. Default: 3 in a row or 5 in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<FailureLimit>,
}

/// What a version is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Reference {
    /// The rollout's baseline.
    Baseline,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Share of finished requests that failed: 5xx, gRPC failures, resets.
    ErrorRate,
    /// Share of finished requests answered with 4xx.
    ClientErrorRate,
    /// Share of finished requests that an upstream did not answer in time.
    TimeoutRate,
    /// Share of started requests that are not finished: a version that hangs.
    UnfinishedRate,
    /// Median latency, request headers to end of stream.
    LatencyP50,
    /// 95th percentile of latency.
    LatencyP95,
    /// 99th percentile of latency.
    LatencyP99,
    /// Mean latency: for A/B tests and `notWorseThan`. One hanging request moves it; a quantile does not.
    LatencyMean,
    /// Median time to response headers.
    HeadersP50,
    /// 95th percentile of the time to response headers.
    HeadersP95,
    /// 99th percentile of the time to response headers.
    HeadersP99,
    /// Conversions of a goal for each request: higher is better. Counted by the proxies, for the version that the hash gives the user.
    Goal,
    /// Share of compared copies whose answers agree with what users got, in a shadow step of mode `compare` alone: higher is better.
    Agreement,
    /// Share of outcomes reported as a success (accuracy, conversions): higher is better.
    Success,
    /// Mean of the values reported as outcomes: higher is better, unless `max` or `maxRise` bounds it.
    Value,
    /// CPU, from a provider.
    Cpu,
    /// Memory, from a provider.
    Memory,
    /// Any number, from a provider.
    Custom,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Importance {
    /// One failure is acted on.
    #[default]
    Critical,
    /// Acted on once its failure limit is reached.
    Ordinary,
    /// Shown, never acted on.
    DryRun,
}

/// How many looks may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureLimit {
    /// In a row, at least 1. Default 3.
    #[serde(default = "three")]
    pub consecutive: u32,
    /// In the step as a whole, at least 1. Default 5.
    #[serde(default = "five")]
    pub total: u32,
}

impl Default for FailureLimit {
    fn default() -> Self {
        Self { consecutive: three(), total: five() }
    }
}

fn three() -> u32 {
    3
}

fn five() -> u32 {
    5
}
