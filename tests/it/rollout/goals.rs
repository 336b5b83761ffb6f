//! Conversions as a criterion: counted by the proxies alone, from a goal that the rollout itself publishes.

use headgate_tests::{Conduct, Result};
use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_whose_users_convert_less_is_taken_back_by_its_goal() -> Result<()> {
    let world = World::start().await?;
    // Of three requests that should convert, one is answered with an error; nobody judges errors here.
    world.versions.canary.behave(Conduct { failing: 3, ..Conduct::default() });
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["goals"] = json!([{"name": "answered", "match": {"path": {"exact": "/"}}, "status": ["2xx"]}]);
        file["spec"]["analysis"]["criteria"] = json!([{"metric": "goal", "goal": "answered", "maxDrop": "5 points"}]);
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "50%", "duration": "20s"}, {"weight": "100%", "duration": "2s"}]);
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    load.stop().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let events = ran.events();
    let back = events.iter().find(|e| e["kind"] == "rollingBack").unwrap_or_else(|| panic!("{}", ran.out));
    assert!(back["text"].as_str().is_some_and(|t| t.contains("goal is")), "{back}");
    // The goal stands in the published route, beside what was there.
    let metrics = world.envoy.metrics().await?;
    let counted = metrics.by("headgate_goals", "variant", &[("route", "model"), ("goal", "answered")]);
    let exposed = metrics.by("headgate_replicate_requests", "variant", &[("route", "model")]);
    assert!(counted["canary"] > 0 && counted["canary"] < exposed["canary"], "{counted:?} of {exposed:?}");
    assert_eq!(counted.len(), 2, "{counted:?}");
    Ok(())
}
