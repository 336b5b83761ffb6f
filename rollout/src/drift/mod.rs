//! Drift: is what was promoted still what is served?
//!
//! After promotion nobody compares versions any more, and a model may go stale while every request is answered. So windows of what the
//! promoted version does are held against a reference: [`look()`] measures one window, [`tick`] turns windows into episodes, each of which is told once
//! and starts one retraining. Pure as the rollout's own tick: time and counters come in as arguments. It changes no weights: what
//! follows from drift is a person's or a pipeline's matter.

mod episodes;
mod look;

use serde::{Deserialize, Serialize};

use crate::file::{Metric, Webhook};

pub use episodes::{Episode, Event, EventKind, Progress, tick};
pub use look::{Look, Measure, Verdict, look};

/// What is watched, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// The promoted variant.
    pub variant: String,
    /// Length of a window, ms.
    pub window_ms: u64,
    /// Name of the recorded reference; none: the variant's own last window.
    pub reference: Option<String>,
    /// Finished requests that the reference and each window need.
    pub min_requests: u64,
    /// Chance of ever taking chance for drift.
    pub alpha: f64,
    /// Population stability index from which on it is drift.
    pub psi: f64,
    /// Kolmogorov and Smirnov's distance from which on it is.
    pub ks: f64,
    /// What must not decline.
    pub performance: Vec<Performance>,
    /// What starts a retraining.
    pub retrain: Option<Webhook>,
}

/// A measure of performance, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// `errorRate` or `goal`.
    pub metric: Metric,
    /// The goal's name.
    pub goal: Option<String>,
    /// By how much it may decline, relative to the reference: 0.05.
    pub decline: f64,
}
