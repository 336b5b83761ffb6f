//! What the host refuses to do is counted, by kind, and the request goes on.

use headgate_host_calls::{Answer, Fault, Proxy};
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
