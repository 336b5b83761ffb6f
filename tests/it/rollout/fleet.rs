//! Several proxies of one target: one that rejects, one that goes and comes back, some that hang.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headgate_tests::{Bootstrap, Envoy, Result};
use serde_json::{Value, json};

use super::world::World;

/// A second real proxy, whose file follows that of the first; when told, it is given something that Envoy refuses instead.
struct Second {
    envoy: Envoy,
    breaks: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Second {
    async fn beside(world: &World) -> Result<Self> {
        let bootstrap = Bootstrap::filter_state()?.edit(|bootstrap| bootstrap["stats_flush_interval"] = json!("0.2s"));
        // It stands beside one that has its permit: two tests that each held one and waited for another would wait for ever.
        let envoy = world.versions.behind(bootstrap).without_permit().start().await?;
        let breaks = Arc::new(AtomicBool::new(false));
        let (from, to, broken) = (world.envoy.ecds_path(), envoy.ecds_path(), Arc::clone(&breaks));
        let task = tokio::spawn(async move {
            let mut last = String::new();
            loop {
                // A file that is being replaced is there the next time.
                if let Ok(text) = std::fs::read_to_string(&from) {
                    let text = if broken.load(Ordering::SeqCst) { spoilt(&text) } else { text };
                    if text != last && replace(&to, &text).is_ok() {
                        last = text;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Ok(Self { envoy, breaks, task })
    }

    /// As the target file names it.
    fn named(&self) -> Value {
        json!({"name": "second", "admin": format!("http://{}", self.envoy.steady_admin())})
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, text)?;
    std::fs::rename(next, path)
}

/// The same with a configuration that the filter refuses.
fn spoilt(text: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let place = &mut document["resources"][0]["typed_config"]["config"]["configuration"]["value"];
    let mut config: Value = place.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    config["routes"] = json!(7);
    *place = json!(config.to_string());
    document.to_string()
}

/// The target's proxies beside the first.
fn with_proxies(world: &World, more: Vec<Value>) -> Result<()> {
    let path = world.path("target.json");
    let mut target: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    target["proxies"].as_array_mut().into_iter().for_each(|list| list.extend(more.iter().cloned()));
    Ok(std::fs::write(path, target.to_string())?)
}

/// A rollout over both proxies; the second one rejects the second step.
async fn rejecting(world: &World, second: &Second, proxies: Value) -> Result<super::world::Running> {
    let file = world.rollout(|file| {
        file["spec"]["proxies"] = proxies;
        file["spec"]["strategy"]["canary"]["steps"] = json!([
            {"weight": "20%", "duration": "2s"}, {"gate": {"name": "second"}},
            {"weight": "50%", "duration": "3s"}, {"weight": "100%", "duration": "2s"},
        ]);
    })?;
    let running = world.run(&file, &[])?;
    world.phase("Waiting").await?;
    second.breaks.store(true, Ordering::SeqCst);
    let went = world.verb("promote", &["--actor", "ada", "--reason", "go on"]).await?;
    assert_eq!(went.code, 0, "{went:?}");
    Ok(running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_rejects_is_named_and_holds_the_rollout_until_it_is_mended() -> Result<()> {
    let world = World::start().await?;
    let second = Second::beside(&world).await?;
    with_proxies(&world, vec![second.named()])?;
    let load = world.load().await?;
    load.more(100).await?;
    let running = rejecting(&world, &second, json!({"patience": "500ms"})).await?;
    let held = running.tells("that it holds", |e| {
        e["kind"] == "held" && e["text"].to_string().contains("do not have the weights in force")
    });
    let held = held.await?;
    let text = held["text"].as_str().unwrap_or_default();
    assert!(text.contains("1 of 2 proxies") && text.contains("second (rejected"), "{held}");
    let status = world.status().await?;
    assert_eq!(status["state"]["delivery"]["proxies"]["edge"][0], "applied", "{status}");
    assert_eq!(status["state"]["delivery"]["proxies"]["second"][0], "rejected", "{status}");
    assert_eq!(world.published()?, 5_000, "the weights stay");
    assert!(second.envoy.rejected().await? > 0);
    second.breaks.store(false, Ordering::SeqCst);
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_a_proxy_that_rejects_takes_the_rollout_back() -> Result<()> {
    let world = World::start().await?;
    let second = Second::beside(&world).await?;
    with_proxies(&world, vec![second.named()])?;
    let load = world.load().await?;
    load.more(100).await?;
    let limit = json!({"patience": "500ms", "onExceeded": "rollback"});
    let running = rejecting(&world, &second, limit).await?;
    let back = running.tells("the way back", |e| e["kind"] == "rollingBack").await?;
    let text = back["text"].as_str().unwrap_or_default();
    assert!(text.contains("1 of 2 proxies") && text.contains("second (rejected"), "{text}");
    assert_eq!(world.published()?, 0);
    // It is over once the second one has it too.
    second.breaks.store(false, Ordering::SeqCst);
    let ran = running.ended().await?;
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_limit_it_goes_on_without_a_proxy_that_rejects_and_one_that_has_gone() -> Result<()> {
    let world = World::start().await?;
    let mut second = Second::beside(&world).await?;
    let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    with_proxies(&world, vec![second.named(), json!({"name": "gone", "admin": format!("http://{gone}")})])?;
    let load = world.load().await?;
    load.more(100).await?;
    let running = rejecting(&world, &second, json!({"tolerate": "67%"})).await?;
    let status =
        world.is("it is known who lacks", |s| s["state"]["delivery"]["proxies"]["second"][0] == "rejected").await?;
    assert_eq!(status["state"]["delivery"]["proxies"]["gone"][0], "unreachable", "{status}");
    running
        .tells("whom it goes on without", |e| e["kind"] == "proxies" && e["text"].to_string().contains("second"))
        .await?;
    // It comes back with what is in force, and counts from nothing.
    second.breaks.store(false, Ordering::SeqCst);
    second.envoy.restart().await?;
    let ran = running.ended().await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

/// A listener that takes connections and never answers.
fn hanging() -> Result<(TcpListener, Value)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    Ok((listener, json!(address)))
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_one_rollout_that_hang_keep_no_other_rollout_waiting() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    // A hundred proxies that never answer, of another target.
    let (_listener, address) = hanging()?;
    let proxies: Vec<Value> = (0..100).map(|n| json!({"name": format!("hangs-{n}"), "stats": address})).collect();
    let published: PathBuf = world.path("other.ecds");
    std::fs::copy(world.envoy.ecds_path(), &published)?;
    let target = json!({"name": "other", "publisher": {"file": {"path": published}}, "proxies": proxies});
    let text =
        std::fs::read_to_string(&published)?.replace("\\\"target\\\":\\\"model\\\"", "\\\"target\\\":\\\"other\\\"");
    std::fs::write(&published, text)?;
    std::fs::write(world.path("other.json"), target.to_string())?;
    let stuck = world.rollout(|file| {
        file["metadata"]["name"] = json!("stuck");
        file["spec"]["target"] = json!("other.json");
        file["spec"]["holdLimit"] = json!("1h");
    })?;
    let stuck_path = world.path("stuck.json");
    std::fs::rename(&stuck, &stuck_path)?;
    let file = world.rollout(|file| {
        file["spec"]["analysis"]["interval"] = json!("1s");
        file["spec"]["monitoring"]["duration"] = json!("3s");
        // Two looks without an answer of its proxy would hold it.
        file["spec"]["proxies"] = json!({"patience": "2s"});
    })?;
    let running = world.run(&file, &[&stuck_path.display().to_string()])?;
    let ended = running.tells("its end", |e| e["rollout"] == super::world::NAME && e["kind"] == "end").await?;
    assert_eq!((&ended["exit"], world.published()?), (&json!(0), 10_000), "{ended}");
    let said = running.killed().await?;
    let events = said.events();
    let of = |name: &str, kind: &str| events.iter().filter(|e| e["rollout"] == name && e["kind"] == kind).count();
    assert_eq!(of(super::world::NAME, "proxies"), 0, "{}", said.out);
    assert_eq!(of("stuck", "end"), 0, "the other one goes on: {}", said.out);
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_started_anew_mid_step_is_counted_from_nothing() -> Result<()> {
    let mut world = World::start().await?;
    let path = world.path("target.json");
    let mut target: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    target["proxies"][0]["admin"] = json!(format!("http://{}", world.envoy.steady_admin()));
    std::fs::write(path, target.to_string())?;
    let file = world.rollout(|file| {
        file["spec"]["proxies"] = json!({"patience": "1m"});
        file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("1h");
    })?;
    let running = world.run(&file, &[])?;
    let load = world.load().await?;
    world
        .is("it measures", |s| {
            s["state"]["weights"]["canary"] == 2_000
                && s["state"]["window"]["measuredMs"].as_u64().is_some_and(|ms| ms > 0)
        })
        .await?;
    load.stop().await?;
    world.envoy.restart().await?;
    let load = world.load().await?;
    running.tells("that it was started anew", |e| e["text"].to_string().contains("restarted: edge")).await?;
    assert_eq!(world.published()?, 2_000);
    let back = world.verb("rollback", &["--actor", "ada", "--reason", "enough"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(running.ended().await?.code, 10);
    load.stop().await?;
    Ok(())
}
