//! Predictions: numbers and classes read from what passes, counted by bin, exactly, and nobody sees that they were.

use std::collections::BTreeMap;
use std::io::Write as _;

use headgate_tests::{Client, Envoy, Metrics, Result, body, empty, shadow_wasm, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::split::{bucket, split};

/// A configuration that reads these fields of every request, changed by `more`.
fn predicting(fields: Value, more: Value) -> Value {
    let mut route = route(50, 50);
    route["predictions"] = json!({"fields": fields});
    if let (Some(predictions), Value::Object(more)) = (route["predictions"].as_object_mut(), more) {
        predictions.extend(more);
    }
    let mut config = config(1, route);
    config["requires"] = json!(["predictions"]);
    config
}

/// A body, and the headers it is sent with.
type Sent<'h> = (Vec<u8>, &'h [(&'h str, &'h str)]);

/// What was counted of a prediction: by variant, bin and bucket, or by the reason why it was not read.
fn counted(metrics: &Metrics, prediction: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    for (metric, label) in [
        ("headgate_prediction_values", "up_to"),
        ("headgate_prediction_classes", "class"),
        ("headgate_prediction_unread", "reason"),
    ] {
        for (labels, value) in metrics.select(metric, &[("prediction", prediction)]) {
            let bucket = labels.get("bucket").map_or_else(String::new, |bucket| format!(" {bucket}"));
            let place = format!("{} {} {}{bucket}", labels["variant"], labels["segment"], labels[label]);
            *seen.entry(place).or_insert(0) += value as u64;
        }
    }
    seen
}

/// The same, by bin or reason alone.
fn bins(metrics: &Metrics, prediction: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    for (place, count) in counted(metrics, prediction) {
        *seen.entry(place.split(' ').nth(2).unwrap().to_owned()).or_insert(0) += count;
    }
    seen
}

fn expect<const N: usize>(bins: [(&str, u64); N]) -> BTreeMap<String, u64> {
    bins.into_iter().map(|(bin, count)| (bin.to_owned(), count)).collect()
}

/// Waits until so many of a prediction are accounted for.
async fn read(envoy: &Envoy, prediction: &str, count: u64) -> Result<Metrics> {
    wait_until(&format!("{count} of `{prediction}` are counted"), || async {
        Ok(counted(&envoy.admin().metrics().await?, prediction).values().sum::<u64>() == count)
    })
    .await?;
    envoy.metrics().await
}

/// Posts a body, which comes back as the answer.
async fn echo(client: &mut Client, user: &str, sent: impl Into<Vec<u8>>, more: &[(&str, &str)]) -> Result<()> {
    let sent = sent.into();
    let mut headers = vec![("x-user-id", user)];
    headers.extend_from_slice(more);
    let answer = client.send(client.build(Method::POST, "/echo", &headers, body(sent.clone()))?).await?;
    assert_eq!(answer.body, sent, "what users get is not touched");
    Ok(())
}

