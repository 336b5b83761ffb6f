//! What each kind of request costs, call by call: `proxy_on_*` are entries into the filter, the others calls of the host.
//!
//! A number that changes here changes what every request costs: say so where it is changed.

use headgate_host_calls::{Answer, Fault, Proxy};
use serde_json::{Value, json};

use crate::{config, headers, proxy, route};

/// The second of two like requests: the first defines its metrics.
fn check(proxy: &mut Proxy, request: &[(&str, &str)], answer: &Answer, expect: &str) {
    proxy.request(&headers(request), answer).unwrap();
    let seen = proxy.request(&headers(request), answer).unwrap();
    assert_eq!(seen.calls(), expect);
}

fn ok() -> Answer {
    Answer::status("200", &[])
}

/// A changed part of the route that `make bench` measures.
fn with(change: impl FnOnce(&mut Value)) -> Proxy {
    let mut route = route();
    change(&mut route);
    proxy(&config(route))
}

#[test]
fn a_sticky_request() {
    check(
        &mut proxy(&config(route())),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

/// Counters are told of many requests at once, by a tick that the first of them asks for; the next tick is asked for by the next request.
#[test]
fn counters_of_many_requests() {
    let mut proxy = proxy(&config(route()));
    let user = headers(&[("x-user-id", "alice")]);
    proxy.request(&user, &ok()).unwrap();
    proxy.tick().unwrap();
    assert_eq!(proxy.host().tick, 0);
    let asked: Vec<u32> = (0..50)
        .map(|_| {
            let seen = proxy.request(&user, &ok()).unwrap();
            assert_eq!(seen.calls.get("proxy_increment_metric"), None);
            seen.calls.get("proxy_set_tick_period_milliseconds").copied().unwrap_or(0)
        })
        .collect();
    assert_eq!((asked[0], asked.iter().sum::<u32>(), proxy.host().tick), (1, 1, 100));
    let host = proxy.host();
    assert_eq!((host.sum("headgate_requests"), host.sum("headgate_latency_us")), (1, 1));
    proxy.host().calls.clear();
    proxy.tick().unwrap();
    for name in ["headgate_requests", "headgate_responses", "headgate_latency_us", "headgate_headers_us"] {
        assert_eq!(proxy.host().sum(name), 51, "{name}");
    }
    let calls = &proxy.host().calls;
    assert_eq!((calls["proxy_increment_metric"], calls["proxy_record_metric"], proxy.host().tick), (2, 100, 0));
}

/// A host that gives no ticks is told at once.
#[test]
fn counters_without_a_tick() {
    let mut proxy = proxy(&config(route()));
    proxy.host().fault = Fault::Of("proxy_set_tick_period_milliseconds", 2);
    proxy.request(&headers(&[("x-user-id", "alice")]), &ok()).unwrap();
    assert_eq!(proxy.host().sum("headgate_requests"), 1);
}

/// Who sees that a configuration is in force sees all that was counted before it.
#[test]
fn counters_before_a_configuration() {
    let mut proxy = proxy(&config(route()));
    proxy.request(&headers(&[("x-user-id", "alice")]), &ok()).unwrap();
    assert_eq!(proxy.host().sum("headgate_requests"), 0);
    assert!(proxy.configure(config(route()).to_string().as_bytes()).unwrap());
    let host = proxy.host();
    assert_eq!((host.sum("headgate_acknowledgements"), host.sum("headgate_requests")), (2, 1));
}

/// Counts that a plugin's end overtakes are not lost.
#[test]
fn counters_when_the_plugin_goes() {
    let mut proxy = proxy(&config(route()));
    proxy.request(&headers(&[("x-user-id", "alice")]), &ok()).unwrap();
    proxy.forget(1).unwrap();
    assert_eq!(proxy.host().sum("headgate_requests"), 1);
}

/// Which cluster served is asked for sixteen times, and then of one request in eight, or in ten milliseconds of many.
#[test]
fn the_cluster_of_many_requests() {
    let mut proxy = with(|route| {
        route["variants"][0]["cluster"] = json!("a");
        route["variants"][1]["cluster"] = json!("a");
    });
    let answer = ok().property("xds\0cluster_name", b"a");
    let asked: Vec<u32> = (0..48 + 20)
        .map(|number| {
            // The last ones come one after the other, the others with time between them.
            proxy.host().wait(if number < 48 { 10_000 } else { 500 });
            let seen = proxy.request(&headers(&[("x-user-id", "alice")]), &answer).unwrap();
            seen.calls.get("proxy_get_property").copied().unwrap_or(0)
        })
        .collect();
    let sum = |asked: &[u32]| asked.iter().sum::<u32>();
    assert_eq!((sum(&asked[..16]), sum(&asked[16..48]), sum(&asked[48..])), (16, 4, 1));
}

#[test]
fn without_a_key() {
    check(
        &mut proxy(&config(route())),
        &[],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn with_a_forged_header() {
    check(
        &mut proxy(&config(route())),
        &[("x-headgate-variant", "canary"), ("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 increment_metric*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 remove_header_map_value*1 replace_header_map_value*1",
    );
}

#[test]
fn with_an_override() {
    check(
        &mut proxy(&config(route())),
        &[("x-canary", "always")],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn told_by_filter_state() {
    check(
        &mut with(|route| route["output"] = json!({})),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 call_foreign_function*1 get_header_map_value*3 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 set_property*1",
    );
}

/// A route whose key is a cookie, in whichever line: read with the whole map, or, where little else is read, by one call for
/// one line and with the map for several.
#[test]
fn with_a_cookie_in_one_line_or_in_several() {
    let by_cookie = || {
        with(|route| {
            route["key"] = json!({"sources": [{"cookie": "sid"}]});
            route["overrides"] = json!([]);
            route["output"] = json!({});
        })
    };
    check(
        &mut by_cookie(),
        &[("cookie", "a=b; sid=alice")],
        &ok(),
        "clock_time_get*3 call_foreign_function*1 get_header_map_value*1 get_property*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 set_property*1",
    );
    check(
        &mut by_cookie(),
        &[("cookie", "a=b"), ("cookie", "sid=alice")],
        &ok(),
        "clock_time_get*3 call_foreign_function*1 get_header_map_pairs*1 get_header_map_value*1 get_property*1 on_context_create*1 on_delete*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 set_property*1",
    );
}

/// What Envoy's own route does is told nothing.
#[test]
fn told_nothing_on_the_default_route() {
    check(
        &mut with(|route| {
            route["output"] = json!({"defaultRoute": "stable"});
            route["variants"] = json!([{"name": "stable", "weight": 1}, {"name": "canary", "weight": 0}]);
        }),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_value*3 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1",
    );
}

/// Many reads are one read of the whole map.
#[test]
fn matched_by_host_and_path() {
    check(
        &mut with(|route| route["match"] = json!({"hosts": ["shop.example"], "path": {"prefix": "/v1/"}})),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn that_no_route_takes() {
    check(
        &mut with(|route| route["match"] = json!({"hosts": ["other.example"]})),
        &[("x-user-id", "alice")],
        &ok(),
        "get_header_map_pairs*1 increment_metric*1 on_context_create*1 on_delete*1 on_memory_allocate*1 on_request_headers*1 on_response_headers*1",
    );
}

#[test]
fn whose_variant_names_its_cluster() {
    check(
        &mut with(|route| {
            route["variants"][0]["cluster"] = json!("a");
            route["variants"][1]["cluster"] = json!("a");
        }),
        &[("x-user-id", "alice")],
        &ok().property("xds\0cluster_name", b"a"),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 get_property*1 on_context_create*1 on_delete*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn of_grpc() {
    check(
        &mut proxy(&config(route())),
        &[("x-user-id", "alice"), ("te", "trailers"), ("content-type", "application/grpc")],
        &Answer::status("200", &[("grpc-status", "0")]),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*2 on_context_create*1 on_delete*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn that_timed_out() {
    check(
        &mut proxy(&config(route())),
        &[("x-user-id", "alice")],
        &Answer::status("504", &[]).property("response\0flags", &4_u64.to_le_bytes()),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 get_property*1 on_context_create*1 on_delete*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}

#[test]
fn reset_without_an_answer() {
    check(
        &mut proxy(&config(route())),
        &[("x-user-id", "alice")],
        &Answer::default(),
        "clock_time_get*2 get_header_map_pairs*1 get_property*1 on_context_create*1 on_delete*1 on_memory_allocate*1 on_request_headers*1 replace_header_map_value*1",
    );
}

/// A goal costs what it asks for, and only requests that may reach it are asked for more.
#[test]
fn that_reaches_a_goal() {
    let counting = || {
        with(|route| {
            route["goals"] = json!([{"name": "sale", "match": {"path": {"exact": "/v1/predict"}},
                "responseHeaders": [{"name": "x-order", "present": true}]}]);
        })
    };
    check(
        &mut counting(),
        &[("x-user-id", "alice")],
        &Answer::status("200", &[("x-order", "7")]),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*2 on_context_create*1 on_delete*1 on_memory_allocate*3 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
    check(
        &mut counting(),
        &[("x-user-id", "alice")],
        &Answer::status("404", &[("x-order", "7")]),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
    let elsewhere = || with(|route| route["goals"] = json!([{"name": "sale", "match": {"methods": ["POST"]}}]));
    check(
        &mut elsewhere(),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_pairs*1 get_header_map_value*1 on_context_create*1 on_delete*1 on_memory_allocate*2 on_request_headers*1 on_response_headers*1 replace_header_map_value*1",
    );
}
