//! Shares that differ: a cap while the new version is small, segments of their own, and the way back by steps through them.

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::world::World;
use crate::fixture::route;

/// The canary's share of a segment in the published file, in 1/10,000.
fn premium(world: &World) -> Result<u64> {
    let config = world.plugin()?;
    let weights = &config["routes"][0]["segments"][0]["weights"];
    let (canary, stable) = (weights["canary"].as_u64().unwrap_or(0), weights["stable"].as_u64().unwrap_or(0));
    Ok(canary * 10_000 / (canary + stable).max(1))
}

/// A route with the segment `premium`.
pub(super) async fn segmented(world: &World) -> Result<()> {
    let mut route = route(1, 0);
    route["segments"] = json!([{"name": "premium", "match": {"headers": [{"name": "x-tier", "exact": "premium"}]},
        "weights": {"stable": 1, "canary": 0}}]);
    std::fs::write(world.path("plugin.json"), json!({"routes": [route]}).to_string())?;
    let pushed = world.headgate(&["push", &world.text("target.json"), "-f", &world.text("plugin.json")]).await?;
    assert_eq!(pushed.code, 0, "{pushed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_cap_a_small_canary_gets_nothing_until_somebody_has_scaled_it_up() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let capped = |file: &mut Value, steps: Value| {
        file["spec"]["strategy"]["canary"] = json!({"maxWeight": "25%", "steps": steps});
    };
    let above = world.rollout(|file| capped(file, json!([{"weight": "50%"}, {"weight": "100%"}])))?;
    let refused = world.run(&above, &[])?.ended().await?;
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    assert!(format!("{}{}", refused.out, refused.err).contains("maxWeight"), "{}{}", refused.out, refused.err);
    let file = world.rollout(|file| capped(file, json!([{"weight": "25%", "duration": "2s"}])))?;
    let running = world.run(&file, &[])?;
    world
        .is("it waits at the gate", |s| {
            s["phase"] == "Waiting" && s["state"]["because"].to_string().contains("scale-up")
        })
        .await?;
    assert_eq!(world.published()?, 2_500);
    load.more(200).await?;
    assert_eq!(world.published()?, 2_500, "nobody has said that it is larger now");
    let went = world.verb("promote", &["--actor", "ada", "--reason", "scaled up"]).await?;
    assert_eq!(went.code, 0, "{went:?}");
    world.reaches(10_000).await?;
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "enough seen"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_have_shares_of_their_own_up_and_back_by_steps() -> Result<()> {
    let world = World::start().await?;
    segmented(&world).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] = json!([
            {"weight": "20%", "segments": {"premium": "0%"}, "duration": "1s"},
            {"weight": "50%", "segments": {"premium": "10%"}, "duration": "60s"},
            {"weight": "100%", "duration": "60s"},
        ]);
        file["spec"]["rollback"] = json!({"mode": "steps", "interval": "1s"});
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    assert_eq!(premium(&world)?, 0);
    let mut client = world.envoy.http1().await?;
    for user in 0..50 {
        let answer = client.get("/", &[("x-user-id", &format!("user-{user}")), ("x-tier", "premium")]).await?;
        assert_eq!(answer.upstream(), "stable");
    }
    world.reaches(5_000).await?;
    assert_eq!(premium(&world)?, 1_000);
    world.versions.canary.behave(Conduct { failing: 1, ..Conduct::default() });
    running
        .tells("the step down", |e| e["kind"] == "rollingBack" && e["text"].to_string().contains("goes down"))
        .await?;
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?, premium(&world)?), (10, 0, 0), "{}{}", ran.out, ran.err);
    let shares: Vec<(u64, Value)> = ran
        .events()
        .iter()
        .filter(|e| e["weights"].is_object())
        .map(|e| (e["weights"]["canary"].as_u64().unwrap_or(0), e["weights"]["segments"]["premium"].clone()))
        .collect();
    let back = shares.iter().rposition(|s| s.0 == 5_000).map_or(&shares[..], |at| &shares[at + 1..]);
    assert!(back.contains(&(2_000, json!(0))), "down through the first step, as it was: {shares:?}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_for_a_segment_that_the_route_lacks_is_refused_before_anything_begins() -> Result<()> {
    let world = World::start().await?;
    segmented(&world).await?;
    let before = std::fs::read(world.envoy.ecds_path())?;
    let file =
        world.rollout(|file| file["spec"]["strategy"]["canary"]["steps"][1]["segments"] = json!({"gold": "30%"}))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("step 50%") && said.contains("no segment `gold`") && said.contains("premium"), "{said}");
    assert_eq!(std::fs::read(world.envoy.ecds_path())?, before);
    Ok(())
}
