//! What identifies a user.

use serde::{Deserialize, Serialize};

use crate::whole::{whole, whole_or_none};

/// Where the key comes from, and what happens without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyPolicy {
    /// Sources, in order; the first that yields a value that is not empty gives the key. At most 16. Example: `[{"header": "x-user-id"}, {"cookie": "sid"}]`.
    pub sources: Vec<KeySource>,
    /// What happens when none does. Default `stable`.
    #[serde(default)]
    pub absent: Absent,
    /// The cookie of `"absent": "issueCookie"`, which is then also the last source. Default: `headgate_key` with secure settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<CookieIssue>,
}

/// One source of a key; exactly one of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeySource {
    /// The first value of a request header. Example: `"x-user-id"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A cookie; quotes are taken off; of several with the name, the first counts. Example: `"sid"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// A query parameter, percent-decoded; of several with the name, the first counts. Example: `"user"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A claim of a JWT. Example: `{"provider": "payload", "claim": ["sub"]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimSource>,
    /// The client's address. Example: `{"prefixV6": 56}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<AddressSource>,
}

/// A claim that serves as a key: `provider` for one that `jwt_authn` verified, or `unverified: true` with the header it is read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// The provider's `payload_in_metadata` in Envoy's `jwt_authn` filter. Example: `"payload"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Path to the claim. Example: `["sub"]`.
    pub claim: Vec<String>,
    /// What the claim is. Default `string`.
    #[serde(default)]
    pub r#type: ClaimType,
    /// Read the payload of the header's token without verifying it: good enough for a hash, never for a segment or an override. Default `false`.
    #[serde(default)]
    pub unverified: bool,
    /// The header that carries the unverified token, with or without `Bearer `. Default `"authorization"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

/// What a claim is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ClaimType {
    /// Text; its bytes are the key.
    #[default]
    String,
    /// A number; its shortest decimal form is the key.
    Number,
}

/// The client's address, cut to a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddressSource {
    /// Leading bits of an IPv4 address that count, 1 to 32. Default 32. An IPv4-mapped IPv6 address is IPv4.
    #[serde(default, deserialize_with = "whole_or_none", skip_serializing_if = "Option::is_none")]
    pub prefix_v4: Option<u8>,
    /// Leading bits of an IPv6 address that count, 1 to 128. Default 64, the network that one household or host has.
    #[serde(default, deserialize_with = "whole_or_none", skip_serializing_if = "Option::is_none")]
    pub prefix_v6: Option<u8>,
}

/// What happens to a request without a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Absent {
    /// The stable variant.
    #[default]
    Stable,
    /// A variant by weight, anew for each request.
    Random,
    /// A cookie with 128 random bits is issued, and already decides this request.
    IssueCookie,
}

/// The cookie of [`Absent::IssueCookie`]. It is issued only with a response that no shared cache may store (RFC 9111, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CookieIssue {
    /// Name. Default `"headgate_key"`.
    #[serde(default = "cookie_name")]
    pub name: String,
    /// `Path`. Default `"/"`.
    #[serde(default = "cookie_path")]
    pub path: String,
    /// `Domain`. Default: none, this host alone. Example: `"shop.example"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `Max-Age` in seconds, 1 to 34,560,000 (400 days, RFC 6265bis). Default 2,592,000 (30 days).
    #[serde(default = "cookie_max_age", deserialize_with = "whole")]
    pub max_age: u32,
    /// `SameSite`. Default `lax`; `none` needs `secure`.
    #[serde(default)]
    pub same_site: SameSite,
    /// `Secure`. Default `true`.
    #[serde(default = "yes")]
    pub secure: bool,
    /// `HttpOnly`. Default `true`.
    #[serde(default = "yes")]
    pub http_only: bool,
    /// When the response says nothing of caching: `true` (default) adds `cache-control: private` and issues the cookie, `false` issues none.
    #[serde(default = "yes")]
    pub make_private: bool,
}

impl Default for CookieIssue {
    fn default() -> Self {
        Self {
            name: cookie_name(),
            path: cookie_path(),
            domain: None,
            max_age: cookie_max_age(),
            same_site: SameSite::default(),
            secure: true,
            http_only: true,
            make_private: true,
        }
    }
}

/// `SameSite` of a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum SameSite {
    /// `Strict`.
    Strict,
    /// `Lax`.
    #[default]
    Lax,
    /// `None`.
    None,
}

pub(crate) fn cookie_name() -> String {
    "headgate_key".to_owned()
}

pub(crate) fn cookie_path() -> String {
    "/".to_owned()
}

pub(crate) const fn cookie_max_age() -> u32 {
    30 * 86_400
}

pub(crate) const fn yes() -> bool {
    true
}
