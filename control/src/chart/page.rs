//! A page of charts: title, sentence, table, charts.

use std::fmt::Write as _;
use std::path::Path;

use super::Chart;
use crate::exit::Failure;
use crate::report::{STYLE, UPLOT, UPLOT_LICENCE, UPLOT_STYLE, escaped};

/// Draws every chart of a page.
pub(crate) const SCRIPT: &str = include_str!("chart.js");

/// The whole page.
pub(crate) fn page(title: &str, sentence: &str, headings: &[&str], rows: &[Vec<String>], charts: &[Chart]) -> String {
    let mut out = String::with_capacity(100_000);
    let policy = crate::report::POLICY;
    let title = escaped(title);
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{UPLOT_STYLE}\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"kind\">Statistics</p>\n<h1>{title}</h1>\n<p class=\"outcome neutral\">{}</p>\n</header>",
        escaped(sentence)
    );
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        cells.map(|c| format!("<{tag}>{}</{tag}>", escaped(c))).collect::<String>()
    };
    let _ = writeln!(
        out,
        "<section>\n<div class=\"scroll\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>",
        cells("th", &mut headings.iter().copied())
    );
    for row in rows {
        let _ = writeln!(out, "<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)));
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n<section>\n");
    figures(&mut out, 0, charts);
    let _ = writeln!(out, "</section>\n</main>\n<footer>Made by <code>headgate stats</code>.</footer>");
    out.push_str(&embedded(charts));
    let _ = writeln!(
        out,
        "<!--\nuPlot:\n{UPLOT_LICENCE}\n-->\n<script>{UPLOT}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>"
    );
    out
}

/// Where the charts are drawn, the first of which is the page's `first`.
pub(crate) fn figures(out: &mut String, first: usize, charts: &[Chart]) {
    for (i, chart) in (first..).zip(charts) {
        let _ = writeln!(
            out,
            "<figure><figcaption>{} <span class=\"quiet\">{}</span></figcaption><div class=\"chart\" id=\"chart-{i}\" role=\"img\" aria-label=\"{}\"></div></figure>",
            escaped(&chart.title),
            escaped(&chart.note),
            escaped(&chart.title)
        );
    }
}

/// The charts as data that no text in them can end early.
pub(crate) fn embedded(charts: &[Chart]) -> String {
    let json = serde_json::to_string(charts).unwrap_or_else(|_| "[]".to_owned());
    let json = json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    format!("<script type=\"application/json\" id=\"charts\">{json}</script>\n")
}

/// Writes a page to a file.
pub(crate) fn write(file: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(file, page).map_err(|e| Failure::failed(format!("{} cannot be written: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::super::{Band, Line};
    use super::*;

    #[test]
    fn the_page_has_its_figures_as_text_and_asks_for_nothing() {
        let chart = Chart {
            title: "shares </script><b>".to_owned(),
            x: vec![1.0, 2.0],
            lines: vec![Line::plain("a", vec![Some(0.5), Some(f64::NAN)])],
            bands: vec![Band { upper: 1, lower: 1 }],
            ..Chart::default()
        };
        let page = page("A & B", "one <sentence>", &["arm"], &[vec!["<b>x".to_owned()]], &[chart]);
        for word in ["src=\"", "href=\"", "@import", "url(", "fetch(", "XMLHttpRequest", "<b>"] {
            assert!(!page.contains(word), "{word}");
        }
        for word in
            ["A &amp; B", "one &lt;sentence&gt;", "&lt;b&gt;x", "default-src 'none'", "Permission is hereby granted"]
        {
            assert!(page.contains(word), "{word}");
        }
        let data = page.split("id=\"charts\">").nth(1).unwrap().split("</script>").next().unwrap();
        let read: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(read[0]["lines"][0]["values"], serde_json::json!([0.5, null]));
    }
}
