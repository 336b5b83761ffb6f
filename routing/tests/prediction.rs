//! Which requests predictions are read from, into which bin a value falls, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop"
)]
#![cfg(all(feature = "shadow", not(target_arch = "wasm32")))]

mod support;

use headgate_compare::Value;
use headgate_contract::Problems;
use headgate_routing::{RoutingTable, Unread};
use support::Request;

const KEY: &str = r#","key":{"sources":[{"header":"x-user"}]}"#;
const SCORE: &str = r#"{"name":"score","responseBody":"/score","edges":[-1,0.5,10]}"#;

fn compiled(predictions: &str, fields: &str) -> Result<RoutingTable, Problems> {
    support::table(&format!(
        r#"{{"contract":1,"revision":1,"routes":[{{"name":"shop","stable":"stable",
        "variants":[{{"name":"stable","weight":1}},{{"name":"canary","weight":1}}],
        "predictions":{predictions}{fields}}}]}}"#
    ))
}

fn table(fields: &str, more: &str) -> RoutingTable {
    compiled(&format!(r#"{{"fields":[{fields}]{more}}}"#), KEY).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The first problem, below the route's `predictions`.
#[track_caller]
fn refused(predictions: &str, path: &str, words: &str) {
    let problems = compiled(predictions, KEY).unwrap_err();
    assert_eq!(problems.0[0].path, format!("routes[0].predictions{path}"), "{problems}");
    assert!(problems.0[0].reason.contains(words), "{problems}");
    assert_eq!(problems.0.len(), 1, "{problems}");
}

#[test]
fn a_value_falls_into_the_first_bin_whose_edge_is_not_below_it() {
    let table = table(&format!(r#"{SCORE},{{"name":"label","requestHeader":"x-label","classes":["7","true"]}}"#), "");
    let fields = &table.predictions(0).unwrap().fields;
    let bin = |field: usize, value: Value| fields[field].bin(Some(&value)).map(|bin| fields[field].label(bin).2);
    let cases = [
        (Value::Number(-1e300), "-1"),
        (Value::Whole(-1), "-1"),
        (Value::Number(-0.999), "0.5"),
        (Value::Number(0.5), "0.5"),
        (Value::Text(" 0.6 ".to_owned()), "10"),
        (Value::Whole(10), "10"),
        (Value::Whole(i128::MAX), "inf"),
    ];
    for (value, expect) in cases {
        assert_eq!(bin(0, value.clone()), Ok(expect), "{value:?}");
    }
    for value in [Value::Text("NaN".to_owned()), Value::Text(String::new()), Value::Bool(true), Value::Many] {
        assert_eq!(bin(0, value), Err(Unread::NotNumber));
    }
    assert_eq!(fields[0].bin(None), Err(Unread::Missing));
    for (value, expect) in
        [(Value::Whole(7), "7"), (Value::Bool(true), "true"), (Value::Text("TRUE".to_owned()), "other")]
    {
        assert_eq!(bin(1, value), Ok(expect));
    }
    assert_eq!(bin(1, Value::Many), Err(Unread::NotClass));
    assert_eq!((fields[0].bins(), fields[1].bins()), (4, 3));
    assert_eq!(fields[0].label(9), ("headgate_prediction_values", "up_to", "inf"));
}

#[test]
fn what_the_hash_assigned_is_read_by_share_and_a_kill_ends_it() {
    let read = |table: &RoutingTable, request: &Request| {
        let decision = support::decide(table, request).decision.unwrap();
        assert!(!decision.predicted || decision.replicate.is_some());
        decision.predicted
    };
    let alice = || Request::get("/").header("x-user", "alice");
    let all = table(SCORE, "");
    assert!(read(&all, &alice()));
    assert!(!read(&all, &Request::get("/")), "nobody's");
    let none = table(SCORE, r#","share":0"#);
    assert!(!read(&none, &alice()));
    let some = table(SCORE, r#","share":1"#);
    assert!(read(&some, &alice().random(0)));
    assert!(!read(&some, &alice().random(u128::MAX)));
    let killed = compiled(&format!(r#"{{"fields":[{SCORE}]}}"#), &format!(r#"{KEY},"killSwitch":true"#)).unwrap();
    assert!(!read(&killed, &alice()));
    let unread = support::table(
        r#"{"contract":1,"revision":1,"routes":[{"name":"shop","stable":"a","variants":[{"name":"a","weight":1}],"key":{"sources":[{"header":"x-user"}]}}]}"#,
    );
    let decision = support::decide(&unread.unwrap(), &alice()).decision.unwrap();
    assert_eq!((decision.predicted, decision.replicate), (false, None));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place_and_the_way_out() {
    let one = |field: &str| format!(r#"{{"fields":[{field}]}}"#);
    refused(r#"{"fields":[]}"#, ".fields", "leave `predictions` out");
    refused(&format!(r#"{{"share":10001,"fields":[{SCORE}]}}"#), ".share", "every request");
    refused(&format!(r#"{{"maxBodyBytes":0,"fields":[{SCORE}]}}"#), ".maxBodyBytes", "1 to 1048576");
    refused(&format!(r#"{{"fields":[{SCORE},{SCORE}]}}"#), ".fields[1].name", "already the name");
    refused(&one(r#"{"name":"a b","responseBody":"","edges":[1]}"#), ".fields[0].name", "made of letters");
    refused(&one(r#"{"name":"a","edges":[1]}"#), ".fields[0]", "exactly one of responseBody, responseHeader");
    refused(
        &one(r#"{"name":"a","responseBody":"/a","requestHeader":"b","edges":[1]}"#),
        ".fields[0]",
        "has responseBody and requestHeader",
    );
    refused(&one(r#"{"name":"a","responseBody":"/a/*","edges":[1]}"#), ".fields[0].responseBody", "without `*`");
    refused(&one(r#"{"name":"a","requestBody":"a","edges":[1]}"#), ".fields[0].requestBody", "write `/a`");
    refused(&one(r#"{"name":"a","responseHeader":"X-A","edges":[1]}"#), ".fields[0].responseHeader", "lower case");
    refused(&one(r#"{"name":"a","requestHeader":":path","edges":[1]}"#), ".fields[0].requestHeader", "not read");
    refused(&one(r#"{"name":"a","responseBody":"/a"}"#), ".fields[0]", "exactly one of edges, classes");
    refused(
        &one(r#"{"name":"a","responseBody":"/a","edges":[1],"classes":["b"]}"#),
        ".fields[0]",
        "has edges and classes",
    );
    refused(&one(r#"{"name":"a","responseBody":"/a","edges":[1,1.0]}"#), ".fields[0].edges[1]", "edges rise");
    refused(&one(r#"{"name":"a","responseBody":"/a","edges":[1e-300]}"#), ".fields[0].edges[0]", "fewer digits");
    refused(&one(r#"{"name":"a","responseBody":"/a","classes":["b c"]}"#), ".fields[0].classes[0]", "made of letters");
    refused(&one(r#"{"name":"a","responseBody":"/a","classes":["other"]}"#), ".fields[0].classes[0]", "leave it out");
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let many = format!(r#"{{"name":"a","responseBody":"/a","edges":[{}]}}"#, many.join(","));
    refused(&one(&many), ".fields[0].edges", "at most 32");
    let keyless = compiled(&one(SCORE), "").unwrap_err();
    assert!(keyless.0[0].reason.contains("has no `key`"), "{keyless}");
}

#[test]
fn their_series_count_towards_the_limit() {
    let config = |more: &str| {
        let text = format!(
            r#"{{"contract":1,"revision":1,"routes":[{{"name":"shop","stable":"a","variants":[{{"name":"a","weight":1}}]{KEY}{more}}}]}}"#
        );
        headgate_contract::read_strict(text.as_bytes()).unwrap()
    };
    let series = |more: &str| headgate_routing::series_of(&config(more).routes[0], 0);
    let with = format!(r#","predictions":{{"fields":[{SCORE}]}}"#);
    // Four bins in 32 buckets, and nine reasons.
    assert_eq!(series(&with) - series(""), 4 * 32 + 9);
}
