//! Drift: is what was promoted still what is served?
//!
//! After promotion nobody compares versions any more, and a model may go stale while every request is answered. So windows of what the
//! promoted version does are held against a reference: [`look()`] measures one window, [`tick`] turns windows into episodes, each of which is told once
//! and starts one retraining. Pure as the rollout's own tick: time and counters come in as arguments. It changes no weights: what
//! follows from drift is a person's or a pipeline's matter.

mod decline;
mod distributions;
mod episodes;
mod look;

use serde::{Deserialize, Serialize};

use crate::file::{Metric, Webhook};
use crate::stats::Arm;

pub use episodes::{Episode, Event, EventKind, HISTORY, Past, Progress, tick};
pub use look::{Look, Measure, Part, Verdict, look};

/// The name of one of the distributions; those of predictions are `prediction NAME`.
const LATENCY: &str = "latency";

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
    /// The same of latency alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Limits>,
    /// Predictions that the published route must count, in the place of those that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<headgate_contract::Predictions>,
    /// What must not decline.
    pub performance: Vec<Performance>,
    /// What starts a retraining.
    pub retrain: Option<Webhook>,
}

/// From where on a distance is drift, checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Of the population stability index.
    pub psi: f64,
    /// Of Kolmogorov and Smirnov's distance.
    pub ks: f64,
}

/// A measure of performance, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    /// `errorRate`, `goal`, `success` or `value`.
    pub metric: Metric,
    /// The goal's name.
    pub goal: Option<String>,
    /// By how much it may decline, relative to the reference: 0.05.
    pub decline: f64,
}

impl Watch {
    /// From where on a distribution of this name has drifted.
    fn limits(&self, of: &str) -> Limits {
        let all = Limits { psi: self.psi, ks: self.ks };
        if of == LATENCY { self.latency.unwrap_or(all) } else { all }
    }

    /// Whether it is held against outcomes that are told.
    pub fn wants_outcomes(&self) -> bool {
        self.performance.iter().any(|of| matches!(of.metric, Metric::Success | Metric::Value))
    }
}

/// Outcomes of the variant that are about some time, by bucket of users, as far as they were told by now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcomes {
    /// Of those that said whether it was a success, how many were.
    pub successes: Arm,
    /// Of those that had a value, their sum.
    pub values: Arm,
}

/// Outcomes about the reference's time, and about the window's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The reference's.
    pub reference: Outcomes,
    /// The window's so far.
    pub window: Outcomes,
}
