//! A route: which requests it takes, and between which versions they are divided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::whole::{whole, whole_map};
use crate::{Goal, KeyPolicy, Match, Mirror, Output, Override};

/// One set of requests and the versions they are divided between. Order of decision: kill switch, override, signed
/// inbound decision, include and exclude lists, the segment's weights, the hash of the key, else [`crate::Absent`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Name, unique in the configuration; a label of every series. Example: `"shop"`.
    pub name: String,
    /// Which requests this route takes. Default: all. Example: `{"hosts": ["shop.example"], "path": {"prefix": "/v1/"}}`.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<Match>,
    /// The versions, 1 to 32. Example: `[{"name": "stable", "weight": 95}, {"name": "canary", "weight": 5}]`.
    pub variants: Vec<Variant>,
    /// The variant that serves when anything is in doubt, and when the kill switch is on. Example: `"stable"`.
    pub stable: String,
    /// `true` sends every request of this route to `stable` and stops its copies. Default `false`.
    #[serde(default)]
    pub kill_switch: bool,
    /// What identifies a user. Default: nothing, and every request is `stable`. Example: `{"sources": [{"header": "x-user-id"}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPolicy>,
    /// Salt of the split. Routes with equal salts and variants divide users alike. Default: the route's name. No NUL. Example: `"shop-2026-11"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Rules that put a request on a variant whatever its key; first match wins; at most 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Keys that always get a variant. Default: none. Example: `[{"variant": "canary", "keys": ["qa-1", "qa-2"]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<KeyList>,
    /// Keys that never get a variant: the split is taken over the other ones. Default: none. Example: `[{"variant": "canary", "keys": ["vip-7"]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<KeyList>,
    /// Groups of requests with weights of their own; first match wins; at most 32. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Whether decisions of earlier hops are taken over and passed on. Default: neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Inbound>,
    /// Copies of requests, sent by Envoy, whose answers are dropped. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Copies of requests, sent by the filter, whose answers are compared with what the user got. Default: none. Needs feature `shadow`.
    #[cfg(feature = "shadow")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<crate::Shadow>,
    /// Numbers and classes that are read from requests and answers and counted, so that their distribution can be watched. Default: none.
    /// Needs feature `predictions`. Example: `{"fields": [{"name": "score", "responseBody": "/score", "edges": [0.2, 0.4, 0.6, 0.8]}]}`.
    #[cfg(feature = "shadow")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<crate::Predictions>,
    /// Conversions that are counted for this route's variants; at most 16. Default: none. Example: `[{"name": "purchase", "match": {"path": {"exact": "/checkout"}}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
    /// How the decision is told to Envoy's router. Default: filter state `wasm.variant`.
    #[serde(default)]
    pub output: Output,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// Name, unique in the route; a label of every series and what Envoy's routes match. Example: `"canary"`.
    pub name: String,
    /// Relative share of keys, 0 (never) to 2^20. Example: `5` beside `95` is 5 %; `1` beside `9999` is 0.01 %.
    #[serde(deserialize_with = "whole")]
    pub weight: u32,
    /// The Envoy cluster that should serve it; requests of this variant that another cluster served are counted as
    /// misrouted. Default: not checked. Example: `"shop-v2"`, in Istio `"outbound|8080|v2|shop.default.svc.cluster.local"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// Keys, by text or by hash, for one variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyList {
    /// The variant. Example: `"canary"`.
    pub variant: String,
    /// Keys as text. Default: none. Example: `["alice", "bob"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Keys as 16 lower-case hexadecimal digits of `fmix64(fnv1a64(00 00 "list" 00 key))`, so that long lists stay short
    /// and names do not show in dumps. Default: none. Example: `["9f86d081884c7d65"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<String>,
}

/// A group of requests with weights of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Name, unique in the route; a label. `"default"` is taken by requests of no segment. Example: `"premium"`.
    pub name: String,
    /// Which requests belong to it. A segment is whatever the client says unless it matches a verified claim or a header that a trusted hop sets.
    /// Example: `{"headers": [{"name": "x-tier", "exact": "premium"}]}`.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Weight by variant, 0 to 2^20; a variant that is not named has 0. Example: `{"stable": 50, "canary": 50}`.
    #[serde(deserialize_with = "whole_map")]
    pub weights: BTreeMap<String, u32>,
}

/// Decisions of other hops; needs the document's `decisions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Inbound {
    /// Take over a signed decision for this route's name. Default `false`.
    #[serde(default)]
    pub accept: bool,
    /// Sign this route's decision for the hops behind. Default `false`.
    #[serde(default)]
    pub emit: bool,
}
