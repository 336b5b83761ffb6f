//! What may be looked at as often as one likes: sample ratios, and rates against a limit.

use headgate_rollout::stats::compare::{self, Ask, Finding, Limit};
use headgate_rollout::stats::counts::Clustering;
use headgate_rollout::stats::evalue::p_value;
use headgate_rollout::stats::fixed::intervals::wilson;
use headgate_rollout::stats::fixed::proportions::Proportion;
use headgate_rollout::stats::{Arm, Method, Reason, Stratum, Worse, srm as ratios};
use serde_json::json;

use super::input::Row;
use super::{confidence, input, number, percent, points, refused};
use crate::answer::{Answer, table};
use crate::chart::{self, Band, Chart, Line};
use crate::cli::stats::{self, Ratio, Repeated};
use crate::exit::{Exit, Failure};

pub(super) fn srm(args: &Ratio) -> Result<Answer, Failure> {
    let (names, counts, log_e, what) = if let Some(file) = &args.input {
        let rows = input::rows(file)?;
        let names = input::variants(&rows, None)?;
        let arms = names.iter().map(|name| input::arm(&rows, name, None, None)).collect::<Result<Vec<Arm>, _>>()?;
        let counts: Vec<f64> = arms.iter().map(Arm::units).collect();
        (names, counts, ratios::buckets(&arms, &args.weights), "requests, judged by buckets of users")
    } else {
        for count in &args.counts {
            input::whole(*count).map_err(|why| Failure::new(Exit::Refused, why))?;
        }
        let names = (1..=args.counts.len()).map(|i| format!("variant {i}")).collect();
        (names, args.counts.clone(), ratios::keys(&args.counts, &args.weights), "distinct users")
    };
    let log_e = log_e.map_err(refused)?;
    let (all, weight): (f64, f64) = (counts.iter().sum(), args.weights.iter().sum());
    if all == 0.0 {
        return Err(refused(Reason::NoData("variants")));
    }
    let p = p_value(log_e);
    let mismatch = p <= args.alpha;
    let rows: Vec<Vec<String>> = names
        .iter()
        .zip(&counts)
        .zip(&args.weights)
        .map(|((name, count), share)| vec![name.clone(), number(*count), percent(count / all), percent(share / weight)])
        .collect();
    let sentence = if mismatch {
        format!(
            "Sample ratio mismatch (p = {}, valid at every look): the versions did not get the users that their weights say. \
             Believe no comparison of them until the cause is found.",
            number(p)
        )
    } else {
        format!(
            "No sample ratio mismatch is shown (p = {}, valid at every look; alarm at {}).",
            number(p),
            percent(args.alpha)
        )
    };
    let json = json!({"variants": names, "counts": counts, "weights": args.weights, "of": what, "logE": log_e, "p": p,
        "mismatch": mismatch, "alpha": args.alpha, "sentence": sentence});
    let headings = ["variant", what, "share", "by weight"];
    if let Some(file) = &args.html {
        let chart = shares(&names, &counts, &args.weights, args.input.is_none().then_some(args.alpha))?;
        chart::write(file, &chart::page("Sample ratio", &sentence, &headings, &rows, &[chart]))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

/// Each version's share, with Wilson's interval at `1 - alpha` where units are distinct users, beside that of its weight.
fn shares(names: &[String], counts: &[f64], weights: &[f64], alpha: Option<f64>) -> Result<Chart, Failure> {
    let (all, weight): (f64, f64) = (counts.iter().sum(), weights.iter().sum());
    let interval = |count: &f64| {
        let of = Proportion::new(*count, all).map_err(refused)?;
        alpha.map(|alpha| wilson(of, alpha).map_err(refused)).transpose()
    };
    let intervals = counts.iter().map(interval).collect::<Result<Vec<_>, Failure>>()?;
    let places: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("{}: {name}", i + 1)).collect();
    Ok(Chart {
        title: "Share of each version, beside that of its weight".to_owned(),
        note: match alpha {
            Some(alpha) => {
                format!("{}. The band is an interval for one look, at {}.", places.join(", "), confidence(alpha))
            }
            None => places.join(", "),
        },
        x: (1..=names.len()).map(|i| i as f64).collect(),
        x_label: "version".to_owned(),
        percent: true,
        lines: vec![
            Line::hidden("high", intervals.iter().map(|i| i.map(|[_, high]| high)).collect()),
            Line::hidden("low", intervals.iter().map(|i| i.map(|[low, _]| low)).collect()),
            Line::points("share", counts.iter().map(|count| Some(count / all)).collect()),
            Line::boundary("by weight", weights.iter().map(|of| Some(of / weight)).collect()),
        ],
        bands: vec![Band { upper: 1, lower: 2 }],
        ..Chart::default()
    })
}

/// Strata of a file (of some looks alone), or one of two counts of independent users.
fn strata(
    args: &Repeated,
    all: Option<&[Row]>,
    looks: Option<&[String]>,
) -> Result<([String; 2], Vec<Stratum>, Clustering), Failure> {
    if let Some(all) = all {
        input::one_epoch(all)?;
        let names = input::two(all, args.baseline.as_deref())?;
        let within = |row: &&Row| looks.is_none_or(|looks| looks.iter().any(|look| look == look_of(row)));
        let rows: Vec<Row> = all.iter().filter(within).cloned().collect();
        let [a, b] = &names;
        let mut segments: Vec<&str> = rows.iter().map(|row| row.text("segment").unwrap_or("default")).collect();
        segments.sort_unstable();
        segments.dedup();
        let stratum = |segment: &&str| {
            Ok(Stratum {
                name: (*segment).to_owned(),
                canary: input::arm(&rows, b, Some(segment), Some("events"))?,
                baseline: input::arm(&rows, a, Some(segment), Some("events"))?,
                share: args.share,
            })
        };
        let strata = segments.iter().map(stratum).collect::<Result<Vec<_>, Failure>>()?;
        return Ok((names, strata, Clustering::Buckets));
    }
    let [a, b] = args.counts.as_slice() else {
        return Err(Failure::new(Exit::Usage, "two counts are compared: EVENTS/UNITS twice"));
    };
    let arm = |of: Proportion| {
        let mut arm = Arm::default();
        arm.add(0, of.units, of.events);
        arm
    };
    let stratum = Stratum {
        canary: arm(input::ratio(b)?),
        baseline: arm(input::ratio(a)?),
        share: args.share,
        ..Stratum::default()
    };
    Ok((["A".to_owned(), "B".to_owned()], vec![stratum], Clustering::Independent))
}

pub(super) fn sequential(args: &Repeated) -> Result<Answer, Failure> {
    let all = args.input.as_deref().map(input::rows).transpose()?;
    let ([of_a, of_b], strata, clustering) = strata(args, all.as_deref(), None)?;
    let worse = if args.worse == stats::Worse::Higher { Worse::Higher } else { Worse::Lower };
    let ask = Ask { alpha: args.alpha, worse, clustering };
    let limit = Limit { ratio: args.ratio, floor: args.floor };
    let found = compare::rate(&strata, &limit, &ask).map_err(refused)?;
    let Finding { canary, baseline, allowed, low, high, .. } = found;
    let baseline = baseline.unwrap_or_default();
    let sure = confidence(args.alpha);
    let range = match (low, high) {
        (Some(low), Some(high)) => format!(
            "The difference is at least {} and at most {}, each with {sure} confidence at every look.",
            points(low),
            points(high)
        ),
        (Some(low), None) => {
            format!("The difference is at least {}, with {sure} confidence at every look.", points(low))
        }
        (None, Some(high)) => {
            format!("The difference is at most {}, with {sure} confidence at every look.", points(high))
        }
        (None, None) => "The difference has no bound yet.".to_owned(),
    };
    let verdict = match (found.exceeded, worse) {
        (true, Worse::Higher) => "It is higher than allowed",
        (true, Worse::Lower) => "It is lower than allowed",
        (false, _) => "That it is beyond what is allowed is not shown",
    };
    let sentence = format!(
        "{of_b} has {} where {of_a} has {} and {} is allowed. {verdict} (p = {}, valid at every look). \
         {range}",
        percent(canary),
        percent(baseline),
        percent(allowed),
        number(found.p)
    );
    let method = match found.method {
        Method::Exact => "exact",
        Method::Buckets => "between buckets",
        Method::Both => "exact and between buckets",
    };
    let rows = [
        vec![of_a.clone(), number(found.baseline_units), percent(baseline)],
        vec![of_b.clone(), number(found.units), percent(canary)],
    ];
    let json = json!({"a": {"name": of_a, "rate": baseline, "units": found.baseline_units}, "b": {"name": of_b, "rate": canary, "units": found.units},
        "allowed": allowed, "exceeded": found.exceeded, "logE": found.log_e, "p": found.p, "low": low, "high": high,
        "ratioBound": found.ratio_bound, "events": found.events, "method": method,
        "df": found.df.is_finite().then_some(found.df), "buckets": found.buckets.as_ref().map(ToString::to_string),
        "alpha": args.alpha, "sentence": sentence});
    let headings = ["variant", "units", "rate"];
    if let Some(file) = &args.html {
        let charts = [over_looks(args, all.as_deref(), &ask, &limit)?];
        chart::write(file, &chart::page("Two rates, looked at repeatedly", &sentence, &headings, &rows, &charts))?;
    }
    Ok(Answer::done(json, format!("{}\n{sentence}", table(&headings, &rows))))
}

/// The look that a row belongs to.
fn look_of(row: &Row) -> &str {
    row.text("look").unwrap_or("1")
}

/// The difference with its interval after each look, against what is allowed. Rows without a look belong to one.
fn over_looks(args: &Repeated, all: Option<&[Row]>, ask: &Ask, limit: &Limit) -> Result<Chart, Failure> {
    let mut looks: Vec<String> = Vec::new();
    for row in all.unwrap_or_default() {
        let look = look_of(row).to_owned();
        if !looks.contains(&look) {
            looks.push(look);
        }
    }
    let mut found = Vec::new();
    for until in 1..=looks.len().max(1) {
        let (_, strata, _) = strata(args, all, looks.get(..until).filter(|l| !l.is_empty()))?;
        // A look at which nothing can be said is no point.
        found.push(compare::rate(&strata, limit, ask).ok());
    }
    let column =
        |of: &dyn Fn(&Finding) -> Option<f64>| found.iter().map(|f| f.as_ref().and_then(of)).collect::<Vec<_>>();
    let base = |f: &Finding| f.baseline.unwrap_or_default();
    Ok(Chart {
        title: "Difference of the rates, with its interval and what is allowed".to_owned(),
        note: "The band holds at all looks together. Wholly beyond the dashed line: worse than allowed, beyond chance."
            .to_owned(),
        x: (1..=found.len()).map(|i| i as f64).collect(),
        x_label: "look".to_owned(),
        percent: true,
        lines: vec![
            Line::hidden("high", column(&|f| f.high.or(Some(1.0)))),
            Line::hidden("low", column(&|f| f.low.or(Some(-1.0)))),
            Line::boundary("allowed", column(&|f| Some(f.allowed - base(f)))),
            Line::plain("difference", column(&|f| Some(f.canary - base(f)))),
        ],
        bands: vec![Band { upper: 1, lower: 2 }],
        ..Chart::default()
    })
}
