//! `headgate drift --pages`: windows between saved pages of statistics, with figures that can be reckoned by hand, and what is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What is counted of predictions in a window.
#[derive(Clone, Copy)]
struct Counted {
    score: [u64; 4],
    spam: u64,
    ham: u64,
    missing: u64,
}

const USUAL: Counted = Counted { score: [3_200, 3_200, 1_600, 1_600], spam: 1_600, ham: 8_000, missing: 5 };
const EDGES: [&str; 4] = ["0.25", "0.5", "0.75", "inf"];

/// A page after these windows, each of 9,600 requests of users in 32 buckets; another route's and another variant's counts are nobody's.
fn page(windows: &[Counted]) -> String {
    let mut out = String::new();
    let sum = |of: fn(&Counted) -> u64| windows.iter().map(of).sum::<u64>();
    let n = windows.len() as u64;
    let here = r#"route="shop",variant="canary",segment="default""#;
    let _ = writeln!(out, "headgate_responses{{{here},assigned=\"hash\",class=\"2xx\"}} {}", 9_600 * n);
    for (le, count) in [("1000", 4_800), ("2000", 9_600), ("+Inf", 9_600)] {
        let _ = writeln!(out, "headgate_latency_us_bucket{{{here},assigned=\"hash\",le=\"{le}\"}} {}", count * n);
    }
    for bucket in 0..32 {
        for series in ["requests", "finished"] {
            let _ = writeln!(out, "headgate_replicate_{series}{{{here},bucket=\"{bucket}\"}} {}", 300 * n);
        }
        let _ = writeln!(out, "headgate_replicate_failures{{{here},bucket=\"{bucket}\"}} {n}");
        let _ = writeln!(out, "headgate_replicate_latency_us{{{here},bucket=\"{bucket}\"}} {}", 300_000 * n);
        for (at, edge) in EDGES.iter().enumerate() {
            let count: u64 = windows.iter().map(|w| w.score[at] / 32).sum();
            for labels in [here, r#"route="other",variant="canary",segment="default""#] {
                let _ = writeln!(
                    out,
                    "headgate_prediction_values{{{labels},prediction=\"score\",up_to=\"{edge}\",bucket=\"{bucket}\"}} {count}"
                );
            }
        }
        for (class, count) in [("spam", sum(|w| w.spam / 32)), ("ham", sum(|w| w.ham / 32))] {
            let _ = writeln!(
                out,
                "headgate_prediction_classes{{{here},prediction=\"label\",class=\"{class}\",bucket=\"{bucket}\"}} {count}"
            );
        }
    }
    let missing = sum(|w| w.missing);
    let _ = writeln!(out, "headgate_prediction_unread{{{here},prediction=\"score\",reason=\"missing\"}} {missing}");
    out
}

struct Ran {
    code: i32,
    json: Value,
    err: String,
}

/// Runs `headgate drift` on pages, with `spec.drift` like this.
fn drift(drift: &Value, pages: &[String]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollout.json");
    let mut rollout = json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "shop-v2"},
        "spec": {"target": "target.json", "route": "shop", "strategy": {"canary": {}}}
    });
    if !drift.is_null() {
        rollout["spec"]["drift"] = drift.clone();
    }
    std::fs::write(&file, rollout.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    command.arg("drift").arg(&file).args(["--json", "--pages"]).env("XDG_STATE_HOME", folder.path());
    for (at, page) in pages.iter().enumerate() {
        let path = folder.path().join(format!("page-{at}.txt"));
        std::fs::write(&path, page).unwrap();
        command.arg(path);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// After the first page and the reference's window, these.
fn pages(windows: &[Counted]) -> Vec<String> {
    let mut all = vec![USUAL, USUAL];
    all.extend(windows);
    (1..=all.len()).map(|until| page(&all[..until])).collect()
}

fn watched() -> Value {
    json!({"window": "1h", "minRequests": 1_000, "predictions": {"fields": [
        {"name": "score", "responseBody": "/score", "edges": [0.25, 0.5, 0.75]},
        {"name": "label", "responseBody": "/label", "classes": ["spam", "ham"]}
    ]}})
}

#[track_caller]
fn size(look: &Value, of: &str, measure: &str) -> f64 {
    let found = look["measures"].as_array().unwrap().iter().find(|m| m["of"] == of && m["measure"] == measure);
    found.unwrap()["size"].as_f64().unwrap()
}

#[test]
fn figures_of_windows_are_those_that_one_reckons_by_hand() {
    let moved = Counted { score: [1_600, 1_600, 3_200, 3_200], ..USUAL };
    let relabelled = Counted { spam: 4_800, ham: 4_800, ..USUAL };
    let ran = drift(&watched(), &pages(&[USUAL, moved, relabelled]));
    assert_eq!(ran.code, 13, "{}", ran.err);
    let looks = &ran.json["looks"];
    let verdicts: Vec<&Value> = looks.as_array().unwrap().iter().map(|look| &look["verdict"]).collect();
    assert_eq!(verdicts, ["steady", "drifted", "drifted"], "{looks:#}");
    for (of, measure) in [
        ("latency", "psi"),
        ("latency", "ks"),
        ("prediction score", "psi"),
        ("prediction score", "ks"),
        ("prediction label", "psi"),
        ("answers without a failure", "decline"),
    ] {
        assert!(size(&looks[0], of, measure).abs() < 1e-12, "{of} {measure}");
    }
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
    // Shares of 1/3, 1/3, 1/6, 1/6 against those in reverse: 4 (1/6) ln 2, and a third at the middle edge.
    close(size(&looks[1], "prediction score", "psi"), 4.0 / 6.0 * 2.0_f64.ln());
    close(size(&looks[1], "prediction score", "ks"), 1.0 / 3.0);
    close(size(&looks[1], "prediction label", "psi"), 0.0);
    // 1/6 against 1/2: (1/3) ln 3 + (1/3) ln (5/3) = (1/3) ln 5.
    close(size(&looks[2], "prediction label", "psi"), 5.0_f64.ln() / 3.0);
    close(size(&looks[2], "prediction score", "psi"), 0.0);
}

#[test]
fn a_window_in_which_nothing_was_read_is_not_known_and_says_why() {
    let unread = Counted { score: [0; 4], missing: 70, ..USUAL };
    let ran = drift(&watched(), &pages(&[unread]));
    assert_eq!((ran.code, &ran.json["looks"][0]["verdict"]), (14, &json!("inconclusive")), "{}", ran.err);
    let sentence = ran.json["looks"][0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("none of 70 could be read in the window: 70 missing"), "{sentence}");
}

#[test]
fn what_cannot_be_looked_at_is_refused_with_the_way_out() {
    let none = drift(&Value::Null, &pages(&[USUAL]));
    assert!(none.code == 3 && none.json.to_string().contains("drift: {window: 1h}"), "{} {}", none.json, none.err);
    let no_page = drift(&watched(), &[page(&[USUAL]), "<html>busy</html>".to_owned(), page(&[USUAL])]);
    assert!(no_page.code == 1 && no_page.json.to_string().contains("no page of statistics"), "{}", no_page.json);
    let of_another = page(&[USUAL]).replace("canary", "blue");
    let other = drift(&watched(), &[page(&[USUAL]), of_another.clone(), of_another]);
    assert_eq!(drift(&watched(), &[page(&[USUAL])]).code, 2, "a reference and a window need three pages");
    assert!(other.code == 1 && other.json.to_string().contains("it counts nothing of `canary`"), "{}", other.json);
}
