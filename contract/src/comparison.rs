//! What makes two answers the same: the rules by which a shadow's answer is compared with the one the user got.
//!
//! Paths are JSON Pointers (RFC 6901) in which `*` stands for every position of an array or every name of an object.
//! What the rules mean, and which of them contradict each other, is `headgate-compare`'s to say.

use serde::{Deserialize, Serialize};

use crate::de::{At, Fields, FromNode, FromObject, choice};
use crate::whole::whole;

/// When two answers are the same. Default: equal statuses and equal bodies, byte by byte after decompression. gRPC is
/// always compared by its status and its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Whether `200` and `201` differ (`"exact"`, default) or are the same (`"class"`).
    #[serde(default)]
    pub status: StatusRule,
    /// Response headers whose values must be equal, lower case, at most 32. Default: none. Example: `["content-type", "x-price"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// How bodies are compared. Default `"digest"`.
    #[serde(default)]
    pub body: BodyRule,
    /// For `"body": "json"`. Default: every field counts, and numbers must be equal. Example: `{"ignore": ["/requestId"], "relative": 0.01}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonRule>,
    /// For `"body": "number"`, where it must be there. Example: `{"field": "/score", "absolute": 0.05}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberRule>,
    /// For `"body": "text"`. Default: nine of ten words are the same. Example: `{"threshold": 0.8}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextRule>,
    /// Largest body that is compared, in bytes after decompression, 1 to 33,554,432. Two larger ones are not compared. Default 262,144.
    #[serde(default = "body_bytes", deserialize_with = "whole")]
    pub max_body_bytes: u32,
}

impl Default for Comparison {
    fn default() -> Self {
        Self {
            status: StatusRule::Exact,
            headers: Vec::new(),
            body: BodyRule::Digest,
            json: None,
            number: None,
            text: None,
            max_body_bytes: body_bytes(),
        }
    }
}

/// When two statuses are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum StatusRule {
    /// When they are equal.
    #[default]
    Exact,
    /// When they begin with the same digit.
    Class,
}

/// How bodies are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BodyRule {
    /// Byte by byte, by a 128-bit hash taken while they stream: nothing is kept.
    #[default]
    Digest,
    /// As JSON, field by field.
    Json,
    /// One number in a JSON document.
    Number,
    /// As words, whatever their order.
    Text,
    /// Not at all.
    None,
}

/// When two JSON documents are the same. Of documents of more than 10,000 values only equal bytes are the same, and others are not compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct JsonRule {
    /// Values that do not count, with all below them, at most 64. Default: none. Example: `["/requestId", "/items/*/generatedAt"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Arrays whose order does not count, at most 64. Default: none. Example: `["/tags"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unordered: Vec<String>,
    /// The values that alone count, with all below them, at most 64. Default: all. Example: `["/score", "/label"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Largest difference of two numbers that are the same. At least 0. Default 0. Example: `0.001`.
    #[serde(default)]
    pub absolute: f64,
    /// The same as a part of the larger of the two magnitudes, 0 up to 1: numbers are the same within either. Default 0. Example: `0.01` is 1 %.
    #[serde(default)]
    pub relative: f64,
    /// Numbers that have bounds of their own instead, at most 64; of several that lead to a number the longest path holds, of equally long ones the first. Default: none.
    /// Example: `[{"path": "/items/*/price", "absolute": 0.01}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerances: Vec<PathTolerance>,
}

/// When two numbers at one place, or below it, are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PathTolerance {
    /// The place. Example: `"/items/*/price"`.
    pub path: String,
    /// Largest difference of two numbers that are the same. At least 0. Default 0. Example: `0.01`.
    #[serde(default)]
    pub absolute: f64,
    /// The same as a part of the larger of the two magnitudes, 0 up to 1: numbers are the same within either. Default 0. Example: `0.01` is 1 %.
    #[serde(default)]
    pub relative: f64,
}

/// When two numbers are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NumberRule {
    /// Where it stands; no `*`. A string that holds a number is one. Example: `"/score"`.
    pub field: String,
    /// Largest difference of two numbers that are the same. At least 0. Default 0. Example: `0.05`.
    #[serde(default)]
    pub absolute: f64,
    /// The same as a part of the larger of the two magnitudes, 0 up to 1: numbers are the same within either. Default 0. Example: `0.01` is 1 %.
    #[serde(default)]
    pub relative: f64,
}

/// When two texts are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TextRule {
    /// Least overlap of their words: those in common over all (Jaccard's index, each word as often as it is there). Above 0, up to 1. Default 0.9.
    #[serde(default = "threshold")]
    pub threshold: f64,
}

impl Default for TextRule {
    fn default() -> Self {
        Self { threshold: threshold() }
    }
}

const fn body_bytes() -> u32 {
    256 << 10
}

const fn threshold() -> f64 {
    0.9
}

impl FromObject for Comparison {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            status: fields.optional("status"),
            headers: fields.optional("headers"),
            body: fields.optional("body"),
            json: fields.optional("json"),
            number: fields.optional("number"),
            text: fields.optional("text"),
            max_body_bytes: fields.or("maxBodyBytes", body_bytes),
        }
    }
}

impl FromObject for JsonRule {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            ignore: fields.optional("ignore"),
            unordered: fields.optional("unordered"),
            only: fields.optional("only"),
            absolute: fields.optional("absolute"),
            relative: fields.optional("relative"),
            tolerances: fields.optional("tolerances"),
        }
    }
}

impl FromObject for PathTolerance {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            path: fields.required("path"),
            absolute: fields.optional("absolute"),
            relative: fields.optional("relative"),
        }
    }
}

impl FromObject for NumberRule {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self {
            field: fields.required("field"),
            absolute: fields.optional("absolute"),
            relative: fields.optional("relative"),
        }
    }
}

impl FromObject for TextRule {
    fn from_object(fields: &Fields<'_>) -> Self {
        Self { threshold: fields.or("threshold", threshold) }
    }
}

impl FromNode for StatusRule {
    fn from_node(at: &At<'_>) -> Self {
        choice(at, &["exact", "class"], &[Self::Exact, Self::Class], Self::Exact)
    }
}

impl FromNode for BodyRule {
    fn from_node(at: &At<'_>) -> Self {
        choice(
            at,
            &["digest", "json", "number", "text", "none"],
            &[Self::Digest, Self::Json, Self::Number, Self::Text, Self::None],
            Self::Digest,
        )
    }
}
