//! The page: tables as HTML, so that they can be read, searched and printed without a script; charts drawn by `report.js` from
//! the same story, which the page carries as JSON.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::{Section, Story, Unit};
use crate::chart;

pub(crate) const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
pub(crate) const UPLOT: &str = include_str!("vendor/uPlot.iife.min.js");
pub(crate) const UPLOT_STYLE: &str = include_str!("vendor/uPlot.min.css");
pub(crate) const UPLOT_LICENCE: &str = include_str!("vendor/LICENSE");

/// Nothing may be fetched and nothing sent, not even by a text that slipped through.
pub(crate) const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole page.
pub(crate) fn page(story: &Story) -> String {
    let mut out = String::with_capacity(200_000);
    let name = escaped(&story.name);
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Rollout {name}</title>\n<style>\n{UPLOT_STYLE}\n{STYLE}</style>\n</head>\n<body>\n<main>"
    );
    head(&mut out, story);
    timeline(&mut out, story);
    steps(&mut out, story);
    let sections: Vec<&Section> = story.section.iter().chain(&story.drift).collect();
    let mut all = Vec::new();
    for section in sections {
        charts(&mut out, all.len(), section);
        all.extend_from_slice(&section.charts);
    }
    criteria(&mut out, story);
    events(&mut out, story);
    if !story.file.is_empty() {
        let _ = writeln!(
            out,
            "<section>\n<details>\n<summary>The rollout file</summary>\n<pre>{}</pre>\n</details>\n</section>",
            escaped(&story.file)
        );
    }
    let _ = writeln!(out, "</main>\n<footer>Made by <code>headgate report</code>. All times are UTC.</footer>");
    let _ = writeln!(out, "<script type=\"application/json\" id=\"story\">{}</script>", data(story));
    let _ = writeln!(
        out,
        "<!--\nuPlot:\n{UPLOT_LICENCE}\n-->\n<script>{UPLOT}</script>\n<script>\n{SCRIPT}</script>\n{}</body>\n</html>",
        match all.is_empty() {
            true => String::new(),
            false => format!("{}<script>\n{}</script>\n", chart::embedded(&all), chart::SCRIPT),
        }
    );
    out
}

fn head(out: &mut String, story: &Story) {
    let _ = writeln!(
        out,
        "<header>\n<p class=\"kind\">Rollout</p>\n<h1>{}</h1>\n<p class=\"outcome {}\"><strong>{}</strong> {}</p>",
        escaped(&story.name),
        story.tone.class(),
        escaped(&story.phase),
        escaped(&story.outcome)
    );
    if let Some(how) = &story.simulated {
        let _ = writeln!(out, "<p class=\"outcome neutral\"><strong>Simulated</strong> {}</p>", escaped(how));
    }
    out.push_str("<dl class=\"facts\">\n");
    let mut facts = story.facts.clone();
    facts.push(("Began".to_owned(), moment(story.from_ms)));
    facts.push(("Took".to_owned(), took(story.to_ms.saturating_sub(story.from_ms))));
    for (what, value) in &facts {
        let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(what), escaped(value));
    }
    out.push_str("</dl>\n</header>\n");
}

fn timeline(out: &mut String, story: &Story) {
    let what = if story.many { "Users who are not on the stable version" } else { "The canary's weight" };
    let _ = writeln!(out, "<section>\n<h2>{what}</h2>");
    if story.weights.is_empty() {
        out.push_str("<p class=\"quiet\">No weight was published.</p>\n</section>\n");
        return;
    }
    out.push_str("<div class=\"chart\" id=\"weights\" role=\"img\" aria-label=\"The canary's weight over time; the table of steps says the same\"></div>\n</section>\n");
}

/// What there is to show beside criteria: what a bandit's arms earn, how far what was promoted has drifted. Its first chart is the page's
/// `first`.
fn charts(out: &mut String, first: usize, section: &Section) {
    let _ = writeln!(out, "<section>\n<h2>{}</h2>\n<p>{}</p>", escaped(&section.title), escaped(&section.sentence));
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    section.headings.iter().for_each(|h| out.push_str(&format!("<th>{}</th>", escaped(h))));
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        let cells: String = row.iter().map(|c| format!("<td>{}</td>", escaped(c))).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody>\n</table></div>\n");
    chart::figures(out, first, &section.charts);
    out.push_str("</section>\n");
}

