//! `headgate run` is killed and goes on where it was; the way back needs neither it nor its state.

use headgate_tests::{Result, wait_until};
use serde_json::{Value, json};

use super::world::{NAME, World};

/// What `status` says of the rollout.
async fn status(world: &World) -> Result<Value> {
    world.verb("status", &[]).await?.json()
}

/// Waits for a phase, in a state that a process holds at the moment.
async fn phase(world: &World, wanted: &str) -> Result<()> {
    let what = format!("the rollout is {wanted}");
    wait_until(&what, || async {
        let status = status(world).await?;
        Ok(status["phase"] == wanted && status["pid"].is_u64())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_every_phase_it_goes_on_with_the_same_weights() -> Result<()> {
    let world = World::start().await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] = json!([
            {"weight": "20%", "duration": "2s"},
            {"name": "look", "pause": {}},
            {"weight": "100%", "duration": "1s"},
        ]);
        file["spec"]["monitoring"] = json!({"duration": "4s"});
        // Envoy's default route goes on leading to the stable version, so it is never finished.
        file["spec"]["finalising"] = json!({"verify": true});
        file["spec"]["onInconclusive"] = json!("proceed");
    })?;
    let again = async |running: super::world::Running, at: &str, share: u64| -> Result<super::world::Running> {
        phase(&world, at).await?;
        // The state is written before it is acted on: between the two the old weights are published still.
        world.reaches(share).await?;
        running.killed().await?;
        assert_eq!(world.published()?, share, "{at}");
        assert!(status(&world).await?["pid"].is_null(), "{at}");
        let running = world.run(&file, &[])?;
        phase(&world, at).await?;
        assert_eq!(world.published()?, share, "{at}");
        Ok(running)
    };
    // Nobody asks yet, so there is nothing to compare with.
    let running = again(world.run(&file, &[])?, "Initializing", 0).await?;
    let load = world.load().await?;
    let running = again(running, "Progressing", 2_000).await?;
    assert_eq!(world.verb("pause", &["--reason", "lunch"]).await?.code, 0);
    let running = again(running, "Paused", 2_000).await?;
    assert_eq!(world.verb("resume", &[]).await?.code, 0);
    let running = again(running, "Waiting", 2_000).await?;
    assert_eq!(world.verb("resume", &[]).await?.code, 0);
    let running = again(running, "Promoting", 10_000).await?;
    let running = again(running, "Finalising", 10_000).await?;
    wait_until("it says what is to be changed", || async {
        let because = status(&world).await?["state"]["because"].clone();
        Ok(because.as_str().is_some_and(|why| why.contains("set its `cluster` to `model-v2`")))
    })
    .await?;
    let seen = status(&world).await?;
    assert_eq!((&seen["keepOldVersion"], &seen["run"]), (&json!(true), &json!(1)));
    // And from there it still goes back.
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "changed my mind"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_never_goes_back_a_step_nor_skips_one() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|_| {})?;
    let mut shares = vec![0];
    let mut running = world.run(&file, &[])?;
    // Not after times but after so many requests of users: wherever it is then, it is killed.
    for requests in [60, 130, 170, 240, 310, 190, 430, 370] {
        load.more(requests).await?;
        running.killed().await?;
        shares.push(world.published()?);
        running = world.run(&file, &[])?;
    }
    let ran = running.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    shares.push(world.published()?);
    assert!(shares.is_sorted(), "{shares:?}");
    assert_eq!(shares.last(), Some(&10_000));
    let history = world.verb("history", &[]).await?.json()?;
    let steps: Vec<&str> = history["history"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|line| line["action"] == "stepStarted")
        .filter_map(|line| line["data"]["step"].as_str())
        .collect();
    assert_eq!(steps, ["20%", "50%", "100%", "monitoring"], "each step once, in order");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_without_a_process_holds_when_one_is_started_again() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "5m"}, {"weight": "100%", "duration": "5m"}]);
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    phase(&world, "Progressing").await?;
    running.killed().await?;
    let refused = world.verb("pause", &[]).await?;
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.out.contains("headgate run"), "{}", refused.out);
    let back = world.verb("rollback", &["--reason", "it is 3 a.m."]).await?;
    assert_eq!((back.code, world.published()?), (0, 0), "{back:?}");
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let weights: Vec<u64> = ran.events().iter().filter_map(|e| e["weights"]["canary"].as_u64()).collect();
    assert!(ran.events().iter().all(|e| e["kind"] != "stepStarted"), "{weights:?} {}", ran.out);
    let history = world.verb("history", &[]).await?;
    assert!(history.out.contains("it is 3 a.m."), "{}", history.out);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_damaged_state_nothing_begins_and_rollback_and_kill_work() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "5m"}, {"weight": "100%", "duration": "5m"}]);
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    phase(&world, "Progressing").await?;
    running.killed().await?;
    let state = world.path("state/headgate");
    for name in ["headgate.db-wal", "headgate.db-shm"] {
        // They may have been folded into the file already.
        let _gone = std::fs::remove_file(state.join(name));
    }
    let garbage = "neither a database nor anything else ".repeat(300);
    std::fs::write(state.join("headgate.db"), &garbage)?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(format!("{}{}", ran.out, ran.err).contains("is damaged"), "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 2_000, "traffic as it was");
    assert_eq!(std::fs::read_to_string(state.join("headgate.db"))?, garbage, "left as it is");
    let file = file.display().to_string();
    let back = world.headgate(&["rollback", &file, "--json"]).await?;
    assert_eq!((back.code, world.published()?), (0, 0), "{back:?}");
    assert!(back.out.contains("is damaged"), "{}", back.out);
    let kill = world.headgate(&["kill", &file, "--json"]).await?;
    assert_eq!(kill.code, 0, "{kill:?}");
    assert_eq!(world.envoy.http1().await?.get("/", &[("x-user-id", "7")]).await?.upstream(), "stable");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_is_found_is_taken_over_and_a_file_that_changed_is_refused() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let steps = json!([{"weight": "20%", "duration": "5m"}, {"weight": "100%", "duration": "5m"}]);
    let file = world.rollout(|file| file["spec"]["strategy"]["canary"]["steps"] = steps.clone())?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    phase(&world, "Progressing").await?;
    running.killed().await?;
    let other = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] = steps.clone();
        file["spec"]["strategy"]["canary"]["steps"][0]["weight"] = json!("30%");
    })?;
    let ran = world.run(&other, &[])?.ended().await?;
    assert_eq!((ran.code, world.published()?), (2, 2_000), "{}{}", ran.out, ran.err);
    assert!(format!("{}{}", ran.out, ran.err).contains("was changed since"), "{}{}", ran.out, ran.err);

    let file = world.rollout(|file| file["spec"]["strategy"]["canary"]["steps"] = steps.clone())?;
    let running = world.run(&file, &[])?;
    phase(&world, "Progressing").await?;
    // By somebody who knows of no rollouts, in the proxy's runtime alone.
    world.envoy.admin().runtime("headgate.enabled", "0").await?;
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("the runtime of edge"), "{}", ran.out);
    let again = world.verb("history", &[]).await?;
    assert!(again.out.contains("a kill is in force"), "{NAME}: {}", again.out);
    load.stop().await?;
    Ok(())
}
