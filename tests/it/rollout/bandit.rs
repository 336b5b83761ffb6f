//! Bandits: shares follow what users' own systems say was earned, and no reward buys a variant that fails.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headgate_tests::{Conduct, Result};
use serde_json::{Value, json};

use super::world::World;

/// Two arms whose rewards come in under `orders`, late by up to two seconds.
fn playing(file: &mut Value, path: &std::path::Path) {
    file["spec"]["providers"] = json!({"orders": {"outcomes": {"file": path}}});
    file["spec"]["strategy"] = json!({"bandit": {
        "reward": {"metric": "success", "provider": "orders"}, "batch": "2s", "delay": "2s", "floor": "5%", "warmUp": 40,
        "duration": "7s", "atEnd": "best",
        "guardrails": [{"metric": "errorRate", "versusBaseline": "2x", "floor": "5 points"}],
    }});
    file["spec"]["analysis"] = json!({"interval": "250ms", "minRequests": 50});
}

/// Users who ask, and of whom half a second later it is told what they earned: of the canary's so many of ten, of stable's one of ten. Told by
/// their keys and the time of their requests alone: who had which version has to be found out.
struct Buyers {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Buyers {
    async fn of(world: &World, path: PathBuf, of_canary: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut client = world.envoy.http1().await?;
        std::fs::write(&path, "")?;
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            let mut told_later = std::collections::VecDeque::new();
            let mut n: u64 = 0;
            while !stopped.load(Ordering::Relaxed) {
                let user = format!("user-{}", n % 400);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let now = u64::try_from(now.as_millis()).unwrap();
                let answer = client.get("/", &[("x-user-id", &user)]).await.unwrap();
                let earns = if answer.upstream() == "canary" { of_canary } else { 1 };
                let success = (n % 400 * 7 + n / 400) % 10 < earns;
                told_later.push_back((now, json!({"key": user, "success": success, "time": now}).to_string()));
                while told_later.front().is_some_and(|(at, _)| at + 500 <= now) {
                    let (_, line) = told_later.pop_front().unwrap();
                    writeln!(file, "{line}").unwrap();
                }
                n += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Ok(Self { stop, task })
    }

    async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_move_to_the_variant_that_earns_more_and_it_gets_all_users() -> Result<()> {
    let world = World::start().await?;
    let path = world.path("orders.jsonl");
    let buyers = Buyers::of(&world, path.clone(), 6).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| playing(file, &path))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 10_000);
    let status = world.status().await?;
    // Shares moved to the better arm batch by batch, within the floor, before it got everybody.
    let history = world.history().await?;
    let moves: Vec<u64> = history
        .iter()
        .filter(|line| line["action"] == "shares")
        .filter_map(|line| line["data"]["weights"]["arms"]["canary"].as_u64())
        .collect();
    assert!(moves.iter().all(|w| (500..=9_500).contains(w)), "{moves:?}");
    let arms = status["state"]["look"]["bandit"]["arms"].as_array().cloned().unwrap_or_default();
    assert_eq!(arms.len(), 2, "{status:#}");
    assert!(arms[1]["chance"].as_f64() > Some(0.95) && arms[1]["weight"].as_u64() > Some(5_000), "{arms:#?}");
    // What was told half a second late was credited to the versions that earned it.
    let rate = |arm: &Value| arm["credible"]["value"].as_f64().unwrap_or(-1.0);
    assert!((rate(&arms[0]) - 0.1).abs() < 0.1 && (rate(&arms[1]) - 0.6).abs() < 0.1, "{arms:#?}");
    let page = world.text("report.html");
    assert_eq!(world.headgate(&["report", super::world::NAME, "--output", &page]).await?.code, 0);
    let html = std::fs::read_to_string(&page)?;
    assert!(html.contains("What the arms earned") && html.contains("Shares of the arms"));
    buyers.stop().await?;
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_earns_most_and_fails_gets_nobody() -> Result<()> {
    let world = World::start().await?;
    let path = world.path("orders.jsonl");
    world.versions.canary.behave(Conduct { failing: 3, ..Conduct::default() });
    let buyers = Buyers::of(&world, path.clone(), 9).await?;
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(|file| playing(file, &path))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert_eq!(world.published()?, 0);
    let events = ran.events();
    let back = events.iter().find(|e| e["kind"] == "rollingBack").unwrap_or_else(|| panic!("{}", ran.out));
    let text = back["text"].as_str().unwrap_or_default();
    assert!(text.contains("errorRate") && text.contains("no variant is left"), "{text}");
    buyers.stop().await?;
    load.stop().await?;
    Ok(())
}
