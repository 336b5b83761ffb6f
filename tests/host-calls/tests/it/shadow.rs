//! The filter that compares shadows: what it is, what it costs those who are not copied, and that no host makes it panic.

use std::collections::{BTreeMap, BTreeSet};

use headgate_host_calls::{Answer, Fault, Proxy};
use serde_json::{Value, json};
use wasmi::{Engine, Module};

use crate::{config, configured, headers, proxy, route};

/// Bytes of the file that users load, at most.
const LARGEST: usize = 700_000;

fn shadows(configuration: &Value) -> Proxy {
    configured(&headgate_tests::shadow_wasm().unwrap(), configuration)
}

/// A route whose shadow is changed by `more`.
fn shadowed(more: Value) -> Value {
    let mut route = route();
    route["variants"] = json!([{"name": "stable", "weight": 1}, {"name": "canary", "weight": 0}]);
    route["shadow"] = json!({"cluster": "shop-v2", "share": 10_000, "methods": ["GET", "POST"]});
    if let (Some(shadow), Value::Object(more)) = (route["shadow"].as_object_mut(), more) {
        shadow.extend(more);
    }
    config(route)
}

#[test]
fn it_offers_bodies_and_answers_of_calls_beside_what_the_other_offers() {
    let exports = |path: &std::path::Path| -> BTreeSet<String> {
        let bytes = std::fs::read(path).unwrap();
        let module = Module::new(&Engine::default(), &bytes).unwrap();
        module.exports().map(|export| export.name().to_owned()).collect()
    };
    let shadow = headgate_tests::shadow_wasm().unwrap();
    let size = std::fs::metadata(&shadow).unwrap().len();
    assert!(size <= LARGEST as u64, "{size} bytes");
    let (with, without) = (exports(&shadow), exports(&headgate_tests::wasm().unwrap()));
    let more = ["http_call_response", "request_body", "request_trailers", "response_body"]
        .map(|name| format!("proxy_on_{name}"));
    assert_eq!(with.difference(&without).cloned().collect::<Vec<_>>(), more);
    assert_eq!(without.difference(&with).count(), 0);
}

#[test]
fn who_is_not_copied_costs_no_call_more_than_without_shadows() {
    let user = headers(&[("x-user-id", "alice")]);
    let answer = Answer::status("200", &[]);
    let unshadowed = config(route());
    let configurations = [
        ("no shadow", unshadowed),
        ("no share", shadowed(json!({"share": 0}))),
        ("another user's share", shadowed(json!({"share": 1}))),
        ("at random", shadowed(json!({"share": 1, "by": "random"}))),
        ("no share in this segment", shadowed(json!({"segments": {"default": 0}}))),
    ];
    for (what, configuration) in configurations {
        let mut seen = [proxy(&configuration), shadows(&configuration)].map(|mut proxy| {
            // The first defines its metrics, and draws randomness for many.
            proxy.request(&user, &answer).unwrap();
            let calls = proxy.request(&user, &answer).unwrap().calls();
            let sampled = proxy
                .counted()
                .unwrap()
                .metrics
                .keys()
                .filter(|name| name.ends_with("headgate_shadow_sampled"))
                .count();
            assert_eq!(sampled, 0, "{what}");
            calls
        });
        let with = seen[1].clone();
        assert_eq!(std::mem::take(&mut seen[0]), with, "{what}");
    }
}

#[test]
fn a_copied_request() {
    let mut proxy = shadows(&shadowed(json!({})));
    let mut costs = Vec::new();
    for _ in 0..2 {
        let seen = proxy.request(&headers(&[("x-user-id", "alice")]), &Answer::status("200", &[])).unwrap();
        let token = proxy.host().sent[0];
        let status = [(b":status".to_vec(), b"200".to_vec())];
        costs = vec![seen.calls, proxy.answer(token, &status, b"").unwrap()];
    }
    let all = costs.into_iter().flatten().fold(BTreeMap::<String, u32>::new(), |mut all, (name, n)| {
        *all.entry(name.trim_start_matches("proxy_").to_owned()).or_default() += n;
        all
    });
    let all: Vec<String> = all.iter().map(|(name, n)| format!("{name}*{n}")).collect();
    assert_eq!(
        all.join(" "),
        "clock_time_get*5 get_header_map_pairs*3 http_call*1 on_context_create*1 on_delete*1 on_http_call_response*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 replace_header_map_value*1 set_effective_context*1"
    );
}

#[test]
fn a_copied_request_with_a_body_is_read_as_a_whole_and_each_piece_once() {
    let mut configuration = shadowed(json!({}));
    configuration["routes"][0]["output"] = json!({});
    configuration["routes"][0]["overrides"] = json!([]);
    let mut proxy = shadows(&configuration);
    let mut user = headers(&[("x-user-id", "alice"), ("content-length", "9")]);
    user.retain(|(name, _)| name != b":method");
    user.push((b":method".to_vec(), b"POST".to_vec()));
    let mut calls = BTreeMap::new();
    for _ in 0..2 {
        proxy.host().calls.clear();
        proxy.exchange(&user, b"some body", &Answer::status("200", &[]), b"same").unwrap();
        calls = proxy.host().calls.clone();
        let token = proxy.host().sent[0];
        for (name, n) in proxy.answer(token, &[(b":status".to_vec(), b"200".to_vec())], b"same").unwrap() {
            *calls.entry(name).or_default() += n;
        }
    }
    let all: Vec<String> = calls.iter().map(|(name, n)| format!("{}*{n}", name.trim_start_matches("proxy_"))).collect();
    assert_eq!(
        all.join(" "),
        "clock_time_get*6 call_foreign_function*1 get_buffer_bytes*5 get_header_map_pairs*3 http_call*1 on_context_create*1 on_delete*1 on_http_call_response*1 on_memory_allocate*8 on_request_body*2 on_request_headers*1 on_response_body*2 on_response_headers*1 set_effective_context*1 set_property*1"
    );
    assert_eq!(sum(&mut proxy, "compared"), 2);
}

