//! What people say to a running rollout from another terminal, and what they are answered.

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::load::Load;
use super::world::{Running, World};

/// Steps that do not end by themselves while a test speaks.
fn long(file: &mut Value) {
    file["spec"]["strategy"] = json!({"canary": {"steps": [
        {"weight": "20%", "duration": "1h"}, {"weight": "50%", "duration": "1h"}, {"weight": "100%", "duration": "1h"},
    ]}});
}

/// Users who ask, and a rollout in the first of these steps.
async fn in_its_first_step() -> Result<(World, Load, Running)> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(long)?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    world.phase("Progressing").await?;
    Ok((world, load, running))
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_resume_promote_and_abort_are_taken_refused_and_audited() -> Result<()> {
    let (world, load, running) = in_its_first_step().await?;

    let ada = ["--actor", "ada", "--reason", "lunch"];
    assert_eq!(world.verb("pause", &ada).await?.code, 0);
    let paused = world.phase("Paused").await?;
    assert_eq!(paused["state"]["weights"]["canary"], 2_000, "a pause keeps the weights");
    assert_eq!(world.verb("resume", &ada).await?.code, 0);
    world.phase("Progressing").await?;

    // A step that has not passed is not left for the asking.
    for (flags, reason) in
        [(&[][..], "the step has not come to a verdict"), (&["--full"][..], "to 100 % would skip stages")]
    {
        let refused = world.verb("promote", flags).await?;
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(refused.out.contains(reason) && refused.out.contains("--force"), "{refused:?}");
    }
    assert_eq!(world.verb("promote", &["--force"]).await?.code, 2, "force needs a reason");
    assert_eq!(world.published()?, 2_000);
    let forced = world.verb("promote", &["--force", "--actor", "bob", "--reason", "I know it"]).await?;
    assert_eq!(forced.code, 0, "{forced:?}");
    world.reaches(5_000).await?;
    let forced = world.verb("promote", &["--full", "--force", "--actor", "bob", "--reason", "hotfix"]).await?;
    assert_eq!(forced.code, 0, "{forced:?}");
    world.reaches(10_000).await?;
    assert_eq!(world.verb("abort", &["--actor", "eve", "--reason", "wrong build"]).await?.code, 0);
    let ran = running.ended().await?;
    assert_eq!(ran.code, 12, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0);
    // Nobody runs it now, and it is over.
    let late = world.verb("pause", &[]).await?;
    assert!([3, 6].contains(&late.code), "{late:?}");

    let history = world.history().await?;
    for (actor, reason) in [("ada", "lunch"), ("bob", "I know it"), ("bob", "hotfix"), ("eve", "wrong build")] {
        let stands = |line: &&Value| line["actor"] == actor && line.to_string().contains(reason);
        assert!(history.iter().any(|line| stands(&line)), "{actor}, {reason}: {history:#?}");
    }
    assert!(history.iter().any(|line| line["action"] == "refused"), "{history:#?}");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_rollout_still_goes_back_when_the_canary_fails() -> Result<()> {
    let (world, load, running) = in_its_first_step().await?;
    assert_eq!(world.verb("pause", &[]).await?.code, 0);
    world.phase("Paused").await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("errorRate is"), "{}", ran.out);
    assert_eq!(world.published()?, 0);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_for_lack_of_samples_is_retried_or_promoted_and_a_kill_ends_it() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "20%", "duration": "1s"}, {"weight": "50%", "duration": "1h"}, {"weight": "100%"}]);
        file["spec"]["analysis"]["minRequests"] = json!(1_000_000);
    })?;
    let running = world.run(&file, &[])?;
    let too_few = |s: &Value| s["state"]["hold"]["cause"] == "inconclusive";
    let held = world.is("it holds for lack of samples", too_few).await?;
    assert_eq!((held["phase"].as_str(), held["state"]["step"].as_u64()), (Some("Waiting"), Some(0)), "{held}");
    assert_eq!(world.verb("retry", &["--actor", "ada"]).await?.code, 0);
    world.phase("Progressing").await?;
    world.is("it holds once more", too_few).await?;
    // A person may decide what the numbers could not.
    let on = world.verb("promote", &["--actor", "ada", "--reason", "night, nobody asks"]).await?;
    assert_eq!(on.code, 0, "{on:?}");
    world.reaches(5_000).await?;
    let killed = world.verb("kill", &["--actor", "bob", "--reason", "pager"]).await?;
    assert_eq!(killed.code, 0, "{killed:?}");
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("a kill is in force"), "{}", ran.out);
    assert!(world.canary_users().await?.is_empty());
    let all = world.headgate(&["status", "--json"]).await?;
    assert_eq!(all.json()?["rollouts"][0]["phase"], "RolledBack", "{all:?}");
    load.stop().await?;
    Ok(())
}
