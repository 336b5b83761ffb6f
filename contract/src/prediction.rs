//! Predictions: one number or class of an answer, or of a request, counted by the filter so that its distribution can be watched.

use serde::{Deserialize, Serialize};

use crate::de::{Fields, FromObject};
use crate::whole::whole;

/// What is read from requests and answers of a route. Only what the hash of a key assigned is read, since that alone is judged. Nothing is held up and
/// nothing changed: bodies are read as they stream past. Needs feature `predictions`, which the filter `headgate-shadow.wasm` has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Predictions {
    /// Share of requests that are read, at random, in 1/10,000: 0 to 10,000. Default 10,000. Example: `500` is 5 %.
    #[serde(default = "everything", deserialize_with = "whole")]
    pub share: u32,
    /// Largest body that is read, in bytes after decompression, 1 to 1,048,576. What all bodies together may hold is
    /// `shadowing.budget.bytes` again, beside the copies. Default 65,536.
    #[serde(default = "body", deserialize_with = "whole")]
    pub max_body_bytes: u32,
    /// What is read, 1 to 8. Example: `[{"name": "score", "responseBody": "/score", "edges": [0.2, 0.4, 0.6, 0.8]}]`.
    pub fields: Vec<Prediction>,
}

/// One number or class: from exactly one of `responseBody`, `responseHeader`, `requestBody` and `requestHeader`, counted by exactly
/// one of `edges` and `classes`. Answers are read if their status is 2xx.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// Name, unique in the route; a label. Example: `"score"`.
    pub name: String,
    /// Where it stands in the answer's body, which is JSON: a JSON Pointer (RFC 6901) without `*`. Default: not there. Example: `"/predictions/0/score"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// The answer's header that it is, lower case. Default: none. Example: `"x-score"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_header: Option<String>,
    /// As `responseBody`, of the request. Default: not there. Example: `"/features/amount"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<String>,
    /// The request's header that it is, lower case, as the upstream gets it. Default: none. Example: `"x-amount"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_header: Option<String>,
    /// Upper edges of the bins of a number, rising, 1 to 32: a value belongs to the first that is not below it, and above the last to one more bin. A string
    /// that holds a number is one. Default: it is a class. Example: `[0.2, 0.4, 0.6, 0.8]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<f64>,
    /// Classes that are counted by name, 1 to 32, letters, digits, `_`, `-` and `.`; every other one is `other`. Numbers and booleans are classes by their
    /// text. Default: it is a number. Example: `["spam", "ham"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

pub(crate) const fn everything() -> u32 {
    10_000
}

pub(crate) const fn body() -> u32 {
    64 << 10
}

impl FromObject for Predictions {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            share: fields.or("share", everything),
            max_body_bytes: fields.or("maxBodyBytes", body),
            fields: fields.required("fields"),
        }
    }
}

impl FromObject for Prediction {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            name: fields.required("name"),
            response_body: fields.optional("responseBody"),
            response_header: fields.optional("responseHeader"),
            request_body: fields.optional("requestBody"),
            request_header: fields.optional("requestHeader"),
            edges: fields.optional("edges"),
            classes: fields.optional("classes"),
        }
    }
}
