//! Blue-green: the new side proves itself, everything moves at once, and back at once, and nobody's request fails.

use std::sync::atomic::Ordering;

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::world::World;

/// A switch after a short look at the old side; the new one must answer with its name.
fn switch(file: &mut Value, new_side: &str, duration: &str) {
    file["spec"]["strategy"] = json!({"blueGreen": {
        "readiness": [{"url": format!("http://{new_side}/healthz"), "expect": {"status": 200, "contains": "canary"}}],
        "observe": "2s",
        "duration": duration,
    }});
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_under_load_fails_no_request_and_is_promoted() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let addr = world.versions.canary.addr().to_string();
    let file = world.rollout(|file| switch(file, &addr, "3s"))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let before = load.seen.canary.load(Ordering::Relaxed);
    load.more(300).await?;
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert!(seen.canary.load(Ordering::Relaxed) - before >= 296, "not everybody is on the new side");
    // Never anything between: all on one side, then all on the other.
    let weights: Vec<u64> = ran.events().iter().filter_map(|e| e["weights"]["canary"].as_u64()).collect();
    assert!(weights.iter().all(|w| [0, 10_000].contains(w)), "{weights:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_under_load_fails_no_request() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let addr = world.versions.canary.addr().to_string();
    let file = world.rollout(|file| switch(file, &addr, "5m"))?;
    let running = world.run(&file, &[])?;
    world.reaches(10_000).await?;
    load.more(500).await?;
    let there = load.seen.canary.load(Ordering::Relaxed);
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "the old one was nicer"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0);
    let last = load.seen.canary.load(Ordering::Relaxed);
    load.more(300).await?;
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert!(there > 300, "{there} requests were answered by the new side");
    assert!(seen.canary.load(Ordering::Relaxed) - last <= 4, "somebody is still on the new side");
    assert!(ran.out.contains("ada") && ran.out.contains("the old one was nicer"), "{}", ran.out);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_is_not_ready_gets_nobody() -> Result<()> {
    let world = World::start().await?;
    world.versions.canary.behave(Conduct { failing: 1, ..Conduct::default() });
    let load = world.load().await?;
    load.more(100).await?;
    let addr = world.versions.canary.addr().to_string();
    let file = world.rollout(|file| {
        switch(file, &addr, "3s");
        file["spec"]["holdLimit"] = json!("3s");
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 11, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("does not answer as it must"), "{}", ran.out);
    let seen = load.stop().await?;
    assert_eq!(seen.canary.load(Ordering::Relaxed), 0);
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_side_that_fails_after_the_switch_is_left_at_once() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let addr = world.versions.canary.addr().to_string();
    let file = world.rollout(|file| switch(file, &addr, "1m"))?;
    let running = world.run(&file, &[])?;
    world.reaches(10_000).await?;
    load.more(200).await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0);
    load.stop().await?;
    Ok(())
}
