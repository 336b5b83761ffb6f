//! What a controller that was killed still owes, and what has been left lying: notifications, answers of gates, stale rollouts, old baselines.

use headgate_tests::{Hook, Result, wait_until};
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_told_before_a_kill_is_told_by_the_next_process() -> Result<()> {
    let world = World::start().await?;
    // It never hears of the beginning while the first process lives.
    let deaf = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let ear = std::sync::Arc::clone(&deaf);
    let receiver = Receiver::start(move |_, _, _| {
        let status = if ear.load(std::sync::atomic::Ordering::SeqCst) { 503 } else { 200 };
        (status, String::new())
    })
    .await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["notifications"] =
            json!([{"webhook": {"url": receiver.url("/hook"), "retries": 50}, "on": ["start", "promotion"]}]);
    })?;
    let running = world.run(&file, &[])?;
    world.reaches(2_000).await?;
    wait_until("it was tried", || async { Ok(!receiver.asked("/hook").is_empty()) }).await?;
    running.killed().await?;
    deaf.store(false, std::sync::atomic::Ordering::SeqCst);
    let before = receiver.asked("/hook").len();
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let told: Vec<Value> = receiver.asked("/hook").into_iter().skip(before).map(|b| b["event"].clone()).collect();
    assert_eq!(told, ["start", "promotion"], "each once");
    let history = world.history().await?;
    assert!(history.iter().all(|line| line["action"] != "undelivered"), "{history:#?}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_s_webhook_that_answered_is_not_asked_again_by_the_next_process() -> Result<()> {
    let world = World::start().await?;
    let hook = Hook::start()?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["strategy"]["canary"]["steps"] = json!([
            {"weight": "20%", "duration": "1s"},
            {"gate": {"name": "checks", "webhook": {"url": hook.url(), "interval": "200ms"}}},
            {"pause": {}},
            {"weight": "100%", "duration": "1s"},
        ]);
    })?;
    let running = world.run(&file, &[])?;
    hook.answers(200, json!({"approved": true, "reason": "all green"}));
    running.tells("that it went on", |e| e["kind"] == "stepStarted" && e["step"].to_string().contains("pause")).await?;
    let asked = hook.seen().len();
    running.killed().await?;
    hook.answers(200, json!({"approved": false, "reason": "changed its mind"}));
    let running = world.run(&file, &[])?;
    world
        .is("it waits in the pause", |s| s["pid"].is_number() && s["phase"] == "Waiting" && s["state"]["step"] == 2)
        .await?;
    let resumed = world.verb("resume", &["--actor", "ada", "--reason", "go"]).await?;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    assert_eq!(hook.seen().len(), asked, "it was not asked again");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_left_at_all_users_is_told_to_be_stale_and_the_old_version_is_kept() -> Result<()> {
    let world = World::start().await?;
    let hook = Hook::start()?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        // Two days, in a hurry; and the bootstrap's default route stays with the old version.
        file["spec"]["monitoring"] = json!({"duration": "0s", "staleAfter": "1s"});
        file["spec"]["finalising"] = json!({"verify": true});
        file["spec"]["notifications"] = json!([{"webhook": {"url": hook.url()}, "on": ["stale"]}]);
    })?;
    let running = world.run(&file, &[])?;
    let told = running.tells("that it is stale", |e| e["kind"] == "stale").await?;
    let text = told["text"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("stale: at 100 % for") && text.contains("not finished"), "{told}");
    wait_until("somebody was told", || async { Ok(!hook.seen().is_empty()) }).await?;
    assert_eq!(hook.seen()[0]["event"], "stale");
    world
        .is("what is to be changed is known", |s| {
            s["phase"] == "Finalising" && s["state"]["failsafe"]["detail"].is_string()
        })
        .await?;
    let shown = world.headgate(&["status", super::world::NAME]).await?;
    assert!(shown.out.contains("keep the old version"), "{shown:?}");
    assert!(shown.out.contains("STALE") && shown.out.contains("set its `cluster` to `model-v2`"), "{shown:?}");
    let history = world.history().await?;
    assert!(history.iter().any(|line| line["action"] == "stale"), "{history:#?}");
    assert_eq!(world.published()?, 10_000);
    drop(running);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_baseline_that_is_too_old_is_refused_until_there_is_a_newer_one() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        file["spec"]["analysis"]["baseline"] = json!("recorded");
        file["spec"]["analysis"]["baselineWithin"] = json!("10s");
    })?;
    let text = file.display().to_string();
    let record = async || world.headgate(&["baseline", "record", &text, "--for", "2s", "--json"]).await;
    assert_eq!(record().await?.code, 0);
    // As if it had been recorded a day ago.
    let age = "import json, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=20)\n(n, d), = c.execute('select rollout, data from baselines')\n\
        d = json.loads(d)\nd['untilMs'] -= 86400000\nd['sinceMs'] -= 86400000\n\
        c.execute('update baselines set data = ? where rollout = ?', (json.dumps(d), n))\nc.commit()";
    let aged = std::process::Command::new("python3")
        .args(["-c", age])
        .arg(world.path("state/headgate/headgate.db"))
        .output()?;
    assert!(aged.status.success(), "{aged:?}");
    let before = std::fs::read(world.envoy.ecds_path())?;
    let running = world.run(&file, &[])?;
    let held = running.tells("that it waits", |e| e["kind"] == "held").await?;
    let why = held["text"].as_str().unwrap_or_default();
    assert!(why.contains("1d") && why.contains("10s at most") && why.contains("headgate baseline record"), "{held}");
    assert_eq!(std::fs::read(world.envoy.ecds_path())?, before);
    let again = record().await?;
    assert_eq!(again.code, 0, "{again:?}");
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    load.stop().await?;
    Ok(())
}