fn steps(out: &mut String, story: &Story) {
    if story.steps.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Steps</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>#</th><th>Step</th><th>Entered</th><th>For</th><th>How it ended</th></tr></thead>\n<tbody>\n");
    for step in &story.steps {
        let lasted = step.to_ms.map_or_else(|| "still in it".to_owned(), |to| took(to.saturating_sub(step.from_ms)));
        let _ = writeln!(
            out,
            "<tr class=\"{}\"><td>{}</td><td>{}</td><td class=\"time\">{}</td><td class=\"time\">{lasted}</td><td>{}</td></tr>",
            step.tone.class(),
            step.number,
            escaped(&step.what),
            moment(step.from_ms),
            escaped(&step.verdict)
        );
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn criteria(out: &mut String, story: &Story) {
    out.push_str("<section>\n<h2>Measured against allowed</h2>\n");
    if story.criteria.is_empty() {
        out.push_str("<p class=\"quiet\">Nothing was measured.</p>\n</section>\n");
        return;
    }
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr><th>Criterion</th><th>Allowed</th><th>Last measured</th><th>Bounds</th><th>Limit</th><th>Baseline</th><th>Samples</th></tr></thead>\n<tbody>\n");
    for criterion in &story.criteria {
        let last = criterion.points.iter().rev().find(|p| p.measured.is_some()).copied().unwrap_or_default();
        let value = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |v| number(v, criterion.unit));
        let bounds = match (last.lower, last.upper) {
            (None, None) => "none".to_owned(),
            (lower, upper) => format!("{} to {}", value(lower), value(upper)),
        };
        let samples = last.samples.map_or_else(|| "none".to_owned(), |n| format!("{n:.0}"));
        let _ = writeln!(
            out,
            "<tr class=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td>{bounds}</td><td>{}</td><td>{}</td><td>{samples}</td></tr>",
            if last.failed { "bad" } else { "neutral" },
            escaped(&criterion.name),
            escaped(&criterion.allowed),
            value(last.measured),
            value(last.limit),
            value(last.baseline),
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
    for (i, criterion) in story.criteria.iter().enumerate() {
        let _ = writeln!(
            out,
            "<figure><figcaption>{} <span class=\"quiet\">{}</span></figcaption><div class=\"chart\" id=\"criterion-{i}\" role=\"img\" aria-label=\"{} over time\"></div></figure>",
            escaped(&criterion.name),
            escaped(&criterion.allowed),
            escaped(&criterion.name),
        );
    }
    out.push_str("<p class=\"quiet\">The band is what the canary's true value lies in, at all looks together. A criterion fails when the whole band is beyond the limit.</p>\n</section>\n");
}

fn events(out: &mut String, story: &Story) {
    out.push_str("<section>\n<h2>Decisions and reasons</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>When</th><th>What</th><th>Who</th><th>Why</th></tr></thead>\n<tbody>\n");
    for event in &story.events {
        let _ = writeln!(
            out,
            "<tr class=\"{}\"><td class=\"time\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            event.tone.class(),
            moment(event.at_ms),
            escaped(&event.kind),
            escaped(&event.actor),
            escaped(&event.text)
        );
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

/// The story as JSON that no text in it can end early.
fn data(story: &Story) -> String {
    let json = serde_json::to_string(story).unwrap_or_else(|_| "null".to_owned());
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// Text that is text in HTML, in elements and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A time as `2026-11-21 07:15:02`.
fn moment(ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(ms / 1_000);
    humantime::format_rfc3339_seconds(at).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// A duration, to the second from a minute on.
fn took(ms: u64) -> String {
    let ms = if ms >= 60_000 { ms / 1_000 * 1_000 } else { ms };
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// A number in its unit, with three or so digits that matter.
fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{} %", digits(value * 100.0)),
        Unit::Milliseconds => format!("{} ms", digits(value)),
        Unit::Number => digits(value),
    }
}

fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::super::{Criterion, Event, Point, Step, Tone};
    use super::*;

    fn story() -> Story {
        let point = Point {
            at_ms: 1_800_000_060_000,
            measured: Some(0.031),
            lower: Some(0.025),
            upper: Some(0.04),
            baseline: Some(0.005),
            limit: Some(0.01),
            failed: true,
            samples: Some(4_200.0),
        };
        Story {
            name: "shop </script><b>".to_owned(),
            phase: "RolledBack".to_owned(),
            outcome: "errors & more".to_owned(),
            tone: Tone::Bad,
            from_ms: 1_800_000_000_000,
            to_ms: 1_800_000_090_500,
            weights: vec![(1_800_000_000_000, 100), (1_800_000_061_000, 0)],
            steps: vec![Step { number: 1, what: "1 %".to_owned(), from_ms: 1_800_000_000_000, ..Step::default() }],
            criteria: vec![Criterion {
                name: "errors".to_owned(),
                allowed: "at most 2 times".to_owned(),
                unit: Unit::Share,
                points: vec![point],
            }],
            events: vec![Event { text: "\"why\"".to_owned(), ..Event::default() }],
            ..Story::default()
        }
    }

    #[test]
    fn no_text_becomes_markup_and_the_data_stays_whole() {
        let page = page(&story());
        assert!(!page.contains("<b>"));
        assert!(page.contains("<h1>shop &lt;/script&gt;&lt;b&gt;</h1>"));
        let data = page.split("id=\"story\">").nth(1).unwrap().split("</script>").next().unwrap();
        let read: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(read["name"], "shop </script><b>");
        assert_eq!(read["criteria"][0]["points"][0]["lower"], 0.025);
    }

    #[test]
    fn the_figures_stand_in_the_tables_too() {
        let page = page(&story());
        for text in [
            "3.10 %",
            "2.50 % to 4.00 %",
            "1.00 %",
            "0.500 %",
            "4200",
            "2027-01-15 08:00:00",
            "1m 30s",
            "<tr class=\"bad\"><td>errors</td>",
        ] {
            assert!(page.contains(text), "{text}");
        }
    }

    #[test]
    fn the_page_asks_for_nothing_from_anywhere() {
        let page = page(&story());
        for word in ["src=\"", "href=\"", "@import", "url(", "fetch(", "XMLHttpRequest"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("Permission is hereby granted"), "uPlot's licence");
    }

    #[test]
    fn a_story_with_nothing_in_it_is_still_a_page() {
        let page = page(&Story::default());
        assert!(page.contains("No weight was published") && page.ends_with("</html>\n"));
    }
}
