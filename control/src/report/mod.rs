//! A rollout told on one HTML page: its weights over time, what was measured against what was allowed, and every decision with its
//! reason.
//!
//! [`Story`] is what is told, whoever lived it (a rollout that ran, or a simulated one); `page` makes HTML of it. The page
//! carries its charts' code (uPlot, in `vendor/`) and data, asks for nothing from anywhere, and its content security policy
//! forbids that it could. Nothing here knows the store or judges anything.

mod arms;
mod build;
mod drift;
pub(crate) mod page;
mod question;
mod recorded;

use serde::Serialize;

use crate::chart::Chart;

pub(crate) use build::{Happened, Known, story};
pub(crate) use drift::rows as drift_rows;
pub(crate) use page::{POLICY, STYLE, UPLOT, UPLOT_LICENCE, UPLOT_STYLE, escaped, page};
pub(crate) use recorded::recorded;

/// What is told of one rollout. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Story {
    /// The rollout's name.
    pub(crate) name: String,
    /// Its phase, as `headgate status` shows it.
    pub(crate) phase: String,
    /// How it ended or stands, in a sentence.
    pub(crate) outcome: String,
    /// Whether that is good, bad, or neither so far.
    pub(crate) tone: Tone,
    /// What was asked for: strategy, target, route and the like.
    pub(crate) facts: Vec<(String, String)>,
    /// When it began, and the last that is known of it.
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// The canary's weight in 1/10,000 from each time on.
    pub(crate) weights: Vec<(u64, u32)>,
    /// The steps that were entered.
    pub(crate) steps: Vec<Step>,
    /// Whether more than two versions may have users: then the weight is that of all but the stable one.
    pub(crate) many: bool,
    /// What its strategy has to show besides; drawn by `chart.js`.
    #[serde(skip)]
    pub(crate) section: Option<Section>,
    /// How far what was promoted has drifted; drawn so too.
    #[serde(skip)]
    pub(crate) drift: Option<Section>,
    /// What was measured, one for each criterion.
    pub(crate) criteria: Vec<Criterion>,
    /// What happened, in its order.
    pub(crate) events: Vec<Event>,
    /// The rollout file.
    pub(crate) file: String,
    /// Whether it was simulated, and how.
    pub(crate) simulated: Option<String>,
}

/// What a strategy has to show: a sentence, a table and charts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) sentence: String,
    pub(crate) headings: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) charts: Vec<Chart>,
}

/// Good, bad, or neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tone {
    Good,
    Bad,
    #[default]
    Neutral,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }
}

/// A step that was entered.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// Its place in the list, from 1.
    pub(crate) number: usize,
    /// What it is: `5 %`, `pause`, `gate release-manager`.
    pub(crate) what: String,
    pub(crate) from_ms: u64,
    /// When it was left; none while it is the current one.
    pub(crate) to_ms: Option<u64>,
    /// How it was left: its verdict's sentence.
    pub(crate) verdict: String,
    pub(crate) tone: Tone,
}

/// A criterion and what was measured for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Criterion {
    pub(crate) name: String,
    /// What may be, in words: `at most 2 times the baseline and 0.5 points above it`.
    pub(crate) allowed: String,
    pub(crate) unit: Unit,
    pub(crate) points: Vec<Point>,
}

/// What a criterion's numbers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// A share, 0 to 1, shown in per cent.
    Share,
    /// Milliseconds.
    Milliseconds,
    /// A plain number.
    #[default]
    Number,
}

/// One look at one criterion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    pub(crate) at_ms: u64,
    /// The canary's value.
    pub(crate) measured: Option<f64>,
    /// The bounds that hold at all times together.
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    /// The baseline's value.
    pub(crate) baseline: Option<f64>,
    /// The limit it was held against.
    pub(crate) limit: Option<f64>,
    /// Whether it failed this look.
    pub(crate) failed: bool,
    /// What the canary's value stands on: finished requests or outcomes.
    pub(crate) samples: Option<f64>,
}

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) at_ms: u64,
    /// Its kind: `step`, `verdict`, `rollback`, …
    pub(crate) kind: String,
    /// Who: a person, or `headgate`.
    pub(crate) actor: String,
    /// What and why.
    pub(crate) text: String,
    pub(crate) tone: Tone,
}
