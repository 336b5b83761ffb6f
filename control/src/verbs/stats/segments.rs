//! Rates within segments: each with its correction, together after Mantel and Haenszel, and Simpson's reversal.

use headgate_rollout::stats::fixed::intervals::newcombe;
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::{Alternative, Look};
use headgate_rollout::stats::multiple::holm;
use headgate_rollout::stats::segments::{Pair, Reversal, breslow_day, mantel_haenszel, reversal};
use serde_json::{Value, json};

use super::{confidence, input, number, percent, points, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Band, Chart, Line};
use crate::cli::stats::Values;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &Values) -> Result<Answer, Failure> {
    let look = if args.interim { Look::Repeated } else { Look::Only };
    let all = input::rows(&args.input)?;
    input::one_epoch(&all)?;
    let [of_a, of_b] = input::two(&all, args.baseline.as_deref())?;
    let mut segments: Vec<(String, Pair)> = Vec::new();
    for row in &all {
        let name = row.need("segment")?;
        let at = segments.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            let nothing = Proportion::default();
            segments.push((name.to_owned(), Pair { a: nothing, b: nothing }));
            segments.len() - 1
        });
        let one = Proportion::new(row.count("events")?, row.count("units")?).map_err(refused)?;
        if let Some((_, pair)) = segments.get_mut(at) {
            let side = if row.text("variant") == Some(of_a.as_str()) { &mut pair.a } else { &mut pair.b };
            side.events += one.events;
            side.units += one.units;
        }
    }
    if let Some((name, _)) = segments.iter().find(|(_, pair)| pair.a.units <= 0.0 || pair.b.units <= 0.0) {
        return Err(Failure::new(Exit::Refused, format!("segment `{name}` has rows of one variant alone")));
    }
    let pairs: Vec<Pair> = segments.iter().map(|(_, pair)| *pair).collect();
    let mut p = Vec::with_capacity(pairs.len());
    for pair in &pairs {
        // No event at all in a segment: no evidence there.
        let test = z_test(pair.a, pair.b, Spread::Pooled, Alternative::TwoSided, look);
        match test {
            Ok(test) => p.push(test.p),
            Err(headgate_rollout::stats::Reason::ZeroVariance) => p.push(1.0),
            Err(reason) => return Err(refused(reason)),
        }
    }
    let adjusted = holm(&p).map_err(refused)?;
    let common = mantel_haenszel(&pairs, args.alpha).map_err(refused)?;
    let agree = breslow_day(&pairs, common.odds_ratio).ok();
    let turned = reversal(&pairs, args.alpha, [of_a.as_str(), of_b.as_str(), "segments"]).map_err(refused)?;
    let mut rows = Vec::new();
    let mut listed = Vec::new();
    for ((name, pair), p) in segments.iter().zip(&adjusted) {
        let [low, high] = newcombe(pair.a, pair.b, args.alpha).map_err(refused)?;
        let (a, b) = (pair.a.rate(), pair.b.rate());
        rows.push(vec![name.clone(), percent(a), percent(b), points(b - a), points(low), points(high), number(*p)]);
        listed.push(json!({"segment": name, "a": a, "b": b, "difference": b - a, "low": low, "high": high, "p": p}));
    }
    let [low, high] = common.interval;
    let mut sentence = format!(
        "Within the segments {of_b}'s odds are {:.4} times {of_a}'s ({} interval {low:.4} to {high:.4}, p = {}); added up they would be {:.4} times.",
        common.odds_ratio,
        confidence(args.alpha),
        number(common.p),
        common.pooled
    );
    if let Some((_, _, p)) = agree.filter(|(_, _, p)| *p <= args.alpha) {
        sentence.push_str(&format!(
            " The segments disagree on how much (Breslow-Day p = {}): look at each by itself.",
            number(p)
        ));
    }
    let reversed = match &turned {
        Reversal::Reversed { text, .. } => {
            sentence.push(' ');
            sentence.push_str(text);
            true
        }
        Reversal::None => false,
    };
    let json = json!({"a": of_a, "b": of_b, "segments": listed, "oddsRatio": common.odds_ratio, "low": low, "high": high, "p": common.p,
        "pooledOddsRatio": common.pooled, "homogeneityP": agree.map(|(_, _, p)| p), "reversed": reversed, "alpha": args.alpha,
        "sentence": sentence});
    let headings = ["segment", &of_a, &of_b, "difference", "low", "high", "p (Holm)"];
    if let Some(file) = &args.html {
        let column = |field: &str| listed.iter().map(|row| row.get(field).and_then(Value::as_f64)).collect::<Vec<_>>();
        let places: Vec<String> =
            segments.iter().enumerate().map(|(i, (name, _))| format!("{}: {name}", i + 1)).collect();
        let chart = Chart {
            title: "Difference within each segment, with its interval".to_owned(),
            note: places.join(", "),
            x: (1..=segments.len()).map(|i| i as f64).collect(),
            x_label: "segment".to_owned(),
            percent: true,
            lines: vec![
                Line::hidden("high", column("high")),
                Line::hidden("low", column("low")),
                Line::points("difference", column("difference")),
                Line::boundary("none", vec![Some(0.0); segments.len()]),
            ],
            bands: vec![Band { upper: 1, lower: 2 }],
            ..Chart::default()
        };
        chart::write(file, &chart::page("Segments", &sentence, &headings, &rows, &[chart]))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}
