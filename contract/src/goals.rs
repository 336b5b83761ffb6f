//! Goals: requests that mean a conversion, counted for the version of the user who makes them.

use serde::{Deserialize, Serialize};

use crate::{FieldMatch, Match};

/// A conversion that the filter counts without the application's help. It stands in the route whose versions are compared, and is credited to the
/// variant that the hash gives the request's key there. Any request through the filter may reach it, one of another route or of none
/// too: the key is read from that request by the policy of the route in which the goal stands. Not credited: requests without a
/// key, those that an override, a list or the kill switch decides, and answers that do not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Goal {
    /// Name, unique in the route; a label. Example: `"purchase"`.
    pub name: String,
    /// Which requests reach it, whatever their route. Default: all. Example: `{"path": {"exact": "/checkout"}, "methods": ["POST"]}`.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<Match>,
    /// Status codes or classes of the answer, of which one must fit; a gRPC request must also have ended with status 0. Default `["2xx", "3xx"]`. Example: `["201", "3xx"]`.
    #[serde(default = "status", skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// Headers of the answer, all of which must match. Default: none. Example: `[{"name": "x-order-id", "present": true}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<FieldMatch>,
}

pub(crate) fn status() -> Vec<String> {
    vec!["2xx".to_owned(), "3xx".to_owned()]
}
