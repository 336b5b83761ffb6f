//! What the demo says: lines for people (colours and progress on a terminal only) or JSON for machines, and the record of whether
//! all of it was true.

use std::fmt::{Debug, Display};
use std::io::{IsTerminal, Write};
use std::time::Instant;

use anstream::{print, println};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

const TITLE: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// The demo's voice.
#[derive(Debug)]
pub(crate) struct Show {
    json: bool,
    live: bool,
    started: Instant,
    step: u32,
    right: u32,
    wrong: u32,
}

impl Show {
    pub(crate) fn new(json: bool) -> Self {
        let live = !json && std::io::stdout().is_terminal();
        Self { json, live, started: Instant::now(), step: 0, right: 0, wrong: 0 }
    }

    /// Begins a part.
    pub(crate) fn step(&mut self, title: &str) {
        self.step += 1;
        if self.json {
            self.event(&json!({"event": "step", "step": self.step, "title": title}));
        } else {
            println!("\n{TITLE}{}  {title}{TITLE:#}", self.step);
        }
    }

    /// Says something that needs no check.
    pub(crate) fn say(&self, text: &str) {
        if self.json {
            self.event(&json!({"event": "note", "step": self.step, "text": text}));
        } else {
            self.clear();
            println!("   {text}");
        }
    }

    /// What a program printed.
    pub(crate) fn quote(&self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if self.json {
                self.event(&json!({"event": "output", "step": self.step, "text": line}));
            } else {
                self.clear();
                println!("   {QUIET}| {line}{QUIET:#}");
            }
        }
    }

    /// A measured value that nothing is expected of.
    pub(crate) fn measured(&self, what: &str, value: f64, unit: &str) {
        if self.json {
            self.event(&json!({"event": "measured", "step": self.step, "what": what, "value": value, "unit": unit}));
        } else {
            self.clear();
            println!("   {what}: {TITLE}{value:.1} {unit}{TITLE:#}");
        }
    }

    /// Compares what was to be with what was seen, shows both, and remembers when they differ.
    pub(crate) fn check<T: PartialEq + Debug + Display>(&mut self, what: &str, expected: T, seen: T) {
        let ok = expected == seen;
        self.count(ok);
        if self.json {
            self.event(&json!({"event": "check", "step": self.step, "what": what, "expected": expected.to_string(),
                "seen": seen.to_string(), "ok": ok}));
            return;
        }
        self.clear();
        if ok {
            println!("   {GOOD}ok{GOOD:#}  {what}: {seen}");
        } else {
            println!("   {BAD}NO{BAD:#}  {what}: {BAD}expected {expected}, saw {seen}{BAD:#}");
        }
    }

    /// A condition that has to hold; `seen` are the figures behind it.
    pub(crate) fn holds(&mut self, what: &str, ok: bool, seen: &str) {
        self.count(ok);
        if self.json {
            self.event(&json!({"event": "check", "step": self.step, "what": what, "seen": seen, "ok": ok}));
            return;
        }
        self.clear();
        let (style, word) = if ok { (GOOD, "ok") } else { (BAD, "NO") };
        println!("   {style}{word}{style:#}  {what}: {seen}");
    }

    /// Shows how far something is, on a terminal, until the next line.
    pub(crate) fn progress(&self, text: &str) {
        if self.live {
            print!("\r\x1b[2K   {QUIET}{text}{QUIET:#}");
            // A terminal that is gone is told by the next line.
            let _ = std::io::stdout().flush();
        }
    }

    /// The demo could not go on.
    pub(crate) fn broken(&mut self, why: &str) {
        self.wrong += 1;
        if self.json {
            self.event(&json!({"event": "broken", "step": self.step, "why": why}));
        } else {
            self.clear();
            println!("   {BAD}The demo cannot go on:{BAD:#} {why}");
        }
    }

    /// The last words; whether everything was true.
    pub(crate) fn end(&self) -> bool {
        let seconds = self.started.elapsed().as_secs_f64();
        let ok = self.wrong == 0;
        if self.json {
            self.event(
                &json!({"event": "end", "ok": ok, "right": self.right, "wrong": self.wrong, "seconds": seconds}),
            );
        } else if ok {
            println!("\n{GOOD}All {} checks hold{GOOD:#} ({seconds:.0} s).", self.right);
            println!(
                "Next: envoy/envoy.yaml is the bootstrap to copy, envoy/plugin.yaml the configuration to begin with;"
            );
            println!("      `headgate explain` tells for any request which version it gets, and why.");
        } else {
            println!(
                "\n{BAD}{} of {} checks do not hold{BAD:#} ({seconds:.0} s).",
                self.wrong,
                self.right + self.wrong
            );
        }
        ok
    }

    fn count(&mut self, ok: bool) {
        if ok {
            self.right += 1;
        } else {
            self.wrong += 1;
        }
    }

    fn event(&self, event: &Value) {
        println!("{event}");
    }

    fn clear(&self) {
        if self.live {
            print!("\r\x1b[2K");
        }
    }
}
