//! What each rule calls the same, case by case.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use headgate_compare::limits::{NODES, PATHS};
use headgate_compare::{Verdict, Wanted};
use serde_json::json;
use support::{Answer, check, message, outcome, rules, told};

#[test]
fn bodies_by_digest() {
    assert_eq!(check(json!({}), "", ""), "matched");
    assert_eq!(check(json!({}), "one", "one"), "matched");
    assert_eq!(check(json!({}), "one", "two"), "mismatched body body");
    assert_eq!(check(json!({}), "", "two"), "mismatched body body");
    assert_eq!(check(json!({"body": "none"}), "one", "two"), "matched");
}

#[test]
fn statuses_exactly_or_by_class() {
    let (ok, created, gone) = (Answer::of(""), Answer::of("").status(201), Answer::of("").status(410));
    let exact = rules(json!({}));
    let class = rules(json!({"status": "class"}));
    assert_eq!(told(&outcome(&exact, &ok, &created)), "mismatched status status");
    assert_eq!(told(&outcome(&class, &ok, &created)), "matched");
    let told_of = outcome(&class, &ok, &gone);
    assert_eq!(told(&told_of), "mismatched status status");
    assert_eq!(told_of.differences[0].primary, Some(json!(200)));
    assert_eq!(told_of.differences[0].shadow, Some(json!(410)));
}

#[test]
fn headers_that_the_rules_name() {
    let rules = rules(json!({"headers": ["x-price", "x-big"]}));
    let plain = Answer::of("").header("x-price", "7").header("x-other", "1");
    assert_eq!(told(&outcome(&rules, &plain, &plain.clone().header("x-other", "2"))), "matched");
    let other = Answer::of("").header("x-price", "8");
    let told_of = outcome(&rules, &plain, &other);
    assert_eq!(told(&told_of), "mismatched header header:x-price");
    assert_eq!(told_of.differences[0].shadow, Some(json!("8")));
    assert_eq!(told(&outcome(&rules, &plain, &Answer::of(""))), "mismatched header header:x-price");
    let big = |last: &str| Answer::of("").header("x-big", format!("{}{last}", "a".repeat(5_000)));
    assert_eq!(told(&outcome(&rules, &big("b"), &big("b"))), "matched");
    assert_eq!(told(&outcome(&rules, &big("b"), &big("c"))), "mismatched header header:x-big");
    assert!(big("b").side(&rules, &[]).held() < 1_000);
}

