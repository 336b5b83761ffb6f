//! Shadow first: the new version gets copies and answers nobody until they are answered well.

use std::sync::atomic::Ordering;

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::world::World;

fn shadow_first(file: &mut Value) {
    file["spec"]["strategy"] = json!({"shadow": {
        "share": "50%",
        "duration": "3s",
        "steps": [{"weight": "50%", "duration": "2s"}, {"weight": "100%", "duration": "1s"}],
    }});
    file["spec"]["analysis"]["criteria"] = json!([{"metric": "errorRate", "versusBaseline": "2x"}]);
    file["spec"]["monitoring"]["duration"] = json!("0s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_answers_copies_well_climbs() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let running = world.run(&world.rollout(shadow_first)?, &[])?;
    running.tells("that the first weight step begins", |e| e["kind"] == "stepStarted" && e["step"] == "50%").await?;
    let copies = world.versions.canary.seen().iter().filter(|request| request.is_copy()).count();
    assert!(copies >= 50, "{copies} copies");
    let ran = running.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let shadow = ran.events().into_iter().find(|e| e["kind"] == "verdict").unwrap_or_else(|| panic!("{}", ran.out));
    assert_eq!((&shadow["weights"]["canary"], &shadow["weights"]["mirror"]), (&json!(0), &json!(5_000)), "{shadow}");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert_eq!(seen.ways().into_keys().collect::<Vec<_>>(), ["sc"], "{:?}", seen.ways());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_copies_never_meets_a_user() -> Result<()> {
    let world = World::start().await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let load = world.load().await?;
    load.more(100).await?;
    let ran = world.run(&world.rollout(shadow_first)?, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("errorRate is"), "{}", ran.out);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    assert_eq!(seen.canary.load(Ordering::Relaxed), 0);
    let copied = world.versions.canary.seen();
    assert!(!copied.is_empty() && copied.iter().all(|request| request.is_copy()), "a user was sent to it");
    Ok(())
}