async fn exact(workers: u32) -> Result<()> {
    let versions = Versions::start().await?;
    let fields = json!([
        {"name": "score", "responseBody": "/predictions/0/score", "edges": [0.1, 0.5, 0.9]},
        {"name": "label", "responseBody": "/label", "classes": ["spam", "ham"]},
        {"name": "amount", "requestBody": "/amount", "edges": [-10, 0, 10]},
        {"name": "model", "responseHeader": "x-model", "classes": ["m1", "m2"]},
        {"name": "age", "requestHeader": "x-age", "edges": [18, 65]}
    ]);
    let configuration = predicting(fields, json!({}));
    let envoy =
        versions.envoy()?.wasm(&shadow_wasm()?).concurrency(workers).configuration(&configuration).start().await?;
    let mut expected: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let mut total = 0;
    for connection in 0..4 {
        let mut client = if connection % 2 == 0 { envoy.http1().await? } else { envoy.http2().await? };
        for n in 0..25 {
            let user = format!("user-{}", connection * 25 + n);
            let variant = split("model", &[("stable", 50), ("canary", 50)], &user);
            let bucket = bucket("model", "replicate", &user, 32);
            // An edge belongs to the bin below it.
            let (score, score_bin) = [(0.1, "0.1"), (0.11, "0.5"), (0.9, "0.9"), (7.0, "inf"), (-1.0, "0.1")][n % 5];
            let (label, label_bin) = [("spam", "spam"), ("ham", "ham"), ("eggs", "other")][n % 3];
            let (amount, amount_bin) = [("-10", "-10"), ("\"3.5\"", "10"), ("1e300", "inf")][n % 3];
            let (model, model_bin) = [("m1", "m1"), ("m3", "other")][n % 2];
            let (age, age_bin) = [("17", "18"), ("65.5", "inf")][n % 2];
            let text = format!(r#"{{"predictions":[{{"score":{score}}}],"label":"{label}","amount":{amount}}}"#);
            echo(&mut client, &user, text, &[("x-respond-x-model", model), ("x-age", age)]).await?;
            total += 1;
            for (name, bin) in [
                ("score", score_bin),
                ("label", label_bin),
                ("amount", amount_bin),
                ("model", model_bin),
                ("age", age_bin),
            ] {
                *expected.entry(name).or_default().entry(format!("{variant} default {bin} {bucket}")).or_insert(0) += 1;
            }
        }
    }
    let metrics = read(&envoy, "score", total).await?;
    for (name, expected) in expected {
        assert_eq!(counted(&metrics, name), expected, "{name}");
    }
    // Whoever the hash did not assign is not judged, and so not read.
    let mut client = envoy.http1().await?;
    client.send(client.build(Method::POST, "/echo", &[], body("{}"))?).await?;
    echo(&mut client, "user-1", r#"{"label":"ham"}"#, &[]).await?;
    let metrics = read(&envoy, "label", total + 1).await?;
    assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_counted_exactly_by_variant_bin_and_bucket_on_one_worker() -> Result<()> {
    exact(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_counted_exactly_by_variant_bin_and_bucket_on_two_workers() -> Result<()> {
    exact(2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_counted_with_its_reason_and_passes_unchanged() -> Result<()> {
    let versions = Versions::start().await?;
    let fields = json!([
        {"name": "score", "responseBody": "/score", "edges": [0.5]},
        {"name": "label", "responseBody": "/label", "classes": ["a"]},
        {"name": "header", "responseHeader": "x-score", "edges": [0.5]}
    ]);
    let configuration = predicting(fields, json!({"maxBodyBytes": 100}));
    let envoy = versions.envoy()?.wasm(&shadow_wasm()?).configuration(&configuration).start().await?;
    let zipped = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let large = format!(r#"{{"score":1,"more":"{}"}}"#, "x".repeat(100));
    let bomb = zipped(&" ".repeat(1 << 20));
    let gzip = [("x-respond-content-encoding", "gzip")];
    let sent: Vec<Sent<'_>> = vec![
        (br#"{"score":0.5,"label":true}"#.to_vec(), &[("x-respond-x-score", "0.7")]),
        (br#"{"score":null}"#.to_vec(), &[("x-respond-x-score", "high")]),
        (br#"{"score":"high","label":[]}"#.to_vec(), &[]),
        (br#"{"score":1"#.to_vec(), &[]),
        (b"<html>".to_vec(), &[]),
        (b"".to_vec(), &[]),
        (large.into_bytes(), &[]),
        (vec![b' '; 1 << 20], &[]),
        (zipped(r#"{"score":0.6,"label":"a"}"#), &gzip),
        (bomb, &gzip),
        (b"no gzip".to_vec(), &gzip),
        (b"{}".to_vec(), &[("x-respond-content-encoding", "br")]),
    ];
    for (sent, headers) in sent {
        // An echo of much may end before its request has been taken in whole, and then its connection is closed, whatever the filter.
        echo(&mut envoy.http1().await?, "user-1", sent, headers).await?;
    }
    let mut client = envoy.http1().await?;
    // An answer that is none of the version's good ones, and one that never comes.
    client.send(client.build(Method::GET, "/status/404", &[("x-user-id", "user-1")], empty())?).await?;
    let reset = client.send(client.build(Method::GET, "/reset", &[("x-user-id", "user-1")], empty())?).await?;
    assert_eq!(reset.status, 503);
    let metrics = read(&envoy, "score", 14).await?;
    let score = [
        ("0.5", 1),
        ("inf", 1),
        ("missing", 2),
        ("not_number", 1),
        ("not_json", 2),
        ("too_large", 3),
        ("coded", 2),
        ("status", 2),
    ];
    assert_eq!(bins(&metrics, "score"), expect(score));
    let label = [
        ("other", 1),
        ("a", 1),
        ("missing", 2),
        ("not_class", 1),
        ("not_json", 2),
        ("too_large", 3),
        ("coded", 2),
        ("status", 2),
    ];
    assert_eq!(bins(&metrics, "label"), expect(label));
    assert_eq!(bins(&metrics, "header"), expect([("inf", 1), ("not_number", 1), ("missing", 10), ("status", 2)]));
    // A user who leaves in mid-answer.
    let open =
        envoy.http1().await?.open(client.build(Method::GET, "/sse", &[("x-user-id", "user-1")], empty())?).await?;
    drop(open);
    let metrics = read(&envoy, "score", 15).await?;
    assert_eq!(bins(&metrics, "score")["incomplete"], 1);
    assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_is_read_and_what_bodies_may_hold_is_bounded() -> Result<()> {
    let versions = Versions::start().await?;
    let fields = json!([{"name": "score", "responseBody": "/score", "edges": [0.5]}]);
    let mut configuration = predicting(fields, json!({"share": 2_500, "maxBodyBytes": 1_048_576}));
    let envoy = versions.envoy()?.wasm(&shadow_wasm()?).configuration(&configuration).start().await?;
    let mut client = envoy.http1().await?;
    for n in 0..400 {
        echo(&mut client, &format!("user-{n}"), r#"{"score":1}"#, &[]).await?;
    }
    wait_until("all are finished", || async {
        Ok(envoy.admin().metrics().await?.sum("headgate_responses", &[]) == 400)
    })
    .await?;
    let read_so_far = bins(&envoy.metrics().await?, "score")["inf"];
    // Six standard deviations about a quarter: chance goes beyond twice in a thousand million.
    assert!((48..=152).contains(&read_so_far), "{read_so_far} of 400 at 25 %");
    configuration["revision"] = json!(2);
    configuration["routes"][0]["predictions"]["share"] = json!(10_000);
    // The least that can be said.
    configuration["shadowing"] = json!({"budget": {"bytes": 65_536}});
    envoy.push(&configuration).await?;
    echo(&mut client, "user-1", format!(r#"{{"score":1,"more":"{}"}}"#, "x".repeat(200_000)), &[]).await?;
    let mut client = envoy.http1().await?;
    echo(&mut client, "user-1", r#"{"score":1}"#, &[]).await?;
    let metrics = read(&envoy, "score", read_so_far + 2).await?;
    assert_eq!(bins(&metrics, "score"), expect([("inf", read_so_far + 1), ("budget", 1)]));
    // A kill ends it: then no hash assigns anybody.
    configuration["revision"] = json!(3);
    configuration["killSwitch"] = json!(true);
    envoy.push(&configuration).await?;
    echo(&mut client, "user-1", r#"{"score":1}"#, &[]).await?;
    wait_until("it is finished", || async { Ok(envoy.admin().metrics().await?.sum("headgate_responses", &[]) == 403) })
        .await?;
    assert_eq!(bins(&envoy.metrics().await?, "score"), expect([("inf", read_so_far + 1), ("budget", 1)]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_without_them_refuses_by_name() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(50, 50))).start().await?;
    let mut configuration = predicting(json!([{"name": "score", "responseBody": "/score", "edges": [0.5]}]), json!({}));
    configuration["revision"] = json!(2);
    envoy.push_refused(&configuration.to_string()).await?;
    let log = envoy.log()?;
    assert!(log.contains("this build lacks the feature `predictions`"), "{log}");
    Ok(())
}
