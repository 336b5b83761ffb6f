//! Strategies and their steps.

use serde::{Deserialize, Serialize};

use super::{AbTest, Bandit, Criterion, Gate, Percent, Span};

/// How the new version is brought in: exactly one of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Strategy {
    /// Its share rises step by step. Example: `{}`, the default steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Both versions are warm, and all traffic is switched at once, there and back. Example: `{readiness: [{url: …}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
    /// It gets copies until the shadow's criteria hold, then the canary's steps. Example: `{share: 10%}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowFirst>,
    /// Users are divided once, and a metric decides which version is better. Example: `{primary: {metric: errorRate}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_test: Option<AbTest>,
    /// Shares of users follow the rewards that the variants earn. Example: `{arms: [short, long], reward: {metric: goal, goal: checkout}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandit: Option<Bandit>,
}

/// The new version's share rises step by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// The steps in order. Default: 1, 5, 25, 50 and 100 % at 30 minutes each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The share that the new version can carry while it is scaled smaller. Steps above it are refused; after them a gate
    /// `scale-up` waits until a person has made it as large as the old one. Default `100%`. Example: `25%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_weight: Option<Percent>,
}

/// One step: exactly one of `weight`, `shadow`, `pause`, `gate` and `analysis`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// What it is called in the audit. Default: what it does, as in `5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new version's share of users. Example: `5%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// Shares of its own for segments of the route; the others get `weight`. Example: `{premium: 0%}`.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub segments: std::collections::BTreeMap<String, Percent>,
    /// Copies only: the new version answers nobody. Example: `{share: 10%, duration: 30m}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowStep>,
    /// Waits, for a time or until somebody resumes. Example: `{duration: 1h}`, `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseStep>,
    /// Waits for an approval. Example: `{name: sign-off}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Judges once more at the weights in force, with a window of its own. Example: `{duration: 30m}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStep>,
    /// Measured time that a `weight` step takes. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Criteria of this step beside the rollout's. One with the name of a rollout's criterion takes its place. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Criterion>,
}

/// Copies only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShadowStep {
    /// Who copies, and what is judged. Default `mirror`.
    #[serde(default)]
    pub mode: ShadowMode,
    /// With `mode: compare`: comparisons that the step needs before it can pass. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_comparisons: Option<u64>,
    /// Share of users whose requests are copied. Default `10%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// Measured time. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// Who copies, and what is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ShadowMode {
    /// Envoy's request mirroring: what the copies' cluster answers is counted there, and nothing is compared.
    #[default]
    Mirror,
    /// The filter copies and compares, by the `shadow` of the route (needs `headgate-shadow.wasm`): `agreement`, `errorRate` and latencies of the
    /// same requests are judged, overall and by segment. Without criteria of the rollout's: agreement 85 %, errors 2x, p95 1.5x.
    Compare,
}

/// A wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseStep {
    /// How long. Default: until somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// A judgement at the weights in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnalysisStep {
    /// Measured time. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// Both versions are warm, and all traffic is switched at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlueGreen {
    /// Requests that the new side must answer as expected before the switch, at least one. Example: `[{url: "http://10.0.0.7:8080/healthz"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readiness: Vec<ReadinessRequest>,
    /// How long the old side is measured before the switch, to have something to compare with. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Span>,
    /// An approval before the switch. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Measured time after the switch, before monitoring begins. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Criteria after the switch beside the rollout's. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Criterion>,
}

/// A request of the user's own and the answer it must get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadinessRequest {
    /// Where it is sent, directly to the new side. Example: `http://shop-v2.internal:8080/healthz`.
    pub url: String,
    /// Method. Default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers. Default: none.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub headers: std::collections::BTreeMap<String, String>,
    /// Body. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The answer it must get. Default: status 200 within 5s.
    #[serde(default)]
    pub expect: ExpectedAnswer,
}

/// An answer that is expected; what is not named is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// Status. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Text that the body contains. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Time within which it must come. Default `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// Copies first, then the canary's steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShadowFirst {
    /// Who copies, and what is judged. Default `mirror`.
    #[serde(default)]
    pub mode: ShadowMode,
    /// With `mode: compare`: comparisons that the shadow needs before it can pass. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_comparisons: Option<u64>,
    /// Share of users whose requests are copied. Default `10%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Percent>,
    /// Measured time of the shadow. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Criteria of the shadow beside the rollout's (agreement comes from a provider, or with `mode: compare` from the filter). Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Criterion>,
    /// The steps after it. Default: those of a canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// As a canary's. Default `100%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_weight: Option<Percent>,
}

/// How the way back is taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollbackPolicy {
    /// At once or down the steps it came up. Default `immediate`.
    #[serde(default)]
    pub mode: RollbackMode,
    /// Time on each step down, for `steps`. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
}

/// At once or by steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum RollbackMode {
    /// All users go back at once.
    #[default]
    Immediate,
    /// Down the weights it came up, for an old side that was scaled down.
    Steps,
}
