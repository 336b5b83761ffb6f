//! Copies that the filter sends itself, and whose answers it compares with what the user got.
//!
//! [`Shadow`] is of a route: what is copied, to where, and how the answers are compared. [`Shadowing`] is of the plugin: what
//! copies may cost a proxy, and where records of compared pairs go. It does not say what counts as a difference: that is
//! [`Comparison`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::whole::{whole, whole_map};
use crate::{Comparison, MirrorBy};

/// Copies sent by the filter. Copied are requests that the stable variant serves, so that the new version is compared with
/// what users get now. Never copied: copies, upgrades, CONNECT, requests of other `methods`, and bodies above `maxBodyBytes` or, but
/// for gRPC, of unknown length. Needs feature `shadow`, which the filter `headgate-shadow.wasm` has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Shadow {
    /// The Envoy cluster that gets the copies. For gRPC it must say HTTP/2 itself (`explicit_http_config`): under `use_downstream_protocol_config` a
    /// copy, which has no downstream, goes by HTTP/1.1. Example: `"shop-v2"`.
    pub cluster: String,
    /// Share of requests, in 1/10,000: 0 to 10,000. Example: `500` is 5 %.
    #[serde(deserialize_with = "whole")]
    pub share: u32,
    /// What is chosen: users (default) or requests. Requests without a key are chosen at random.
    #[serde(default)]
    pub by: MirrorBy,
    /// Shares of segments that have one of their own, in 1/10,000; `default` is every request of no segment. Default: `share` everywhere.
    /// Example: `{"premium": 0}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "whole_map")]
    pub segments: BTreeMap<String, u32>,
    /// Methods that are copied, upper case. A copy does everything twice that the request does. Default `["GET", "HEAD", "OPTIONS"]`.
    #[serde(default = "methods")]
    pub methods: Vec<String>,
    /// How long a copy's answer is waited for, in milliseconds, 1 to 60,000. Default 1,000.
    #[serde(default = "timeout", deserialize_with = "whole")]
    pub timeout_ms: u32,
    /// Largest request body that is copied, in bytes, at most 4,194,304. Default 65,536.
    #[serde(default = "body", deserialize_with = "whole")]
    pub max_body_bytes: u32,
    /// The copy's `:authority`. Default: the request's own. Example: `"shop.shadow.svc"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Request headers that a copy does not carry, for credentials that the new version must not get. Default: none.
    /// Example: `["authorization", "cookie"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_headers: Vec<String>,
    /// Request headers that a copy carries with another value, whether the request has them or not. Default: none.
    /// Example: `[{"name": "authorization", "env": "HEADGATE_SHADOW_AUTHORIZATION"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace_headers: Vec<ReplacedHeader>,
    /// A second copy of some requests, for the stable version, so that fields that differ by themselves are known. Default: none.
    /// Example: `{"cluster": "shop-v1", "share": 1000}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseCopy>,
    /// What counts as the same answer. Default: the same status and the same body.
    #[serde(default)]
    pub compare: Comparison,
    /// What records of compared pairs may tell. Default: of every pair, and nothing that users sent or got.
    #[serde(default)]
    pub record: Recorded,
}

/// A header of a copy with a value of its own: exactly one of `value` and `env`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplacedHeader {
    /// Name, lower case. Example: `"authorization"`.
    pub name: String,
    /// The value; it can be read in dumps of the configuration. Default: none. Example: `"Bearer shadow"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The environment variable of the VM (`vm_config.environment_variables.host_env_keys`) whose value it is; unset, the copy has no such
    /// header. Default: none. Example: `"HEADGATE_SHADOW_AUTHORIZATION"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// A second copy of a request that is copied, for the version that answered it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NoiseCopy {
    /// The Envoy cluster of the stable version. Example: `"shop-v1"`.
    pub cluster: String,
    /// Share of the copied requests that are copied twice, in 1/10,000: 0 to 10,000. Default 10,000.
    #[serde(default = "everything", deserialize_with = "whole")]
    pub share: u32,
    /// A field is noise unless the candidate differs in it more often than the stable version differs from itself, by more than this
    /// part of how often either does (Diffy's rule): 0 up to 1. Default 0.2.
    #[serde(default = "relative")]
    pub relative: f64,
    /// The same as a part of all pairs that were compared so: 0 up to 1. Default 0.0003.
    #[serde(default = "absolute")]
    pub absolute: f64,
}

