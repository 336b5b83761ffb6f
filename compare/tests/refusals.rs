//! Rules that cannot be meant: refused, all at once, each at its place.
#![cfg(not(target_arch = "wasm32"))]

mod support;

use serde_json::{Value, json};
use support::problems;

#[track_caller]
fn refused(rules: Value, expected: &[(&str, &str)]) {
    let found = problems(rules);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, (path, hint)) in found.iter().zip(expected) {
        assert!(problem.starts_with(&format!("{path}: ")) && problem.contains(hint), "{problem}");
    }
}

#[test]
fn everything_sound_is_taken() {
    for sound in [
        json!({}),
        json!({"status": "class", "headers": ["content-type", "x-price"], "body": "none", "maxBodyBytes": 1}),
        json!({"body": "json"}),
        json!({"body": "json", "json": {"only": ["/a"], "ignore": ["/a/at"], "unordered": ["/a/*/tags", "/a"], "relative": 0.99}}),
        json!({"body": "json", "json": {"only": ["/a/*/id"], "unordered": ["/a"]}}),
        json!({"body": "number", "number": {"field": ""}}),
        json!({"body": "text", "text": {"threshold": 1}, "maxBodyBytes": 33_554_432}),
    ] {
        refused(sound, &[]);
    }
}

#[test]
fn settings_of_another_rule() {
    refused(
        json!({"json": {}, "number": {"field": "/a"}, "text": {}}),
        &[("compare.json", "\"json\""), ("compare.number", "\"number\""), ("compare.text", "\"text\"")],
    );
    refused(json!({"body": "number"}), &[("compare.number", "/score")]);
}

#[test]
fn pointers_that_contradict() {
    refused(
        json!({"body": "json", "json": {
            "ignore": ["/a", "/b/*/c", "/a", "x", ""],
            "only": ["/a/b", "/d", "/d/e", "/b/0/c/d"],
            "unordered": ["/z", "/d", "/a"],
        }}),
        &[
            ("compare.json.ignore[2]", "already"),
            ("compare.json.ignore[3]", "/x"),
            ("compare.json.ignore", "\"none\""),
            ("compare.json.only[0]", "ignore[0]"),
            ("compare.json.only[1]", "ignore[4]"),
            ("compare.json.only[2]", "ignore[4]"),
            ("compare.json.only[3]", "ignore[1]"),
            ("compare.json.unordered[0]", "ignore[4]"),
            ("compare.json.unordered[1]", "ignore[4]"),
            ("compare.json.unordered[2]", "ignore[0]"),
            ("compare.json.unordered[0]", "only"),
            ("compare.json.ignore[3]", "only"),
            ("compare.json.only[2]", "within"),
        ],
    );
}

#[test]
fn numbers_out_of_range() {
    refused(
        json!({"body": "json", "json": {"absolute": -1, "relative": 1}, "maxBodyBytes": 0}),
        &[
            ("compare.maxBodyBytes", "1 to"),
            ("compare.json.absolute", "at least 0"),
            ("compare.json.relative", "below 1"),
        ],
    );
    refused(
        json!({"body": "number", "number": {"field": "/a/*", "relative": -0.1}, "maxBodyBytes": 33_554_433}),
        &[("compare.maxBodyBytes", "1 to"), ("compare.number.relative", "below 1"), ("compare.number.field", "`*`")],
    );
    refused(json!({"body": "text", "text": {"threshold": 0}}), &[("compare.text.threshold", "above 0")]);
    refused(json!({"body": "text", "text": {"threshold": 1.1}}), &[("compare.text.threshold", "at most 1")]);
}

#[test]
fn headers_and_lists_that_are_too_long() {
    refused(
        json!({"headers": ["X-Price", "a b", "x-a", "x-a"]}),
        &[("compare.headers[0]", "x-price"), ("compare.headers[1]", "no header"), ("compare.headers[3]", "already")],
    );
    let many: Vec<_> = (0..65).map(|n| format!("/f{n}")).collect();
    refused(json!({"body": "json", "json": {"only": many}}), &[("compare.json.only", "at most 64")]);
    let many: Vec<_> = (0..33).map(|n| format!("x-{n}")).collect();
    refused(json!({"headers": many}), &[("compare.headers", "at most 32")]);
}
