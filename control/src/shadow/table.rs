//! What was found, for people: plain text with tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use headgate_rollout::shadow::{
    Change, Check, Estimate, Example, Field, Findings, Held, Labelled, Latency, Numbers, Quantiles, Recommendation,
    Verdict,
};

use crate::answer::{coloured, table};
use anstyle::AnsiColor;

/// The verdict and its criteria.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let colour = match verdict.recommendation {
        Recommendation::Promote => AnsiColor::Green,
        Recommendation::NeedMore => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let mut out = format!("{}: {}\n\n", coloured(verdict.recommendation.words(), colour), verdict.because);
    out.push_str(&table(&["criterion", "segment", "measured", "bounds", "allowed", "holds"], &checks(verdict)));
    out.push('\n');
    out
}

/// A row for each criterion.
pub(crate) fn checks(verdict: &Verdict) -> Vec<Vec<String>> {
    let row = |check: &Check| {
        let shown = |value: f64| if check.name == "latency" { ms(value) } else { percent(value) };
        vec![
            check.name.to_owned(),
            if check.segment.is_empty() { "all".to_owned() } else { check.segment.clone() },
            check.measured.map_or_else(none, shown),
            check.bounds.map_or_else(none, |[low, high]| format!("{} to {}", shown(low), shown(high))),
            check.allowed.map_or_else(none, shown),
            match check.held {
                Held::Holds => "yes",
                Held::Fails => "no",
                Held::Open => "not known yet",
                Held::Unmeasured => "not measured",
            }
            .to_owned(),
        ]
    };
    verdict.checks.iter().map(row).collect()
}

/// All findings.
pub(crate) fn findings(found: &Findings) -> String {
    let mut out = verdict(&found.verdict);
    let _ = writeln!(out, "\nAgreement: {} over {:.0} comparisons", estimate(&found.agreement), found.compared);
    for (what, counts) in [("not comparable", &found.incomparable), ("without an answer of the shadow", &found.failed)]
    {
        if !counts.is_empty() {
            let _ = writeln!(out, "{}: {}", capital(what), self::counts(counts));
        }
    }
    if let Some(labels) = &found.labels {
        let _ = writeln!(out, "{}", people(labels));
    }
    if found.segments.len() > 1 {
        section(
            &mut out,
            "By segment",
            &["segment", "comparisons", "agreement", "errors old", "errors new", "p95 old", "p95 new"],
            &segments(found),
        );
    }
    if !found.fields.is_empty() {
        section(
            &mut out,
            "What differs",
            &["field", "comparisons", "share", "by itself", "counts"],
            &fields(&found.fields),
        );
    }
    if !found.changes.is_empty() {
        section(
            &mut out,
            "What changed into what",
            &["field", "old", "new", "comparisons"],
            &changes(&found.changes, found.changes_missed),
        );
    }
    if let Some(numbers) = &found.numbers {
        section(&mut out, "Numbers: new - old", &["", ""], &self::numbers(numbers));
    }
    if !found.largest.is_empty() {
        section(
            &mut out,
            "Largest disagreements",
            &["request", "segment", "old", "new", "size"],
            &largest(&found.largest),
        );
    }
    if let Some(latency) = &found.latency {
        let title = format!("Latency, within {}", percent(latency.precision));
        let headings = ["", "answers", "p50", "p90", "p95", "p99", "longest"];
        section(&mut out, &title, &headings, &latencies(latency));
    }
    if !found.outliers.is_empty() {
        let rows: Vec<Vec<String>> =
            found.outliers.iter().map(|o| vec![o.id.clone(), o.segment.clone(), ms(o.primary), ms(o.shadow)]).collect();
        section(&mut out, "Slowest beside the version in service", &["request", "segment", "old", "new"], &rows);
        if let Some(slow) = slow(found) {
            let _ = writeln!(out, "{slow}");
        }
    }
    for note in &found.notes {
        let _ = writeln!(out, "\n{note}");
    }
    out
}

/// Comparisons by reason, in a line.
pub(crate) fn counts(counts: &BTreeMap<String, f64>) -> String {
    let list: Vec<String> = counts.iter().map(|(reason, count)| format!("{reason} {count:.0}")).collect();
    list.join(", ")
}

/// A row for each side's latencies.
pub(crate) fn latencies(latency: &Latency) -> [Vec<String>; 2] {
    [quantiles("version in service", &latency.primary), quantiles("shadow", &latency.shadow)]
}

/// What people said, in a line.
pub(crate) fn people(labels: &Labelled) -> String {
    format!(
        "Who was right, of {} looked at: shadow {}, version in service {}, both {}, neither {}; the shadow's share {}{}",
        labels.found,
        labels.shadow,
        labels.primary,
        labels.both,
        labels.neither,
        estimate(&labels.shadow_share),
        labels.p.map_or_else(String::new, |p| format!(", {}", p_value(p)))
    )
}

/// What is said of pairs whose shadow was much slower than usual; none: there are none.
pub(crate) fn slow(found: &Findings) -> Option<String> {
    let slow = found.slow.filter(|slow| slow.pairs > 0.0)?;
    Some(format!(
        "In {:.0} comparisons the shadow took more than {} longer than the version in service: far more than in most (three interquartile ranges above the upper quartile).",
        slow.pairs,
        ms(slow.beyond)
    ))
}

fn section(out: &mut String, title: &str, headings: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(out, "\n{title}\n{}", table(headings, rows));
}

