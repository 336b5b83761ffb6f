//! Providers that are slow, broken or lie: nothing goes forward on them, and nothing is held back that the proxies see.

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::world::World;

/// Judged by a webhook's number too, at most 0.5.
fn with_webhook(url: String) -> impl FnOnce(&mut Value) {
    move |file| {
        file["spec"]["providers"] =
            json!({"lab": {"webhook": {"url": url, "pointer": "/score", "retries": 0, "timeout": "300ms"}}});
        file["spec"]["analysis"]["criteria"] = json!([
            {"metric": "errorRate", "versusBaseline": "2x"},
            {"name": "drift", "metric": "custom", "provider": "lab", "max": 0.5},
        ]);
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "50%", "duration": "1s"}, {"weight": "100%", "duration": "1s"}]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_nonsense_is_taken_for_a_measurement_and_the_truth_lets_it_go_on() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let nonsense: [(u16, &str, &str); 6] = [
        (500, "", "500"),
        (200, "<html>", "no JSON"),
        (200, r#"{"other": 0.1}"#, "nothing at `/score`"),
        (200, r#"{"score": "NaN"}"#, "no number"),
        (200, r#"{"score": null}"#, "no values"),
        (204, "", "no values"),
    ];
    for (at, (status, text, reason)) in nonsense.into_iter().enumerate() {
        let lab = Receiver::start(move |_, _, _| (status, text.to_owned())).await?;
        let file = world.rollout(|file| {
            with_webhook(lab.url("/drift"))(file);
            file["metadata"]["name"] = json!(format!("nonsense-{at}"));
            file["spec"]["holdLimit"] = json!("500ms");
        })?;
        let ran = world.run(&file, &[])?.ended().await?;
        assert_eq!(ran.code, 11, "{text}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(reason), "{reason}: {}", ran.out);
        assert_eq!(world.published()?, 5_000, "{text}");
        let asked = lab.asked("/drift");
        assert_eq!((&asked[0]["variant"], &asked[0]["criterion"]), (&json!("canary"), &json!("drift")));
        let back = world.headgate(&["rollback", &format!("nonsense-{at}"), "--json"]).await?;
        assert_eq!(back.code, 0, "{back:?}");
        // The wish waits for the process that comes next.
        let ran = world.run(&file, &[])?.ended().await?;
        assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    }
    // Broken at first, then it heals: what holds goes on by itself.
    let lab =
        Receiver::start(
            |_, before, _| if before < 10 { (500, String::new()) } else { (200, json!({"score": 0.1}).to_string()) },
        )
        .await?;
    let file = world.rollout(with_webhook(lab.url("/drift")))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.events().iter().any(|e| e["kind"] == "held"), "{}", ran.out);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_praises_a_failing_canary_does_not_save_it() -> Result<()> {
    let world = World::start().await?;
    let lab = Receiver::start(|_, _, _| (200, json!({"score": 0.0}).to_string())).await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let load = world.load().await?;
    load.more(100).await?;
    let ran = world.run(&world.rollout(with_webhook(lab.url("/drift")))?, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("errorRate is"), "{}", ran.out);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_sees_what_proxies_cannot_takes_it_back() -> Result<()> {
    let world = World::start().await?;
    let lab = Receiver::start(|_, _, body| {
        (200, json!({"score": if body["variant"] == "canary" { 0.9 } else { 0.1 }}).to_string())
    })
    .await?;
    let load = world.load().await?;
    load.more(100).await?;
    let ran = world.run(&world.rollout(with_webhook(lab.url("/drift")))?, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let events = ran.events();
    let back = events.iter().find(|e| e["kind"] == "rollingBack").unwrap_or_else(|| panic!("{}", ran.out));
    assert!(back["text"].as_str().is_some_and(|t| t.contains("drift is 0.9")), "{back}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_asked_no_more_often_than_its_interval_says() -> Result<()> {
    let world = World::start().await?;
    let lab = Receiver::start(|_, _, _| (200, json!({"score": 0.1}).to_string())).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        with_webhook(lab.url("/drift"))(file);
        file["spec"]["providers"]["lab"]["webhook"]["interval"] = json!("1h");
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    // Once for each window, of which another step has another; its answer stands for the whole step.
    let windows: Vec<String> = lab.asked("/drift").iter().map(|asked| asked["since"].to_string()).collect();
    let different: std::collections::BTreeSet<&String> = windows.iter().collect();
    assert!(different.len() >= 2 && different.len() == windows.len(), "{windows:?}");
    load.stop().await?;
    Ok(())
}
