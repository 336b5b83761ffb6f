//! Conditions on a request.

use serde::{Deserialize, Serialize};

/// Conditions on a request; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Hosts, of which one must match: exact, or `*.suffix` for any name below it. Without port, case does not matter.
    /// Default: any. Example: `["shop.example", "*.shop.example"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Hosts of which none may match. Default: none. Example: `["internal.shop.example"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// The path, without query. Default: any. Example: `{"prefix": "/v1/"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Methods, of which one must match. Default: any. Example: `["GET", "POST"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Methods of which none may match. Default: none. Example: `["DELETE"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_methods: Vec<String>,
    /// Headers, all of which must match, by their first value. Default: none. Example: `[{"name": "x-tier", "exact": "gold"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldMatch>,
    /// Query parameters, all of which must match, by their first value, percent-decoded. Default: none. Example: `[{"name": "beta", "present": true}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<FieldMatch>,
    /// Verified JWT claims, all of which must match. Default: none. Example: `[{"provider": "payload", "claim": ["tier"], "exact": "gold"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMatch>,
}

/// A condition on the path without its query; exactly one of `exact`, `prefix` and `regex`. A gRPC method is the path
/// `/package.Service/Method`, a gRPC service the prefix `/package.Service/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PathMatch {
    /// The whole path. Example: `"/predict"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// How it begins. Example: `"/v1/"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A regular expression for the whole path (crate `regex-lite`'s syntax). Example: `"/models/[a-z]+/predict"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Holds when the condition does not. Default `false`.
    #[serde(default)]
    pub invert: bool,
}

/// A condition on a header or query parameter; exactly one of `exact`, `prefix`, `suffix`, `contains`, `regex`, `oneOf`
/// and `present`. What is absent fails all of them but `"present": false`, and its inversion holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FieldMatch {
    /// The header's name in lower case, or the parameter's name. Example: `"x-tier"`.
    pub name: String,
    /// The whole value. Example: `"gold"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// How it begins. Example: `"eu-"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How it ends. Example: `"@example.com"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// What occurs in it. Example: `"Firefox/"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A regular expression for the whole value (crate `regex-lite`'s syntax); a value that is not UTF-8 never matches. Example: `"v[0-9]+"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Whole values, of which one must be it. Example: `["gold", "silver"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// Whether it is there at all. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// Holds when the condition does not. Default `false`.
    #[serde(default)]
    pub invert: bool,
}

/// A condition on a verified JWT claim, as Envoy's `jwt_authn` filter left it in its metadata; exactly one of `exact`, `oneOf` and `present`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClaimMatch {
    /// The provider's `payload_in_metadata`. Example: `"payload"`.
    pub provider: String,
    /// Path to the claim, which is a string. Example: `["realm", "tier"]`.
    pub claim: Vec<String>,
    /// The whole value. Example: `"gold"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Whole values, of which one must be it. Example: `["gold", "silver"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// Whether it is there at all. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// Holds when the condition does not. Default `false`.
    #[serde(default)]
    pub invert: bool,
}
