//! Drift after promotion: none found where nothing moved; found once, told once, and followed by one retraining where it did.

use std::time::Duration;

use headgate_tests::{Conduct, Fault, Result, wait_until};
use serde_json::{Value, json};

use super::outcomes::Truth;
use super::receiver::Receiver;
use super::world::{NAME, Ran, World};

/// Exit code: nothing is known.
const UNKNOWN: i32 = 14;
/// One look at what was promoted.
const ONCE: [&str; 4] = ["drift", NAME, "--once", "--json"];

fn late(ms: u64) -> Conduct {
    Conduct { late: Duration::from_millis(ms), ..Conduct::default() }
}

/// A rollout of three seconds that watches windows of a second and a half. Latency's limits are wide: other work on this machine moves it too.
fn watched(file: &mut Value, hook: &Receiver) {
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "50%", "duration": "1s"}, {"weight": "100%", "duration": "1s"}]);
    file["spec"]["monitoring"] = json!({"duration": "2s"});
    file["spec"]["analysis"]["criteria"] = json!([{"metric": "errorRate", "max": "50%"}]);
    file["spec"]["notifications"] = json!([{"webhook": {"url": hook.url("/told")}, "on": ["drift"]}]);
    file["spec"]["drift"] = json!({
        "window": "1500ms", "minRequests": 50, "latency": {"psi": 3, "ks": 0.6}, "retrain": {"url": hook.url("/retrain"), "retries": 0}
    });
}

