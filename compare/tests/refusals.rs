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
        json!({"body": "json", "json": {"unordered": ["/a"], "only": ["/a"], "tolerances": [
            {"path": "/a/*/0", "relative": 0.1}, {"path": "/a/*/*", "absolute": 1}, {"path": ""}
        ]}}),
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
fn tolerances_that_never_hold() {
    refused(
        json!({"body": "json", "json": {
            "ignore": ["/at"],
            "unordered": ["/tags", "/*/list"],
            "tolerances": [
                {"path": "price"},
                {"path": "/at/ms", "absolute": 1},
                {"path": "/items/*/price", "absolute": -1},
                {"path": "/items/0/price", "relative": 1},
                {"path": "/items/*/price"},
                {"path": "/tags/0"},
                {"path": "/a/list/1/n"},
                {"path": "/a/list/*/n"},
            ],
        }}),
        &[
            ("compare.json.tolerances[0].path", "/price"),
            ("compare.json.tolerances[4].path", "already"),
            ("compare.json.tolerances[2].absolute", "at least 0"),
            ("compare.json.tolerances[3].relative", "below 1"),
            ("compare.json.tolerances[3].path", "tolerances[2]"),
            ("compare.json.tolerances[1].path", "ignore[0]"),
            ("compare.json.tolerances[5].path", "unordered[0]"),
            ("compare.json.tolerances[6].path", "unordered[1]"),
        ],
    );
    let many: Vec<_> = (0..65).map(|n| json!({"path": format!("/f{n}")})).collect();
    refused(json!({"body": "json", "json": {"tolerances": many}}), &[("compare.json.tolerances", "at most 64")]);
    refused(
        json!({"body": "json", "json": {"only": ["/a"], "tolerances": [{"path": "/b", "absolute": 1}]}}),
        &[("compare.json.tolerances[0].path", "only")],
    );
    refused(json!({"json": {"tolerances": []}}), &[("compare.json", "\"json\"")]);
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
