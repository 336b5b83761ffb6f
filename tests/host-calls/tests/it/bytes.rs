//! Nothing makes the filter panic: no bytes of a client, of a configuration, or of the host.

use std::cell::RefCell;

use headgate_host_calls::{Answer, Fault, Header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::{config, headers, proxy, route};

/// A route that uses everything a request can be asked for.
fn everything() -> serde_json::Value {
    let mut route = route();
    route["match"] = json!({"hosts": ["shop.example", "*.shop.example"], "path": {"regex": "/v[0-9]+/.*"}, "notMethods": ["DELETE"]});
    route["key"] = json!({
        "sources": [
            {"header": "x-user-id"}, {"cookie": "sid"}, {"query": "user"}, {"clientAddress": {}},
            {"claim": {"unverified": true, "claim": ["sub"]}}, {"claim": {"provider": "payload", "claim": ["sub"]}}
        ],
        "absent": "issueCookie"
    });
    route["segments"] = json!([
        {"name": "gold", "match": {"headers": [{"name": "x-tier", "regex": "g.*"}], "query": [{"name": "q", "contains": "a"}]}, "weights": {"canary": 1}},
        {"name": "claimed", "match": {"claims": [{"provider": "payload", "claim": ["tier"], "exact": "gold"}]}, "weights": {"canary": 1}}
    ]);
    route["mirror"] = json!({"share": 10000});
    route["inbound"] = json!({"accept": true, "emit": true});
    route["output"]["responseHeader"] = json!("x-served-by");
    let mut config = config(route);
    config["tokens"] = json!({"audience": "shop", "cookie": "token", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    config["decisions"] = json!({"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_D1"}]});
    config["metrics"] =
        json!({"replicates": ["requests", "finished", "failures", "timeouts", "latency", "clientErrors"]});
    config
}

const NAMES: [&str; 17] = [
    ":path",
    ":authority",
    ":method",
    "x-user-id",
    "cookie",
    "authorization",
    "x-headgate-token",
    "x-headgate-decisions",
    "x-headgate-variant",
    "x_headgate_variant",
    "x-headgate_token",
    "x-canary",
    "x-tier",
    "content-length",
    "x-forwarded-for",
    "upgrade",
    "te",
];

/// Values that look right for longer than random bytes do.
const SEEDS: [&str; 14] = [
    "/v1/a?user=%zz&q=%61&user",
    "sid=\"a;b\"; sid=; token=a.b.c; =",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJleHAiOjF9.AAAA",
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    "shop=canary;e=99999999999999999999;k=d1;s=AAAA,,=",
    "shop.example:99999",
    "[::1]:80",
    "::ffff:1.2.3.4, 1.2.3.4, , x",
    "18446744073709551616",
    "-1",
    "%",
    "=;=;,",
    "canary.6f1d2c9a",
    "trailers",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::sample::select(&SEEDS[..]).prop_map(|seed| seed.as_bytes().to_vec()),
        (proptest::sample::select(&SEEDS[..]), any::<u8>(), 0..40usize).prop_map(|(seed, byte, at)| {
            let mut bytes = seed.as_bytes().to_vec();
            let at = at.min(bytes.len());
            bytes.insert(at, byte);
            bytes
        }),
    ]
}

fn request() -> impl Strategy<Value = Vec<Header>> {
    let name = proptest::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec());
    proptest::collection::vec((name, value()), 0..20)
}

#[test]
fn no_request_makes_it_panic() {
    let proxy = RefCell::new(proxy(&everything()));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(2_000) });
    runner
        .run(&(request(), request(), value()), |(request, response, property)| {
            let mut answer = Answer { headers: Some(response), ..Answer::default() };
            for path in ["source\0address", "xds\0cluster_name", "response\0flags", "response\0grpc_status"] {
                answer = answer.property(path, &property);
            }
            let seen = proxy.borrow_mut().request(&request, &answer).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let own =
                |name: &[u8]| [&b"x_headgate_variant"[..], b"x-headgate-token", b"x-headgate_token"].contains(&name);
            prop_assert!(!seen.request.iter().any(|(name, _)| own(name)), "{:?}", seen.request);
            Ok(())
        })
        .unwrap();
    let mut proxy = proxy.into_inner();
    assert!(!proxy.host().log.iter().any(|(level, _)| *level >= 4), "{:?}", proxy.host().log);
}

#[test]
fn no_configuration_makes_it_panic_and_a_refused_one_leaves_the_former() {
    let proxy = RefCell::new(proxy(&config(route())));
    let whole = everything().to_string();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(300) });
    runner
        .run(&(0..whole.len(), any::<u8>(), any::<bool>()), |(at, byte, cut)| {
            let mut bytes = whole.clone().into_bytes();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
            proxy.borrow_mut().configure(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            Ok(())
        })
        .unwrap();
    let mut proxy = proxy.into_inner();
    assert!(proxy.configure(config(route()).to_string().as_bytes()).unwrap());
    for bad in [
        &b""[..],
        b"{",
        b"\xff\0",
        b"[]",
        br#"{"contract":1,"revision":1,"routes":[{"name":"a","stable":"b","variants":[]}]}"#,
    ] {
        assert!(!proxy.configure(bad).unwrap(), "{bad:?}");
    }
    let seen = proxy.request(&headers(&[("x-canary", "always")]), &Answer::status("200", &[])).unwrap();
    let variant = (b"x-headgate-variant".to_vec(), b"canary.6f1d2c9a".to_vec());
    assert!(seen.request.contains(&variant), "{:?}", seen.request);
}

#[test]
fn no_answer_of_the_host_makes_it_panic() {
    let faults = (0..=12).map(Fault::Status).chain([
        Fault::Status(u32::MAX),
        Fault::Bytes(b""),
        Fault::Bytes(b"\xff"),
        Fault::Bytes(&[0xff; 64]),
    ]);
    for fault in faults {
        let mut proxy = proxy(&everything());
        proxy.host().fault = fault;
        for answer in
            [Answer::default(), Answer::status("200", &[("cache-control", "private")]), Answer::status("504", &[])]
        {
            proxy.request(&headers(&[("x-user-id", "alice"), ("te", "trailers")]), &answer).unwrap();
        }
        let _ = proxy.configure(everything().to_string().as_bytes()).unwrap();
        proxy.host().fault = Fault::None;
        assert!(proxy.configure(everything().to_string().as_bytes()).unwrap(), "after {fault:?}");
        let seen = proxy.request(&headers(&[("x-canary", "always")]), &Answer::status("200", &[])).unwrap();
        let variant = (b"x-headgate-variant".to_vec(), b"canary.6f1d2c9a".to_vec());
        assert!(seen.request.contains(&variant), "after {fault:?}: {:?}", seen.request);
    }
}
