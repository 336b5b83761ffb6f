//! What the host refuses to do is counted, by kind, and the request goes on.

use headgate_host_calls::{Answer, Fault, Header, Proxy};
use serde_json::json;

use crate::{config, headers, proxy, route};

/// Both outputs, and a cookie for whom nothing is known of.
fn filter() -> Proxy {
    let mut both = route();
    both["output"] = json!({
        "filterState": "variant", "requestHeader": {"name": "x-headgate-variant", "nonce": "6f1d2c9a"},
        "responseHeader": "x-version"
    });
    both["key"]["absent"] = json!("issueCookie");
    proxy(&config(both))
}

fn counted(proxy: &mut Proxy) -> Vec<(String, u64)> {
    let errors = proxy.counted().unwrap().metrics.iter().filter(|(name, _)| name.ends_with("headgate_errors"));
    errors
        .map(|(name, count)| (name.split("=.=").nth(1).unwrap().split(';').next().unwrap().to_owned(), *count))
        .collect()
}

#[test]
fn what_the_host_refuses_is_counted_by_kind_and_the_request_goes_on() {
    let silent = Answer::status("200", &[]);
    for (function, kind, without_a_key) in [
        ("proxy_set_property", "filter_state", false),
        ("proxy_replace_header_map_value", "request_header", false),
        ("proxy_replace_header_map_value", "response_header", false),
        ("proxy_get_header_map_pairs", "response_headers", true),
        ("proxy_add_header_map_value", "cookie", true),
        ("random_get", "random", true),
    ] {
        let mut proxy = filter();
        let user: &[(&str, &str)] = if without_a_key { &[] } else { &[("x-user-id", "alice")] };
        proxy.host().fault = Fault::Of(function, 2);
        for n in 1..=2 {
            let seen = proxy.request(&headers(user), &silent).unwrap();
            assert!(seen.response.contains(&(b":status".to_vec(), b"200".to_vec())), "{function}: {:?}", seen.response);
            let errors = counted(&mut proxy);
            assert!(errors.contains(&(kind.to_owned(), n)), "{function}: {kind} is not {n} in {errors:?}");
        }
        // It was counted as a request all the same, and nothing is left of it when the host is well again.
        let requests = |proxy: &mut Proxy| proxy.counted().unwrap().sum("headgate_requests");
        assert_eq!(requests(&mut proxy), 2, "{function}");
        let before = counted(&mut proxy);
        proxy.host().fault = Fault::None;
        proxy.request(&headers(user), &silent).unwrap();
        assert_eq!((counted(&mut proxy), requests(&mut proxy)), (before, 3), "{function}");
    }
}

#[test]
fn a_route_that_is_not_chosen_anew_and_a_tick_that_does_not_come_are_counted() {
    let mut by_state = route();
    by_state["output"] = json!({"filterState": "variant"});
    let mut proxy = proxy(&config(by_state));
    proxy.host().fault = Fault::Of("proxy_call_foreign_function", 1);
    proxy.request(&headers(&[("x-user-id", "alice")]), &Answer::status("200", &[])).unwrap();
    assert_eq!(counted(&mut proxy), [("clear_route_cache".to_owned(), 1)]);

    let mut proxy = filter();
    proxy.host().fault = Fault::Of("proxy_set_tick_period_milliseconds", 2);
    assert!(proxy.configure(config(route()).to_string().as_bytes()).unwrap());
    assert_eq!(counted(&mut proxy), [("tick".to_owned(), 1)]);
}

#[test]
fn a_request_before_any_configuration_passes_as_it_is_and_is_counted() {
    let mut proxy = Proxy::load(&headgate_tests::wasm().unwrap()).unwrap();
    let sent = headers(&[("x-user-id", "alice"), ("x-headgate-variant", "canary")]);
    let seen = proxy.request(&sent, &Answer::status("200", &[])).unwrap();
    assert_eq!(seen.request, sent);
    assert_eq!(counted(&mut proxy), [("unconfigured".to_owned(), 1)]);
}

#[test]
fn an_answer_in_memory_that_was_never_asked_for_is_none_and_is_left_alone() {
    let mut proxy = filter();
    let answer = Answer::status("200", &[]);
    let request = |n: usize| headers(&[("x-user-id", "alice"), ("x-long", &"x".repeat(n))]);
    let decided = proxy.request(&request(1), &answer).unwrap().request;
    // An address of the stack, one of the heap and the last one; and answers of all sizes in between, so that memory is taken and given back.
    for address in [64, 1 << 21, u32::MAX] {
        proxy.host().fault = Fault::Elsewhere(address);
        let seen = proxy.request(&request(1), &answer).unwrap();
        assert!(seen.response.contains(&(b":status".to_vec(), b"200".to_vec())), "{address}: {:?}", seen.response);
        proxy.host().fault = Fault::None;
        for size in [10, 5_000, 100, 20_000, 1] {
            let seen = proxy.request(&request(size), &answer).unwrap().request;
            let told = |headers: &[Header]| headers.iter().find(|(name, _)| name == b"x-headgate-variant").cloned();
            assert_eq!(told(&seen), told(&decided), "{address}, then {size} bytes");
        }
    }
}

#[test]
fn requests_that_overlap_are_kept_apart() {
    let mut proxy = filter();
    let requests: Vec<_> = (0..500).map(|user| headers(&[("x-user-id", &format!("user-{user}"))])).collect();
    let answer = Answer::status("503", &[]);
    let alone: Vec<_> = requests.iter().map(|headers| proxy.request(headers, &answer).unwrap().request).collect();
    let metrics = proxy.counted().unwrap().metrics.clone();
    assert_eq!(proxy.overlapping(&requests, &answer).unwrap(), alone);
    for (name, count) in &proxy.counted().unwrap().metrics {
        if name.ends_with("headgate_requests") || name.ends_with("headgate_responses") {
            assert_eq!(*count, 2 * metrics[name], "{name}");
        }
    }
    assert_eq!(proxy.host().sum("headgate_responses"), 1_000);
}
