//! How a decision reaches Envoy's router, and what is copied.

use serde::{Deserialize, Serialize};

use crate::whole::whole;

/// How the decision is told. At least one of `filterState` and `requestHeader` must be on for it to have an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Filter state key `wasm.<this>` that gets the variant's name; Envoy's routes match it by `filter_state`. `null` turns it off. Default `"variant"`.
    #[serde(default = "filter_state")]
    pub filter_state: Option<String>,
    /// A request header for the router (Istio) or for the upstream. Default: none. Example: `{"name": "x-headgate-variant", "nonce": "6f1d2c"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_header: Option<HeaderOutput>,
    /// A response header that tells the client its variant. Default: none. Example: `"x-served-by"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_header: Option<String>,
    /// The variant that Envoy's route leads to when the filter tells it nothing, usually the last route. Its requests are told nothing then: no filter state, no
    /// request header, no new choice of the route, which saves about a seventh of what the filter costs. Default: none, every decision is told. Example: `"stable"`.
    /// Needs feature `defaultRoute`. Name the variants' clusters, and `headgate_misrouted` counts every request that the route leads elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<String>,
}

impl Default for Output {
    fn default() -> Self {
        Self { filter_state: filter_state(), request_header: None, response_header: None, default_route: None }
    }
}

/// A request header that carries the variant. One that a client sent is removed on every request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HeaderOutput {
    /// Name, lower case. Example: `"x-headgate-variant"`.
    pub name: String,
    /// Random text that the value ends with, as `canary.6f1d2c9a`, so that a forged value matches no route even where
    /// the filter is bypassed. Needed wherever routes match the header. Default: none, the value is the variant's name alone. 8 to 64 letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// Copies sent by Envoy itself (`request_mirror_policies`), for requests that the filter chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Share of requests, in 1/10,000: 0 to 10,000. Example: `500` is 5 %.
    #[serde(deserialize_with = "whole")]
    pub share: u32,
    /// What is chosen: users (default) or requests. Requests without a key are chosen at random.
    #[serde(default)]
    pub by: MirrorBy,
    /// Filter state key `wasm.<this>` set to `1` for requests to copy. `null` turns it off. Default `"mirror"`.
    #[serde(default = "mirror_state")]
    pub filter_state: Option<String>,
    /// A request header set on requests to copy, for routers that cannot match filter state; its value is `1`, or the nonce. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_header: Option<HeaderOutput>,
    /// Largest `content-length` that is copied, in bytes, at most 4,194,304: a copy that does not read its body stalls the primary. Default 1,048,576.
    /// A body of unknown length is never copied.
    #[serde(default = "mirror_body", deserialize_with = "whole")]
    pub max_body_bytes: u32,
}

/// What a mirror's share is a share of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum MirrorBy {
    /// Users: the same user's requests are always the ones copied.
    #[default]
    Hash,
    /// Requests, at random.
    Random,
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default needs the field's type")]
pub(crate) fn filter_state() -> Option<String> {
    Some("variant".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default needs the field's type")]
pub(crate) fn mirror_state() -> Option<String> {
    Some("mirror".to_owned())
}

pub(crate) const fn mirror_body() -> u32 {
    1 << 20
}
