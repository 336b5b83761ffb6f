//! What holds for all answers.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use headgate_compare::record::{LEAST_BYTES, Record, VERSION};
use headgate_compare::{Outcome, Rules, Verdict, Wanted};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::{Answer, message, outcome, rules, told};

const LIMIT: usize = 2_000;

/// One of each kind of rules.
fn any_rules() -> impl Strategy<Value = Rules> {
    prop::sample::select(vec![
        json!({}),
        json!({"body": "none", "status": "class", "headers": ["x-a"]}),
        json!({"body": "json"}),
        json!({"body": "json", "json": {"absolute": 0.5, "relative": 0.1, "unordered": ["", "/*", "/a", "/a/*", "/*/b"]}}),
        json!({"body": "json", "json": {"only": ["/a", "/b/*/c"], "ignore": ["/a/b"]}}),
        json!({"body": "json", "json": {"ignore": ["/a", "/*/b"], "relative": 0.01}}),
        json!({"body": "json", "json": {"unordered": ["/a", "/*/b"], "relative": 0.1, "tolerances": [
            {"path": "/b/1", "absolute": 2}, {"path": "/a/*", "absolute": 1}, {"path": "/*/b"}, {"path": "/b", "relative": 0.5}
        ]}}),
        json!({"body": "number", "number": {"field": "/a", "relative": 0.1}}),
        json!({"body": "number", "number": {"field": ""}}),
        json!({"body": "text", "text": {"threshold": 0.4}}),
    ])
    .prop_map(|mut with| {
        with["maxBodyBytes"] = json!(LIMIT);
        rules(with)
    })
}

/// Documents of few names and few values, so that they often have something in common.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..4).prop_map(|n| json!(n)),
        (-30_i32..40).prop_map(|n| json!(f64::from(n) / 10.0)),
        prop::sample::select(vec!["", "x", "y", "1.5", "é~/"]).prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c", "~/"]);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((name, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any_json().prop_map(|json| json.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..200),
        1 => prop::sample::select(vec!["a b c", "c b a", "x", "", "{\"a\":1", "3e400"]).prop_map(|text| text.as_bytes().to_vec()),
        1 => (0..2 * LIMIT).prop_map(|n| vec![b' '; n]),
        1 => (vec(any::<u8>(), 0..50), any::<bool>()).prop_map(|(bytes, zip)| message(&bytes, zip)),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let status = prop::sample::select(vec![200, 201, 404, 503]);
    let coding = prop::sample::select(vec!["", "", "", "gzip", "gzip!", "br", "grpc", "grpc+gzip"]);
    (status, coding, any_body(), prop::option::of(0..20_u8), any::<bool>(), 0..20_u8).prop_map(
        |(status, coding, body, grpc, header, whole)| {
            let mut answer = Answer::of(body).status(status);
            answer = match coding {
                "" => answer,
                "gzip" => answer.gzip(),
                "gzip!" => answer.header("content-encoding", "gzip"),
                "br" => answer.header("content-encoding", "br"),
                coding => answer
                    .header("content-type", "application/grpc")
                    .header("grpc-encoding", coding.strip_prefix("grpc+").unwrap_or_default()),
            };
            if let Some(status) = grpc {
                answer = answer.trailer("grpc-status", &status.to_string());
            }
            if header {
                answer = answer.header("x-a", "1");
            }
            answer.whole = whole > 0;
            answer
        },
    )
}

/// With two answers of which one is now and then the other.
fn any_pair() -> impl Strategy<Value = (Rules, Answer, Answer)> {
    (any_rules(), any_answer(), any_answer(), 0..4_u8)
        .prop_map(|(rules, a, b, same)| if same == 0 { (rules, a.clone(), a) } else { (rules, a, b) })
}

/// What does not depend on which side is which.
fn sides_exchanged(outcome: Outcome) -> Outcome {
    let differences = outcome
        .differences
        .into_iter()
        .map(|mut difference| {
            core::mem::swap(&mut difference.primary, &mut difference.shadow);
            difference
        })
        .collect();
    Outcome {
        difference: outcome.difference.map(|difference| 0.0 - difference),
        numbers: outcome.numbers.map(|(a, b)| (b, a)),
        differences,
        ..outcome
    }
}

