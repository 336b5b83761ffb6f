//! What is counted: every series, exactly.

use std::time::Duration;

use headgate_tests::{Bootstrap, Envoy, Metrics, Result, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::split::{bucket, split};

/// Metrics once this many requests have finished.
async fn finished(envoy: &Envoy, count: u64) -> Result<Metrics> {
    let what = format!("{count} requests have finished");
    wait_until(&what, || async { Ok(envoy.admin().metrics().await?.sum("headgate_responses", &[]) >= count) }).await?;
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_responses", &[]), count);
    Ok(metrics)
}

fn counts(pairs: &[(&str, u64)]) -> std::collections::BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_counted_by_class_and_requests_that_hang_show() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    let user = [("x-user-id", "alice")];
    for (status, times) in [(200, 4), (204, 1), (302, 2), (404, 3), (500, 1), (503, 2)] {
        for _ in 0..times {
            assert_eq!(client.get(&format!("/status/{status}"), &user).await?.status, status);
        }
    }
    let metrics = finished(&envoy, 13).await?;
    let labels = [("route", "model"), ("variant", "canary"), ("assigned", "hash"), ("segment", "default")];
    let classes = metrics.by("headgate_responses", "class", &labels);
    assert_eq!(classes, counts(&[("2xx", 5), ("3xx", 2), ("4xx", 3), ("5xx", 3)]));
    assert_eq!(metrics.sum("headgate_requests", &labels), 13);

    // One that hangs is started and not finished, until its client goes away without an answer.
    let mut impatient = envoy.http1().await?;
    let request = impatient.build(Method::GET, "/hold", &user, headgate_tests::empty())?;
    let hanging = tokio::spawn(async move { impatient.send(request).await });
    wait_until("the request hangs", || async { Ok(versions.canary.last()?.path == "/hold") }).await?;
    let metrics = envoy.metrics().await?;
    assert_eq!((metrics.sum("headgate_requests", &[]), metrics.sum("headgate_responses", &[])), (14, 13));
    hanging.abort();
    let metrics = finished(&envoy, 14).await?;
    assert_eq!(metrics.sum("headgate_responses", &[("class", "none")]), 1);

    // A version that closes the connection: Envoy answers 503 for it.
    assert_eq!(client.get("/reset", &user).await?.status, 503);
    assert_eq!(finished(&envoy, 15).await?.sum("headgate_responses", &[("class", "5xx")]), 4);
    assert_eq!(envoy.metrics().await?.sum("headgate_timeouts", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_answer_in_time_is_counted_as_timed_out() -> Result<()> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.route("canary")?["route"]["timeout"] = json!("0.05s");
    let envoy = versions.behind(bootstrap).configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    for _ in 0..3 {
        assert_eq!(client.get("/hold", &[("x-user-id", "alice")]).await?.status, 504);
    }
    let metrics = finished(&envoy, 3).await?;
    let labels = [("route", "model"), ("variant", "canary"), ("assigned", "hash"), ("segment", "default")];
    assert_eq!(metrics.sum("headgate_timeouts", &labels), 3);
    assert_eq!(metrics.sum("headgate_responses", &[("class", "5xx")]), 3);
    // A 504 that the version itself answers is no timeout of Envoy's.
    assert_eq!(client.get("/status/504", &[("x-user-id", "alice")]).await?.status, 504);
    assert_eq!(finished(&envoy, 4).await?.sum("headgate_timeouts", &[]), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_stops_within_its_answer_is_counted_as_timed_out() -> Result<()> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.route("canary")?["route"]["timeout"] = json!("0.03s");
    let envoy = versions.behind(bootstrap).configuration(&config(1, route(0, 1))).start().await?;
    for _ in 0..3 {
        let mut client = envoy.http1().await?;
        // Headers and one event come at once, and then nothing until Envoy gives the version up.
        assert!(client.get("/sse", &[("x-user-id", "alice")]).await.is_err());
    }
    let metrics = finished(&envoy, 3).await?;
    assert_eq!(metrics.sum("headgate_responses", &[("variant", "canary"), ("class", "2xx")]), 3);
    assert_eq!(metrics.sum("headgate_timeouts", &[("variant", "canary"), ("assigned", "hash")]), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn latencies_are_recorded_in_microseconds_with_buckets_at_most_a_fifth_apart() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    for _ in 0..25 {
        client.get("/", &[("x-user-id", "alice")]).await?;
    }
    let labels = [("route", "model"), ("variant", "canary"), ("assigned", "hash"), ("segment", "default")];
    for name in ["headgate_latency_us", "headgate_headers_us"] {
        let (count, buckets) = (format!("{name}_count"), format!("{name}_bucket"));
        wait_until(&format!("{name} shows"), || async {
            Ok(envoy.admin().metrics().await?.sum(&count, &labels) == 25)
        })
        .await?;
        let metrics = envoy.metrics().await?;
        let mut bounds: Vec<f64> =
            metrics.select(&buckets, &labels).filter_map(|(labels, _)| labels["le"].parse().ok()).collect();
        bounds.retain(|bound| bound.is_finite() && *bound >= 100.0);
        bounds.sort_unstable_by(f64::total_cmp);
        assert_eq!((bounds.first(), bounds.last()), (Some(&100.0), Some(&60_000_000.0)));
        assert!(bounds.windows(2).all(|pair| pair[1] / pair[0] <= 1.2), "{bounds:?}");
        // Over loopback a request takes more than a microsecond and less than a minute.
        let (sum, _) = metrics.select(&format!("{name}_sum"), &labels).map(|(_, v)| (v, ())).next().expect("a sum");
        assert!(sum > 25.0 && sum < 25.0 * 60e6, "{sum}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicate_buckets_are_those_of_the_keys_and_add_up() -> Result<()> {
    let versions = Versions::start().await?;
    let mut judged = route(50, 50);
    judged["overrides"] = json!([{"header": "x-canary", "exact": "always", "variant": "canary", "openToAnyone": true}]);
    let mut judged = config(1, judged);
    judged["metrics"] =
        json!({"replicates": ["requests", "finished", "failures", "timeouts", "latency", "clientErrors"]});
    let envoy = versions.envoy()?.configuration(&judged).start().await?;
    let mut client = envoy.http1().await?;
    let (mut wanted, mut refused) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    for n in 0..100 {
        let key = format!("user-{n}");
        let path = match n % 10 {
            0 => "/status/500",
            1 => "/status/404",
            _ => "/",
        };
        client.get(path, &[("x-user-id", &key)]).await?;
        let variant = split("model", &[("stable", 50), ("canary", 50)], &key);
        let place = (variant.to_owned(), bucket("model", "replicate", &key, 32).to_string());
        if n % 10 == 1 {
            *refused.entry(place.clone()).or_insert(0) += 1;
        }
        *wanted.entry(place).or_insert(0) += 1;
    }
    // What was not assigned by the hash is in no bucket.
    client.get("/", &[("x-user-id", "user-1"), ("x-canary", "always")]).await?;
    let metrics = finished(&envoy, 101).await?;
    for (name, wanted) in [
        ("headgate_replicate_requests", &wanted),
        ("headgate_replicate_finished", &wanted),
        ("headgate_replicate_client_errors", &refused),
    ] {
        let mut seen = std::collections::BTreeMap::new();
        for variant in ["stable", "canary"] {
            let labels = [("route", "model"), ("variant", variant), ("segment", "default")];
            for (bucket, count) in metrics.by(name, "bucket", &labels) {
                if count > 0 {
                    seen.insert((variant.to_owned(), bucket), count);
                }
            }
        }
        assert_eq!(seen, *wanted, "{name}");
    }
    assert_eq!(metrics.sum("headgate_replicate_failures", &[]), 10);
    assert_eq!(metrics.sum("headgate_replicate_timeouts", &[]), 0);
    assert!(metrics.sum("headgate_replicate_latency_us", &[]) > 100);
    Ok(())
}

/// Requests of one user on the canary, which Envoy's routes deliver as `change` says.
async fn misrouted(change: impl FnOnce(&mut Value) + Send) -> Result<std::collections::BTreeMap<String, u64>> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    change(bootstrap.route("canary")?);
    let envoy = versions.behind(bootstrap).configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    for _ in 0..7 {
        assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.status, 200);
    }
    let metrics = finished(&envoy, 7).await?;
    Ok(metrics.by("headgate_misrouted", "reason", &[("route", "model"), ("variant", "canary")]))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_cluster_served_is_counted_as_misrouted() -> Result<()> {
    let to_stable = misrouted(|route| route["route"]["cluster"] = json!("model-v1")).await?;
    assert_eq!(to_stable, counts(&[("other_cluster", 7)]));
    let without = misrouted(|route| {
        let object = route.as_object_mut().expect("a route");
        object.remove("route");
        object.insert("direct_response".to_owned(), json!({"status": 200}));
    })
    .await?;
    assert_eq!(without, counts(&[("no_cluster", 7)]));
    let right = misrouted(|_| {}).await?;
    assert_eq!(right.values().sum::<u64>(), 0);
    Ok(())
}

/// After sixteen in a row that were right few are looked at: here, once ten milliseconds are over, the eighth, which stands for those before it,
/// and then all.
#[tokio::test(flavor = "multi_thread")]
async fn what_goes_astray_later_is_counted_too() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.behind(Bootstrap::filter_state()?).configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    for (enabled, requests) in [("100", 16), ("0", 7), ("0", 13)] {
        envoy.admin().runtime("headgate.enabled", enabled).await?;
        for _ in 0..requests {
            assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.status, 200);
        }
        // What is measured is a time of the filter's.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let metrics = finished(&envoy, 36).await?;
    let astray = metrics.by("headgate_misrouted", "reason", &[("route", "model"), ("variant", "canary")]);
    assert_eq!(astray, counts(&[("other_cluster", 20)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_push_is_acknowledged_by_every_worker_and_the_main_thread() -> Result<()> {
    let versions = Versions::start().await?;
    for workers in [1, 3] {
        let mut named = config(1, route(1, 0));
        named["target"] = json!("shop");
        let mut envoy = versions.envoy()?.concurrency(workers).configuration(&named).start().await?;
        let acknowledged = [("target", "shop")];
        let each = u64::from(workers) + 1;
        for revision in 2..6 {
            named["revision"] = json!(revision);
            envoy.push(&named).await?;
            let metrics = envoy.metrics().await?;
            assert_eq!(metrics.sum("headgate_acknowledgements", &acknowledged), revision * each);
            assert_eq!(metrics.sum("headgate_revision", &acknowledged), revision);
        }
        envoy.restart().await?;
        assert_eq!(envoy.metrics().await?.sum("headgate_acknowledgements", &acknowledged), each);
        let metrics = envoy.metrics().await?;
        assert_eq!(metrics.sum("headgate_revision", &acknowledged), 5);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn version_features_and_unknown_fields_are_told() -> Result<()> {
    let versions = Versions::start().await?;
    let mut newer = config(1, route(0, 1));
    newer["colour"] = json!("blue");
    newer["routes"][0]["variants"][0]["mood"] = json!("calm");
    let envoy = versions.envoy()?.configuration(&newer).start().await?;
    // Unknown fields are passed over, not refused.
    assert_eq!(envoy.http1().await?.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_unknown_fields", &[("target", "default")]), 2);
    let builds: Vec<_> = metrics.select("headgate_build", &[("target", "default")]).collect();
    let [(labels, value)] = builds[..] else { panic!("one build, not {builds:?}") };
    assert!((value - 1.0).abs() < f64::EPSILON);
    assert_eq!(labels["version"], env!("CARGO_PKG_VERSION"));
    assert!(labels["features"].split('+').any(|feature| feature == "mirror"), "{labels:?}");
    // Nothing is left of a series' name where a label could not be told from it.
    for name in metrics.names("headgate") {
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
    }
    Ok(())
}