/// Rows by segment.
pub(crate) fn segments(found: &Findings) -> Vec<Vec<String>> {
    let share = |value: Option<f64>| value.map_or_else(none, percent);
    let time = |value: Option<f64>| value.map_or_else(none, ms);
    let row = |s: &headgate_rollout::shadow::Segment| {
        vec![
            s.name.clone(),
            format!("{:.0}", s.compared),
            estimate(&s.agreement),
            share(s.primary_errors),
            share(s.shadow_errors),
            time(s.primary_p95),
            time(s.shadow_p95),
        ]
    };
    found.segments.iter().map(row).collect()
}

/// Rows of fields.
pub(crate) fn fields(fields: &[Field]) -> Vec<Vec<String>> {
    let row = |f: &Field| {
        vec![
            f.path.clone(),
            format!("{:.0}", f.pairs),
            percent(f.share),
            f.noise.map_or_else(|| "not known".to_owned(), percent),
            if f.counts { "yes" } else { "no: noise" }.to_owned(),
        ]
    };
    fields.iter().map(row).collect()
}

/// Rows of changes.
pub(crate) fn changes(changes: &[Change], missed: f64) -> Vec<Vec<String>> {
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "not told".to_owned());
    let count = |count: f64| {
        if missed > 0.0 { format!("{count:.0} to {:.0}", count + missed) } else { format!("{count:.0}") }
    };
    changes.iter().map(|c| vec![c.path.clone(), value(&c.old), value(&c.new), count(c.count)]).collect()
}

/// Rows of disagreements.
pub(crate) fn largest(examples: &[Example]) -> Vec<Vec<String>> {
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "not told".to_owned());
    let row = |e: &Example| vec![e.id.clone(), e.segment.clone(), value(&e.primary), value(&e.shadow), digits(e.size)];
    examples.iter().map(row).collect()
}

/// Rows about numbers.
pub(crate) fn numbers(found: &Numbers) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
    let between = |[low, high]: [f64; 2]| format!("{} to {}", digits(low), digits(high));
    add("pairs", format!("{:.0}", found.pairs));
    if let (Some(old), Some(new)) = (found.primary_mean, found.shadow_mean) {
        add("mean old, new", format!("{}, {}", digits(old), digits(new)));
    }
    add("mean difference", digits(found.mean));
    match (found.interval, &found.interval_reason) {
        (Some(interval), _) => {
            let p = found.p.map_or_else(String::new, |p| format!(", {}", p_value(p)));
            add("  between buckets of users", format!("{}{p}", between(interval)));
        }
        (None, Some(reason)) => add("  between buckets of users", format!("none: {reason}")),
        (None, None) => {}
    }
    add(
        "mean size, deviation",
        format!("{}, {}", digits(found.mean_absolute), found.deviation.map_or_else(none, digits)),
    );
    add("largest", digits(found.largest));
    match (found.t, &found.t_reason) {
        (Some([t, df, p]), _) => {
            let interval = found.t_interval.map_or_else(String::new, |i| format!(", {}", between(i)));
            add(
                "paired t (pairs taken as independent)",
                format!("t = {}, df = {df:.0}, {}{interval}", digits(t), p_value(p)),
            );
        }
        (None, Some(reason)) => add("paired t", format!("none: {reason}")),
        (None, None) => {}
    }
    let exact = |error: Option<[f64; 2]>, what: &str| {
        error.map_or_else(
            || " (exact ranks)".to_owned(),
            |e| format!(" (binned: the exact {what} lies in {})", between(e)),
        )
    };
    if let Some(wilcoxon) = &found.wilcoxon {
        let p = wilcoxon.p.map_or_else(none, p_value);
        add("Wilcoxon signed rank", format!("W = {:.1}, {p}{}", wilcoxon.statistic, exact(wilcoxon.error, "p")));
    }
    if let Some(r) = found.pearson {
        let interval = found.pearson_interval.map_or_else(String::new, |i| format!(", {}", between(i)));
        add("Pearson", format!("{}{interval}", digits(r)));
    }
    if let Some(spearman) = &found.spearman {
        add("Spearman", format!("{}{}", digits(spearman.statistic), exact(spearman.error, "rho")));
    }
    if let Some(reason) = &found.correlation_reason {
        add("correlation", format!("none: {reason}"));
    }
    rows
}

fn quantiles(name: &str, of: &Quantiles) -> Vec<String> {
    let time = |value: Option<f64>| value.map_or_else(none, ms);
    vec![
        name.to_owned(),
        format!("{:.0}", of.count),
        time(of.p50),
        time(of.p90),
        time(of.p95),
        time(of.p99),
        ms(of.most),
    ]
}

/// A share with its interval.
pub(crate) fn estimate(of: &Estimate) -> String {
    match (of.value, of.low, of.high, &of.reason) {
        (Some(value), Some(low), Some(high), _) => {
            format!("{} ({} to {})", percent(value), percent(low), percent(high))
        }
        (Some(value), _, _, Some(reason)) => format!("{} (no interval: {reason})", percent(value)),
        (Some(value), ..) => percent(value),
        (None, _, _, Some(reason)) => format!("none: {reason}"),
        (None, ..) => none(),
    }
}

/// As a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Microseconds as milliseconds.
pub(crate) fn ms(micros: f64) -> String {
    let ms = micros / 1_000.0;
    if ms >= 100.0 { format!("{ms:.0} ms") } else { format!("{ms:.2} ms") }
}

/// A p-value; one too small for a double is below the least of them.
fn p_value(p: f64) -> String {
    if p < f64::MIN_POSITIVE { "p < 1e-307".to_owned() } else { format!("p = {}", digits(p)) }
}

/// Four digits that matter.
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e9).contains(&size) {
        format!("{value:.3e}")
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        let decimals = (3.0 - size.log10().floor()).clamp(0.0, 8.0) as usize;
        format!("{value:.decimals$}")
    }
}

fn none() -> String {
    "none".to_owned()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
