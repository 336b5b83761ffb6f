//! `headgate shadow analyze` and `label` on files as they are found: none too small, too large or too strange to be answered plainly.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn shadow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headgate")).arg("shadow").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The answer in JSON.
#[track_caller]
fn found(arguments: &[&str]) -> Value {
    let output = shadow(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

const RECORD: &str = r#"{"record":1,"requestId":"r-1","bucket":3,"primary":{"status":200,"us":900},"shadow":{"status":200,"us":950},"agrees":true}"#;

#[test]
fn what_has_no_comparison_is_refused_with_the_reason_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty", b"", "there is no line"),
        ("blank", b"\n  \r\n\n", "there is no line"),
        ("one byte", b"{", "1 cut off"),
        ("noise", b"\0\x01\xff\xfe\nabc\n", "2 not JSON objects"),
        ("list", b"[{\"agrees\":true},{\"agrees\":false}]", "jq -c '.[]'"),
        ("pretty", b"{\n  \"agrees\": true\n}\n", "1 cut off, 2 not JSON objects"),
        ("foreign", b"{\"level\":\"info\"}\n", "--map"),
        ("packed", &gzip, "zcat"),
    ];
    for (name, bytes, words) in cases {
        let path = file(folder.path(), name, bytes);
        let page = folder.path().join("page.html");
        let output = shadow(&["analyze", &path, "--html", &page.display().to_string()]);
        let text = said(&output);
        assert!(output.status.code() == Some(3) && text.contains(words), "{name}: {:?} {text}", output.status);
        assert!(text.contains(name) && !page.exists(), "{name}: {text}");
    }
    let output = shadow(&["analyze", &folder.path().display().to_string()]);
    assert!(output.status.code() == Some(1) && said(&output).contains("directory"), "{}", said(&output));
}

#[test]
fn one_record_is_an_analysis_however_the_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let deep = format!(r#"{{"agrees":true,"x":{}"#, "[".repeat(100_000));
    let long = format!(r#"{{"agrees":true,"x":"{}"}}"#, "x".repeat(9 << 20));
    let cases: [(&str, String, Value); 7] = [
        ("alone", RECORD.to_owned(), json!({})),
        ("windows", format!("{RECORD}\r\n\r\n"), json!({})),
        ("marked", format!("\u{feff}{RECORD}\n"), json!({})),
        ("cut within", format!("{{\"record\":1,\"prim\n{RECORD}\n"), json!({"cutOff": 1})),
        ("two in a line", format!("{RECORD}\n{RECORD}{RECORD}\n"), json!({"malformed": 1})),
        ("deep", format!("{deep}\n{RECORD}\n"), json!({"cutOff": 1})),
        ("long", format!("{long}\n{RECORD}\n"), json!({"tooLong": 1})),
    ];
    for (name, text, skipped) in cases {
        let path = file(folder.path(), name, &text);
        let found = found(&["analyze", &path]);
        assert_eq!((&found["records"], &found["compared"]), (&json!(1), &json!(1.0)), "{name}: {found}");
        assert_eq!((&found["skipped"], &found["bytes"]), (&skipped, &json!(text.len())), "{name}");
        assert_eq!(found["verdict"]["recommendation"], "needMore", "{name}: {found}");
        // For people, and as a page.
        let page = folder.path().join("page.html").display().to_string();
        let output = shadow(&["analyze", &path, "--html", &page]);
        assert!(output.status.success() && said(&output).contains("999 more"), "{name}: {}", said(&output));
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains("need more comparisons") && page.ends_with("</html>\n"), "{name}");
    }
    // Several files are one analysis; a page that cannot be written is told.
    let (one, two) = (file(folder.path(), "1", RECORD), file(folder.path(), "2", RECORD));
    assert_eq!(found(&["analyze", &one, &two])["records"], 2);
    let output = shadow(&["analyze", &one, "--html", "/nowhere/page.html"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("/nowhere/page.html"), "{}", said(&output));
}

#[test]
fn what_a_log_does_not_tell_is_said_and_more_of_it_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..5_000).map(|n| format!("{{\"a\":{},\"b\":{},\"user\":{n}}}\n", n % 7, n % 7)).collect();
    let path = file(folder.path(), "log", lines);
    let found = found(&["analyze", &path, "--map", "old=a", "--map", "new=b", "--map", "key=user"]);
    let verdict = &found["verdict"];
    assert_eq!((&verdict["recommendation"], &verdict["more"]), (&json!("needMore"), &Value::Null), "{verdict}");
    let because = verdict["because"].as_str().unwrap();
    assert!(because.contains("latencies") && because.contains("more comparisons alone do not help"), "{because}");
}

