//! Rules that put a request on a variant whatever its key.

use serde::{Deserialize, Serialize};

/// One override. It holds when the named header, cookie or query parameter matches, and the request may use it: it
/// carries a valid token for the variant, or the override is open to anyone. Without header, cookie and query the
/// token alone decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// A request header, lower case, by its first value. Example: `"x-canary"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A cookie. Example: `"canary"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// A query parameter. Example: `"version"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The whole value. Exactly one of `exact`, `prefix`, `regex` and `oneOf` goes with header, cookie or query. Example: `"always"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// How the value begins. Example: `"v2"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A regular expression for the whole value (crate `regex-lite`'s syntax). Example: `"v2\\.[0-9]+"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Whole values, of which one must be it. Example: `["v2", "canary"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// The variant the request gets. Example: `"canary"`.
    pub variant: String,
    /// `true` lets every client use it; `false` (default) only holders of a token (the document's `tokens`).
    #[serde(default)]
    pub open_to_anyone: bool,
}
