//! People decide and are told: gates by signed links and by webhook, notifications, drills.

use headgate_tests::{Client, Hook, Result, empty, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use super::world::{Running, World};

/// A gate between two steps.
fn gated(file: &mut Value, gate: Value) {
    file["spec"]["strategy"]["canary"]["steps"] = json!([
        {"weight": "20%", "duration": "1s"},
        {"gate": gate},
        {"weight": "100%", "duration": "1s"},
    ]);
    file["spec"]["onInconclusive"] = json!("proceed");
}

/// Asks an address of `headgate`'s.
async fn ask(method: Method, url: &str) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (addr, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut client = Client::http1(addr.parse()?).await?;
    let request = hyper::Request::builder().method(method).uri(format!("/{path}")).header("host", addr).body(empty())?;
    let answer = client.send(request).await?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

fn events<'s>(seen: &'s [Value], kind: &str) -> Vec<&'s Value> {
    seen.iter().filter(|e| e["event"] == kind).collect()
}

/// Waits until the gate is told of, and gives its links.
async fn links(hook: &Hook) -> Result<Value> {
    wait_until("the gate is told of", || async { Ok(!events(&hook.seen(), "gate").is_empty()) }).await?;
    let seen = hook.seen();
    Ok(events(&seen, "gate")[0]["data"]["links"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_shows_at_first_acts_once_and_lets_the_rollout_go_on() -> Result<()> {
    let world = World::start().await?;
    let (hook, slack) = (Hook::start()?, Hook::start()?);
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        gated(file, json!({"name": "sign-off", "question": "Shall it go on?"}));
        file["spec"]["notifications"] = json!([
            {"webhook": {"url": hook.url()}},
            {"webhook": {"url": slack.url()}, "format": "slack", "on": ["start", "promotion"]},
            // Nobody listens there: nothing waits for it.
            {"webhook": {"url": "http://127.0.0.1:9/", "retries": 0}},
        ]);
    })?;
    let running = world.run(&file, &["--listen", "127.0.0.1:0"])?;
    let links = links(&hook).await?;
    let (approve, reject) = (links["approve"].as_str().unwrap(), links["reject"].as_str().unwrap());
    let (status, page) = ask(Method::GET, approve).await?;
    assert!(status == 200 && page.contains("sign-off") && page.contains("<form"), "{status} {page}");
    assert_eq!(world.published()?, 2_000, "looking does nothing");
    let forged = approve.replace("approve", "reject");
    assert_eq!(ask(Method::POST, &forged).await?.0, 403);
    assert_eq!(ask(Method::POST, approve).await?.0, 200);
    assert_eq!(ask(Method::POST, approve).await?.0, 409, "once");
    assert_eq!(ask(Method::POST, reject).await?.0, 409, "the first word counts");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    load.stop().await?;
    let seen = hook.seen();
    for kind in ["start", "step", "gate", "promotion"] {
        assert!(!events(&seen, kind).is_empty(), "{kind}: {seen:?}");
    }
    let told: Vec<Value> = slack.seen();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|t| t["text"].as_str().is_some_and(|t| t.starts_with("*model-v2*"))), "{told:?}");
    let history = world.verb("history", &[]).await?.json()?;
    let lines = history["history"].as_array().cloned().unwrap_or_default();
    assert!(lines.iter().any(|l| l["action"] == "undelivered"), "{lines:?}");
    assert!(lines.iter().any(|l| l["action"] == "gate" && l["actor"] == "holder of a signed link"), "{history}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_s_webhook_is_asked_until_it_answers_and_its_no_takes_back() -> Result<()> {
    let world = World::start().await?;
    let hook = Hook::start()?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        gated(file, json!({"name": "checks", "webhook": {"url": hook.url(), "interval": "200ms"}}));
    })?;
    let running = world.run(&file, &[])?;
    wait_until("the gate was asked more than once", || async { Ok(hook.seen().len() >= 3) }).await?;
    assert_eq!(hook.seen()[0]["gate"], "checks");
    assert_eq!(world.published()?, 2_000);
    hook.answers(200, json!({"approved": false, "reason": "a check is red"}));
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("a check is red"), "{}", ran.out);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_asks_for_a_drill_waits_for_one_that_passes() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["drill"] = json!({"requiredWithin": "1h"});
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "5m"}, {"weight": "100%", "duration": "5m"}]);
    })?;
    let running: Running = world.run(&file, &[])?;
    let text = file.display().to_string();
    wait_until("it waits for a drill", || async {
        Ok(world.verb("status", &[]).await?.out.contains("headgate drill"))
    })
    .await?;
    let drill = world.headgate(&["drill", &text, "--json"]).await?;
    assert_eq!(drill.code, 0, "{drill:?}");
    let record = drill.json()?;
    assert_eq!((&record["passed"], &record["oldVersion"]["answers"]), (&json!(true), &json!(true)), "{record}");
    assert!(record["back"]["milliseconds"].as_f64().is_some_and(|ms| ms > 0.0), "{record}");
    world.reaches(2_000).await?;
    wait_until("the step is judged", || async {
        Ok(world.verb("status", &[]).await?.json()?["phase"] == "Progressing")
    })
    .await?;
    let refused = world.headgate(&["drill", &text, "--json"]).await?;
    assert_eq!((refused.code, world.published()?), (3, 2_000), "{refused:?}");
    assert!(refused.out.contains("would disturb"), "{}", refused.out);
    assert_eq!(world.verb("abort", &["--reason", "the drill was all"]).await?.code, 0);
    assert_eq!(running.ended().await?.code, 12);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_fails_when_the_old_version_is_not_seen_to_answer() -> Result<()> {
    let world = World::start().await?;
    let file = world.rollout(|_| {})?.display().to_string();
    // Nobody asks.
    let drill = world.headgate(&["drill", &file, "--within", "2s", "--json"]).await?;
    assert_eq!(drill.code, 1, "{drill:?}");
    let record = drill.json()?;
    assert_eq!((&record["passed"], &record["oldVersion"]["answers"]), (&json!(false), &json!(false)), "{record}");
    let check = format!("http://{}/", world.envoy.ingress());
    let drill = world.headgate(&["drill", &file, "--check", &check, "--json"]).await?;
    assert_eq!((drill.code, world.published()?), (0, 0), "{drill:?}");
    Ok(())
}
