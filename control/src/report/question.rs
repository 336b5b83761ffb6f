//! What an A/B test said over time: the difference with its interval, against the difference that counts.

use headgate_rollout::state::{Look, TestLook};

use super::Section;
use crate::chart::{Band, Chart, Line};

/// The section of an A/B test's report; none where no look has one.
pub(super) fn section(looks: &[Look]) -> Option<Section> {
    let seen: Vec<(u64, &TestLook)> = looks.iter().filter_map(|l| Some((l.at_ms, l.test.as_deref()?))).collect();
    let (_, last) = seen.last()?;
    let percent = last.unit == "share";
    let factor = if last.unit == "micros" { 1e-3 } else { 1.0 };
    let column = |of: fn(&TestLook) -> Option<f64>| -> Vec<Option<f64>> {
        seen.iter().map(|(_, t)| of(t).map(|v| v * factor)).collect()
    };
    let edge = |value: f64| vec![Some(value * factor); seen.len()];
    #[expect(clippy::cast_precision_loss, reason = "times far below 2^52 ms")]
    let x: Vec<f64> = seen.iter().map(|(at, _)| *at as f64).collect();
    let chart = Chart {
        title: format!("{}: B less A", last.metric),
        note: format!(
            "The band is the interval at {} %. It is decided when the band lies wholly on one side of what is asked; dashed: no difference, and the difference that counts.",
            last.confidence * 100.0
        ),
        x,
        x_label: if last.unit == "micros" { "time (ms)".to_owned() } else { "time".to_owned() },
        time: true,
        percent,
        lines: vec![
            Line::hidden("high", column(|t| t.high)),
            Line::hidden("low", column(|t| t.low)),
            Line::boundary("none", edge(0.0)),
            Line::boundary("counts, above", edge(last.margin)),
            Line::boundary("counts, below", edge(-last.margin)),
            Line::plain("difference", column(|t| t.estimate)),
        ],
        bands: vec![Band { upper: 1, lower: 2 }],
        ..Chart::default()
    };
    let shown = |value: Option<f64>| {
        value.map_or_else(
            || "none".to_owned(),
            |v| if percent { format!("{:.3} %", v * 100.0) } else { format!("{:.4}", v * factor) },
        )
    };
    let [of_a, of_b] = last.units;
    let row = vec![
        shown(last.a),
        of_a.to_string(),
        shown(last.b),
        of_b.to_string(),
        shown(last.estimate),
        format!("{} to {}", shown(last.low), shown(last.high)),
    ];
    Some(Section {
        title: "What the test says".to_owned(),
        sentence: last.sentence.clone(),
        headings: ["A", "Units of A", "B", "Units of B", "B less A", "Interval"].map(str::to_owned).to_vec(),
        rows: vec![row],
        charts: vec![chart],
    })
}
