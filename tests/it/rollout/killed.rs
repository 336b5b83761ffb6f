//! `kill -9` of the controller in every phase: traffic stays as it was, and the next `headgate run` goes on where it was.

use std::collections::BTreeSet;
use std::path::Path;

use headgate_tests::{Conduct, Result, wait_until};
use serde_json::{Value, json};

use super::load::Load;
use super::routes::{routes_by_file, write_routes};
use super::world::{Running, World};

/// Kills the controller, sees that the same users are with the canary, starts it anew, and sees them again once it is there.
async fn again(world: &World, running: Running, file: &Path, phase: &str) -> Result<Running> {
    let before = world.phase(phase).await?;
    let weight = world.published()?;
    world.applied().await?;
    // Where no traffic is waited for, to ask would end the wait.
    let asks = phase != "Initializing";
    let users = if asks { world.canary_users().await? } else { BTreeSet::new() };
    let pid = running.pid();
    let said = running.killed().await?;
    assert_eq!(said.code, -1, "{said:?}");
    assert_eq!(world.status().await?["pid"], Value::Null, "the dead one, {pid}, owns the target still");
    if asks {
        assert_eq!(world.canary_users().await?, users, "killed in {phase}");
    }
    let running = world.run(file, &[])?;
    let after = world.is("the next process has it", |status| status["pid"] == running.pid()).await?;
    assert_eq!(after["state"]["step"], before["state"]["step"], "killed in {phase}");
    assert_eq!(after["state"]["weights"], before["state"]["weights"], "killed in {phase}");
    assert_eq!(world.published()?, weight, "killed in {phase}");
    if asks {
        assert_eq!(world.canary_users().await?, users, "killed in {phase}");
    }
    Ok(running)
}

/// Everything on the way up: initialising, measuring, at a gate, paused, monitoring, and waiting for the default route.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_up_it_goes_on_where_it_was() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let routes_path = folder.path().join("routes.json");
    let mut routes = Value::Null;
    let world = World::with(|bootstrap| {
        routes = routes_by_file(bootstrap, &routes_path);
        write_routes(&routes_path, &routes).unwrap();
    })
    .await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"] = json!({"canary": {"steps": [
            {"weight": "20%", "duration": "4s"},
            {"gate": {"name": "sign-off"}},
            {"weight": "50%", "duration": "3s"},
            {"weight": "100%", "duration": "1s"},
        ]}});
        file["spec"]["monitoring"] = json!({"duration": "3s"});
        file["spec"]["finalising"] = json!({});
    })?;
    let running = world.run(&file, &[])?;
    // Nobody asks yet: there is nothing to compare with.
    world
        .is("it waits for traffic", |s| {
            s["state"]["hold"]["reason"].as_str().is_some_and(|r| r.contains("no baseline"))
        })
        .await?;
    let running = again(&world, running, &file, "Initializing").await?;
    let load = world.load().await?;

    world.reaches(2_000).await?;
    let running = again(&world, running, &file, "Progressing").await?;
    world.is("the gate waits", |s| s["state"]["step"] == 1).await?;
    let running = again(&world, running, &file, "Waiting").await?;
    assert_eq!(world.verb("promote", &["--actor", "ada"]).await?.code, 0);
    world.reaches(5_000).await?;
    assert_eq!(world.verb("pause", &["--actor", "ada", "--reason", "lunch"]).await?.code, 0);
    let running = again(&world, running, &file, "Paused").await?;
    assert_eq!(world.verb("resume", &["--actor", "ada"]).await?.code, 0);
    world.reaches(10_000).await?;
    world.phase("Promoting").await?;
    let running = again(&world, running, &file, "Promoting").await?;
    world.phase("Finalising").await?;
    let running = again(&world, running, &file, "Finalising").await?;
    // The bootstrap's default route still reaches the old version; it is said where, and waited for.
    let held = world.is("the default route was looked at", |s| s["state"]["failsafe"]["reached"] == false).await?;
    assert_eq!(held["keepOldVersion"], true, "{held}");
    let detail = held["state"]["failsafe"]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("`stable` goes to `model-v1`: set its `cluster` to `model-v2`"), "{detail}");
    for route in routes["virtual_hosts"][0]["routes"].as_array_mut().into_iter().flatten() {
        if route["name"] == "stable" {
            route["route"]["cluster"] = json!("model-v2");
        }
    }
    write_routes(&routes_path, &routes)?;
    let ran = running.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(world.status().await?["keepOldVersion"], false);

    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    // Through six deaths nobody went anywhere but from stable to the canary, once.
    let ways: BTreeSet<String> = seen.ways().into_keys().collect();
    assert!(ways.iter().all(|way| ["c", "sc"].contains(&way.as_str())), "{:?}", seen.ways());
    let processes = world.history().await?.iter().filter(|line| line["action"] == "process").count();
    assert_eq!(processes, 7);
    Ok(())
}

/// Back by steps, killed between two of them: what was begun goes on, and not to the way up.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_back_it_goes_on_back() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    let file = world.rollout(|file| file["spec"]["rollback"] = json!({"mode": "steps", "interval": "8s"}))?;
    let running = world.run(&file, &[])?;
    world.reaches(5_000).await?;
    let users = world.canary_users().await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    world.phase("RollingBack").await?;
    world.reaches(2_000).await?;
    world.versions.canary.behave(Conduct::default());
    let running = again(&world, running, &file, "RollingBack").await?;
    assert!(world.canary_users().await?.is_subset(&users));
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0);
    assert_eq!(world.canary_users().await?, BTreeSet::new());
    load.stop().await?;
    Ok(())
}

/// A rollback while nobody runs the rollout acts at once; the process that comes later does not go forward again.
#[tokio::test(flavor = "multi_thread")]
async fn rollback_and_kill_work_with_the_controller_dead() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    let file = world.rollout(|file| file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("1h"))?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    running.killed().await?;
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "it smells"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(world.published()?, 0);
    assert_eq!(world.canary_users().await?, BTreeSet::new());
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("it smells"), "{}", ran.out);

    // Once more, with a kill.
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    running.killed().await?;
    let killed = world.verb("kill", &["--actor", "bob", "--reason", "pager"]).await?;
    assert_eq!(killed.code, 0, "{killed:?}");
    wait_until("nobody is on the canary", || async { Ok(world.canary_users().await?.is_empty()) }).await?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("a kill is in force"), "{}", ran.out);
    assert_eq!(world.canary_users().await?, BTreeSet::new());
    // It is cleared by a person alone: the next one is told so and touches nothing.
    let file = world.rollout(|file| file["spec"]["holdLimit"] = json!("1s"))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 11, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("`headgate revive` clears it"), "{}", ran.out);
    let kill = world.history().await?;
    let kill = kill.iter().find(|line| line["action"] == "kill").unwrap_or_else(|| panic!("{kill:?}"));
    assert_eq!((kill["actor"].as_str(), kill["reason"].as_str()), (Some("bob"), Some("pager")));
    let revived = world.verb("revive", &["--actor", "bob", "--reason", "fixed"]).await?;
    assert_eq!(revived.code, 0, "{revived:?}");
    let seen = stopped(load).await?;
    assert_eq!(seen, 0);
    Ok(())
}

async fn stopped(load: Load) -> Result<u64> {
    Ok(load.stop().await?.failed().values().sum())
}
