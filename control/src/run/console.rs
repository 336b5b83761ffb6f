//! What people and pipelines see of a run: a line for each event, or JSON lines; on a terminal, below them, where it stands
//! ([`Live`]).

use std::io::{IsTerminal as _, Write as _};

use anstyle::AnsiColor;
use headgate_rollout::State;
use headgate_rollout::state::{Answer, BanditLook, Interval, Look, TestLook, VerdictKind};
use headgate_rollout::tick::{Event, EventKind};
use serde_json::{Value, json};

use crate::answer::{coloured, table};
use crate::clock;

use super::live::Live;

/// The output, shared by the rollouts of a process.
#[derive(Debug)]
pub(crate) struct Console {
    json: bool,
    /// What is painted anew at each tick, on a terminal.
    live: Option<Live>,
}

impl Console {
    /// For standard output.
    pub(crate) fn new(json: bool, rollouts: usize) -> Self {
        // Several rollouts would paint over each other.
        let live = !json && rollouts == 1 && std::io::stdout().is_terminal();
        Self { json, live: live.then(Live::stdout) }
    }

    /// Whether it is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    fn line(&self, text: &str) {
        let print = || {
            let mut out = anstream::stdout().lock();
            // Whoever closed the pipe has read enough; the rollout goes on.
            let _closed = writeln!(out, "{text}");
            let _closed = out.flush();
        };
        match &self.live {
            Some(live) => live.above(print),
            None => print(),
        }
    }

    /// Something happened.
    pub(crate) fn event(&self, rollout: &str, run: i64, at: i64, event: &Event) {
        if self.json {
            let mut document = serde_json::to_value(event).unwrap_or_default();
            if let Some(fields) = document.as_object_mut() {
                fields.insert("rollout".to_owned(), json!(rollout));
                fields.insert("run".to_owned(), json!(run));
                fields.insert("at".to_owned(), json!(at));
                fields.insert("time".to_owned(), json!(clock::shown(at)));
            }
            self.line(&document.to_string());
            return;
        }
        let text = match colour(event.kind) {
            Some(colour) => coloured(&event.text, colour),
            None => event.text.clone(),
        };
        self.line(&format!("{} {rollout} {text}", clock::shown(at)));
        if let Some(look) = event.look.as_ref().filter(|_| tells_figures(event.kind)) {
            for line in figures(look) {
                self.line(&format!("    {line}"));
            }
        }
    }

    /// Something of the process's own.
    pub(crate) fn note(&self, rollout: &str, kind: &str, text: &str) {
        if self.json {
            self.line(&json!({"kind": kind, "rollout": rollout, "text": text, "at": clock::now()}).to_string());
        } else {
            self.line(&format!("{} {rollout} {text}", clock::shown(clock::now())));
        }
    }

    /// Where it stands, on a terminal alone.
    pub(crate) fn progress(&self, state: &State) {
        if let Some(live) = &self.live {
            live.show(state);
        }
    }

    /// The end, for pipelines.
    pub(crate) fn end(&self, rollout: &str, run: i64, outcome: &str, because: &str, exit: u8) {
        if let Some(live) = &self.live {
            live.clear();
        }
        if self.json {
            let document = json!({"kind": "end", "rollout": rollout, "run": run, "outcome": outcome, "text": because, "exit": exit});
            self.line(&document.to_string());
        } else {
            self.line(&format!("{rollout}: {outcome}: {because}"));
        }
    }
}

/// Whether the measurements belong under a line: those that a decision rests on.
fn tells_figures(kind: EventKind) -> bool {
    matches!(kind, EventKind::Verdict | EventKind::LookFailed | EventKind::Held | EventKind::RollingBack)
}

fn colour(kind: EventKind) -> Option<AnsiColor> {
    match kind {
        EventKind::RollingBack | EventKind::RolledBack | EventKind::Kill | EventKind::EffectFailed => {
            Some(AnsiColor::Red)
        }
        EventKind::Held
        | EventKind::Gate
        | EventKind::Proxies
        | EventKind::Drift
        | EventKind::Stale
        | EventKind::Refused
        | EventKind::LookFailed => Some(AnsiColor::Yellow),
        EventKind::Promoted => Some(AnsiColor::Green),
        _ => None,
    }
}

