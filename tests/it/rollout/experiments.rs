//! What else may be asked of real traffic: that a version is not worse, looks that are planned, and segments that disagree.

use headgate_tests::{Conduct, Result, wait_until};
use serde_json::{Value, json};

use super::ab::{Does, Habits, Shoppers, drawn, purchases, said};
use super::shares::segmented;
use super::world::World;

/// Half of the users, until the new version is shown not to fail more by three points or more.
fn not_worse(file: &mut Value) {
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "50%", "duration": "3s"}, {"weight": "100%", "duration": "1s"}]);
    file["spec"]["analysis"]["criteria"] = json!([
        {"metric": "errorRate", "notWorseThan": "baseline", "margin": "3 points", "alpha": 0.01, "procedure": "anytime"}
    ]);
    file["spec"]["monitoring"] = json!({"duration": "1s",
        "criteria": [{"name": "errorRate", "metric": "errorRate", "max": "20%"}]});
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_shown_not_to_be_worse_goes_on_and_one_that_is_worse_goes_back() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    // Every hundredth request fails, of both.
    let fails = |n| Conduct { failing: n, ..Conduct::default() };
    world.versions.stable.behave(fails(100));
    world.versions.canary.behave(fails(100));
    let file = world.rollout(not_worse)?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let history = world.history().await?;
    let figures = |action: &str| -> Vec<Value> {
        let lines = history.iter().filter(|line| line["action"] == action);
        lines.filter_map(|line| line["data"]["look"]["figures"].as_array()).flatten().cloned().collect()
    };
    assert!(!figures("verdict").is_empty(), "{history:#?}");
    load.stop().await?;

    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    world.versions.stable.behave(fails(100));
    world.versions.canary.behave(fails(8));
    let file = world.rollout(not_worse)?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let back = said(&ran, "rollingBack");
    assert!(back.contains("is worse than the baseline's by more than 3 points"), "{back}");
    assert_eq!(world.published()?, 0);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_with_planned_looks_ends_at_one_of_them() -> Result<()> {
    let world = World::start().await?;
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| {
            if drawn(user, visit) < if version == "canary" { 40 } else { 10 } { Does::Buys } else { Does::Looks }
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| {
        purchases(file, &json!({"procedure": "groupSequential", "horizon": "10s", "minPerArm": 100}))
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    shoppers.stop().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let verdict = said(&ran, "verdict");
    assert!(verdict.contains("B (canary) is better than A (stable): purchase is"), "{verdict}");
    // A fifth of the horizon is over, or two, …: nothing is concluded between.
    let history = world.history().await?;
    let line = history.iter().find(|l| l["action"] == "verdict").unwrap_or_else(|| panic!("{history:#?}"));
    let measured = line["data"]["look"]["measuredMs"].as_u64().unwrap_or_else(|| panic!("{line:#}"));
    assert!((2_000..10_000).contains(&measured), "{measured}");
    assert!(measured % 2_000 < 1_000, "{measured} ms: not at a planned look");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_disagree_are_told_and_a_routing_for_each_is_proposed() -> Result<()> {
    let world = World::start().await?;
    segmented(&world).await?;
    // Those who pay like the new version, the others the old one.
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| {
            let likes = (user % 2 == 0) == (version == "canary");
            if drawn(user, visit) < if likes { 40 } else { 10 } { Does::Buys } else { Does::Looks }
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| {
        purchases(
            file,
            &json!({"horizon": "30s", "segments": {"premium": "50%"},
            "after": {"bWins": "hold", "aWins": "hold", "equivalent": "hold"}}),
        );
    })?;
    let running = world.run(&file, &[])?;
    let told = running.tells("that segments disagree", |e| e["kind"] == "segments").await?;
    let text = told["text"].as_str().unwrap_or_default();
    assert!(text.contains("B (canary) is better in premium"), "{text}");
    let path = world.state().1.join("headgate/proposals/model-v2.json");
    wait_until("the proposal is written", || async { Ok(path.exists()) }).await?;
    let proposal: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let apply = proposal["apply"]["then"].as_array().cloned().unwrap_or_default();
    assert!(
        apply.iter().any(|c| c.as_str().is_some_and(|c| c.ends_with("--segment premium canary=1 stable=0"))),
        "{apply:?}"
    );
    // Proposed, and not applied: everybody keeps the version of the test.
    let weights = &world.plugin()?["routes"][0]["segments"][0]["weights"];
    assert_eq!(weights["canary"], weights["stable"], "{weights}");
    shoppers.stop().await?;
    running.killed().await?;
    Ok(())
}
