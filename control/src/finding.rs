//! One thing that is wrong with a document, with its place in the file.

use core::fmt;

/// What is wrong, where in the document (JSON path) and, for YAML, where in the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Finding {
    /// The file, as it was named on the command line.
    pub(crate) file: String,
    /// JSON path, as in `routes[2].variants[0].weight`; empty for the document as a whole.
    pub(crate) path: String,
    /// Line from 1, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// Column from 1, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u64>,
    /// What is wrong and, where `fix` is absent, the way out.
    pub(crate) reason: String,
    /// The way out, where it is a sentence of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
    /// The file's line, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snippet: Option<String>,
}

impl Finding {
    /// The finding for people: its place and reason, the file's line with a caret under the place, and the way out.
    pub(crate) fn shown(&self) -> String {
        let mut out = self.to_string();
        if let (Some(line), Some(column), Some(snippet)) = (self.line, self.column, &self.snippet) {
            let (snippet, column) = clipped(snippet, column);
            let number = line.to_string();
            let space = " ".repeat(number.len());
            let caret = " ".repeat(column);
            out.push_str(&format!("\n  {space} |\n  {number} | {snippet}\n  {space} | {caret}^"));
        }
        if let Some(fix) = &self.fix {
            out.push_str(&format!("\n  fix: {fix}"));
        }
        out
    }
}

/// A line short enough for a terminal, and how far from its start the place then is, in characters.
fn clipped(line: &str, column: u64) -> (String, usize) {
    const WIDTH: usize = 100;
    let at = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let length = line.chars().count();
    let from = if at > WIDTH * 3 / 4 { at - WIDTH / 2 } else { 0 };
    let mut shown: String = line.chars().skip(from).take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if from > 0 {
        shown = format!("…{}", shown.chars().skip(1).collect::<String>());
    }
    if length > from + WIDTH {
        shown.push('…');
    }
    (shown, at - from)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(snippet: &str, column: u64) -> String {
        let finding = Finding {
            file: "r.yaml".to_owned(),
            path: "a.b".to_owned(),
            line: Some(12),
            column: Some(column),
            reason: "is wrong".to_owned(),
            fix: Some("write it right".to_owned()),
            snippet: Some(snippet.to_owned()),
        };
        finding.shown()
    }

    #[test]
    fn the_line_stands_under_the_reason_with_a_caret_and_the_way_out() {
        let expected = "r.yaml:12:5 a.b: is wrong\n     |\n  12 |     weight: 7\n     |     ^\n  fix: write it right";
        assert_eq!(shown("    weight: 7", 5), expected);
    }

    #[test]
    fn a_long_line_is_clipped_around_the_place() {
        let text = shown(&format!("{}X{}", "a".repeat(500), "b".repeat(500)), 501);
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[2].chars().nth(caret), Some('X'), "{text}");
        assert!(lines[2].chars().count() < 120, "{text}");
        assert!(lines[2].contains("| …a") && lines[2].ends_with('…'), "{text}");
    }
}
