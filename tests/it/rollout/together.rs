//! Several rollouts on one target, run by one process: none erases another's routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headgate_tests::Result;
use serde_json::{Value, json};

use super::world::World;
use crate::fixture::route;

/// The weights of a route in the published file, stable's and the canary's.
fn weights(world: &World, name: &str) -> Result<(u64, u64)> {
    let document: Value = serde_json::from_str(&std::fs::read_to_string(world.envoy.ecds_path())?)?;
    let text = document["resources"][0]["typed_config"]["config"]["configuration"]["value"].clone();
    let config: Value = serde_json::from_str(text.as_str().unwrap_or_default())?;
    let routes = config["routes"].as_array().cloned().unwrap_or_default();
    let route = routes.iter().find(|r| r["name"] == name).cloned().unwrap_or_default();
    let weight = |of: &str| {
        let variants = route["variants"].as_array().cloned().unwrap_or_default();
        variants.iter().find(|v| v["name"] == of).and_then(|v| v["weight"].as_u64()).unwrap_or(0)
    };
    Ok((weight("stable"), weight("canary")))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rollouts_of_one_target_climb_and_fall_side_by_side() -> Result<()> {
    let world = World::start().await?;
    // A second route, whose new version fails while the first one's is fine: it is asked for by its path.
    let mut other = route(1, 0);
    other["name"] = json!("other");
    other["match"] = json!({"path": {"prefix": "/status/"}});
    let first = route(1, 0);
    std::fs::write(world.path("two.json"), json!({"routes": [other, first]}).to_string())?;
    let pushed = world
        .headgate(&["push", &world.text("target.json"), "-f", &world.text("two.json"), "--whole", "--json"])
        .await?;
    assert_eq!(pushed.code, 0, "{pushed:?}");
    let load = world.load().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, mut client) = (Arc::clone(&stop), world.envoy.http1().await?);
    // Half of the other route's users meet a failure on whatever version: both versions are equally bad there, and it is held to an
    // absolute bound.
    let users = tokio::spawn(async move {
        let mut n = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            n += 1;
            let path = if n.is_multiple_of(2) { "/status/200" } else { "/status/503" };
            let user = format!("user-{}", n % 300);
            if client.get(path, &[("x-user-id", &user)]).await.is_err() {
                return n;
            }
        }
        n
    });
    load.more(100).await?;
    let good = world.rollout(|_| {})?;
    let good_text = std::fs::read_to_string(&good)?;
    let good_path = world.path("good.json");
    std::fs::write(&good_path, &good_text)?;
    let bad_path = world.rollout(|file| {
        file["metadata"]["name"] = json!("other-v2");
        file["spec"]["route"] = json!("other");
        file["spec"]["analysis"]["criteria"] = json!([{"metric": "errorRate", "max": "10%"}]);
    })?;
    let ran = world.run(&good_path, &[&bad_path.display().to_string()])?.ended().await?;
    stop.store(true, Ordering::Relaxed);
    assert!(users.await? > 100);
    load.stop().await?;
    assert_eq!(ran.code, 10, "the worse of both ends is told: {}{}", ran.out, ran.err);
    let ends: Vec<(String, Value)> = ran
        .events()
        .into_iter()
        .filter(|e| e["kind"] == "end")
        .map(|e| (e["rollout"].as_str().unwrap_or_default().to_owned(), e["exit"].clone()))
        .collect();
    assert!(ends.contains(&("model-v2".to_owned(), json!(0))), "{ends:?}");
    assert!(ends.contains(&("other-v2".to_owned(), json!(10))), "{ends:?}");
    assert_eq!(weights(&world, "model")?.0, 0);
    assert_eq!(weights(&world, "other")?.1, 0);
    let all = world.headgate(&["status", "--json"]).await?.json()?;
    let phases: Vec<&str> =
        all["rollouts"].as_array().into_iter().flatten().filter_map(|r| r["phase"].as_str()).collect();
    assert_eq!(phases, ["Succeeded", "RolledBack"], "{all}");
    Ok(())
}
