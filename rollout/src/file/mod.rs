//! The rollout file: what a person writes, and its checking into a [`Plan`].
//!
//! The types mirror the YAML one to one and keep durations, percentages and amounts as written; [`check()`] reads them, fills in
//! defaults and reports every problem at once. Reading YAML, and telling lines and columns, is the caller's.

mod ab;
mod analysis;
mod around;
mod bandit;
mod check;
mod drift;
mod strategy;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use ab::{AbTest, After, Better, Hypothesis, Looks, PrimaryMetric, Procedure};
pub use analysis::{Analysis, BaselineSource, Criterion, FailureLimit, Importance, JudgeMode, Metric, Reference};
pub use around::{
    Action, Bearer, Drill, Finalising, Gate, Monitoring, Notification, NotificationFormat, NotificationKind, Outcomes,
    Prometheus, Provider, Proxies, Webhook,
};
pub use bandit::{AtEnd, Bandit, BanditPolicy, OnGuardrail, RewardMetric};
pub use check::{Force, Problem, check, check_forced};
pub use drift::{Drift, DriftLimits, Performance};
pub use strategy::{
    AnalysisStep, BlueGreen, Canary, ExpectedAnswer, PauseStep, ReadinessRequest, RollbackMode, RollbackPolicy,
    ShadowFirst, ShadowMode, ShadowStep, Step, Strategy,
};
pub use value::{Amount, Percent, Quantity, Span, WHOLE};

#[cfg(doc)]
use crate::Plan;

/// The `apiVersion` that this build reads.
pub const API_VERSION: &str = "headgate.dev/v1";
/// The `kind` of a rollout file.
pub const KIND: &str = "Rollout";

/// A rollout: how a new version of a route's service is brought in, judged and, if need be, taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// Always `headgate.dev/v1`.
    pub api_version: String,
    /// Always `Rollout`.
    pub kind: String,
    /// What the rollout is called.
    pub metadata: Metadata,
    /// What it does.
    pub spec: Spec,
}

/// What a rollout is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name, unique among the rollouts of one state folder: 1 to 100 of `A-Z a-z 0-9 _ - .`. Example: `shop-v2`.
    pub name: String,
    /// Labels for people; they stand in the audit and in notifications. Default: none. Example: `{team: search}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes of other tools; not looked at. Default: none. Example: `{example.com/ticket: OPS-17}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a rollout does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The target file, from the rollout file's folder unless absolute: which proxies, published how. Example: `target.yaml`.
    pub target: String,
    /// The route in the target's plugin configuration whose weights this rollout sets. Example: `shop`.
    pub route: String,
    /// Which of the route's variants is the old version and which the new one. Default `{stable: stable, canary: canary}`.
    #[serde(default)]
    pub variants: Variants,
    /// How the new version is brought in.
    pub strategy: Strategy,
    /// How it is judged. Default: the default criteria against the stable version, anytime-valid, alpha 0.01.
    #[serde(default)]
    pub analysis: Analysis,
    /// What happens when a criterion fails. Default `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<Action>,
    /// What happens when a step ends without enough samples. Default `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<Action>,
    /// What happens when a step cannot be measured. Default `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<Action>,
    /// How long a rollout holds before it ends as held (exit code 11). Default: for ever. Example: `4h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_limit: Option<Span>,
    /// How the way back is taken. Default: at once.
    #[serde(default)]
    pub rollback: RollbackPolicy,
    /// What happens when proxies reject a publish or do not answer. Default: it holds as soon as one does.
    #[serde(default)]
    pub proxies: Proxies,
    /// Where measurements other than the proxies' own come from, by name. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Provider>,
    /// Conversions that the proxies count for this route's versions, without the application's help; they are published with the
    /// weights, and counted anew with each change of them. Default: none.
    /// Example: `[{name: purchase, match: {path: {exact: /checkout}, methods: [POST]}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<headgate_contract::Goal>,
    /// Who is told. Default: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<Notification>,
    /// The time after 100 %. Default: judged for `24h`, stale after `48h`.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// Whether it is watched afterwards that predictions, latency and performance stay what they were. Default: no. Example: `{window: 1h}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// How the end is verified. Default: the fail-safe route is seen to reach the new version.
    #[serde(default)]
    pub finalising: Finalising,
    /// Whether the way back must have been rehearsed lately. Default: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// The two versions, by their names in the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variants {
    /// The version in service. Default `stable`.
    #[serde(default = "stable")]
    pub stable: String,
    /// The new version. Default `canary`.
    #[serde(default = "canary")]
    pub canary: String,
}

impl Default for Variants {
    fn default() -> Self {
        Self { stable: stable(), canary: canary() }
    }
}

fn stable() -> String {
    "stable".to_owned()
}

fn canary() -> String {
    "canary".to_owned()
}

/// JSON Schema (draft 2020-12) of the rollout file, in the form in which it is published (`rollout/schema.json`).
#[cfg(feature = "schema")]
pub fn json_schema() -> serde_json::Value {
    headgate_contract::closed_schema(schemars::schema_for!(Rollout).to_value())
}
