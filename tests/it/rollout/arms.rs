//! A bandit of three versions whose reward is a goal that the proxy counts: nobody tells it anything. It ends as a canary does: not before
//! the fail-safe route leads to the winner.

use headgate_tests::{Result, Upstream};
use serde_json::json;

use super::ab::{Does, Habits, Shoppers, drawn};
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn of_three_versions_the_one_that_sells_most_gets_all_users_by_purchases_that_the_proxy_counts() -> Result<()> {
    let long = Upstream::start("long").await?;
    let world = World::of_three(long.addr()).await?;
    // Of ten visits to stable or the canary one ends in a purchase, of ten to the third version four do.
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| {
            if drawn(user, visit) < if version == "long" { 40 } else { 10 } { Does::Buys } else { Does::Looks }
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| {
        let spec = &mut file["spec"];
        spec["goals"] = json!([{"name": "purchase", "match": {"path": {"exact": "/buy"}, "methods": ["POST"]}}]);
        spec["strategy"] = json!({"bandit": {
            "arms": ["canary", "long"], "reward": {"metric": "goal", "goal": "purchase"},
            "batch": "2s", "floor": "5%", "warmUp": 40, "duration": "7s", "atEnd": "best",
            "guardrails": [{"metric": "errorRate", "versusBaseline": "2x", "floor": "5 points"}],
        }});
        spec["finalising"] = json!({"verify": true});
    })?;
    let running = world.run(&file, &[])?;
    let waits = world.is("it waits for the fail-safe route", |s| s["state"]["failsafe"]["reached"] == false).await?;
    shoppers.stop().await?;
    // Envoy's default route, which the bootstrap has, is still the old version's: as with a canary, it is not over before that is changed.
    assert_eq!(waits["phase"], "Finalising", "{waits:#}");
    let detail = waits["state"]["failsafe"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("set its `cluster` to `model-v3`"), "{detail}");
    let shown = world.headgate(&["status", super::world::NAME]).await?;
    assert!(shown.out.contains("keep the old version"), "{shown:?}");
    // All weight in force is the third version's.
    let plugin = world.plugin()?;
    let variants = plugin["routes"][0]["variants"].as_array().cloned().unwrap_or_default();
    let weights: Vec<(&str, u64)> =
        variants.iter().filter_map(|v| Some((v["name"].as_str()?, v["weight"].as_u64()?))).collect();
    assert!(weights.iter().all(|(name, weight)| (*name == "long") == (*weight > 0)), "{weights:?}");
    // Until then nobody had less than the floor, and shares changed between batches alone.
    let history = world.history().await?;
    let shares: Vec<[u64; 3]> = history
        .iter()
        .filter(|line| line["action"] == "shares")
        .map(|line| &line["data"]["weights"]["arms"])
        .filter(|arms| arms.as_object().is_some_and(|arms| arms.len() == 3))
        .map(|arms| ["stable", "canary", "long"].map(|name| arms[name].as_u64().unwrap_or(0)))
        .collect();
    assert!(!shares.is_empty(), "{history:#?}");
    for of in &shares {
        assert!(of.iter().all(|share| *share >= 500) && of.iter().sum::<u64>() == 10_000, "{shares:?}");
    }
    // What is known of each arm is what its users did, whatever version they had before.
    let status = world.status().await?;
    let arms = status["state"]["look"]["bandit"]["arms"].as_array().cloned().unwrap_or_default();
    assert_eq!(arms.len(), 3, "{status:#}");
    for arm in &arms {
        let found = arm["credible"]["value"].as_f64().unwrap_or(-1.0);
        // A purchase is a request of the same route, so of ten requests to a version from which every tenth visit buys, 10 / 11 are visits.
        let visits = if arm["name"] == "long" { 0.4 } else { 0.1 };
        let expected = visits / (1.0 + visits);
        assert!((found - expected).abs() < 0.06, "{found} instead of {expected}: {arms:#?}");
    }
    running.killed().await?;
    Ok(())
}
