//! Canaries: a good one climbs and is promoted, a bad one of each kind is taken back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::world::{NAME, Ran, World};

/// The event of this kind that came first.
fn event<'e>(events: &'e [Value], kind: &str) -> Option<&'e Value> {
    events.iter().find(|event| event["kind"] == kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_canary_climbs_every_step_and_is_promoted() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|_| {})?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert_eq!(world.published()?, 10_000);
    // Everybody went over once, and nobody went back.
    assert_eq!(seen.ways().into_keys().collect::<Vec<_>>(), ["sc"], "{:?}", seen.ways());
    let events = ran.events();
    let steps: Vec<&str> =
        events.iter().filter(|e| e["kind"] == "stepStarted").filter_map(|e| e["step"].as_str()).collect();
    assert_eq!(steps, ["20%", "50%", "100%", "monitoring"]);
    assert!(event(&events, "promoted").is_some());
    // Nobody is on stable any more, and whoever is asked next gets the new version.
    let answer = world.envoy.http1().await?.get("/", &[("x-user-id", "somebody new")]).await?;
    assert_eq!(answer.upstream(), "canary");
    let metrics = world.envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_misrouted", &[]), 0);

    let page = world.text("report.html");
    let told = world.headgate(&["report", NAME, "--output", &page, "--json"]).await?;
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.json()?["phase"], "Succeeded");
    let weights = told.json()?["weights"].clone();
    let weights: Vec<u64> = weights.as_array().into_iter().flatten().filter_map(|w| w[1].as_u64()).collect();
    assert_eq!(weights, [0, 2_000, 5_000, 10_000], "{}", told.out);
    let html = std::fs::read_to_string(&page)?;
    assert!(html.contains("errorRate") && html.contains("latencyP95") && html.contains("promoted"));
    Ok(())
}

/// Runs a rollout whose canary behaves so from its first request on.
async fn bad(conduct: Conduct, change: impl FnOnce(&mut Value), bootstrap: impl FnOnce(&mut Value)) -> Result<Ran> {
    let world = World::with(bootstrap).await?;
    world.versions.canary.behave(conduct);
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(change)?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0, "{}", ran.out);
    // From here on nobody meets it.
    let before = load.seen.canary.load(Ordering::Relaxed);
    let failed = load.seen.failed();
    load.more(200).await?;
    let seen = load.stop().await?;
    let late = seen.canary.load(Ordering::Relaxed) - before;
    // What was on its way when the weights changed may still come in.
    assert!(late <= 8, "{late} requests were answered by the canary after the rollback");
    assert!(seen.failed().values().sum::<u64>() - failed.values().sum::<u64>() <= 8, "{:?}", seen.failed());
    Ok(ran)
}

/// The step that it was rolled back from, and why.
fn back(ran: &Ran) -> (String, String) {
    let events = ran.events();
    let back = event(&events, "rollingBack").unwrap_or_else(|| panic!("{}", ran.out));
    (back["step"].as_str().unwrap_or_default().to_owned(), back["text"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_is_taken_back_at_the_first_step() -> Result<()> {
    let ran = bad(Conduct { failing: 3, ..Conduct::default() }, |_| {}, |_| {}).await?;
    let (step, why) = back(&ran);
    assert_eq!(step, "20%");
    assert!(why.contains("errorRate is") && why.contains("allowed is"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_resets_connections_is_taken_back() -> Result<()> {
    let ran = bad(Conduct { resetting: 2, ..Conduct::default() }, |_| {}, |_| {}).await?;
    assert!(back(&ran).1.contains("errorRate"), "{}", back(&ran).1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_canary_is_taken_back() -> Result<()> {
    let late = Conduct { late: Duration::from_millis(80), ..Conduct::default() };
    let longer = |file: &mut Value| file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("8s");
    let ran = bad(late, longer, |_| {}).await?;
    assert!(back(&ran).1.contains("latencyP"), "{}", back(&ran).1);
    Ok(())
}

/// Every route gives up after so long.
fn timeout(bootstrap: &mut Value, after: &str) {
    let hosts =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    for route in bootstrap.pointer_mut(hosts).and_then(Value::as_array_mut).into_iter().flatten() {
        route["route"]["timeout"] = json!(after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_answers_too_late_is_taken_back_for_its_timeouts() -> Result<()> {
    let only = |file: &mut Value| {
        file["spec"]["analysis"]["criteria"] = json!([{"metric": "timeoutRate", "versusBaseline": "2x"}]);
        file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("8s");
    };
    let ran = bad(Conduct { hanging: 4, ..Conduct::default() }, only, |b| timeout(b, "0.2s")).await?;
    assert!(back(&ran).1.contains("timeoutRate"), "{}", back(&ran).1);
    Ok(())
}

/// A user on a connection of their own, who waits as long as it takes.
async fn asks_and_waits(world: &World, tasks: &mut tokio::task::JoinSet<bool>, user: u64) -> Result<()> {
    let mut client = world.envoy.http1().await?;
    tasks.spawn(async move {
        let answer = client.get("/", &[("x-user-id", &format!("user-{user}"))]).await;
        answer.is_ok_and(|answer| answer.status < 500)
    });
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_never_answers_is_taken_back_for_what_was_started_and_not_finished() -> Result<()> {
    let world = World::start().await?;
    let mut users = tokio::task::JoinSet::new();
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("8s");
        file["spec"]["analysis"]["criteria"] = json!([{"metric": "unfinishedRate", "versusBaseline": "2x"}]);
    })?;
    let running = world.run(&file, &[])?;
    // Warm-up: there is something to compare with.
    let mut user = 0;
    while world.published()? == 0 {
        asks_and_waits(&world, &mut users, user).await?;
        user += 1;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    world.versions.canary.behave(Conduct { hanging: 1, ..Conduct::default() });
    while world.published()? > 0 {
        asks_and_waits(&world, &mut users, user).await?;
        user += 1;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let (step, why) = back(&ran);
    assert_eq!(step, "20%");
    assert!(why.contains("unfinishedRate is"), "{why}");
    // The next ones are answered, all of them.
    let mut after = tokio::task::JoinSet::new();
    for user in 0..100 {
        asks_and_waits(&world, &mut after, user).await?;
    }
    assert!(after.join_all().await.into_iter().all(|answered| answered));
    Ok(())
}