#[test]
fn limits_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "records", RECORD);
    for [option, value] in [
        ["--latency", "NaN"],
        ["--latency", "0.5"],
        ["--errors", "-1"],
        ["--errors", "inf"],
        ["--agreement", "101%"],
        ["--alpha", "100%"],
        ["--latency-floor", "fast"],
        ["--comparisons", "-5"],
        ["--noise-relative", "x"],
        ["--top", "many"],
    ] {
        let output = shadow(&["analyze", &path, &format!("{option}={value}")]);
        assert!(
            output.status.code() == Some(2) && said(&output).contains(option),
            "{option} {value}: {}",
            said(&output)
        );
    }
    assert_eq!(found(&["analyze", &path, "--latency", "3x", "--errors", "1"])["records"], 1);
}

#[test]
fn labels_of_several_requests_are_counted_and_what_cannot_be_labelled_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let record =
        |id: &str| format!("{{\"requestId\":\"{id}\",\"agrees\":false,\"differences\":[{{\"path\":\"/a\"}}]}}\n");
    let nameless = "{\"agrees\":false}\n";
    let path = file(folder.path(), "records", [record("a"), record("b"), nameless.to_owned()].concat());
    let labels = folder.path().join("labels.jsonl").display().to_string();
    let output = shadow(&["label", &path, "--labels", &labels, "--sample", "9"]);
    assert!(output.status.success() && said(&output).contains("cannot be labelled: 1"), "{}", said(&output));
    let output = shadow(&["label", &path, "--labels", &labels, "--id", "a", "--id", "b", "--right", "both"]);
    assert!(output.status.success() && said(&output).contains("2 labels written to"), "{}", said(&output));
    let output = shadow(&["label", &path, "--labels", &labels, "--sample", "9"]);
    assert!(said(&output).contains("No disagreement without a label"), "{}", said(&output));
    // A line that is no label costs itself alone, and is told.
    std::fs::write(&labels, std::fs::read_to_string(&labels).unwrap() + "{\"id\":\"c\",\"ri").unwrap();
    let found = found(&["analyze", &path, "--labels", &labels]);
    assert_eq!((&found["labels"]["found"], &found["labels"]["both"]), (&json!(2), &json!(2)), "{found}");
    assert!(found["notes"].to_string().contains("could not be read and are left out: 1"), "{found}");
}

/// Blocks of `docs/shadow.md` in this language.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/shadow.md")).unwrap();
    let parts = text.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned)).collect()
}

#[test]
fn the_documents_yaml_is_taken_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let yaml: Vec<Value> = blocks("yaml").iter().map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    let block = |name: &str| yaml.iter().find_map(|block| block.get(name)).unwrap().clone();
    let variant = |name: &str, cluster: &str, weight: u32| json!({"name": name, "cluster": cluster, "weight": weight});
    let plugin = json!({
        "contract": 1, "revision": 1, "target": "shop", "requires": ["shadow"], "shadowing": block("shadowing"),
        "routes": [{
            "name": "shop", "match": {"path": {"prefix": "/"}}, "stable": "stable", "salt": "shop-1",
            "variants": [variant("stable", "shop-v1", 1), variant("canary", "shop-v2", 0)],
            "key": {"sources": [{"header": "x-user-id"}]}, "shadow": block("shadow"),
        }],
    });
    let rollout = json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {"target": "target.yaml", "route": "shop", "strategy": block("strategy")},
    });
    for (name, document) in [("plugin.json", plugin), ("rollout.json", rollout)] {
        let path = file(folder.path(), name, document.to_string());
        let output = Command::new(env!("CARGO_BIN_EXE_headgate")).args(["validate", &path]).output().unwrap();
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

#[test]
fn the_documents_commands_have_the_options_that_they_use() {
    let mut seen = 0;
    for line in blocks("console").iter().flat_map(|block| block.lines()).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "headgate", "{line}");
        let verbs = if words[1] == "shadow" { &words[1..3] } else { &words[1..2] };
        let output = Command::new(env!("CARGO_BIN_EXE_headgate")).args(verbs).arg("--help").output().unwrap();
        let help = said(&output);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let known = help.split_whitespace().any(|word| word.trim_end_matches(',') == *option);
            assert!(known, "{line}: {option} is none of {help}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} options");
}
