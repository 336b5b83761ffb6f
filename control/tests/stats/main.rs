//! `headgate stats` as people and scripts use it: what each kind answers ([`kinds`]), bandits ([`bandits`]), pages with charts ([`pages`]), and what is
//! refused ([`refusals`]).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bandits;
mod kinds;
mod pages;
mod refusals;

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs `headgate stats … --json` on what comes from standard input: exit code and answer.
pub(crate) fn stats(arguments: &[&str], input: &str) -> (i32, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_headgate"))
        .arg("stats")
        .args(arguments)
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // What is refused by its arguments alone is not read.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[track_caller]
pub(crate) fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} instead of {expected}");
}