/// Measured against allowed, a line for each criterion.
pub(crate) fn figures(look: &Look) -> Vec<String> {
    look.figures
        .iter()
        .map(|f| {
            let verdict = match f.verdict {
                VerdictKind::Pass => "pass",
                VerdictKind::Fail => "FAIL",
                VerdictKind::Inconclusive => "inconclusive",
                VerdictKind::Error => "error",
            };
            let dry = if f.dry_run { " (dry run)" } else { "" };
            format!("{:<12} {}{dry}: {}", verdict, f.name, f.sentence)
        })
        .chain(look.test.as_deref().into_iter().flat_map(tested))
        .collect()
}

/// What an A/B test says, its sentence first.
fn tested(test: &TestLook) -> Vec<String> {
    let word = match (test.conclusive, test.answer) {
        (false, _) | (_, Answer::Inconclusive) => "undecided",
        (_, Answer::BWins) => "B",
        (_, Answer::AWins) => "A",
        (_, Answer::Equivalent) => "equivalent",
    };
    let mut lines = vec![format!("{:<12} {}", word, test.sentence)];
    if let Some(ratio) = &test.ratio {
        lines.push(format!("{:<12} {}", if ratio.mismatch { "MISMATCH" } else { "users" }, ratio.sentence));
    }
    for segment in &test.segments {
        let better = match segment.answer {
            Answer::BWins => "B is better",
            Answer::AWins => "A is better",
            Answer::Equivalent | Answer::Inconclusive => "not decided",
        };
        let value = |v: f64| match test.unit.as_str() {
            "share" => format!("{:.2} %", v * 100.0),
            "micros" => format!("{:.1} ms", v / 1_000.0),
            _ => format!("{v:.4}"),
        };
        lines.push(format!(
            "{:<12} {}: {} against {}, {better} (p {:.4}, corrected)",
            "segment",
            segment.name,
            value(segment.b),
            value(segment.a),
            segment.p
        ));
    }
    lines.extend(test.notes.iter().map(|note| format!("{:<12} {note}", "note")));
    lines
}

/// What a bandit's arms earn: a table, and what was given up.
pub(crate) fn arms(look: &BanditLook) -> Vec<String> {
    let shown = |value: f64| format!("{value:.4}");
    let range =
        |i: Option<Interval>| i.map_or_else(|| "-".to_owned(), |i| format!("{} to {}", shown(i.low), shown(i.high)));
    let rows: Vec<Vec<String>> = look
        .arms
        .iter()
        .map(|arm| {
            vec![
                arm.name.clone(),
                format!("{} %", f64::from(arm.weight) / 100.0),
                format!("{:.0}", arm.units),
                arm.credible.map_or_else(|| "-".to_owned(), |c| shown(c.value)),
                range(arm.credible),
                arm.chance.map_or_else(|| "-".to_owned(), |c| format!("{:.1} %", c * 100.0)),
                range(arm.estimate),
                range(arm.lead),
                arm.out.as_ref().map_or_else(String::new, |why| format!("OUT: {why}")),
            ]
        })
        .collect();
    let headings =
        ["arm", "share", "units", "reward", "credible 95 %", "best", "by epochs 95 %", "more than stable 95 %", ""];
    vec![
        table(&headings, &rows),
        format!(
            "batch {}; about {:.1} rewards given up so far against the best arm from the start ({:.0} units)",
            look.batches, look.regret, look.units
        ),
    ]
}

/// An event as the audit keeps it.
pub(crate) fn data(event: &Event, state: &State) -> Value {
    json!({
        "kind": event.kind, "phase": state.phase, "step": event.step, "stepIndex": state.step, "weights": event.weights,
        "reason": event.reason, "command": event.command, "look": event.look,
    })
}
