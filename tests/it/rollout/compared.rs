//! A shadow step whose copies the filter compares: a version that agrees climbs, one that does not meets no user.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headgate_tests::{Conduct, Relay, Result, wait_until};
use serde_json::{Value, json};

use super::world::World;

/// Copies of half of the users, compared by `compare`, until 100 of them are judged.
fn compared(file: &mut Value) {
    file["spec"]["strategy"] = json!({"shadow": {
        "mode": "compare",
        "share": "50%",
        "duration": "2s",
        "minComparisons": 100,
        "steps": [{"weight": "50%", "duration": "1s"}, {"weight": "100%", "duration": "1s"}],
    }});
    file["spec"]["monitoring"]["duration"] = json!("0s");
}

/// A world whose route says how answers are compared.
async fn world(compare: Value) -> Result<World> {
    let world =
        World::comparing(json!({"cluster": "model-v2", "share": 0, "timeoutMs": 5_000, "compare": compare})).await?;
    world.applied().await?;
    Ok(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_agrees_climbs() -> Result<()> {
    // The two versions' bodies tell their names; the statuses agree.
    let world = world(json!({"body": "none"})).await?;
    let load = world.load().await?;
    let ran = world.run(&world.rollout(compared)?, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let verdict = ran.events().into_iter().find(|e| e["kind"] == "verdict").unwrap_or_else(|| panic!("{}", ran.out));
    assert_eq!((&verdict["weights"]["canary"], &verdict["weights"]["shadow"]), (&json!(0), &json!(5_000)), "{verdict}");
    assert!(
        verdict["text"].as_str().is_some_and(|t| t.contains("agreement") && t.contains("comparisons")),
        "{verdict}"
    );
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_answers_otherwise_meets_no_user() -> Result<()> {
    let world = world(json!({"body": "digest"})).await?;
    let load = world.load().await?;
    let ran = world.run(&world.rollout(compared)?, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("agreement is 0 %"), "{}", ran.out);
    let target = world.text("target.json");
    let told = world
        .headgate(&["shadow", "report", &target, "--route", "model", "--comparisons", "50", "--json"])
        .await?
        .json()?;
    assert_eq!(told["verdict"]["recommendation"], "investigateDisagreement", "{told}");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert_eq!(seen.canary.load(Ordering::Relaxed), 0);
    let copied = world.versions.canary.seen();
    assert!(!copied.is_empty() && copied.iter().all(|request| request.is_copy()), "a user was sent to it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_copies_is_taken_back_for_its_errors() -> Result<()> {
    let world = world(json!({"body": "none"})).await?;
    world.versions.canary.behave(Conduct { failing: 3, ..Conduct::default() });
    let load = world.load().await?;
    let rollout = world.rollout(|file| {
        compared(file);
        file["spec"]["strategy"]["shadow"]["criteria"] = json!([{"metric": "agreement", "min": "1%"}]);
    })?;
    let ran = world.run(&rollout, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("errorRate is"), "{}", ran.out);
    let seen = load.stop().await?;
    assert_eq!((seen.failed().len(), seen.canary.load(Ordering::Relaxed)), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_slow_on_copies_meets_no_user() -> Result<()> {
    let world = world(json!({"body": "none"})).await?;
    world.versions.canary.behave(Conduct { late: Duration::from_millis(150), ..Conduct::default() });
    let load = world.load().await?;
    let ran = world.run(&world.rollout(compared)?, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("latencyP95 is"), "{}", ran.out);
    let seen = load.stop().await?;
    assert_eq!((seen.failed().len(), seen.canary.load(Ordering::Relaxed)), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_runs_it_keeps_the_records_too() -> Result<()> {
    let relay = Relay::start().await?;
    let shadow = json!({"cluster": "model-v2", "share": 0, "timeoutMs": 5_000, "compare": {"body": "digest"}});
    let world = World::recording(shadow, relay.addr()).await?;
    world.applied().await?;
    let rollout = world.rollout(|file| {
        compared(file);
        // All that disagrees is to be seen; it is not taken back for it.
        file["spec"]["strategy"]["shadow"]["criteria"] = json!([{"metric": "agreement", "min": "0%"}]);
    })?;
    let records = world.path("records.jsonl");
    let running = world.run(&rollout, &["--listen", "127.0.0.1:0", "--records", &records.display().to_string()])?;
    let listening = running.tells("where it listens", |e| e["kind"] == "listening").await?;
    let addr: SocketAddr =
        listening["text"].as_str().unwrap_or_default().rsplit(' ').next().unwrap_or_default().parse()?;
    relay.pass_to(addr);
    let load = world.load().await?;
    let lines = || std::fs::read_to_string(&records).map_or(0, |text| text.lines().count());
    wait_until("the records of 100 pairs are written", || async { Ok(lines() >= 100) }).await?;
    let ran = running.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(load.stop().await?.failed().is_empty());
    let found = world.headgate(&["shadow", "analyze", &records.display().to_string(), "--json"]).await?.json()?;
    assert_eq!((found["records"].as_u64(), &found["skipped"]), (Some(lines() as u64), &json!({})), "{found}");
    // What the proxies were told is taken has been written before the program ended.
    let sent = world.envoy.metrics().await?.sum("headgate_shadow_records", &[("result", "sent")]);
    assert!(sent >= 100 && lines() as u64 >= sent, "{sent} taken, {} written", lines());
    // The two versions' bodies tell their names.
    assert_eq!((&found["agreement"]["value"], found["agreement"]["buckets"].as_u64() > Some(1)), (&json!(0.0), true));
    Ok(())
}
