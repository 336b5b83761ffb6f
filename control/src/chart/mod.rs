//! Charts on one HTML page that needs no network: statistics of `headgate stats`, and what a report shows beside its criteria.
//!
//! A [`Chart`] is columns of numbers and how they are drawn; `chart.js` draws it with uPlot. A page carries everything it needs, every
//! figure that matters stands in its table as well, and its content security policy forbids to fetch anything.

mod page;

use serde::Serialize;

pub(crate) use page::{SCRIPT, embedded, figures, page, write};

/// One chart.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// How to read it.
    pub(crate) note: String,
    /// Where its points are: numbers, or Unix milliseconds.
    pub(crate) x: Vec<f64>,
    /// What these are.
    pub(crate) x_label: String,
    /// Whether they are Unix milliseconds.
    pub(crate) time: bool,
    /// What the points are called, where they are 1, 2, … and not numbers; then their values are bars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    /// Whether values are shares, shown in per cent.
    pub(crate) percent: bool,
    /// Whether a value holds until the next one.
    pub(crate) stepped: bool,
    /// Its lines, each as long as `x`.
    pub(crate) lines: Vec<Line>,
    /// Areas between two lines.
    pub(crate) bands: Vec<Band>,
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) values: Vec<Option<f64>>,
    pub(crate) style: Style,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Style {
    #[default]
    Plain,
    /// As an end of a band alone.
    Hidden,
    /// What it is held against.
    Boundary,
    /// Points alone.
    Points,
}

/// An area between two lines, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Band {
    pub(crate) upper: usize,
    pub(crate) lower: usize,
}

impl Line {
    /// An ordinary line.
    pub(crate) fn plain(label: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        Self::of(label, values, Style::Plain)
    }

    /// An end of a band.
    pub(crate) fn hidden(label: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        Self::of(label, values, Style::Hidden)
    }

    /// What something is held against.
    pub(crate) fn boundary(label: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        Self::of(label, values, Style::Boundary)
    }

    /// Points.
    pub(crate) fn points(label: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        Self::of(label, values, Style::Points)
    }

    fn of(label: impl Into<String>, values: Vec<Option<f64>>, style: Style) -> Self {
        // What is no number has no place in a chart.
        let values = values.into_iter().map(|v| v.filter(|v| v.is_finite())).collect();
        Self { label: label.into(), values, style }
    }
}

/// Densities of several posteriors in one chart.
pub(crate) fn densities(title: &str, percent: bool, all: &[(String, headgate_rollout::bandit::Posterior)]) -> Chart {
    const POINTS: u32 = 300;
    let low = all.iter().map(|(_, p)| p.reach()[0]).fold(f64::INFINITY, f64::min);
    let high = all.iter().map(|(_, p)| p.reach()[1]).fold(f64::NEG_INFINITY, f64::max);
    let x: Vec<f64> = if low < high {
        (0..=POINTS).map(|i| low + (high - low) * f64::from(i) / f64::from(POINTS)).collect()
    } else {
        Vec::new()
    };
    let line = |(name, posterior): &(String, headgate_rollout::bandit::Posterior)| {
        Line::plain(name.clone(), x.iter().map(|x| Some(posterior.density(*x))).collect())
    };
    Chart {
        title: title.to_owned(),
        note: "The more one lies to the right of another, the surer it is the larger; the narrower, the more is known."
            .to_owned(),
        x_label: if percent { "rate, %".to_owned() } else { "mean".to_owned() },
        lines: all.iter().map(line).collect(),
        x: if percent { x.iter().map(|x| x * 100.0).collect() } else { x },
        ..Chart::default()
    }
}
