//! Predictions in the filter that reads them: what they cost those who are not read, and those who are.

use headgate_host_calls::{Answer, Fault, Proxy};
use serde_json::{Value, json};

use crate::{config, configured, headers, proxy, route};

fn reads(configuration: &Value) -> Proxy {
    configured(&headgate_tests::shadow_wasm().unwrap(), configuration)
}

fn predicting(share: u32, fields: Value) -> Value {
    let mut route = route();
    route["predictions"] = json!({"share": share, "fields": fields});
    config(route)
}

fn body() -> Value {
    json!([{"name": "score", "responseBody": "/score", "edges": [0.5]}, {"name": "of", "requestBody": "", "edges": [1]}])
}

/// Counters of a name, all labels together.
fn sum(proxy: &mut Proxy, name: &str) -> u64 {
    proxy.counted().unwrap().sum(name)
}

#[test]
fn who_is_not_read_costs_no_call_more_than_without_predictions() {
    let user = headers(&[("x-user-id", "alice")]);
    let answer = Answer::status("200", &[]);
    // No randomness is below one in ten thousand twice: the host's bits are fixed.
    for (what, configuration) in [("no share", predicting(0, body())), ("a small share", predicting(1, body()))] {
        let calls = |mut proxy: Proxy| {
            proxy.request(&user, &answer).unwrap();
            let calls = proxy.request(&user, &answer).unwrap().calls();
            assert_eq!(sum(&mut proxy, "headgate_prediction_unread"), 0, "{what}");
            calls
        };
        assert_eq!(calls(reads(&configuration)), calls(proxy(&config(route()))), "{what}");
    }
}

#[test]
fn a_request_that_is_read_by_header() {
    let fields = json!([{"name": "score", "responseHeader": "x-score", "edges": [0.5]}]);
    let user = headers(&[("x-user-id", "alice")]);
    let answer = Answer::status("200", &[("x-score", "0.25")]);
    let [with, without] = [predicting(10_000, fields), config(route())].map(|configuration| {
        let mut proxy = reads(&configuration);
        proxy.request(&user, &answer).unwrap();
        proxy.request(&user, &answer).unwrap().calls
    });
    let more: Vec<String> = with
        .iter()
        .filter_map(|(name, n)| {
            let more = n - without.get(name).copied().unwrap_or_default();
            (more > 0).then(|| format!("{name}*{more}"))
        })
        .collect();
    assert_eq!(more.join(" "), "proxy_get_header_map_value*1 proxy_on_memory_allocate*1");
}

#[test]
fn bodies_are_read_in_pieces_and_no_answer_of_the_host_makes_it_panic() {
    let user = headers(&[("x-user-id", "alice")]);
    let answer = Answer::status("200", &[]);
    let statuses = (0..=12).map(Fault::Status);
    let bytes =
        [&b""[..], b"\0", b"\xff\xff\xff\xff", &[1, 0, 0, 0, 255, 255, 255, 127], &[0xff; 64]].map(Fault::Bytes);
    for fault in [Fault::None].into_iter().chain(statuses).chain(bytes) {
        let mut proxy = reads(&predicting(10_000, body()));
        proxy.host().fault = fault;
        proxy.request(&user, &answer).unwrap();
        proxy.exchange(&user, b"7", &answer, b"{").unwrap();
        proxy.host().fault = Fault::None;
        let before = (sum(&mut proxy, "headgate_prediction_values"), sum(&mut proxy, "headgate_prediction_unread"));
        proxy.exchange(&user, b" 0.5 ", &answer, br#"{"score": 0.75}"#).unwrap();
        proxy.exchange(&user, b"no", &Answer { headers: None, ..Answer::status("200", &[]) }, b"").unwrap();
        let after = (sum(&mut proxy, "headgate_prediction_values"), sum(&mut proxy, "headgate_prediction_unread"));
        assert_eq!((after.0 - before.0, after.1 - before.1), (2, 2), "{fault:?}");
    }
}
