//! What a verb found, once for people and once for programs, and how it is shown.
//!
//! Verbs return an [`Answer`]; nothing else prints. Borders and colour are for terminals alone: piped output is plain lines
//! with tabs, and `--json` is one JSON document on standard output, also for failures.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// The result of a verb.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) exit: Exit,
    /// For `--json`.
    pub(crate) json: Value,
    /// For people.
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn done(json: Value, text: impl Into<String>) -> Self {
        Self { exit: Exit::Done, json, text: text.into() }
    }
}

/// Rows under headings: with borders on a terminal, with tabs elsewhere.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    if !std::io::stdout().is_terminal() {
        let mut out = headings.join("\t");
        for row in rows {
            out.push('\n');
            out.push_str(&row.join("\t"));
        }
        return out;
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings);
    if let Some(width) = terminal_width() {
        table.set_width(width);
    }
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

fn terminal_width() -> Option<u16> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Text in a colour; `anstream` takes it away where there is no terminal or `NO_COLOR` is set.
pub(crate) fn coloured(text: &str, colour: AnsiColor) -> String {
    let style = Style::new().bold().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

/// Prints what came of a run and gives its exit code.
pub(crate) fn show(result: Result<Answer, Failure>, json: bool) -> ExitCode {
    // Whoever closes the pipe early has read enough.
    let exit = match result {
        // A verb that has shown all while it ran.
        Ok(answer) if answer.json.is_null() && answer.text.is_empty() => answer.exit,
        Ok(answer) if json => {
            let mut document = answer.json;
            if let Some(fields) = document.as_object_mut() {
                fields.insert("ok".to_owned(), Value::Bool(answer.exit == Exit::Done));
                fields.insert("exit".to_owned(), Value::String(answer.exit.as_str().to_owned()));
            }
            let _closed = writeln!(std::io::stdout(), "{document:#}");
            answer.exit
        }
        Ok(answer) => {
            let _closed = writeln!(anstream::stdout(), "{}", answer.text.trim_end());
            answer.exit
        }
        Err(failure) if json => {
            let _closed = writeln!(std::io::stdout(), "{:#}", failure.to_json());
            failure.exit
        }
        Err(failure) => {
            let mut err = anstream::stderr();
            let _closed = writeln!(err, "{} {}", coloured("error:", AnsiColor::Red), failure.message);
            for finding in &failure.findings {
                let _closed = writeln!(err, "  {}", finding.shown().replace('\n', "\n  "));
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}
