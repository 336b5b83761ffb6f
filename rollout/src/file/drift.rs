//! What is watched after promotion: whether predictions, latency or performance drift away from what was promoted.

use serde::{Deserialize, Serialize};

use super::{Metric, Percent, Span, Webhook};

/// Drift of the promoted version, against a reference window. Watched by `headgate drift`, and by `headgate run --drift`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// How long each window is that is held against the reference; windows follow each other without a gap and do not overlap.
    /// Default `1h`, at least `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Name of a recorded reference (`headgate drift record`). Default: the new version's own last window before it was promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Finished requests that the reference and each window need. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_requests: Option<u64>,
    /// Chance that chance alone ever counts as drift, over all measures and all windows; above 0, at most 0.5. Default 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Population stability index, over tenths of the reference, from which on a distribution has drifted. Default 0.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// Distance of Kolmogorov and Smirnov from which on it has, above 0 and below 1. Default 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<f64>,
    /// Limits of latency alone, whose distribution moves with the load. Default: those above. Example: `{psi: 1, ks: 0.4}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<DriftLimits>,
    /// What the filter reads of requests and answers, whose distribution is watched beside that of latency. Published in the place of the
    /// route's own `predictions`; those are watched too where this is left out. Needs the filter `headgate-shadow.wasm`. Default: none.
    /// Example: `{share: 1000, fields: [{name: score, responseBody: /score, edges: [0.2, 0.4, 0.6, 0.8]}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<headgate_contract::Predictions>,
    /// Measures of performance that must not decline. Default: the share of requests that do not fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance: Vec<Performance>,
    /// A webhook that is called once for each episode of drift, to start a training pipeline. Default: none.
    /// Example: `{url: "https://pipelines.example/retrain", bearer: {env: PIPELINE_TOKEN}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<Webhook>,
}

/// From where on a distance of distributions is drift.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftLimits {
    /// Population stability index, above 0. Default: `spec.drift.psi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// Distance of Kolmogorov and Smirnov, above 0 and below 1. Default: `spec.drift.ks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<f64>,
}

/// A measure of which less is worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Performance {
    /// `errorRate` (then it is the share of requests that do not fail), `goal`, or of outcomes that are told to a provider: `success` (the share
    /// of successes) or `value` (their mean).
    pub metric: Metric,
    /// Which of `spec.goals`, for `goal`. Example: `purchase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// By how much, relative to the reference, it may decline. Default `5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline: Option<Percent>,
}