/// The same document with all arrays turned round and all fields in another order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().rev().map(turned).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_never_differs_from_itself(rules in any_rules(), a in any_answer()) {
        let outcome = outcome(&rules, &a, &a);
        prop_assert!(outcome.verdict != Verdict::Mismatched, "{}", told(&outcome));
        prop_assert!(outcome.kinds.is_empty() && outcome.differences.is_empty() && outcome.count == 0);
    }

    #[test]
    fn exchanging_the_sides_changes_nothing_but_signs((rules, a, b) in any_pair()) {
        prop_assert_eq!(outcome(&rules, &a, &b), sides_exchanged(outcome(&rules, &b, &a)));
    }

    #[test]
    fn pieces_make_no_difference((rules, a, b) in any_pair(), x in vec(0..40_usize, 0..60), y in vec(0..9_usize, 0..60)) {
        let whole = rules.compare(&a.side(&rules, &[]), &b.side(&rules, &[]), Wanted { values: true });
        let pieces = rules.compare(&a.side(&rules, &x), &b.side(&rules, &y), Wanted { values: true });
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn the_order_of_unordered_arrays_makes_no_difference(a in any_json(), b in any_json(), tolerance in 0..3_u8) {
        let everywhere: Vec<String> = (0..8).map(|depth| "/*".repeat(depth)).collect();
        let rules = rules(json!({"body": "json", "json": {
            "unordered": everywhere, "absolute": f64::from(tolerance) / 4.0, "tolerances": [{"path": "/a"}, {"path": "/*/*/b", "relative": 0.3}]
        }}));
        let answer = |value: &Value| Answer::of(value.to_string());
        prop_assert_eq!(told(&outcome(&rules, &answer(&a), &answer(&turned(&a)))), "matched");
        let (one, other) = (outcome(&rules, &answer(&a), &answer(&b)), outcome(&rules, &answer(&turned(&a)), &answer(&b)));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn how_json_is_written_makes_no_difference(a in any_json(), b in any_json()) {
        let rules = rules(json!({"body": "json"}));
        let pretty = Answer::of(serde_json::to_string_pretty(&a).unwrap());
        prop_assert_eq!(told(&outcome(&rules, &Answer::of(a.to_string()), &pretty)), "matched");
        prop_assert_eq!(
            outcome(&rules, &Answer::of(a.to_string()), &Answer::of(b.to_string())),
            outcome(&rules, &pretty, &Answer::of(b.to_string()))
        );
        // Another implementation's opinion.
        let equal = serde_equal(&a, &b);
        prop_assert_eq!(outcome(&rules, &pretty, &Answer::of(b.to_string())).verdict == Verdict::Matched, equal);
    }

    #[test]
    fn compression_makes_no_difference(rules in any_rules(), a in any_body(), b in any_body()) {
        prop_assume!(a.len() < 1_000 && b.len() < 1_000);
        let (a, b) = (Answer::of(a), Answer::of(b));
        let plain = outcome(&rules, &a, &b);
        prop_assert_eq!(&plain, &outcome(&rules, &a.clone().gzip(), &b));
        prop_assert_eq!(&plain, &outcome(&rules, &a.gzip(), &b.gzip()));
    }

    #[test]
    fn what_is_held_is_bounded(rules in any_rules(), a in any_answer(), times in 1..50_usize) {
        let mut side = rules.side(a.status, |name| {
            a.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone())
        });
        for _ in 0..times {
            side.chunk(&a.body);
            prop_assert!(side.held() < 2 * LIMIT + (80 << 10), "{}", side.held());
            prop_assert!(side.body_bytes() <= LIMIT);
        }
        side.finish();
        prop_assert!(side.held() < 2 * LIMIT + 1_024, "{}", side.held());
    }

    #[test]
    fn a_record_fits_and_is_read_back((rules, a, b) in any_pair(), cap in LEAST_BYTES..4_000, text in ".{0,3000}") {
        let outcome = outcome(&rules, &a, &b);
        let name = "n".repeat(100);
        let mut record = Record { record: VERSION, route: name.clone(), variant: name.clone(), segment: name, ..Record::default() };
        record.request_id = Some(text.chars().take(30).collect());
        record.compared(&outcome);
        record.stable_compared(&outcome);
        record.input = Some(headgate_compare::record::Input { body: Some(text), ..Default::default() });
        let line = record.to_line(cap);
        prop_assert!(line.len() <= cap, "{} of {cap}", line.len());
        prop_assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1);
        let read: Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(read["agrees"].as_bool(), outcome.agrees());
        #[cfg(feature = "read")]
        {
            let read = Record::parse(&line).unwrap();
            if !read.cut {
                // JSON has one kind of number.
                prop_assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&record).unwrap());
            }
            prop_assert!(Record::parse(&line[..line.len() / 2]).is_err());
        }
    }
}

/// As the rules without settings have it: numbers by value, all else exactly.
fn serde_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| serde_equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| serde_equal(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn the_worst_document_within_the_bounds_is_compared() {
    // Nested arrays whose order does not count, each of which sorting must look through.
    let everywhere: Vec<String> = (0..64).map(|depth| "/*".repeat(depth)).collect();
    let rules =
        rules(json!({"body": "json", "json": {"unordered": everywhere, "absolute": 0.1}, "maxBodyBytes": 1 << 20}));
    let nested = |n: usize| {
        let item = format!("{}{n}{}", "[".repeat(60), "]".repeat(60));
        format!("[{}]", vec![item; 150].join(","))
    };
    let flat = |from: usize| format!("[{}]", (from..from + 9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    assert_eq!(
        told(&outcome(&rules, &Answer::of(nested(1)), &Answer::of(nested(2)))),
        format!("mismatched json {}", "/*".repeat(61))
    );
    let shifted = outcome(&rules, &Answer::of(flat(0)), &Answer::of(flat(3)));
    assert_eq!((shifted.count, shifted.differences.len()), (3, 1));
}
