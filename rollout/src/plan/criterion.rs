//! What is measured, where it comes from, and what it may be.

use serde::{Deserialize, Serialize};

use crate::file::{FailureLimit, Importance, Metric, Procedure};

/// One measurement and its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    /// Its name, unique in a step.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// Which of the plan's goals, for [`Metric::Goal`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Where the measurement comes from.
    pub source: Source,
    /// What it may be.
    pub bound: Bound,
    /// What a failure means.
    pub importance: Importance,
    /// How many looks of an ordinary criterion may fail.
    pub failure_limit: FailureLimit,
    /// Its share of alpha in this step: the chance that it fails here for an equally good version.
    pub alpha: f64,
    /// An alpha of its own, which no share takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_alpha: Option<f64>,
    /// How [`Bound::NotWorse`] is shown.
    #[serde(default)]
    pub procedure: Procedure,
    /// Whether that is looked at once, at the step's end.
    #[serde(default)]
    pub at_end: bool,
}

/// Where a measurement comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum Source {
    /// The counters of the proxies.
    Proxies,
    /// A provider.
    Provider {
        /// Its name.
        name: String,
        /// What it is asked; none: its own query for the metric.
        query: Option<String>,
    },
}

/// What a measurement may be, in the metric's unit (shares as fractions, times in microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Bound {
    /// At most.
    Max {
        /// The bound.
        value: f64,
    },
    /// At least.
    Min {
        /// The bound.
        value: f64,
    },
    /// At most so much less than the baseline.
    Drop {
        /// The difference.
        by: f64,
    },
    /// At most so much more than the baseline.
    Rise {
        /// The difference.
        by: f64,
    },
    /// At most so many times the baseline, and never failing for a rise below the floor.
    Ratio {
        /// The factor.
        factor: f64,
        /// The rise below which nothing fails.
        floor: f64,
    },
    /// Shown to be not worse than the baseline by more.
    NotWorse {
        /// The difference.
        margin: f64,
        /// Whether less is worse.
        lower: bool,
    },
}

impl Bound {
    /// What is allowed against `baseline`; absolute bounds do not look at it.
    pub fn limit(&self, baseline: f64) -> f64 {
        match *self {
            Self::Max { value } | Self::Min { value } => value,
            Self::Drop { by } => baseline - by,
            Self::Rise { by } => baseline + by,
            Self::NotWorse { margin, lower: true } => baseline - margin,
            Self::NotWorse { margin, lower: false } => baseline + margin,
            Self::Ratio { factor, floor } => (baseline * factor).max(baseline + floor),
        }
    }

    /// Whether it needs a baseline.
    pub fn is_relative(&self) -> bool {
        !matches!(self, Self::Max { .. } | Self::Min { .. })
    }

    /// Whether less is worse.
    pub fn is_lower(&self) -> bool {
        matches!(self, Self::Min { .. } | Self::Drop { .. } | Self::NotWorse { lower: true, .. })
    }
}

/// Which unit a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Share,
    Micros,
    Number,
}

pub(crate) fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::ErrorRate
        | Metric::ClientErrorRate
        | Metric::TimeoutRate
        | Metric::UnfinishedRate
        | Metric::Goal
        | Metric::Agreement
        | Metric::Success => Unit::Share,
        Metric::LatencyP50
        | Metric::LatencyP95
        | Metric::LatencyP99
        | Metric::LatencyMean
        | Metric::HeadersP50
        | Metric::HeadersP95
        | Metric::HeadersP99 => Unit::Micros,
        Metric::Value | Metric::Cpu | Metric::Memory | Metric::Custom => Unit::Number,
    }
}
