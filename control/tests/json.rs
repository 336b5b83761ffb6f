//! `--json`: one JSON document on standard output, whatever the verb and however it ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::process::{Command, Stdio};

use serde_json::Value;

fn headgate(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

/// The verbs, as the program's own help lists them.
fn verbs() -> Vec<String> {
    let (_, help) = headgate(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Deeper lines go on with the one above.
    let first = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    first.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).filter(|verb| verb != "help").collect()
}

/// What every verb answers to a wrong command line, and to files that are not there.
#[test]
fn every_verb_answers_in_json_also_when_it_fails() {
    let verbs = verbs();
    assert!(verbs.len() >= 12, "{verbs:?}");
    let file = "/nowhere/at-all.yaml";
    for verb in &verbs {
        let verb = verb.as_str();
        let mut lines =
            vec![vec![verb, "--json", "--no-such-option"], vec!["--json", verb, "one", "two", "three", "4"]];
        match verb {
            "render" => lines.push(vec![verb, "plugin", "-f", file, "--json"]),
            "push" => lines.push(vec![verb, file, "-f", file, "--json"]),
            "set" => lines.push(vec![verb, file, "--route", "a", "b=1", "--json"]),
            "explain" => lines.push(vec![verb, "-f", file, "--json"]),
            "token" => lines.push(vec![verb, "-f", file, "--variant", "a", "--json"]),
            _ => lines.push(vec![verb, file, "--json"]),
        }
        for arguments in lines {
            let (code, out) = headgate(&arguments);
            let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {out}"));
            assert_eq!(json["ok"], code == 0, "{arguments:?}: {json}");
            let word = json["exit"].as_str().unwrap();
            assert_ne!(code, 0, "{arguments:?}: {json}");
            assert!(["failed", "usage", "refused"].contains(&word), "{arguments:?}: {json}");
            assert!(json["error"].as_str().is_some_and(|error| error.len() > 10), "{arguments:?}: {json}");
        }
    }
}
