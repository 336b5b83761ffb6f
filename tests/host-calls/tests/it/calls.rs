//! What each kind of request costs, call by call: `proxy_on_*` are entries into the filter, the others calls of the host.
//!
//! A number that changes here changes what every request costs: say so where it is changed.

use headgate_host_calls::{Answer, Proxy};

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

#[test]
fn a_sticky_request() {
    check(
        &mut proxy(&config(route())),
        &[("x-user-id", "alice")],
        &ok(),
        "clock_time_get*3 get_header_map_value*6 increment_metric*2 on_context_create*1 on_delete*1 on_log*1 \
         on_memory_allocate*2 on_request_headers*1 on_response_headers*1 record_metric*2 replace_header_map_value*1",
    );
}
