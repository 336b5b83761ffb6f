//! What a look at a step saw: each criterion's figures and verdict, for the audit, the terminal and the report.

use serde::{Deserialize, Serialize};

use super::TestLook;
use crate::file::Metric;
use crate::plan::Weights;

/// What a look at a step saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    /// When, unix ms.
    pub at_ms: u64,
    /// The step's name.
    pub step: String,
    /// The weights asked for.
    pub weights: Weights,
    /// Time measured in this step, ms.
    pub measured_ms: u64,
    /// Time that it takes, ms.
    pub duration_ms: Option<u64>,
    /// Finished requests of the canary in it.
    pub canary_requests: u64,
    /// Finished requests of the stable version in it.
    pub stable_requests: u64,
    /// Misrouted requests in it.
    pub misrouted: u64,
    /// All criteria together.
    pub verdict: VerdictKind,
    /// In one sentence.
    pub sentence: String,
    /// When the bounds were last worked out for all criteria, unix ms; between, only for those beyond their limit.
    pub bounds_at_ms: u64,
    /// Each criterion.
    pub figures: Vec<Figures>,
    /// What the A/B test says, in its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Box<TestLook>>,
    /// What a bandit's arms earn; none for every other strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandit: Option<super::BanditLook>,
}

/// What was measured for one criterion, and what is allowed. Shares are fractions of 1, times microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The criterion.
    pub name: String,
    /// Its metric.
    pub metric: Metric,
    /// `share`, `micros` or `number`.
    pub unit: String,
    /// What is allowed, in words: `at most 2x the baseline (+0.5 points)`.
    pub allowed: String,
    /// Measured of the canary; none without values.
    pub measured: Option<f64>,
    /// Of a quantile out of a histogram: how far it may be off, which is the width of its bucket; none of what is counted exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// Lower anytime-valid bound of the canary's value, given the baseline; none where it was not worked out.
    pub lower: Option<f64>,
    /// Upper anytime-valid bound of the same.
    pub upper: Option<f64>,
    /// What it is compared with.
    pub baseline: Option<f64>,
    /// Where the baseline comes from: `stable now`, `stable in 50%`, `recorded shop`.
    pub baseline_from: String,
    /// What is allowed, as a number in the metric's unit.
    pub limit: Option<f64>,
    /// Requests (or values) of the canary that were looked at.
    pub samples: u64,
    /// The verdict.
    pub verdict: VerdictKind,
    /// Whether it is only shown.
    pub dry_run: bool,
    /// Whether it is a plain number without a variance, which fails by how often its readings were beyond the limit.
    pub plain: bool,
    /// Of a plain number, its readings in this step.
    #[serde(default)]
    pub readings: u32,
    /// Of them, those beyond the limit.
    #[serde(default)]
    pub beyond: u32,
    /// When it was measured, unix ms.
    pub at_ms: u64,
    /// In one sentence, with the figures.
    pub sentence: String,
}

/// What a judgement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VerdictKind {
    /// Measured sufficiently, and within what is allowed.
    Pass,
    /// Worse than allowed, beyond chance.
    Fail,
    /// Too little was seen to say.
    Inconclusive,
    /// It could not be measured.
    Error,
}
