//! A/B tests on real traffic: a true lift is found, none is not called whatever heavy users do, and what holds or ends a test early.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headgate_tests::{Client, Conduct, Result, body};
use hyper::Method;
use serde_json::{Value, json};

use super::world::{Ran, World};

/// What a user does after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Looks at something else.
    Looks,
    /// Buys: a request that reaches the goal.
    Buys,
    /// Never comes again.
    Leaves,
}

/// Who comes at the n-th visit of all, and what they do then: by user, the n-th visit, and which version answered.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    pub(super) who: fn(u64) -> u64,
    pub(super) does: fn(u64, u64, &str) -> Does,
}

/// Users who come until they are told to stop.
pub(super) struct Shoppers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Result<()>>>,
}

/// Connections that are open at once.
const CONNECTIONS: u64 = 4;

impl Shoppers {
    pub(super) async fn come(world: &World, habits: Habits) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let stop = Arc::clone(&stop);
            let mut client = Client::http1(world.envoy.ingress()).await?;
            tasks.push(tokio::spawn(async move {
                let (mut n, mut gone) = (connection, BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    let user = (habits.who)(n);
                    n += CONNECTIONS;
                    if gone.contains(&user) {
                        tokio::time::sleep(Duration::from_micros(500)).await;
                        continue;
                    }
                    let name = format!("user-{user}");
                    // Every other user pays: a segment, where the route knows it.
                    let tier = if user.is_multiple_of(2) { "premium" } else { "free" };
                    let who = [("x-user-id", name.as_str()), ("x-tier", tier)];
                    let answer = client.get("/", &who).await?;
                    match (habits.does)(user, n, &answer.upstream()) {
                        Does::Looks => {}
                        Does::Buys => {
                            client.request(Method::POST, "/buy", &who, body("")).await?;
                        }
                        Does::Leaves => {
                            gone.insert(user);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(())
            }));
        }
        Ok(Self { stop, tasks })
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// A number that looks as if it were drawn, the same each time: 0 to 99.
pub(super) fn drawn(user: u64, visit: u64) -> u64 {
    let mut x = user.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ visit.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 29)) % 100
}

/// A test of purchases, with a guardrail on errors.
pub(super) fn purchases(file: &mut Value, test: &Value) {
    let spec = &mut file["spec"];
    spec["goals"] = json!([{"name": "purchase", "match": {"path": {"exact": "/buy"}, "methods": ["POST"]}}]);
    let mut whole = json!({
        "primary": {"metric": "goal", "goal": "purchase"},
        "minPerArm": 300,
        "observe": "1s",
        "horizon": "20s",
        "guardrails": [{"metric": "errorRate", "versusBaseline": "2x"}],
    });
    for (name, value) in test.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    spec["strategy"] = json!({"abTest": whole});
    spec["analysis"]["criteria"] = json!([{"metric": "errorRate", "versusBaseline": "2x"}]);
}

/// The event of this kind that came first, in words.
pub(super) fn said(ran: &Ran, kind: &str) -> String {
    let events = ran.events();
    let event =
        events.iter().find(|e| e["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {}{}", ran.out, ran.err));
    event["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_true_lift_is_found_from_purchases_that_the_proxy_counts() -> Result<()> {
    let world = World::start().await?;
    // One in ten buys from stable, one in three from the canary.
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| {
            if drawn(user, visit) < if version == "canary" { 33 } else { 10 } { Does::Buys } else { Does::Looks }
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| purchases(file, &json!({})))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    shoppers.stop().await?;
    let events = ran.events();
    let size: Vec<&str> = events.iter().filter(|e| e["kind"] == "power").filter_map(|e| e["text"].as_str()).collect();
    assert!(size.iter().any(|t| t.contains("to find a difference of 2 points in purchase")), "{size:#?}");
    assert!(size.iter().any(|t| t.contains("with the traffic seen")), "{size:#?}");
    let verdict = said(&ran, "verdict");
    assert!(verdict.contains("B (canary) is better than A (stable): purchase is"), "{verdict}");
    assert!(verdict.contains("95 % interval +"), "{verdict}");
    // The report, the audit and the status say the same.
    let history = world.history().await?;
    let line = history.iter().find(|l| l["action"] == "verdict").unwrap_or_else(|| panic!("{history:#?}"));
    let look = &line["data"]["look"]["test"];
    assert!(look["low"].as_f64().is_some_and(|low| low > 0.0) && look["answer"] == "bWins", "{look:#}");
    let status = world.headgate(&["status", super::world::NAME]).await?;
    assert!(status.out.contains("B (canary) is better than A (stable)"), "{}", status.out);
    let page = world.text("report.html");
    let told = world.headgate(&["report", super::world::NAME, "--output", &page]).await?;
    assert_eq!(told.code, 0, "{told:?}");
    let html = std::fs::read_to_string(&page)?;
    assert!(html.contains("B less A") && html.contains("is better than A"), "{} bytes", html.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lift_is_not_called_one_because_a_few_users_come_all_the_time() -> Result<()> {
    let world = World::start().await?;
    // Twelve users make half of all visits. Everybody either always buys or never does, whatever version they have.
    let habits = Habits {
        who: |n| if n.is_multiple_of(2) { 1_000 + (n / 2) % 12 } else { (n / 2) % 400 },
        does: |user, _, _| if drawn(user, 0) < 40 { Does::Buys } else { Does::Looks },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| {
        purchases(file, &json!({"horizon": "4s", "after": {"inconclusive": "rollback"}}));
    })?;
    let ran = world.run(&file, &[])?.ended().await?;
    shoppers.stop().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let verdict = said(&ran, "verdict");
    assert!(verdict.contains("time is up, and it is not decided"), "{verdict}");
    // Taken for independent, the same requests would have been called a difference beyond doubt.
    let history = world.history().await?;
    let line = history.iter().find(|l| l["action"] == "verdict").unwrap_or_else(|| panic!("{history:#?}"));
    let look = &line["data"]["look"]["test"];
    let number = |name: &str| look[name].as_f64().unwrap_or_else(|| panic!("{look:#}"));
    let (a, b) = (number("a"), number("b"));
    let units = |at: usize| look["units"][at].as_f64().unwrap_or(0.0);
    let naive = (a * (1.0 - a) / units(0) + b * (1.0 - b) / units(1)).sqrt();
    assert!((b - a).abs() / naive > 3.0, "{look:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_users_leave_is_held_for_its_sample_ratio() -> Result<()> {
    let world = World::start().await?;
    // Who stays with the canary buys twice as often; but half of its users never come back.
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| match (version == "canary", user % 2) {
            (true, 0) => Does::Leaves,
            (canary, _) if drawn(user, visit) < if canary { 40 } else { 20 } => Does::Buys,
            _ => Does::Looks,
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    // Long enough that users are missed before anything may be concluded.
    let file = world.rollout(|file| purchases(file, &json!({"horizon": "5m", "minPerArm": 100_000})))?;
    let running = world.run(&file, &[])?;
    let held = world.is("it holds", |s| s["state"]["hold"].is_object()).await?;
    shoppers.stop().await?;
    assert_eq!(held["state"]["hold"]["cause"], "sampleRatio", "{held}");
    let reason = held["state"]["hold"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("do not get the users that the weights say: B has"), "{reason}");
    // Both versions keep their users, and nobody goes on by an ordinary word.
    assert_eq!(world.published()?, 5_000);
    let promoted = world.verb("promote", &[]).await?;
    assert_eq!(promoted.code, 3, "{promoted:?}");
    assert_eq!(world.verb("rollback", &["--reason", "users are missing"]).await?.code, 0);
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_takes_the_version_back_in_the_middle_of_the_test() -> Result<()> {
    let world = World::start().await?;
    // It sells better all the time.
    let habits = Habits {
        who: |n| n % 400,
        does: |user, visit, version| {
            if drawn(user, visit) < if version == "canary" { 22 } else { 20 } { Does::Buys } else { Does::Looks }
        },
    };
    let shoppers = Shoppers::come(&world, habits).await?;
    let file = world.rollout(|file| purchases(file, &json!({"horizon": "5m", "minPerArm": 100_000})))?;
    let running = world.run(&file, &[])?;
    world.is("the test is looked at", |s| s["state"]["look"]["test"]["units"][1].as_u64() > Some(100)).await?;
    world.versions.canary.behave(Conduct { failing: 3, ..Conduct::default() });
    let ran = running.ended().await?;
    shoppers.stop().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let back = said(&ran, "rollingBack");
    assert!(back.contains("errorRate is"), "{back}");
    assert_eq!(world.published()?, 0);
    assert!(ran.events().iter().any(|e| e["kind"] == "rollingBack" && e["step"] == "test"), "{}", ran.out);
    Ok(())
}
