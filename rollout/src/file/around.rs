//! What stands around the steps: gates, providers, notifications, proxies, the time after 100 %, drills.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Criterion, Percent, Span};

/// What happens after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Back to the stable version.
    Rollback,
    /// Stay at the weights in force and go on measuring, until the step passes or a person decides.
    Hold,
    /// Go on.
    Proceed,
}

/// An approval that is waited for: by a person (signed links, `headgate promote`), or by a webhook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// Name, unique in the rollout. Example: `sign-off`.
    pub name: String,
    /// What is asked, for the people who get the links. Default: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// A webhook that answers `{"approved": true|false, "reason": "…"}`, asked each `interval` until it does. Default: none, a person answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// How long it waits. Default: for ever. Example: `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What happens then. `proceed` is not taken. Default `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<Action>,
}

/// A source of measurements: exactly one of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// A Prometheus server. Example: `{address: "http://prometheus:9090"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// A webhook that returns JSON. Example: `{url: "https://checks.example/accuracy"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Outcomes that come in by file or HTTP. Example: `{file: outcomes.jsonl}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<Outcomes>,
}

/// A Prometheus server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prometheus {
    /// Its base address. Example: `http://prometheus.monitoring:9090`.
    pub address: String,
    /// Whose metrics the ready-made queries ask for: `headgate` or `istio`. Default `headgate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Istio's `reporter` label: `source`, `destination` or `waypoint`. Default `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<String>,
    /// What the ready-made queries call each variant (Istio's `destination_version`). Default: its name. Example: `{canary: v2}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// For counts that know no users (`preset: istio`): how many requests one user makes in a step, at most. So many count as one, because
    /// requests of one user are not independent. At least 1, which takes each for another user's. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_user: Option<f64>,
    /// Time allowed for one answer. Default `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// A bearer token. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
    /// A file with the certificate authorities to trust, PEM. Default: Mozilla's list, which is built in. Example: `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A webhook. It gets a POST with JSON that says which rollout, step, variant and metric is meant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Its address. Example: `https://checks.example/accuracy`.
    pub url: String,
    /// Headers beside the usual. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON pointer (RFC 6901) to the number in the answer. Default `/value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Time between two calls. Default: the analysis's interval for a provider, `10s` for a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Time allowed for one answer. Default `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often a call that failed is tried again. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// A bearer token. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
    /// A file with the certificate authorities to trust, PEM. Default: Mozilla's list, which is built in. Example: `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Where a bearer token is found: exactly one of the fields. It never stands in the file itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bearer {
    /// An environment variable of `headgate`. Example: `PROMETHEUS_TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file, read anew for each call. Example: `/run/secrets/token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// Outcomes: lines or bodies of `{"key": …, "success": true}` or `{"variant": …, "value": 0.7}`, each with a `time`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcomes {
    /// A file of JSON lines that is read as it grows, from the rollout file's folder unless absolute. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// An address on which they are taken by HTTP (POST). Default: none. Example: `127.0.0.1:9911`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notification {
    /// Where. Example: `{url: "https://hooks.example/T1/B1"}`.
    pub webhook: Webhook,
    /// In which form. Default `json`.
    #[serde(default)]
    pub format: NotificationFormat,
    /// Of what. Default: of everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<NotificationKind>,
}

/// The form of a notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NotificationFormat {
    /// The event as JSON.
    #[default]
    Json,
    /// `{"text": …}`, which Slack and what imitates it take.
    Slack,
}

/// What somebody can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NotificationKind {
    /// A rollout began.
    Start,
    /// A step began.
    Step,
    /// A gate waits or was answered.
    Gate,
    /// It holds: somebody has to decide.
    Hold,
    /// It goes back, or was taken back.
    Rollback,
    /// It was promoted.
    Promotion,
    /// It has been at 100 % for long and is not finished.
    Stale,
    /// The way back was rehearsed.
    Drill,
    /// What was promoted drifts, or does not any more.
    Drift,
}

/// What happens when proxies reject a publish or do not answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proxies {
    /// Share of proxies that may be without an answer or without the weights while a step goes on. Default `0%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<Percent>,
    /// How long more than that may last before `onExceeded`. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<Span>,
    /// What happens then: `hold` or `rollback`. Default `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exceeded: Option<Action>,
    /// Share of the requests of a step that may have been served by another cluster than their variant's before nothing
    /// passes. Default `0%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misrouted: Option<Percent>,
}

/// The time after 100 %.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitoring {
    /// How long the new version is judged at 100 % before it is promoted; `0` is not at all. Default `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Criteria of this time beside the rollout's. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Criterion>,
    /// A rollout longer than this at 100 % without being finished is reported as stale. Default `48h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Span>,
}

/// How the end is verified: that the route which serves when Headgate is dead or killed reaches the new version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finalising {
    /// The cluster that the fail-safe route (Envoy's default route, the VirtualService's default) must name in the end. Default: the
    /// cluster of the new version in the plugin configuration. Example: `shop-v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `false` leaves this to people: the rollout ends with a reminder and without having seen it. Default `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<bool>,
}

/// Whether the way back must have been rehearsed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drill {
    /// A passed drill younger than this is needed to start. Example: `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_within: Option<Span>,
}
