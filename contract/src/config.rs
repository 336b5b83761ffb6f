//! The document as a whole.

use serde::{Deserialize, Serialize};

use crate::Route;
use crate::whole::whole;

/// The configuration of one plugin on one set of proxies. Of `routes` the first that matches a request decides it; a
/// request that matches none goes its way untouched but for the removal of forged headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PluginConfig {
    /// Version of the contract: 1. Frozen. Example: `1`.
    #[serde(deserialize_with = "whole")]
    pub contract: u64,
    /// Number of this configuration in its target's one sequence, below 2^53. Frozen. Example: `17`.
    #[serde(deserialize_with = "whole")]
    pub revision: u64,
    /// `true` sends every request to its route's stable variant and stops every copy. Frozen. Default `false`.
    #[serde(default)]
    pub kill_switch: bool,
    /// Name of the target, the label of what is counted for the configuration as a whole; two plugins in one proxy need two
    /// names. Default `"default"`. Example: `"shop"`.
    #[serde(default = "target")]
    pub target: String,
    /// What the rollout calls the state it is in; for people, never a label. Default empty. Example: `"canary-5"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Features that a filter must have to take this configuration; one that lacks any refuses it. A filter ignores
    /// (and counts) unknown fields unless their feature is named here. Default empty. Example: `["mirror"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Whose override tokens are believed. Default: nobody's. Example: `{"audience": "shop", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// How decisions travel from hop to hop. Default: they do not. Example: `{"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_D1"}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Decisions>,
    /// Where the client's address is taken from. Default: the connection's own. Example: `{"trustedHops": 1}`.
    #[serde(default, skip_serializing_if = "ClientAddress::is_default")]
    pub client_address: ClientAddress,
    /// What is counted beside the standard series. Default: nothing. Example: `{"replicates": ["requests", "failures"]}`.
    #[serde(default, skip_serializing_if = "Metrics::is_default")]
    pub metrics: Metrics,
    /// What the routes' shadows may cost, and where records of compared pairs go. Default: see there. Needs feature `shadow`.
    #[cfg(feature = "shadow")]
    #[serde(default, skip_serializing_if = "crate::Shadowing::is_default")]
    pub shadowing: crate::Shadowing,
    /// The routes, first match wins; at most 2,000. Default empty.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// Override tokens: JWS compact serialization (RFC 7515) with `HS256`, header `kid`, claims `aud`, `variant`, `exp`
/// (at most 24 hours ahead) and optionally `route`. `headgate token` makes them. The header and cookie that carry them
/// are removed before the upstream sees the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// The `aud` that a token must carry. Example: `"shop"`.
    pub audience: String,
    /// The request header that carries a token. Default `"x-headgate-token"`.
    #[serde(default = "token_header")]
    pub header: String,
    /// A cookie that may carry a token too, for browsers. Default: none. Example: `"headgate_token"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Keys that are believed, 1 to 8; more than one while a key is being rotated. Example: `[{"id": "k1", "env": "HEADGATE_KEY_K1"}]`.
    pub keys: Vec<TokenKey>,
}

/// One HMAC key, by the name of the environment variable that holds it: configurations can be read in dumps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TokenKey {
    /// The `kid` by which a signature names this key. Example: `"k1"`.
    pub id: String,
    /// The environment variable of the VM (`vm_config.environment_variables.host_env_keys`) whose value is the key, at
    /// least 32 bytes. Example: `"HEADGATE_KEY_K1"`.
    pub env: String,
}

/// Signed `route=variant` pairs from hop to hop, in a header of their own. Each is valid for two minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// Who shares decisions: a pair signed for another audience is not believed. Example: `"mesh"`.
    pub audience: String,
    /// The request header. Default `"x-headgate-decisions"`. Unsigned or foreign pairs in it are removed.
    #[serde(default = "decisions_header")]
    pub header: String,
    /// Keys that are believed, 1 to 8. The first one signs. Example: `[{"id": "d1", "env": "HEADGATE_KEY_D1"}]`.
    pub keys: Vec<TokenKey>,
}

/// Where the client's address is taken from, for [`crate::KeySource`]s that use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClientAddress {
    /// How many proxies in front of this one append to `x-forwarded-for` and are trusted. 0 (default): the address of
    /// the connection, as Envoy tells it. N: the N-th entry of `x-forwarded-for` from the right; the last one is left out of
    /// the count when it is the connection's address, since then this proxy appended it (`use_remote_address: true`).
    /// With fewer entries than N, or where the entry is no address: the connection's. Better tell Envoy itself
    /// (`use_remote_address: true` and `xff_num_trusted_hops`) and leave this 0, since the connection's address is then
    /// already the client's; never both. That is needed where the proxy in front connects over loopback: there Envoy
    /// appends an address of its own instead of the connection's, which with N = 1 would be everybody's. Example: `1`.
    #[serde(default, deserialize_with = "whole")]
    pub trusted_hops: u32,
}

impl ClientAddress {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is counted beside the standard series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Metrics of hash-assigned requests that are also kept in 32 buckets of keys, so that a variance between users can
    /// be estimated. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicates: Vec<Replicate>,
}

impl Metrics {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A metric that can be kept per replicate bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Replicate {
    /// Requests started.
    Requests,
    /// Requests finished.
    Finished,
    /// 5xx answers, gRPC failures (UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS) and resets.
    Failures,
    /// Requests that an upstream did not answer in time.
    Timeouts,
    /// Sum of latencies, in microseconds.
    Latency,
    /// 4xx answers.
    ClientErrors,
}

pub(crate) fn target() -> String {
    "default".to_owned()
}

pub(crate) fn token_header() -> String {
    "x-headgate-token".to_owned()
}

pub(crate) fn decisions_header() -> String {
    "x-headgate-decisions".to_owned()
}
