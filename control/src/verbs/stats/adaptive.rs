//! What each arm of a bandit earned: inference by weight epoch, from anybody's counts.

use headgate_rollout::stats::Arm;
use headgate_rollout::stats::adaptive::{Adaptive, Estimate, Holds};
use serde_json::json;

use super::{confidence, input, number, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Band, Chart, Line};
use crate::cli::stats::AdaptiveArgs;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &AdaptiveArgs) -> Result<Answer, Failure> {
    let rows = input::rows(&args.input)?;
    let names = input::variants(&rows, args.baseline.as_deref())?;
    let mut epochs: Vec<&str> = Vec::new();
    for row in &rows {
        let epoch = row.need("epoch")?;
        if !epochs.contains(&epoch) {
            epochs.push(epoch);
        }
    }
    let holds = args.looks.map_or(Holds::Once, |best| Holds::Always { best });
    let mut sums = Adaptive::default();
    let mut over_time: Vec<Vec<Option<Estimate>>> = vec![Vec::new(); names.len()];
    for epoch in &epochs {
        let (mut weights, mut arms) = (vec![None; names.len()], vec![Arm::default(); names.len()]);
        for row in rows.iter().filter(|row| row.text("epoch") == Some(epoch)) {
            let Some(at) = names.iter().position(|name| Some(name.as_str()) == row.text("variant")) else { continue };
            let weight = row.number("weight")?;
            let bucket = input::bucket(row)?;
            let (units, total) = (row.number("units")?, row.number("total")?);
            if let (Some(known), Some(arm)) = (weights.get_mut(at), arms.get_mut(at)) {
                if known.is_some_and(|known: f64| (known - weight).abs() > 1e-12) {
                    return Err(Failure::new(
                        Exit::Refused,
                        format!(
                            "epoch {epoch} has two weights for one variant: an epoch is a time of constant weights"
                        ),
                    ));
                }
                *known = Some(weight);
                arm.add(bucket, units, total);
            }
        }
        let all: f64 = weights.iter().flatten().sum();
        let shares: Vec<f64> = weights.iter().map(|w| w.unwrap_or(0.0) / all.max(f64::MIN_POSITIVE)).collect();
        sums.add(&shares, &arms).map_err(refused)?;
        for (at, list) in over_time.iter_mut().enumerate() {
            list.push(sums.value(at, args.alpha, holds).ok());
        }
    }
    let sure = confidence(args.alpha);
    let mut lines = Vec::new();
    let mut listed = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let found = sums.value(at, args.alpha, holds).map_err(refused)?;
        let lead = if at == 0 { None } else { Some(sums.difference(0, at, args.alpha, holds).map_err(refused)?) };
        let (units, plain) = sums.plain(at).unwrap_or((0.0, 0.0));
        let dash = || "-".to_owned();
        lines.push(vec![
            name.clone(),
            number(units),
            number(found.value),
            number(found.low),
            number(found.high),
            lead.map_or_else(dash, |l| number(l.value)),
            lead.map_or_else(dash, |l| number(l.low)),
            lead.map_or_else(dash, |l| number(l.high)),
            number(plain),
        ]);
        listed.push(json!({"variant": name, "units": units, "value": found.value, "error": found.error, "df": found.df, "low": found.low,
            "high": found.high, "lead": lead.map(|l| json!({"value": l.value, "low": l.low, "high": l.high})), "plain": plain}));
    }
    let baseline = names.first().map_or("", String::as_str);
    let decided: Vec<String> = names
        .iter()
        .enumerate()
        .skip(1)
        .filter_map(|(at, name)| {
            let lead = sums.difference(0, at, args.alpha, holds).ok()?;
            if lead.low > 0.0 {
                Some(format!("{name} earns more than {baseline}"))
            } else if lead.high < 0.0 {
                Some(format!("{name} earns less than {baseline}"))
            } else {
                None
            }
        })
        .collect();
    let when = if args.looks.is_some() { "at all looks together" } else { "at this one look" };
    let sentence = format!(
        "By {} weight epochs: {} ({sure} intervals that hold {when}; the last column is the plain average, which a bandit's data make too low).",
        sums.epochs,
        if decided.is_empty() { format!("no variant is shown to differ from {baseline}") } else { decided.join(", ") }
    );
    let headings =
        ["variant", "units", "by epochs", "low", "high", "more than the first", "low", "high", "plain average"];
    let json = json!({"variants": listed, "epochs": sums.epochs, "alpha": args.alpha, "always": args.looks.is_some(), "sentence": sentence});
    let mut text = format!("{}\n{sentence}", table(&headings, &lines));
    if let Some(file) = &args.html {
        let charts = charts(&names, &over_time);
        chart::write(file, &chart::page("What each arm earned", &sentence, &headings, &lines, &charts))?;
        text.push_str(&format!("\n{}: the same with charts", file.display()));
    }
    Ok(Answer::done(json, text))
}

fn charts(names: &[String], over_time: &[Vec<Option<Estimate>>]) -> Vec<Chart> {
    let one = |(name, list): (&String, &Vec<Option<Estimate>>)| {
        let column = |of: fn(&Estimate) -> f64| list.iter().map(|e| e.as_ref().map(of)).collect::<Vec<_>>();
        Chart {
            title: format!("{name}: reward per unit after each epoch"),
            note: "The band is the interval.".to_owned(),
            x: (1..=list.len()).map(|i| i as f64).collect(),
            x_label: "epoch".to_owned(),
            lines: vec![
                Line::hidden("high", column(|e| e.high)),
                Line::hidden("low", column(|e| e.low)),
                Line::plain("estimate".to_owned(), column(|e| e.value)),
            ],
            bands: vec![Band { upper: 1, lower: 2 }],
            ..Chart::default()
        }
    };
    names.iter().zip(over_time).map(one).collect()
}
