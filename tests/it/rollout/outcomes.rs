//! Outcomes that come in from elsewhere: whether the new version is right, which no proxy can see.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headgate_tests::{Client, Result, body};
use hyper::Method;
use serde_json::{Value, json};

use super::world::World;

/// Judged by what comes in under `truth` alone, beside errors.
fn truthful(file: &mut Value, provider: Value) {
    file["spec"]["providers"] = json!({"truth": {"outcomes": provider}});
    file["spec"]["analysis"]["criteria"] = json!([
        {"metric": "errorRate", "versusBaseline": "2x"},
        {"name": "accuracy", "metric": "success", "provider": "truth", "maxDrop": "5 points"},
    ]);
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "50%", "duration": "3s"}, {"weight": "100%", "duration": "2s"}]);
}

/// Users who ask, and whose outcomes are known at once: right nine times of ten from stable, `canary_right` of ten from the canary.
pub(super) struct Truth {
    stop: Arc<AtomicBool>,
    canary_right: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Truth {
    pub(super) async fn written(world: &World, path: PathBuf, canary_right: u64) -> Result<Self> {
        let (stop, canary_right) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(canary_right)));
        let mut client = world.envoy.http1().await?;
        std::fs::write(&path, "")?;
        let (stopped, canary) = (Arc::clone(&stop), Arc::clone(&canary_right));
        let task = tokio::spawn(async move {
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            let mut n: u64 = 0;
            while !stopped.load(Ordering::Relaxed) {
                let user = format!("user-{}", n % 400);
                let answer = client.get("/", &[("x-user-id", &user)]).await.unwrap();
                let right = if answer.upstream() == "canary" { canary.load(Ordering::Relaxed) } else { 9 };
                // Spread over users, so that each version has some of every kind.
                let success = (n % 400 * 7 + n / 400) % 10 < right;
                writeln!(file, "{}", json!({"key": user, "success": success})).unwrap();
                n += 1;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        });
        Ok(Self { stop, canary_right, task })
    }

    /// From now on the canary is right so many times of ten.
    pub(super) fn canary(&self, right: u64) {
        self.canary_right.store(right, Ordering::Relaxed);
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_less_often_right_is_taken_back_by_the_outcomes_of_its_users() -> Result<()> {
    let world = World::start().await?;
    let path = world.path("outcomes.jsonl");
    let truth = Truth::written(&world, path.clone(), 4).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| truthful(file, json!({"file": path})))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let events = ran.events();
    let back = events.iter().find(|e| e["kind"] == "rollingBack").unwrap_or_else(|| panic!("{}", ran.out));
    assert_eq!(back["step"], "50%");
    assert!(back["text"].as_str().is_some_and(|t| t.contains("accuracy is")), "{back}");
    assert_eq!(world.published()?, 0);
    // The audit has the figures.
    let history = world.history().await?;
    let line = history.iter().find(|line| line["action"] == "rollingBack").unwrap_or_else(|| panic!("{history:#?}"));
    let figures = line["data"]["look"]["figures"].as_array().cloned().unwrap_or_default();
    let accuracy = figures.iter().find(|f| f["name"] == "accuracy").unwrap_or_else(|| panic!("{line:#}"));
    let (measured, limit) = (accuracy["measured"].as_f64().unwrap(), accuracy["limit"].as_f64().unwrap());
    assert!(measured < limit, "{accuracy}");
    truth.stop().await?;
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_as_often_right_is_promoted() -> Result<()> {
    let world = World::start().await?;
    let path = world.path("outcomes.jsonl");
    let truth = Truth::written(&world, path.clone(), 9).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| {
        truthful(file, json!({"file": path}));
        file["spec"]["monitoring"]["duration"] = json!("0s");
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    truth.stop().await?;
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_outcomes_nothing_goes_forward_and_those_that_come_by_http_are_counted_once() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| truthful(file, json!({"file": world.path("never.jsonl")})))?;
    let running = world.run(&file, &["--listen", "127.0.0.1:0"])?;
    let listening = running.tells("where it listens", |e| e["kind"] == "listening").await?;
    let addr: SocketAddr =
        listening["text"].as_str().unwrap_or_default().rsplit(' ').next().unwrap_or_default().parse()?;
    // No values are no success: the step's time is over, and it stays.
    let held = world.is("it holds unmeasured", |s| s["state"]["hold"]["cause"] == "unmeasured").await?;
    assert_eq!(held["state"]["weights"]["canary"], 5_000, "{held}");

    let lines: Vec<String> = (0..400)
        .map(|n| json!({"key": format!("user-{n}"), "success": n % 10 != 0, "time": format!("2099-01-01T00:00:{:02}Z", n % 60)}).to_string())
        .collect();
    let mut client = Client::http1(addr).await?;
    let mut post = async |text: String| {
        let answer = client
            .request(Method::POST, "/outcomes/model-v2", &[("content-type", "application/x-ndjson")], body(text))
            .await?;
        Ok::<_, headgate_tests::Fault>((answer.status, serde_json::from_slice::<Value>(&answer.body)?))
    };
    // Of requests long before the step: kept, and no part of what is judged now.
    let late: Vec<String> = (0..400)
        .map(|n| json!({"key": format!("user-{n}"), "success": false, "time": "2001-01-01T00:00:00Z"}).to_string())
        .collect();
    assert_eq!(post(late.join("\n")).await?, (200, json!({"kept": 400, "problems": []})));
    assert_eq!(post(lines.join("\n")).await?, (200, json!({"kept": 400, "problems": []})));
    assert_eq!(post(lines.join("\n")).await?, (200, json!({"kept": 0, "problems": []})));
    let (status, told) = post(r#"{"key": "user-1"}"#.to_owned()).await?;
    assert_eq!(status, 400);
    assert!(told["problems"][0].as_str().is_some_and(|p| p.contains("neither `success` nor `value`")), "{told}");
    // Now it is measured, and goes on by itself.
    world.reaches(10_000).await?;
    running.killed().await?;
    let history = world.history().await?;
    let figures = history.iter().filter_map(|line| line["data"]["look"]["figures"].as_array()).flatten();
    let accuracy: Vec<(u64, f64)> = figures
        .filter(|f| f["name"] == "accuracy")
        .filter_map(|f| Some((f["samples"].as_u64()?, f["measured"].as_f64()?)))
        .collect();
    // Only the canary's users of the 400, once each, nine of ten right: what came late or twice is not among them.
    assert!(!accuracy.is_empty(), "{history:#?}");
    for (samples, measured) in accuracy {
        assert!(samples < 400 && measured > 0.8, "{samples} {measured}");
    }
    load.stop().await?;
    Ok(())
}
