//! What an A/B test knows beside its window, and what a look at it saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::file::Hypothesis;

/// What a test must remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestState {
    /// B's units that were planned before the first look; the procedures are sharpest there. None: nothing was known before.
    pub planned: Option<f64>,
    /// The plan in words, as it was told before the test began.
    pub size: Vec<String>,
    /// Evidence (ln of the e-value) of a sample ratio mismatch in earlier attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratio_epochs: Vec<f64>,
    /// The same of the attempt that goes on.
    pub ratio: Option<f64>,
    /// What it came to; none before.
    pub answer: Option<Answer>,
    /// The proposal that was told last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proposal: BTreeMap<String, String>,
}

/// What a look at a test saw. Values are in the metric's unit, differences are B less A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestLook {
    /// The metric.
    pub metric: String,
    /// `share`, `micros` or `number`.
    pub unit: String,
    /// Whether more is better.
    pub higher: bool,
    /// What is asked.
    pub hypothesis: Hypothesis,
    /// The difference that counts: the smallest that matters, or the margin.
    pub margin: f64,
    /// A's value (the stable version's), in B's mix of segments.
    pub a: Option<f64>,
    /// B's value (the new version's).
    pub b: Option<f64>,
    /// Units (requests, outcomes) of A and of B.
    pub units: [u64; 2],
    /// B less A.
    pub estimate: Option<f64>,
    /// Lower bound of that.
    pub low: Option<f64>,
    /// Upper bound of that.
    pub high: Option<f64>,
    /// How sure both bounds together are: 0.95.
    pub confidence: f64,
    /// The answer so far.
    pub answer: Answer,
    /// Whether it is the answer, and not only what it looks like.
    pub conclusive: bool,
    /// In one sentence, with the figures.
    pub sentence: String,
    /// Whether both versions get their share of users.
    pub ratio: Option<Ratio>,
    /// Each segment by itself, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentLook>,
    /// What segments say that the whole does not: a disagreement, a reversal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Which version each segment had better get, where they disagree; empty otherwise. It is only proposed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proposal: BTreeMap<String, String>,
}

/// What a test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// B is better; with non-inferiority: not worse by more than the margin.
    BWins,
    /// A is better.
    AWins,
    /// They differ by less than matters.
    Equivalent,
    /// Nothing is shown.
    Inconclusive,
}

/// Whether both versions get their share of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ratio {
    /// B's share by the weights, in B's mix of segments.
    pub expected: f64,
    /// B's share of the requests that were seen.
    pub seen: f64,
    /// ln of the e-value against "users are divided by the weights", earlier attempts included.
    pub log_e: f64,
    /// The same of this attempt alone.
    pub attempt_log_e: f64,
    /// Whether that is beyond chance.
    pub mismatch: bool,
    /// In one sentence.
    pub sentence: String,
}

/// One segment by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentLook {
    /// Its name.
    pub name: String,
    /// A's value.
    pub a: f64,
    /// B's value.
    pub b: f64,
    /// Units of A and of B.
    pub units: [u64; 2],
    /// B less A.
    pub estimate: f64,
    /// Lower bound of that; all segments' bounds hold together.
    pub low: Option<f64>,
    /// Upper bound of that.
    pub high: Option<f64>,
    /// Anytime-valid p-value of "no difference", corrected for the number of segments (Holm).
    pub p: f64,
    /// Which is better there, if that is shown.
    pub answer: Answer,
}