#[test]
fn json_value_by_value() {
    let json = || json!({"body": "json"});
    assert_eq!(check(json(), r#"{"a":1,"b":[1,2]}"#, r#" {"b":[1,2.0],"a":1} "#), "matched");
    assert_eq!(check(json(), r#"{"a":1,"b":[1,2]}"#, r#"{"a":2,"b":[1,3]}"#), "mismatched json /a /b/*");
    assert_eq!(check(json(), r#"{"a":1}"#, r#"{"a":"1"}"#), "mismatched json /a");
    assert_eq!(check(json(), r#"{"a":1}"#, r"{}"), "mismatched missing_field /a");
    assert_eq!(check(json(), r#"{"a":null}"#, r"{}"), "mismatched missing_field /a");
    assert_eq!(check(json(), "[1,2,3]", "[1,2]"), "mismatched missing_field /*");
    assert_eq!(check(json(), r#"{"a/b":{"m~n":1}}"#, r#"{"a/b":{"m~n":2}}"#), "mismatched json /a~1b/m~0n");
    // Of a name that stands there twice the last counts.
    assert_eq!(check(json(), r#"{"a":1,"a":2}"#, r#"{"a":2}"#), "matched");
    // Whole numbers beyond 2^53 are exact.
    assert_eq!(check(json(), "9007199254740993", "9007199254740992"), "mismatched json");
}

#[test]
fn what_is_no_json_is_compared_as_bytes_or_called_unreadable() {
    let json = || json!({"body": "json"});
    assert_eq!(check(json(), "<html>", "<html>"), "matched");
    assert_eq!(check(json(), "<html>", "<html></html>"), "mismatched unreadable body");
    assert_eq!(check(json(), r#"{"a":1}"#, r#"{"a":"#), "mismatched unreadable body");
    assert_eq!(check(json(), r#"{"a":1}"#, r#"{"a":1} x"#), "mismatched unreadable body");
    assert_eq!(check(json(), "1e400", "1e401"), "mismatched unreadable body");
    assert_eq!(check(json(), b"\"\xff\"".as_slice(), "\"\""), "mismatched unreadable body");
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert_eq!(check(json(), deep(100), deep(101)), "mismatched missing_field ".to_owned() + &"/*".repeat(100));
    assert_eq!(check(json(), deep(10_000), deep(10_001)), "mismatched unreadable body");
}

#[test]
fn what_is_ignored_does_not_count_wherever_it_stands() {
    let with = || json!({"body": "json", "json": {"ignore": ["/at", "/items/*/id", "/list/0"]}});
    let a = r#"{"at":1,"items":[{"id":1,"n":1},{"id":2,"n":2}],"list":[1,2]}"#;
    let b = r#"{"at":"now","items":[{"id":3,"n":1},{"n":2}],"list":[9,2]}"#;
    assert_eq!(check(with(), a, b), "matched");
    assert_eq!(check(with(), a, b.replace("9,2", "9,3")), "mismatched json /list/*");
    assert_eq!(check(with(), r#"{"at":1}"#, "{}"), "matched");
    let all = json!({"body": "json", "json": {"ignore": ["/list/*"]}});
    assert_eq!(check(all, r#"{"list":[1,2]}"#, r#"{"list":[]}"#), "matched");
}

#[test]
fn only_what_is_named_counts() {
    let with = || json!({"body": "json", "json": {"only": ["/score", "/items/*/id"]}});
    let a = r#"{"score":1,"noise":1,"items":[{"id":1,"x":1},{"id":2}]}"#;
    let b = r#"{"score":1,"items":[{"id":1,"x":2},{"id":2}],"more":{}}"#;
    assert_eq!(check(with(), a, b), "matched");
    assert_eq!(check(with(), a, b.replace("\"id\":2", "\"id\":3")), "mismatched json /items/*/id");
    assert_eq!(check(with(), a, b.replace("\"score\":1,", "")), "mismatched missing_field /score");
    // An item without anything that counts is as good as none.
    assert_eq!(check(with(), a, b.replace("{\"id\":2}", "{\"id\":2},{\"y\":1},7")), "matched");
    assert_eq!(check(with(), a, b.replace("{\"id\":2}", "{\"id\":2},{\"id\":3}")), "mismatched missing_field /items/*");
}

#[test]
fn fields_that_no_answer_has_are_told_and_match_nothing() {
    let some = rules(json!({"body": "json", "json": {"only": ["/score", "/scroe"]}}));
    let told_of = outcome(&some, &Answer::of(r#"{"score":1}"#), &Answer::of(r#"{"score":1}"#));
    assert_eq!((told(&told_of).as_str(), told_of.missing.as_slice()), ("matched", &["/scroe".to_owned()][..]));
    let none = rules(json!({"body": "json", "json": {"only": ["/scroe"]}}));
    let told_of = outcome(&none, &Answer::of(r#"{"score":1}"#), &Answer::of(r#"{"score":2}"#));
    assert_eq!(
        (told(&told_of).as_str(), told_of.missing.as_slice()),
        ("incomparable missing_field", &["/scroe".to_owned()][..])
    );
    assert_eq!(told_of.agrees(), None);
    let number = json!({"body": "number", "number": {"field": "/scroe"}});
    assert_eq!(check(number, r#"{"score":1}"#, r#"{"score":1}"#), "incomparable missing_field");
}

#[test]
fn unordered_arrays() {
    let with = || json!({"body": "json", "json": {"unordered": ["/tags", "/items", "/items/*/tags"], "absolute": 0.1}});
    assert_eq!(check(with(), r#"{"tags":["a","b","b"]}"#, r#"{"tags":["b","a","b"]}"#), "matched");
    assert_eq!(check(with(), r#"{"tags":["a","b"]}"#, r#"{"tags":["b","a","a"]}"#), "mismatched missing_field /tags/*");
    assert_eq!(check(with(), r#"{"other":[1,2]}"#, r#"{"other":[2,1]}"#), "mismatched json /other/*");
    let a = r#"{"items":[{"id":"x","p":1.0,"tags":[1,2]},{"id":"y","p":1.04,"tags":[]}]}"#;
    let b = r#"{"items":[{"id":"y","p":1.0,"tags":[]},{"id":"x","p":1.05,"tags":[2,1]}]}"#;
    assert_eq!(check(with(), a, b), "matched");
    // What is left is paired, so that the field is named that differs.
    assert_eq!(check(with(), a, b.replace("1.05", "2.05")), "mismatched json /items/*/p");
    // Three that have a neighbour within the tolerance, and one more on each side.
    assert_eq!(check(with(), r#"{"tags":[1,2,3,4]}"#, r#"{"tags":[3.05,9,2.05,1.05]}"#), "mismatched json /tags/*");
    let three = json!({"body": "json", "json": {"unordered": ["/tags"]}});
    assert_eq!(outcome(&rules(three), &Answer::of(r#"{"tags":[1,2,3]}"#), &Answer::of(r#"{"tags":[4,3,2]}"#)).count, 1);
}

#[test]
fn numbers_within_a_tolerance() {
    let with =
        |absolute: f64, relative: f64| json!({"body": "json", "json": {"absolute": absolute, "relative": relative}});
    assert_eq!(check(with(0.1, 0.0), r#"{"a":1.0}"#, r#"{"a":1.05}"#), "matched");
    assert_eq!(check(with(0.01, 0.0), r#"{"a":1.0}"#, r#"{"a":1.05}"#), "mismatched json /a");
    assert_eq!(check(with(0.0, 0.1), r#"{"a":100}"#, r#"{"a":95}"#), "matched");
    assert_eq!(check(with(0.0, 0.01), r#"{"a":100}"#, r#"{"a":95}"#), "mismatched json /a");
}

#[test]
fn a_place_may_have_a_tolerance_of_its_own() {
    let tolerances = json!([
        {"path": "/items/0/price", "absolute": 5},
        {"path": "/items/*/price", "absolute": 0.5},
        {"path": "/items", "relative": 0.1},
        {"path": "/id"},
        {"path": "/tags/*", "absolute": 1},
    ]);
    let with = || json!({"body": "json", "json": {"absolute": 100, "unordered": ["/tags"], "tolerances": tolerances}});
    let check = |a: &str, b: &str| check(with(), a, b);
    // Elsewhere everybody's holds.
    assert_eq!(check(r#"{"other":1}"#, r#"{"other":99}"#), "matched");
    assert_eq!(check(r#"{"id":1}"#, r#"{"id":1.0}"#), "matched");
    assert_eq!(check(r#"{"id":1}"#, r#"{"id":2}"#), "mismatched json /id");
    // Below a place too, where no longer path leads there.
    assert_eq!(check(r#"{"items":[{"n":100}]}"#, r#"{"items":[{"n":91}]}"#), "matched");
    assert_eq!(check(r#"{"items":[{"n":100}]}"#, r#"{"items":[{"n":89}]}"#), "mismatched json /items/*/n");
    // Of two of one length the first.
    let prices = |a: f64, b: f64| format!(r#"{{"items":[{{"price":{a}}},{{"price":{b}}}]}}"#);
    assert_eq!(check(&prices(10.0, 10.0), &prices(14.5, 10.5)), "matched");
    assert_eq!(check(&prices(10.0, 10.0), &prices(15.5, 10.0)), "mismatched json /items/*/price");
    assert_eq!(check(&prices(10.0, 10.0), &prices(10.0, 11.0)), "mismatched json /items/*/price");
    // Whatever the order.
    assert_eq!(check(r#"{"tags":[1,5,9]}"#, r#"{"tags":[10,5.5,2]}"#), "matched");
    assert_eq!(check(r#"{"tags":[1,5,9]}"#, r#"{"tags":[11,5,1]}"#), "mismatched json /tags/*");
}

#[test]
fn one_number_and_its_difference() {
    let with = rules(json!({"body": "number", "number": {"field": "/out/0/score", "absolute": 0.05}}));
    let score =
        |score: &str| Answer::of(format!(r#"{{"out":[{{"score":{score}}},{{"score":0}}],"at":{}}}"#, score.len()));
    let told_of = outcome(&with, &score("0.50"), &score("0.53"));
    assert_eq!(told(&told_of), "matched");
    assert!((told_of.difference.unwrap() - 0.03).abs() < 1e-12);
    assert_eq!(told_of.numbers, Some((0.5, 0.53)));
    let quiet = with.compare(&score("0.5").side(&with, &[]), &score("0.7").side(&with, &[]), Wanted::default());
    assert_eq!((told(&quiet).as_str(), quiet.numbers), ("mismatched number /out/0/score", None));
    assert!(quiet.difference.is_some() && quiet.differences[0].primary.is_none());
    assert_eq!(told(&outcome(&with, &score("\"0.5\""), &score("0.5"))), "matched");
    assert_eq!(told(&outcome(&with, &score("\"high\""), &score("0.5"))), "mismatched unreadable /out/0/score");
    assert_eq!(told(&outcome(&with, &score("null"), &score("null"))), "matched");
    assert_eq!(told(&outcome(&with, &score("1"), &Answer::of("{}"))), "mismatched missing_field /out/0/score");
    assert_eq!(told(&outcome(&with, &score("1"), &Answer::of("oops"))), "mismatched unreadable body");
    let whole = rules(json!({"body": "number", "number": {"field": ""}}));
    assert_eq!(outcome(&whole, &Answer::of("3"), &Answer::of("5")).difference, Some(2.0));
}

#[test]
fn words() {
    let with = || json!({"body": "text", "text": {"threshold": 0.5}});
    assert_eq!(check(with(), "the cat sat", "The cat, sat!"), "matched");
    assert_eq!(check(with(), "the cat sat", "the dog sat"), "matched");
    assert_eq!(check(with(), "the cat sat", "a dog sat"), "mismatched text body");
    assert_eq!(outcome(&rules(with()), &Answer::of("a b"), &Answer::of("a c")).overlap, Some(1.0 / 3.0));
}

#[test]
fn gzip_is_decoded_within_the_limit() {
    let rules = rules(json!({"body": "json", "maxBodyBytes": 1_000}));
    let body = r#"{"a":1}"#;
    assert_eq!(told(&outcome(&rules, &Answer::of(body).gzip(), &Answer::of(body))), "matched");
    assert_eq!(told(&outcome(&rules, &Answer::of("[1]").gzip(), &Answer::of("[2]").gzip())), "mismatched json /*");
    // A thousand times smaller than what it unpacks to: never unpacked beyond the limit.
    let bomb = Answer::of(vec![b' '; 8 << 20]).gzip();
    assert!(bomb.body.len() < 16_384);
    let side = bomb.side(&rules, &[100; 10]);
    assert!(!side.wants_body() && side.held() < 128 << 10, "{}", side.held());
    assert_eq!(told(&outcome(&rules, &Answer::of(body), &bomb)), "mismatched too_large body");
    assert_eq!(told(&outcome(&rules, &bomb, &bomb)), "incomparable too_large");
    let broken = Answer::of("no gzip").header("content-encoding", "gzip");
    assert_eq!(told(&outcome(&rules, &Answer::of(body), &broken)), "mismatched unreadable body");
    assert_eq!(told(&outcome(&rules, &broken, &broken)), "matched");
    let mut short = Answer::of(body).gzip();
    short.body.truncate(short.body.len() - 4);
    assert_eq!(told(&outcome(&rules, &Answer::of(body), &short)), "mismatched unreadable body");
    let empty = Answer::of("").header("content-encoding", "gzip");
    assert_eq!(told(&outcome(&rules, &empty, &Answer::of(""))), "matched");
}

#[test]
fn other_encodings_are_compared_as_they_came() {
    let rules = rules(json!({}));
    let brotli = |body: &str| Answer::of(body).header("content-encoding", "br");
    assert_eq!(told(&outcome(&rules, &brotli("x"), &brotli("x"))), "matched");
    assert_eq!(told(&outcome(&rules, &brotli("x"), &brotli("y"))), "incomparable encoding");
    assert_eq!(told(&outcome(&rules, &brotli("x"), &Answer::of("x"))), "incomparable encoding");
    assert_eq!(told(&outcome(&rules, &brotli(""), &Answer::of(""))), "matched");
}

#[test]
fn bodies_beyond_the_limit() {
    for body in ["digest", "json", "text"] {
        let with = || json!({"body": body, "maxBodyBytes": 10});
        assert_eq!(check(with(), "\"12345678\"", "\"12345678\""), "matched");
        assert_eq!(check(with(), "\"123456789\"", "\"123456789\""), "incomparable too_large", "{body}");
        assert_eq!(check(with(), "\"12345678\"", "\"123456789\""), "mismatched too_large body", "{body}");
    }
    let with = rules(json!({"maxBodyBytes": 10}));
    let (a, b) = (Answer::of("more than ten"), Answer::of("more than ten").status(500));
    assert_eq!(told(&outcome(&with, &a, &b)), "mismatched status status", "what is seen to differ does");
}

#[test]
fn documents_of_too_many_values() {
    let list = |n: usize| format!("[{}0]", "0,".repeat(n));
    let json = || json!({"body": "json"});
    assert_eq!(check(json(), list(NODES - 10), list(NODES - 10) + " "), "matched");
    assert_eq!(check(json(), list(NODES), list(NODES)), "matched", "equal bytes are equal");
    assert_eq!(check(json(), list(NODES), list(NODES) + " "), "incomparable too_large");
    // What does not count is not counted.
    let rest = json!({"body": "json", "json": {"ignore": ["/rest"]}});
    let of = |n: usize, a: u8| format!(r#"{{"a":{a},"rest":{}}}"#, list(n));
    assert_eq!(check(rest, of(NODES * 3, 1), of(NODES * 2, 2)), "mismatched json /a");
}

#[test]
fn places_are_bounded_and_named_once() {
    let object = |value: u8| {
        let fields: Vec<_> = (0..100).map(|n| format!("\"{}{n}\":{value}", "k".repeat(1_000))).collect();
        format!("{{{}}}", fields.join(","))
    };
    let rules = rules(json!({"body": "json"}));
    let told_of = outcome(&rules, &Answer::of(object(1)), &Answer::of(object(2)));
    // Cut to 200 bytes they are all one.
    assert_eq!((told_of.differences.len(), told_of.count), (1, 100));
    assert!(told_of.differences[0].path.len() <= 203);
    let wide =
        |value: u8| format!("{{{}}}", (0..100).map(|n| format!("\"{n}\":{value}")).collect::<Vec<_>>().join(","));
    let told_of = outcome(&rules, &Answer::of(wide(1)), &Answer::of(wide(2)));
    assert_eq!((told_of.differences.len(), told_of.count), (PATHS, 100));
}

#[test]
fn grpc_by_status_and_messages() {
    let rules = rules(json!({"body": "json"}));
    let grpc = |body: Vec<u8>, status: &str| {
        Answer::of(body).header("content-type", "application/grpc+proto").trailer("grpc-status", status)
    };
    let two = [message(b"one", false), message(b"two", false)].concat();
    let zipped = [message(b"one", true), message(b"two", false)].concat();
    assert_eq!(told(&outcome(&rules, &grpc(two.clone(), "0"), &grpc(two.clone(), "0"))), "matched");
    let coded = grpc(zipped, "0").header("grpc-encoding", "gzip");
    assert_eq!(told(&outcome(&rules, &grpc(two.clone(), "0"), &coded)), "matched");
    assert_eq!(told(&outcome(&rules, &grpc(two.clone(), "0"), &grpc(two.clone(), "5"))), "mismatched grpc grpc-status");
    // The same bytes, divided into messages otherwise.
    let other = [message(b"onet", false), message(b"wo", false)].concat();
    assert_eq!(told(&outcome(&rules, &grpc(two.clone(), "0"), &grpc(other, "0"))), "mismatched grpc body");
    let short = two[..two.len() - 1].to_vec();
    assert_eq!(told(&outcome(&rules, &grpc(two.clone(), "0"), &grpc(short, "0"))), "mismatched unreadable body");
    assert_eq!(
        told(&outcome(&rules, &grpc(two, "0"), &Answer::of("503").status(503))),
        "mismatched status+grpc status body"
    );
    let refused = Answer::of("").header("content-type", "application/grpc").header("grpc-status", "14");
    assert!(refused.side(&rules, &[]).failed());
    assert_eq!(refused.side(&rules, &[]).grpc_status(), Some(14));
    assert_eq!(told(&outcome(&rules, &refused, &refused)), "matched");
}

#[test]
fn an_answer_that_did_not_end_is_not_compared() {
    let rules = rules(json!({}));
    let mut cut = Answer::of("one");
    cut.whole = false;
    assert_eq!(told(&outcome(&rules, &cut, &Answer::of("two"))), "incomparable incomplete");
    assert_eq!(
        outcome(&rules, &Answer::of("one"), &cut).verdict,
        Verdict::Incomparable(headgate_compare::Reason::Incomplete)
    );
}
