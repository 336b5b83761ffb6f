//! How far what was promoted has drifted: each measure window by window, and the last window's distributions beside the reference's.

use headgate_rollout::drift::{Look, Measure, Past, Progress};

use super::Section;
use crate::chart::{Chart, Line};

/// The section of a report; none where no window was looked at.
pub(super) fn section(progress: &Progress) -> Option<Section> {
    let last = progress.last.as_ref()?;
    let mut of: Vec<&str> = last.measures.iter().map(|m| m.of.as_str()).collect();
    of.dedup();
    let mut charts = Vec::new();
    for name in of {
        let measures: Vec<&Measure> = last.measures.iter().filter(|m| m.of == name).collect();
        charts.push(over_time(name, &measures, &progress.history));
        if let Some(measure) = measures.iter().find(|m| m.parts.len() > 1) {
            charts.push(distribution(name, measure));
        }
    }
    Some(Section {
        title: "Drift since promotion".to_owned(),
        sentence: format!("Window {}: {}", last.number, last.sentence),
        headings: ["of", "measure", "size", "drift from", "chance", "verdict"].map(str::to_owned).to_vec(),
        rows: rows(last),
        charts,
    })
}

/// The last window's measures.
pub(crate) fn rows(look: &Look) -> Vec<Vec<String>> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let row = |m: &Measure| {
        let verdict = match (m.drifted, &m.undecided) {
            (true, _) => "drift",
            (false, Some(_)) => "not known",
            (false, None) => "steady",
        };
        vec![
            m.of.clone(),
            m.measure.clone(),
            number(m.size),
            number(Some(m.limit)),
            number(m.noise),
            verdict.to_owned(),
        ]
    };
    look.measures.iter().map(row).collect()
}

fn over_time(name: &str, measures: &[&Measure], history: &[Past]) -> Chart {
    #[expect(clippy::cast_precision_loss, reason = "times far below 2^52 ms")]
    let x: Vec<f64> = history.iter().map(|past| past.until_ms as f64).collect();
    let mut lines = Vec::new();
    for measure in measures {
        let key = format!("{} {}", measure.of, measure.measure);
        lines.push(Line::plain(
            measure.measure.as_str(),
            history.iter().map(|past| past.sizes.get(&key).copied()).collect(),
        ));
        lines.push(Line::boundary(format!("drift of {} from", measure.measure), vec![Some(measure.limit); x.len()]));
    }
    let mine: Vec<String> = measures.iter().map(|measure| format!("{} {}", measure.of, measure.measure)).collect();
    let drifted = history.iter().filter(|past| past.drifted.iter().any(|of| mine.contains(of))).count();
    Chart {
        title: format!("{name}, window by window"),
        note: format!(
            "A distance is drift where it is above its dashed line and beyond chance; {drifted} of {} windows were.",
            history.len()
        ),
        x,
        x_label: "time".to_owned(),
        time: true,
        lines,
        ..Chart::default()
    }
}

fn distribution(name: &str, measure: &Measure) -> Chart {
    #[expect(clippy::cast_precision_loss, reason = "a handful of bins")]
    let x = (1..=measure.parts.len()).map(|i| i as f64).collect();
    Chart {
        title: format!("{name}: the last window beside the reference"),
        note: "The share of each bin, called by its upper edge, or of each class.".to_owned(),
        x,
        x_label: "bin".to_owned(),
        names: measure.parts.iter().map(|part| part.bin.clone()).collect(),
        percent: true,
        lines: vec![
            Line::plain("reference", measure.parts.iter().map(|part| Some(part.reference)).collect()),
            Line::plain("now", measure.parts.iter().map(|part| Some(part.now)).collect()),
        ],
        ..Chart::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headgate_rollout::drift::{Part, Verdict};

    use super::*;

    #[test]
    fn every_measure_has_its_line_over_time_and_every_distribution_its_bins() {
        let part = |bin: &str, reference, now| Part { bin: bin.to_owned(), reference, now };
        let measure = |of: &str, measure: &str, parts: Vec<Part>| Measure {
            of: of.to_owned(),
            measure: measure.to_owned(),
            size: Some(0.3),
            limit: 0.25,
            noise: Some(0.1),
            at_most: None,
            p: None,
            reference: None,
            now: None,
            drifted: true,
            undecided: None,
            sentence: String::new(),
            parts,
        };
        let parts = || vec![part("0.5", 0.75, 0.25), part("above", 0.25, 0.75)];
        let look = Look {
            number: 2,
            since_ms: 1_000,
            until_ms: 2_000,
            requests: 7,
            reference: "week-1".to_owned(),
            measures: vec![
                measure("prediction score", "psi", parts()),
                measure("prediction score", "ks", parts()),
                measure("successes", "decline", Vec::new()),
            ],
            verdict: Verdict::Drifted,
            sentence: "it <moved>".to_owned(),
        };
        let past = |until_ms, size| Past {
            until_ms,
            verdict: Verdict::Drifted,
            sizes: BTreeMap::from([("prediction score psi".to_owned(), size)]),
            drifted: if size > 0.25 { vec!["prediction score psi".to_owned()] } else { Vec::new() },
        };
        let progress =
            Progress { history: vec![past(1_000, 0.1), past(2_000, 0.3)], last: Some(look), ..Progress::default() };
        let section = section(&progress).unwrap();
        assert_eq!((section.rows.len(), section.rows[0][5].as_str()), (3, "drift"));
        assert_eq!(section.charts.len(), 3);
        assert_eq!(section.charts[0].lines[0].values, [Some(0.1), Some(0.3)]);
        assert_eq!(section.charts[0].lines[1].values, [Some(0.25), Some(0.25)]);
        assert_eq!(section.charts[0].lines[2].values, [None, None]);
        assert!(section.charts[0].note.contains("1 of 2 windows were"), "{}", section.charts[0].note);
        assert!(section.charts[2].note.contains("0 of 2 windows were"), "{}", section.charts[2].note);
        assert_eq!(section.charts[1].lines[1].values, [Some(0.25), Some(0.75)]);
        assert_eq!(section.charts[1].names, ["0.5", "above"]);
        assert!(super::section(&Progress::default()).is_none());
    }
}
