//! The compiled filter: what it is, what each kind of request costs, and that nothing makes it panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod accounts;
mod artifact;
mod bytes;
mod calls;
mod errors;
mod predictions;
mod shadow;

use headgate_host_calls::{Header, Proxy};
use serde_json::{Value, json};

fn proxy(configuration: &Value) -> Proxy {
    configured(&headgate_tests::wasm().unwrap(), configuration)
}

/// A filter of a file of its own.
fn configured(wasm: &std::path::Path, configuration: &Value) -> Proxy {
    let mut proxy = Proxy::load(wasm).unwrap();
    let taken = proxy.configure(configuration.to_string().as_bytes()).unwrap();
    assert!(taken, "refused: {:?}", proxy.host().log);
    proxy
}

fn config(route: Value) -> Value {
    json!({"contract": 1, "revision": 7, "target": "shop", "routes": [route]})
}

/// What `make bench` measures: a sticky key, two overrides, a routing header.
fn route() -> Value {
    json!({
        "name": "shop",
        "variants": [{"name": "stable", "weight": 50}, {"name": "canary", "weight": 50}],
        "stable": "stable",
        "key": {"sources": [{"header": "x-user-id"}]},
        "overrides": [
            {"header": "x-canary", "exact": "always", "variant": "canary", "openToAnyone": true},
            {"header": "x-canary", "exact": "never", "variant": "stable", "openToAnyone": true}
        ],
        "output": {"filterState": null, "requestHeader": {"name": "x-headgate-variant", "nonce": "6f1d2c9a"}}
    })
}

fn headers(headers: &[(&str, &str)]) -> Vec<Header> {
    let always =
        [(":method", "GET"), (":path", "/v1/predict?a=b"), (":authority", "shop.example"), (":scheme", "http")];
    always.iter().chain(headers).map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
}