/// What a record of a compared pair tells beside ids, statuses, latencies and the paths that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// Share of pairs without a difference that is recorded, in 1/10,000: 0 to 10,000; pairs with one always are. Default 10,000.
    #[serde(default = "everything", deserialize_with = "whole")]
    pub matches: u32,
    /// `true` tells the values that differ, and both sides' numbers. Default `false`.
    #[serde(default)]
    pub values: bool,
    /// `true` tells the request's path, without its query. Default `false`.
    #[serde(default)]
    pub path: bool,
    /// Query parameters that are told. Default: none. Example: `["model"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<String>,
    /// Request headers that are told; never `authorization`, `proxy-authorization` and `cookie`, nor what copies do not carry. Default: none.
    /// Example: `["x-tier"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// So many bytes of the request's body are told, at most 4,096. Default 0.
    #[serde(default, deserialize_with = "whole")]
    pub body_bytes: u32,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            matches: everything(),
            values: false,
            path: false,
            query: Vec::new(),
            headers: Vec::new(),
            body_bytes: 0,
        }
    }
}

/// What copies may cost, and where records go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Shadowing {
    /// What copies may cost each of Envoy's workers; what is beyond is not copied. Default: 100 at a time, 1,000 a second, 16 MiB.
    #[serde(default)]
    pub budget: Budget,
    /// Where records of compared pairs go. Default: nowhere. Example: `{"cluster": "headgate"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Records>,
}

impl Shadowing {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits of one worker (Envoy's `--concurrency`); a proxy with four has four times as much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Copied requests at a time, 1 to 10,000: from the request's headers until both answers are there, or never will be. Default 100.
    #[serde(default = "pairs", deserialize_with = "whole")]
    pub in_flight: u32,
    /// Requests copied a second, 1 to 1,000,000, of which one second's worth may come at once. Default 1,000.
    #[serde(default = "rate", deserialize_with = "whole")]
    pub per_second: u32,
    /// Bytes that the filter holds for pairs that are not compared yet: copies' headers and bodies, and what is kept of the answers.
    /// Envoy itself holds a copy's answer until it is whole, at most `http.async_response_buffer_limit` bytes (a runtime key). Default 16,777,216.
    #[serde(default = "held", deserialize_with = "whole")]
    pub bytes: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { in_flight: pairs(), per_second: rate(), bytes: held() }
    }
}

/// Records of compared pairs, one JSON object a line, in batches: exactly one of `cluster` and `log`. A batch that cannot be
/// delivered is lost and counted; nothing waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// The Envoy cluster in which `headgate` listens. Default: none. Example: `"headgate"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `true` writes each record to Envoy's log instead, at level info after `headgate-shadow `. Default `false`.
    #[serde(default)]
    pub log: bool,
    /// The path that batches are posted to. Default `"/shadow/records"`.
    #[serde(default = "path")]
    pub path: String,
    /// The environment variable of the VM whose value is sent as `authorization: Bearer …`. Default: none. Example: `"HEADGATE_RECORDS_TOKEN"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// Records a second and worker, 1 to 100,000, of which one second's worth may come at once; more are left out and counted. Default 100.
    #[serde(default = "records", deserialize_with = "whole")]
    pub per_second: u32,
    /// Largest record, in bytes, 2,048 to 65,536: a longer one is cut where it tells values and inputs. Default 8,192.
    #[serde(default = "record", deserialize_with = "whole")]
    pub record_bytes: u32,
    /// Bytes after which a batch is sent, at most 1,048,576. Default 65,536.
    #[serde(default = "batch", deserialize_with = "whole")]
    pub batch_bytes: u32,
    /// Milliseconds after which a batch is sent that is not full, 10 to 60,000. Default 1,000.
    #[serde(default = "every", deserialize_with = "whole")]
    pub every_ms: u32,
}

pub(crate) fn methods() -> Vec<String> {
    ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec()
}

pub(crate) const fn timeout() -> u32 {
    1_000
}

pub(crate) const fn body() -> u32 {
    64 << 10
}

pub(crate) const fn everything() -> u32 {
    10_000
}

pub(crate) const fn relative() -> f64 {
    0.2
}

pub(crate) const fn absolute() -> f64 {
    0.000_3
}

pub(crate) const fn pairs() -> u32 {
    100
}

pub(crate) const fn rate() -> u32 {
    1_000
}

pub(crate) const fn held() -> u32 {
    16 << 20
}

pub(crate) fn path() -> String {
    "/shadow/records".to_owned()
}

pub(crate) const fn records() -> u32 {
    100
}

pub(crate) const fn record() -> u32 {
    8 << 10
}

pub(crate) const fn batch() -> u32 {
    64 << 10
}

pub(crate) const fn every() -> u32 {
    1_000
}
