//! The page: the same tables, with the scatter of both answers, the histogram of differences and latency curves. It carries all it needs.

use std::fmt::Write as _;

use headgate_rollout::shadow::{Findings, Recommendation};

use super::table;
use crate::report::page::{POLICY, STYLE, UPLOT, UPLOT_LICENCE, UPLOT_STYLE, escaped};

const SCRIPT: &str = include_str!("page.js");

/// The whole page. `source` says where records come from, `skipped` what of it could not be read.
pub(crate) fn page(found: &Findings, source: &str, skipped: &str) -> String {
    let mut out = String::with_capacity(200_000);
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Shadow: {}</title>\n<style>\n{UPLOT_STYLE}\n{STYLE}</style>\n</head>\n<body>\n<main>",
        escaped(source)
    );
    head(&mut out, found, source, skipped);
    section(
        &mut out,
        "Criteria",
        &["Criterion", "Segment", "Measured", "Bounds", "Allowed", "Holds"],
        &table::checks(&found.verdict),
    );
    charts(&mut out, found);
    if found.segments.len() > 1 {
        let headings = ["Segment", "Comparisons", "Agreement", "Errors old", "Errors new", "p95 old", "p95 new"];
        section(&mut out, "By segment", &headings, &table::segments(found));
    }
    section(
        &mut out,
        "What differs",
        &["Field", "Comparisons", "Share", "By itself", "Counts"],
        &table::fields(&found.fields),
    );
    let changes = table::changes(&found.changes, found.changes_missed);
    section(&mut out, "What changed into what", &["Field", "Old", "New", "Comparisons"], &changes);
    if let Some(numbers) = &found.numbers {
        section(&mut out, "Numbers: new - old", &["", ""], &table::numbers(numbers));
    }
    let largest = table::largest(&found.largest);
    section(&mut out, "Largest disagreements", &["Request", "Segment", "Old", "New", "Size"], &largest);
    if let Some(latency) = &found.latency {
        let headings = ["", "Answers", "p50", "p90", "p95", "p99", "Longest"];
        section(&mut out, "Latency", &headings, &table::latencies(latency));
    }
    let outliers: Vec<Vec<String>> = found
        .outliers
        .iter()
        .map(|o| vec![o.id.clone(), o.segment.clone(), table::ms(o.primary), table::ms(o.shadow)])
        .collect();
    section(&mut out, "Slowest beside the version in service", &["Request", "Segment", "Old", "New"], &outliers);
    for note in table::slow(found).iter().chain(&found.notes) {
        let _ = writeln!(out, "<p class=\"quiet\">{}</p>", escaped(note));
    }
    let data = serde_json::to_string(&found.charts).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c");
    let _ = writeln!(
        out,
        "</main>\n<footer>Made by <code>headgate shadow analyze</code>.</footer>\n\
         <script type=\"application/json\" id=\"charts\">{data}</script>\n\
         <!--\nuPlot:\n{UPLOT_LICENCE}\n-->\n<script>{UPLOT}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>"
    );
    out
}

fn head(out: &mut String, found: &Findings, source: &str, skipped: &str) {
    let verdict = &found.verdict;
    let tone = match verdict.recommendation {
        Recommendation::Promote => "good",
        Recommendation::NeedMore => "neutral",
        _ => "bad",
    };
    let _ = writeln!(
        out,
        "<header>\n<p class=\"kind\">Shadow</p>\n<h1>{}</h1>\n<p class=\"outcome {tone}\"><strong>{}</strong>: {}</p>\n<dl class=\"facts\">",
        escaped(source),
        verdict.recommendation.words(),
        escaped(&verdict.because)
    );
    let mut facts = vec![
        ("Records", found.records.to_string()),
        ("Comparisons", format!("{:.0}", found.compared)),
        ("Agreement", table::estimate(&found.agreement)),
    ];
    if !skipped.is_empty() {
        facts.push(("Lines skipped", skipped.to_owned()));
    }
    let counted = [("Not comparable", &found.incomparable), ("Without an answer of the shadow", &found.failed)];
    facts.extend(counted.into_iter().filter(|(_, of)| !of.is_empty()).map(|(what, of)| (what, table::counts(of))));
    if let Some(labels) = &found.labels {
        facts.push(("Who was right", table::people(labels)));
    }
    for (what, value) in facts {
        let _ = writeln!(out, "<div><dt>{what}</dt><dd>{}</dd></div>", escaped(&value));
    }
    out.push_str("</dl>\n</header>\n");
}

fn section(out: &mut String, title: &str, headings: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(out, "<section>\n<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>");
    for heading in headings {
        let _ = write!(out, "<th>{heading}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escaped(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn charts(out: &mut String, found: &Findings) {
    let charts = &found.charts;
    let figures = [
        (!charts.scatter.is_empty(), "scatter", "Both answers", "old across, new up; on the line they are equal"),
        (!charts.bars.is_empty(), "differences", "Differences", "new - old; the outermost bars hold all beyond"),
        (!charts.curves.shares.is_empty(), "latency", "Latency", "milliseconds by share of answers"),
    ];
    if figures.iter().all(|(there, ..)| !there) {
        return;
    }
    out.push_str("<section>\n<h2>Charts</h2>\n");
    for (_, id, title, what) in figures.iter().filter(|(there, ..)| *there) {
        let _ = writeln!(
            out,
            "<figure><figcaption>{title} <span class=\"quiet\">{what}</span></figcaption><div class=\"chart\" id=\"{id}\" role=\"img\" aria-label=\"{title}: {what}\"></div></figure>"
        );
    }
    out.push_str("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_rollout::shadow::{Analysis, Answer, Difference, Observed, Settings};

    #[test]
    fn the_page_says_what_the_table_says_and_asks_for_nothing() {
        let mut analysis = Analysis::new(Settings::default());
        for i in 0..100_u32 {
            analysis.take(&Observed {
                id: Some("</script><b>".into()),
                agrees: Some(i > 9),
                numbers: Some((f64::from(i), f64::from(i) + 1.0)),
                differences: vec![Difference { path: "/<i>".into(), ..Difference::default() }],
                primary: Answer { status: Some(200), micros: Some(900.0), ..Answer::default() },
                ..Observed::default()
            });
        }
        let error = Some("timeout".into());
        analysis.take(&Observed { shadow: Answer { error, ..Answer::default() }, ..Observed::default() });
        analysis.take(&Observed { incomparable: Some("encoding".into()), ..Observed::default() });
        let page = page(&analysis.findings(), "records <1>.jsonl", "2 cut off");
        for text in [
            "90.00 %",
            "records &lt;1&gt;.jsonl",
            "2 cut off",
            "id=\"scatter\"",
            "id=\"latency\"",
            "timeout 1",
            "encoding 1",
            "<td>0.90 ms</td>",
            "need more comparisons",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains("<b>") && !page.contains("<i>"));
        for word in ["src=\"", "href=\"", "@import", "url(", "fetch(", "XMLHttpRequest"] {
            assert!(!page.contains(word), "{word}");
        }
        let data = page.split("id=\"charts\">").nth(1).unwrap().split("</script>").next().unwrap();
        let read: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(read["scatter"].as_array().unwrap().len(), 100);
    }
}
