//! What a bandit's arms earned, over time: their shares, their rewards with intervals, what is known of each in the end, and regret.

use headgate_rollout::bandit::Posterior;
use headgate_rollout::file::WHOLE;
use headgate_rollout::state::{ArmLook, BanditLook, Interval, Known, Look};

use super::Section;
use crate::chart::{Band, Chart, Line, densities};

/// The section of a bandit's report; none where no look shows arms.
pub(super) fn section(looks: &[Look]) -> Option<Section> {
    let seen: Vec<(u64, &BanditLook)> = looks.iter().filter_map(|l| Some((l.at_ms, l.bandit.as_ref()?))).collect();
    let (_, last) = seen.last()?;
    let names: Vec<&str> = last.arms.iter().map(|a| a.name.as_str()).collect();
    #[expect(clippy::cast_precision_loss, reason = "times far below 2^52 ms")]
    let x: Vec<f64> = seen.iter().map(|(at, _)| *at as f64).collect();
    let column = |name: &str, of: &dyn Fn(&ArmLook) -> Option<f64>| -> Vec<Option<f64>> {
        seen.iter().map(|(_, b)| b.arms.iter().find(|a| a.name == name).and_then(of)).collect()
    };
    let percent = last.arms.iter().any(|a| matches!(a.known, Some(Known::Beta { .. })));
    let base = || Chart { x: x.clone(), x_label: "time".to_owned(), time: true, ..Chart::default() };
    let mut charts = vec![Chart {
        title: "Shares of the arms".to_owned(),
        note: "They follow the rewards, batch by batch.".to_owned(),
        percent: true,
        stepped: true,
        lines: names
            .iter()
            .map(|n| Line::plain(*n, column(n, &|a| Some(f64::from(a.weight) / f64::from(WHOLE)))))
            .collect(),
        ..base()
    }];
    let known = |arm: &ArmLook| Some((arm.name.clone(), Posterior::from(arm.known?)));
    let posteriors: Vec<(String, Posterior)> = last.arms.iter().filter_map(known).collect();
    charts.push(densities("What is known of each arm's reward in the end", percent, &posteriors));
    let ends = |name: &str, of: fn(&ArmLook) -> Option<Interval>| {
        let part = |get: fn(&Interval) -> f64| column(name, &|a| of(a).as_ref().map(get));
        vec![
            Line::hidden("high", part(|i| i.high)),
            Line::hidden("low", part(|i| i.low)),
            Line::plain("estimate", part(|i| i.value)),
        ]
    };
    for name in names.iter().skip(1) {
        let mut lines = ends(name, |a| a.lead);
        lines.push(Line::boundary("as stable", vec![Some(0.0); x.len()]));
        charts.push(Chart {
            title: format!("{name}: how much more than stable a unit earns"),
            note: "By weight epoch; the band holds at all looks together, at 95 %. Above the dashed line it earns more, beyond chance.".to_owned(),
            percent,
            lines,
            bands: vec![Band { upper: 1, lower: 2 }],
            ..base()
        });
    }
    charts.push(Chart {
        title: "Regret".to_owned(),
        note: "Rewards given up so far against everybody on the best arm from the start, as far as was known then."
            .to_owned(),
        lines: vec![Line::plain("regret", seen.iter().map(|(_, b)| Some(b.regret)).collect())],
        ..base()
    });
    let shown = |value: f64| format!("{value:.4}");
    let range =
        |i: Option<Interval>| i.map_or_else(|| "none".to_owned(), |i| format!("{} to {}", shown(i.low), shown(i.high)));
    let rows = last.arms.iter().map(|a| {
        vec![
            a.name.clone(),
            format!("{} %", f64::from(a.weight) / 100.0),
            format!("{:.0}", a.units),
            a.credible.map_or_else(|| "none".to_owned(), |c| shown(c.value)),
            range(a.credible),
            a.chance.map_or_else(|| "none".to_owned(), |c| format!("{:.1} %", c * 100.0)),
            range(a.estimate),
            range(a.lead),
            a.out.clone().unwrap_or_default(),
        ]
    });
    let headings = [
        "Arm",
        "Share",
        "Units",
        "Reward",
        "95 % credible",
        "Chance to be best",
        "By epochs, 95 %",
        "More than stable, 95 %",
        "Why it is out",
    ];
    Some(Section {
        title: "What the arms earned".to_owned(),
        sentence: format!(
            "After {} batches and {:.0} units about {:.1} rewards were given up against everybody on the best arm from the start.",
            last.batches, last.units, last.regret
        ),
        headings: headings.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        charts,
    })
}