#[test]
fn a_shadow_that_nobody_reaches_costs_little_and_is_tried_by_one_copy_at_a_time() {
    const SECOND: u64 = 1_000_000;
    let mut proxy = shadows(&shadowed(json!({})));
    let user = headers(&[("x-user-id", "alice")]);
    let answer = Answer::status("200", &[]);
    // As Envoy has it for a connection that is refused.
    let refused = [(b":status".to_vec(), b"503".to_vec())];
    for _ in 0..5 {
        proxy.request(&user, &answer).unwrap();
        let token = proxy.host().sent[0];
        proxy.answer(token, &refused, b"").unwrap();
    }
    for pause in [100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 6_400_000, 10 * SECOND, 10 * SECOND] {
        // A while before, and that is not it.
        proxy.host().wait(pause - 10_000);
        proxy.request(&user, &answer).unwrap();
        assert_eq!(proxy.host().sent, [0_u32; 0], "{pause}");
        proxy.host().wait(10_000);
        for _ in 0..3 {
            proxy.request(&user, &answer).unwrap();
        }
        assert_eq!(proxy.host().sent.len(), 1, "{pause}");
        let token = proxy.host().sent[0];
        proxy.answer(token, &refused, b"").unwrap();
    }
    let seen = proxy.request(&user, &answer).unwrap().calls();
    assert_eq!(
        seen,
        "clock_time_get*4 get_header_map_pairs*2 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1"
    );
    assert_eq!((sum(&mut proxy, "sampled"), sum(&mut proxy, "failed")), (5 + 9 * 4 + 1, 5 + 9 * 4 + 1));
    // It is there again.
    proxy.host().wait(10 * SECOND);
    proxy.request(&user, &answer).unwrap();
    let token = proxy.host().sent[0];
    proxy.answer(token, &[(b":status".to_vec(), b"200".to_vec())], b"").unwrap();
    for _ in 0..3 {
        proxy.request(&user, &answer).unwrap();
    }
    assert_eq!((proxy.host().sent.len(), sum(&mut proxy, "compared")), (3, 1));
}

/// Counters of shadows, all labels together.
fn sum(proxy: &mut Proxy, what: &str) -> u64 {
    let name = format!("headgate_shadow_{what}");
    proxy.counted().unwrap().sum(&name)
}

#[test]
fn pieces_are_gathered_and_compared_whichever_answer_comes_first() {
    let mut proxy = shadows(&shadowed(json!({"noise": {"cluster": "shop-v1"}})));
    let user = headers(&[(":method", "POST"), ("x-user-id", "alice"), ("content-length", "9")]);
    let user: Vec<_> = user.into_iter().filter(|(name, value)| name != b":method" || value == b"POST").collect();
    proxy.exchange(&user, b"some body", &Answer::status("200", &[]), b"same").unwrap();
    let tokens = proxy.host().sent.clone();
    assert_eq!((tokens.len(), sum(&mut proxy, "sampled"), sum(&mut proxy, "compared")), (2, 1, 0));
    let status = [(b":status".to_vec(), b"200".to_vec())];
    proxy.answer(tokens[1], &status, b"same").unwrap();
    proxy.answer(tokens[0], &status, b"other").unwrap();
    // An answer to nothing is nothing.
    proxy.answer(tokens[0], &status, b"other").unwrap();
    proxy.answer(77, &[], b"").unwrap();
    assert_eq!((sum(&mut proxy, "compared"), sum(&mut proxy, "mismatches"), sum(&mut proxy, "noise")), (1, 1, 1));
}

#[test]
fn no_answer_of_the_host_makes_it_panic() {
    let statuses = (0..=12).map(Fault::Status);
    let bytes =
        [&b""[..], b"\0", b"\xff\xff\xff\xff", &[1, 0, 0, 0, 255, 255, 255, 127], &[0xff; 64]].map(Fault::Bytes);
    let of = ["proxy_set_effective_context", "proxy_http_call", "proxy_get_buffer_bytes", "proxy_get_header_map_pairs"]
        .map(|name| Fault::Of(name, 2));
    let records = json!({"records": {"cluster": "headgate", "everyMs": 10}});
    for fault in statuses.chain(bytes).chain(of) {
        let mut configuration = shadowed(json!({"noise": {"cluster": "shop-v1"}, "compare": {"body": "json"}}));
        configuration["shadowing"] = records.clone();
        let mut proxy = shadows(&configuration);
        let user = headers(&[("x-user-id", "alice")]);
        let answer = Answer::status("200", &[]);
        proxy.host().fault = fault;
        for _ in 0..3 {
            proxy.request(&user, &answer).unwrap();
            proxy.exchange(&user, b"{}", &answer, b"{}").unwrap();
        }
        for token in proxy.host().sent.clone() {
            proxy.answer(token, &[], b"").unwrap();
        }
        proxy.host().fault = Fault::None;
        proxy.request(&user, &answer).unwrap();
        for token in proxy.host().sent.clone() {
            proxy.answer(token, &[(b":status".to_vec(), b"200".to_vec())], b"{").unwrap();
        }
        assert!(sum(&mut proxy, "compared") + sum(&mut proxy, "failed") > 0, "{fault:?}");
    }
}
