//! Measurements from outside of the proxies: a real Prometheus, outcomes told later, a webhook, a recorded baseline.

use headgate_tests::{Client, Conduct, Hook, Prometheus, Result, body, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use super::world::World;

fn slow(file: &mut Value) {
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "20%", "duration": "60s"}, {"weight": "100%", "duration": "60s"}]);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_come_in_by_http_take_an_inaccurate_version_back() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        slow(file);
        file["spec"]["providers"] = json!({"truth": {"outcomes": {"listen": "127.0.0.1:0"}}});
        file["spec"]["analysis"]["criteria"] =
            json!([{"name": "accuracy", "metric": "success", "provider": "truth", "min": "0.80"}]);
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    wait_until("the step is measured", || async {
        Ok(world.verb("status", &[]).await?.json()?["state"]["window"].is_object())
    })
    .await?;
    let at = world.listening(running.pid()).await?;
    let mut client = Client::http1(at).await?;
    let mut post = async |text: String| -> Result<(u16, Value)> {
        let answer = client.request(Method::POST, "/outcomes/model-v2", &[], body(text)).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body)?))
    };
    let (status, said) = post("{\"key\": \"user-1\"}\nrubbish\n".to_owned()).await?;
    assert_eq!((status, &said["kept"]), (400, &json!(0)), "{said}");
    assert_eq!(said["problems"].as_array().map(Vec::len), Some(2), "{said}");
    // Stable is right nine times in ten, the canary five times; by key, as the user's own systems know it.
    let lines: Vec<String> = (0..400)
        .map(|n| {
            let variant = if n % 2 == 0 { "stable" } else { "canary" };
            let right = if variant == "stable" { n % 20 != 0 } else { n % 4 == 1 };
            json!({"variant": variant, "success": right}).to_string()
        })
        .collect();
    let (status, said) = post(lines.join("\n")).await?;
    assert_eq!((status, &said["kept"]), (200, &json!(400)), "{said}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let why = ran.events().into_iter().find(|e| e["kind"] == "rollingBack").unwrap_or_default();
    assert!(why["text"].as_str().is_some_and(|t| t.contains("accuracy is 50 %")), "{why}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_without_values_is_no_success_and_a_bad_value_takes_back() -> Result<()> {
    let world = World::start().await?;
    let hook = Hook::start()?;
    hook.answers(200, json!({"value": null}));
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        slow(file);
        file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("1s");
        file["spec"]["providers"] = json!({"score": {"webhook": {"url": hook.url()}}});
        file["spec"]["analysis"]["criteria"] =
            json!([{"name": "score", "metric": "custom", "provider": "score", "min": "4.0"}]);
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    wait_until("it holds, because nothing is no success", || async {
        let status = world.verb("status", &[]).await?.json()?;
        Ok(status["state"]["hold"].is_object())
    })
    .await?;
    assert_eq!(world.published()?, 2_000);
    let asked = hook.seen();
    assert_eq!((&asked[0]["variant"], &asked[0]["criterion"]), (&json!("canary"), &json!("score")), "{}", asked[0]);
    hook.answers(200, json!({"value": 3.1}));
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_baseline_is_compared_with() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["analysis"]["baseline"] = json!("recorded");
        file["spec"]["analysis"]["baselineName"] = json!("evening");
    })?;
    let text = file.display().to_string();
    let recorded = world.headgate(&["baseline", "record", &text, "--for", "2s", "--json"]).await?;
    assert_eq!(recorded.code, 0, "{recorded:?}");
    assert_eq!(recorded.json()?["baseline"], "evening");
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("recorded in evening"), "the verdict names what it was compared with: {}", ran.out);
    load.stop().await?;
    Ok(())
}

/// The rollout asks this Prometheus alone.
fn asks(file: &mut Value, prometheus: &Prometheus) {
    file["spec"]["providers"] = json!({"prom": {"prometheus": {"address": prometheus.url()}}});
    file["spec"]["analysis"]["interval"] = json!("500ms");
    file["spec"]["analysis"]["criteria"] = json!([
        {"name": "errors", "metric": "errorRate", "provider": "prom", "max": "5%"},
        {"name": "slow", "metric": "latencyP95", "provider": "prom", "max": "2s"},
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_lets_a_good_version_climb() -> Result<()> {
    let world = World::start().await?;
    let prometheus = Prometheus::of(world.envoy.listener("stats")?).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        asks(file, &prometheus);
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "6s"}, {"weight": "100%", "duration": "4s"}]);
        file["spec"]["monitoring"] = json!({"duration": "0s"});
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_takes_a_failing_version_back() -> Result<()> {
    let world = World::start().await?;
    let prometheus = Prometheus::of(world.envoy.listener("stats")?).await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        slow(file);
        asks(file, &prometheus);
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let why = ran.events().into_iter().find(|e| e["kind"] == "rollingBack").unwrap_or_default();
    assert!(why["text"].as_str().is_some_and(|t| t.contains("errors is")), "{why}");
    load.stop().await?;
    Ok(())
}
