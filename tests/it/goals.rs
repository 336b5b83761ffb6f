//! Goals: conversions counted by the filter alone, for the version that the hash gives the user.

use std::collections::BTreeMap;

use headgate_tests::{Envoy, Metrics, Result, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::split::{bucket, split};

/// The shop's versions, and a checkout that is a route of its own.
fn shop() -> Value {
    let mut exposed = route(50, 50);
    exposed["match"] = json!({"path": {"prefix": "/shop"}});
    exposed["overrides"] = json!([{"header": "x-tester", "exact": "me", "variant": "canary", "openToAnyone": true}]);
    exposed["goals"] = json!([
        {"name": "purchase", "match": {"path": {"prefix": "/status/"}, "methods": ["POST"]}, "status": ["201", "3xx"],
         "responseHeaders": [{"name": "x-order", "present": true}]},
        {"name": "visit", "match": {"path": {"exact": "/shop/cart"}}},
        {"name": "call", "match": {"path": {"prefix": "/orders.Orders/"}}}
    ]);
    let mut config = config(1, exposed);
    config["requires"] = json!(["goals"]);
    config["metrics"] = json!({"replicates": ["requests"]});
    config["routes"].as_array_mut().unwrap().push(json!({
        "name": "checkout", "match": {"path": {"prefix": "/status/3"}}, "stable": "only",
        "variants": [{"name": "only", "weight": 1}]
    }));
    config
}

/// Where a user is counted: variant and bucket.
fn place(user: &str) -> (String, String) {
    let variant = split("model", &[("stable", 50), ("canary", 50)], user);
    (variant.to_owned(), bucket("model", "replicate", user, 32).to_string())
}

/// What was counted of a goal, by variant and bucket.
fn counted(metrics: &Metrics, goal: &str) -> BTreeMap<(String, String), u64> {
    let mut seen = BTreeMap::new();
    for variant in ["stable", "canary"] {
        let labels = [("route", "model"), ("variant", variant), ("segment", "default"), ("goal", goal)];
        for (bucket, count) in metrics.by("headgate_goals", "bucket", &labels) {
            seen.insert((variant.to_owned(), bucket), count);
        }
    }
    seen
}

async fn reached(envoy: &Envoy, count: u64) -> Result<Metrics> {
    wait_until("all goals are counted", || async {
        Ok(envoy.admin().metrics().await?.sum("headgate_goals", &[]) >= count)
    })
    .await?;
    envoy.metrics().await
}

#[tokio::test(flavor = "multi_thread")]
async fn conversions_are_counted_exactly_by_status_and_header_on_two_workers() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&shop()).start().await?;
    let (mut purchases, mut visits) = (BTreeMap::new(), BTreeMap::new());
    let mut total = 0;
    for connection in 0..4 {
        let mut client = envoy.http1().await?;
        for n in 0..25 {
            let user = format!("user-{}", connection * 25 + n);
            let key = [("x-user-id", user.as_str())];
            client.get("/shop/cart", &key).await?;
            *visits.entry(place(&user)).or_insert(0) += 1;
            total += 1;
            // A purchase: on a route of its own (303), or on none (201); with an order, or without; answered well, or not.
            let (status, order) = [(303, true), (201, true), (200, true), (201, false), (500, true)][n % 5];
            let mut headers = vec![("x-user-id", user.as_str())];
            if order {
                headers.push(("x-respond-x-order", "7"));
            }
            // Whoever buys in the first connection buys twice.
            for _ in 0..if connection == 0 { 2 } else { 1 } {
                let request =
                    client.build(Method::POST, &format!("/status/{status}"), &headers, headgate_tests::empty())?;
                assert_eq!(client.send(request).await?.status, status);
                if n % 5 < 2 {
                    *purchases.entry(place(&user)).or_insert(0) += 1;
                    total += 1;
                }
            }
        }
    }
    let mut client = envoy.http1().await?;
    let nobody: [&[(&str, &str)]; 3] = [
        // Without a key; by an override, on the goals' own route and on none.
        &[("x-respond-x-order", "7")],
        &[("x-respond-x-order", "7"), ("x-user-id", "user-1"), ("x-tester", "me")],
        &[("x-user-id", "user-1"), ("x-tester", "me")],
    ];
    for headers in nobody {
        client.get("/shop/cart", headers).await?;
        let request = client.build(Method::POST, "/status/201", headers, headgate_tests::empty())?;
        client.send(request).await?;
    }
    // Those without a key went to the cart as nobody; the one with a key and no override would count.
    client.get("/shop/cart", &[("x-user-id", "last")]).await?;
    *visits.entry(place("last")).or_insert(0) += 1;
    let metrics = reached(&envoy, total + 1).await?;
    assert_eq!(counted(&metrics, "purchase"), purchases);
    assert_eq!(counted(&metrics, "visit"), visits);
    assert_eq!(metrics.sum("headgate_goals", &[]), total + 1);
    // Exposures stand beside them, in the same buckets: the cart is on the shop's own route.
    let exposed = metrics.by("headgate_replicate_requests", "variant", &[("route", "model")]);
    let mut expected = BTreeMap::new();
    for ((variant, _), count) in visits {
        *expected.entry(variant).or_insert(0) += count;
    }
    assert_eq!(exposed, expected);
    assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_counts_when_it_ended_well_and_a_kill_ends_all_counting() -> Result<()> {
    let versions = Versions::start().await?;
    let mut config = shop();
    let envoy = versions.envoy()?.configuration(&config).start().await?;
    let mut client = envoy.http2().await?;
    for (status, times) in [("0", 3), ("13", 2)] {
        for _ in 0..times {
            let headers = [
                ("x-user-id", "alice"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("x-grpc-status", status),
            ];
            let request =
                client.build(Method::POST, "/orders.Orders/Place", &headers, headgate_tests::body("00000"))?;
            client.send(request).await?;
        }
    }
    let mut plain = envoy.http1().await?;
    plain.get("/shop/cart", &[("x-user-id", "alice")]).await?;
    let metrics = reached(&envoy, 4).await?;
    assert_eq!(counted(&metrics, "call"), BTreeMap::from([(place("alice"), 3)]));
    // Under a kill everybody is stable, and nothing of that says anything.
    config["revision"] = json!(2);
    config["killSwitch"] = json!(true);
    envoy.push(&config).await?;
    plain.get("/shop/cart", &[("x-user-id", "alice")]).await?;
    config["revision"] = json!(3);
    config["killSwitch"] = json!(false);
    envoy.push(&config).await?;
    plain.get("/shop/cart", &[("x-user-id", "alice")]).await?;
    let metrics = reached(&envoy, 5).await?;
    assert_eq!(counted(&metrics, "visit"), BTreeMap::from([(place("alice"), 2)]));
    Ok(())
}