/// One look that came to a verdict. On a busy machine a window may have too few independent values for one; then one looks again.
async fn looked(world: &World, arguments: &[&str]) -> Result<Ran> {
    for _ in 0..10 {
        let ran = world.headgate(arguments).await?;
        if ran.code != UNKNOWN {
            return Ok(ran);
        }
    }
    Err(Fault::msg("ten looks, and not one came to a verdict"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promoted_is_watched_and_an_episode_of_drift_starts_one_retraining() -> Result<()> {
    let world = World::start().await?;
    world.versions.canary.behave(late(10));
    // The first call fails, and is made again at the next window.
    let hook =
        Receiver::start(
            |path, before, _| {
                if path == "/retrain" && before == 0 { (500, String::new()) } else { (200, String::new()) }
            },
        )
        .await?;
    let load = world.load().await?;
    load.more(50).await?;
    let file = world.rollout(|file| watched(file, &hook))?;
    let running = world.run(&file, &["--drift"])?;
    let steady = running.tells("a window without drift", |e| e["verdict"] == "steady").await?;
    assert_eq!(steady["reference"], "its last window before it was promoted");
    assert!(steady["requests"].as_u64() >= Some(50), "{steady}");
    assert!(hook.asked("/told").is_empty() && hook.asked("/retrain").is_empty());
    // It is promoted: its target is free for the next rollout.
    assert_eq!(world.status().await?["phase"], "Succeeded");

    world.versions.canary.behave(late(25));
    let first = running.tells("a window with drift", |e| e["verdict"] == "drifted").await?;
    assert!(
        first["sentence"].as_str().is_some_and(|s| s.contains("latency moved: Kolmogorov-Smirnov distance")),
        "{first}"
    );
    let number = first["number"].as_u64().unwrap();
    running.tells("two more windows", |e| e["number"].as_u64() == Some(number + 2)).await?;
    assert_eq!(hook.asked("/retrain").len(), 2, "one call that failed, and one that was taken");
    let asked = hook.asked("/retrain");
    assert_eq!((&asked[1]["episode"], &asked[1]["variant"]), (&json!(1), &json!("canary")));

    world.versions.canary.behave(late(10));
    running.tells("an end of it", |e| e["verdict"] == "steady" && e["number"].as_u64() > Some(number)).await?;
    wait_until("both are told", || async { Ok(hook.asked("/told").len() == 2) }).await?;
    let told: Vec<Value> = hook.asked("/told").into_iter().map(|t| t["data"]["began"].clone()).collect();
    assert_eq!(told, [json!(true), json!(false)]);
    running.killed().await?;
    let history = world.history().await?;
    let actions: Vec<&str> = history.iter().filter_map(|line| line["action"].as_str()).collect();
    for (action, times) in [("drift", 2), ("retrain", 1), ("undelivered", 1)] {
        assert_eq!(actions.iter().filter(|a| **a == action).count(), times, "{action}: {actions:?}");
    }

    // Looked at once, from another terminal.
    let once = looked(&world, &ONCE).await?;
    assert_eq!((once.code, &once.json()?["looks"][0]["verdict"]), (0, &json!("steady")), "{once:?}");
    world.versions.canary.behave(late(25));
    load.more(50).await?;
    let once = looked(&world, &ONCE).await?;
    assert_eq!((once.code, &once.json()?["exit"]), (13, &json!("drifted")), "{once:?}");
    assert_eq!(hook.asked("/retrain").len(), 3, "another episode");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reference_it_says_how_to_record_one_and_saved_pages_need_none() -> Result<()> {
    let world = World::start().await?;
    let hook = Receiver::start(|_, _, _| (200, String::new())).await?;
    let file = world.rollout(|file| {
        watched(file, &hook);
        // What serves here is the version that was always there.
        file["spec"]["variants"] = json!({"stable": "canary", "canary": "stable"});
    })?;
    let file = file.display().to_string();
    let refused = world.headgate(&["drift", &file, "--once"]).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("headgate baseline record"), "{refused:?}");
    // What a rollout would have had counted.
    let mut plugin: Value = serde_json::from_str(&std::fs::read_to_string(world.path("plugin.json"))?)?;
    plugin["metrics"] = json!({"replicates": ["finished", "failures", "latency"]});
    std::fs::write(world.path("plugin.json"), plugin.to_string())?;
    let pushed = world.headgate(&["push", &world.text("target.json"), "-f", &world.text("plugin.json")]).await?;
    assert_eq!(pushed.code, 0, "{pushed:?}");
    world.versions.stable.behave(late(5));
    let load = world.load().await?;
    let mut pages = Vec::new();
    for at in 0..4 {
        if at == 3 {
            world.versions.stable.behave(late(30));
        }
        load.more(200).await?;
        // Histograms come with the flush.
        let seen = world.envoy.metrics().await?.sum("headgate_latency_us_count", &[]);
        wait_until("they are flushed", || async {
            Ok(world.envoy.admin().metrics().await?.sum("headgate_latency_us_count", &[]) >= seen + 150)
        })
        .await?;
        let path = world.text(&format!("page-{at}.txt"));
        std::fs::write(&path, world.envoy.admin().get("/stats?format=prometheus").await?)?;
        pages.push(path);
    }
    let mut arguments = vec!["drift", file.as_str(), "--json", "--pages"];
    arguments.extend(pages.iter().map(String::as_str));
    let ran = world.headgate(&arguments).await?;
    let verdicts: Vec<Value> =
        ran.json()?["looks"].as_array().into_iter().flatten().map(|l| l["verdict"].clone()).collect();
    assert_eq!((ran.code, verdicts), (13, vec![json!("steady"), json!("drifted")]), "{ran:?}");
    load.stop().await?;
    Ok(())
}

/// One measure of a look.
fn of(look: &Value, of: &str, measure: &str) -> Value {
    let mut all = look["measures"].as_array().into_iter().flatten();
    all.find(|m| m["of"] == of && m["measure"] == measure).cloned().unwrap_or_else(|| panic!("{look:#}"))
}

/// Answers of which the scores are from this one on.
fn predicting(scores_from: u64) -> Conduct {
    Conduct { scores_from: Some(scores_from), ..late(10) }
}

/// A number and a class, of nearly all requests.
fn score_and_label() -> Value {
    json!({"share": 9_000, "fields": [
        {"name": "score", "responseBody": "/score", "edges": [20, 40, 60, 80, 100, 120]},
        {"name": "label", "responseBody": "/label", "classes": ["spam", "ham"]}
    ]})
}

/// Nothing of what was predicted has moved, by limits as small as one would set them.
fn predicts_as_ever(look: &Value) {
    for (name, measure, customary) in
        [("prediction score", "psi", 0.25), ("prediction score", "ks", 0.2), ("prediction label", "psi", 0.25)]
    {
        let found = of(look, name, measure);
        assert!(found["size"].as_f64().is_some_and(|size| size < customary), "{found:#}");
        assert_eq!((&found["limit"], &found["drifted"]), (&json!(customary), &json!(false)), "{found:#}");
    }
}

/// The score has moved, and the label has not.
fn score_moved(look: &Value) {
    let (index, distance) = (of(look, "prediction score", "psi"), of(look, "prediction score", "ks"));
    assert!(index["drifted"] == true || distance["drifted"] == true, "{look:#}");
    assert!(distance["size"].as_f64().is_some_and(|size| size > 0.2), "{distance:#}");
    assert_eq!(of(look, "prediction label", "psi")["drifted"], false, "{look:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_that_moved_are_found_told_and_followed_by_a_retraining() -> Result<()> {
    let world = World::reading(2).await?;
    world.versions.canary.behave(predicting(0));
    let hook = Receiver::start(|_, _, _| (200, String::new())).await?;
    let load = world.load().await?;
    load.more(50).await?;
    let file = world.rollout(|file| {
        watched(file, &hook);
        file["spec"]["drift"]["predictions"] = score_and_label();
    })?;
    let running = world.run(&file, &["--drift"])?;
    let steady = running.tells("a window without drift", |e| e["verdict"] == "steady").await?;
    predicts_as_ever(&steady);
    assert_eq!(of(&steady, "prediction label", "psi")["parts"].as_array().map(Vec::len), Some(2));
    assert!(hook.asked("/told").is_empty() && hook.asked("/retrain").is_empty());

    // Every score is larger by 50, and one in five is still spam.
    world.versions.canary.behave(predicting(50));
    let first = running.tells("a window with drift", |e| e["verdict"] == "drifted").await?;
    running.tells("a window of nothing but that", |e| e["number"].as_u64() > first["number"].as_u64()).await?;
    wait_until("the pipeline was called", || async { Ok(hook.asked("/retrain").len() == 1) }).await?;
    score_moved(&hook.asked("/retrain")[0]["look"]);
    let told = hook.asked("/told");
    assert!(told[0]["text"].as_str().is_some_and(|t| t.contains("prediction score moved")), "{told:?}");
    running.killed().await?;
    load.stop().await?;

    // The report has both windows, and the distributions beside each other.
    let page = world.text("report.html");
    assert_eq!(world.headgate(&["report", NAME, "--output", &page]).await?.code, 0);
    let html = std::fs::read_to_string(&page)?;
    let shown = [
        "Drift since promotion",
        "prediction score, window by window",
        "prediction score: the last window beside the reference",
        "prediction label: the last window beside the reference",
        "<td>prediction score</td><td>psi</td>",
    ];
    for part in shown {
        assert!(html.contains(part), "{part} is not in the report of {} bytes", html.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_are_held_against_a_recorded_reference() -> Result<()> {
    let world = World::reading(1).await?;
    world.versions.stable.behave(predicting(0));
    let hook = Receiver::start(|_, _, _| (200, String::new())).await?;
    let file = world.rollout(|file| {
        watched(file, &hook);
        // What serves here is the version that was always there.
        file["spec"]["variants"] = json!({"stable": "canary", "canary": "stable"});
        file["spec"]["drift"]["predictions"] = score_and_label();
        file["spec"]["drift"]["reference"] = json!("week-1");
    })?;
    let file = file.display().to_string();
    let load = world.load().await?;
    load.more(50).await?;
    let record = ["baseline", "record", &file, "--variant", "stable", "--name", "week-1", "--for", "2s", "--json"];
    let recorded = world.headgate(&record).await?;
    assert_eq!(recorded.code, 0, "{recorded:?}");
    let once = ["drift", &file, "--once", "--json"];
    let ran = looked(&world, &once).await?;
    assert_eq!(ran.code, 0, "{ran:?}");
    let look = &ran.json()?["looks"][0];
    assert_eq!(look["reference"], "week-1");
    predicts_as_ever(look);

    world.versions.stable.behave(predicting(50));
    load.more(50).await?;
    let ran = looked(&world, &once).await?;
    assert_eq!(ran.code, 13, "{ran:?}");
    score_moved(&ran.json()?["looks"][0]);
    assert_eq!((hook.asked("/told").len(), hook.asked("/retrain").len()), (1, 1));

    // Answers without a score are not steady: nothing is known of them.
    world.versions.stable.behave(late(10));
    load.more(50).await?;
    let ran = world.headgate(&once).await?;
    let look = &ran.json()?["looks"][0];
    let score = of(look, "prediction score", "psi");
    assert!(score["undecided"].as_str().is_some_and(|why| why.contains("could be read in the window")), "{score:#}");
    assert_eq!((ran.code, &look["verdict"]), (UNKNOWN, &json!("inconclusive")), "{ran:?}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_decline_are_found_and_start_a_retraining() -> Result<()> {
    let world = World::start().await?;
    let hook = Receiver::start(|_, _, _| (200, String::new())).await?;
    let path = world.path("outcomes.jsonl");
    let truth = Truth::written(&world, path.clone(), 9).await?;
    let load = world.load().await?;
    load.more(50).await?;
    let file = world.rollout(|file| {
        watched(file, &hook);
        file["spec"]["providers"] = json!({"truth": {"outcomes": {"file": path}}});
        file["spec"]["drift"]["performance"] = json!([{"metric": "success"}]);
        // Answers come at once, so that there are many; how fast they are is not what this is about.
        file["spec"]["drift"]["latency"] = json!({"psi": 100, "ks": 0.99});
    })?;
    let running = world.run(&file, &["--drift"])?;
    let steady = running.tells("a window without drift", |e| e["verdict"] == "steady").await?;
    let accuracy = of(&steady, "successes", "decline");
    // Five percent is from where on it is drift, unless the file says otherwise.
    assert_eq!(accuracy["limit"], json!(0.05));
    for when in ["reference", "now"] {
        assert!(accuracy[when].as_f64().is_some_and(|rate| (rate - 0.9).abs() < 0.05), "{accuracy:#}");
    }
    truth.canary(4);
    let found = running.tells("a window with drift", |e| e["verdict"] == "drifted").await?;
    let accuracy = of(&found, "successes", "decline");
    assert!(accuracy["drifted"] == true && accuracy["p"].as_f64().is_some_and(|p| p < 0.01), "{found:#}");
    assert!(found["sentence"].as_str().is_some_and(|s| s.contains("successes declined by")), "{found:#}");
    wait_until("the pipeline was called", || async { Ok(hook.asked("/retrain").len() == 1) }).await?;
    running.killed().await?;
    // From another terminal, which takes them in itself: it goes on, and nothing is started again.
    let once = looked(&world, &ONCE).await?;
    let accuracy = of(&once.json()?["looks"][0], "successes", "decline");
    assert!(accuracy["now"].as_f64().is_some_and(|rate| (rate - 0.4).abs() < 0.1), "{once:?}");
    assert_eq!((once.code, hook.asked("/retrain").len()), (13, 1), "{once:?}");
    truth.stop().await?;
    load.stop().await?;
    Ok(())
}
