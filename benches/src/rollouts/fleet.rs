//! What looking costs the controller: one rollout over a thousand proxies, and two hundred rollouts at once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use headgate_tests::{Bootstrap, Envoy};
use serde_json::{Value, json};

use super::program::{Home, Program, rollout};
use super::stub::{RECORDED, Recording, Stub};
use crate::load::Client;
use crate::upstream::{CANARY, Upstreams};
use crate::{Settings, configurations, traffic};

/// Proxies of the one rollout.
pub(crate) const PROXIES: usize = 1_000;
/// Rollouts in one process.
pub(crate) const ROLLOUTS: usize = 200;

/// What was seen.
pub(crate) struct Fleet {
    /// Size of one proxy's page in KB.
    pub(crate) page: f64,
    /// Ticks over all proxies.
    pub(crate) ticks: f64,
    /// Seconds of CPU of one tick.
    pub(crate) tick: f64,
    /// Most memory of that process, in MB.
    pub(crate) memory: f64,
    /// CPU of the process with many rollouts, as a share of one core.
    pub(crate) idle: f64,
    /// Seconds for which it was watched.
    pub(crate) watched: f64,
    /// Most memory of it, in MB.
    pub(crate) many: f64,
}

/// Measures both.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Fleet> {
    CANARY.heal();
    let (recording, page) = record(upstreams).await?;
    let home = Home::new()?;
    let stub = Stub::start(recording, home.path(""))?;
    let (ticks, tick, memory) = thousand(settings, &home, &stub)?;
    eprintln!("  {PROXIES} proxies: {tick:.3} s of CPU a tick, {memory:.0} MB");
    let (idle, watched, many) = two_hundred(settings, &home, &stub)?;
    eprintln!("  {ROLLOUTS} rollouts: {:.2} % of a core, {many:.0} MB", idle * 100.0);
    Ok(Fleet { page, ticks, tick, memory, idle, watched, many })
}

/// The page of a real proxy, twice.
async fn record(upstreams: Upstreams) -> Result<(Recording, f64)> {
    let mut configuration = configurations::three(20);
    configuration["target"] = json!(RECORDED);
    configuration["contract"] = json!(1);
    configuration["revision"] = json!(1);
    let envoy = Envoy::builder(Bootstrap::filter_state()?)
        .cluster("model-v1", upstreams.stable)
        .cluster("model-v2", upstreams.canary)
        .configuration(&configuration)
        .log_level("warning")
        .start()
        .await?;
    let requests = traffic::users();
    let mut client = Client::connect(envoy.ingress(), 8)?;
    let filter = r"headgate_|^server\.(concurrency|uptime)$|extension_config_discovery\..*\.update_rejected";
    let mut pages = Vec::new();
    for _ in 0..2 {
        let answered = client.closed(&requests, 0, 4_000)?.iter().filter(|sample| sample.version.is_some()).count();
        ensure!(answered == 4_000, "{} requests failed while the page was recorded", 4_000 - answered);
        // Histograms reach the page with Envoy's flush, every 100 ms here.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let query = filter.replace('\\', "%5C").replace('|', "%7C").replace('^', "%5E").replace('$', "%24");
        pages.push(envoy.admin().get(&format!("/stats?format=prometheus&filter={query}")).await?);
    }
    let recording = Recording::new(&pages[0], &pages[1]);
    #[expect(clippy::cast_precision_loss, reason = "a page's bytes")]
    let size = pages[1].len() as f64 / 1e3;
    Ok((recording, size))
}

/// A target's file, and its first configuration, published.
fn target(home: &Home, stub: &Stub, name: &str, proxies: usize) -> Result<PathBuf> {
    let proxies: Vec<Value> = (0..proxies)
        .map(|n| json!({"name": format!("proxy-{n}"), "stats": format!("http://{}/{name}/{n}/stats/prometheus", stub.addr)}))
        .collect();
    let document = json!({
        "name": name,
        "publisher": {"file": {"path": home.path(&format!("{name}.ecds"))}},
        "filter": {"file": "/etc/headgate/headgate.wasm"},
        "proxies": proxies
    });
    let target = home.write(&format!("{name}.target.yaml"), &document)?;
    let mut plugin = configurations::three(0);
    plugin["target"] = json!(name);
    let plugin = home.write(&format!("{name}.plugin.yaml"), &plugin)?;
    home.push(&target, &plugin)?;
    Ok(target)
}

fn steps() -> Value {
    json!([{"weight": "5%", "duration": "10h"}, {"weight": "25%", "duration": "10h"}, {"weight": "100%", "duration": "10h"}])
}

fn analysis(interval: &str) -> Value {
    json!({"interval": interval, "criteria": [
        {"metric": "errorRate", "versusBaseline": "2x", "floor": "0.5 points"},
        {"metric": "timeoutRate", "versusBaseline": "2x", "floor": "0.5 points"},
        {"metric": "unfinishedRate", "versusBaseline": "2x", "floor": "0.5 points"},
        {"metric": "latencyP50", "versusBaseline": "1.2x", "floor": "10ms"},
        {"metric": "latencyP95", "versusBaseline": "1.5x", "floor": "10ms"},
        {"metric": "latencyP99", "versusBaseline": "1.5x", "floor": "10ms"}
    ]})
}

/// Waits until so many more pages were asked for.
fn asked(stub: &Stub, program: &mut Program, more: u64) -> Result<()> {
    let until = stub.asked() + more;
    let start = Instant::now();
    while stub.asked() < until {
        program.lives()?;
        ensure!(start.elapsed() < Duration::from_secs(60), "no more questions: {}", program.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "thousands of pages")]
fn thousand(settings: &Settings, home: &Home, stub: &Stub) -> Result<(f64, f64, f64)> {
    let target = target(home, stub, "fleet", PROXIES)?;
    let file = home.write("fleet.yaml", &rollout("fleet", &target, &steps(), &analysis("1s")))?;
    let mut program = home.run(&[file])?;
    // Taken up, confirmed, and the first looks.
    asked(stub, &mut program, 5 * PROXIES as u64)?;
    let (cpu, pages) = (program.cpu()?, stub.asked());
    asked(stub, &mut program, settings.ticks * PROXIES as u64)?;
    let ticks = (stub.asked() - pages) as f64 / PROXIES as f64;
    Ok((ticks, (program.cpu()? - cpu) / ticks, program.memory()?))
}

fn two_hundred(settings: &Settings, home: &Home, stub: &Stub) -> Result<(f64, f64, f64)> {
    let mut files = Vec::new();
    for n in 0..ROLLOUTS {
        let name = format!("rollout-{n}");
        let target = target(home, stub, &name, 1)?;
        files.push(home.write(&format!("{name}.yaml"), &rollout(&name, &target, &steps(), &analysis("10s")))?);
    }
    let mut program = home.run(&files)?;
    // Each has looked at the stable version alone, and then measures its first step with the canary's weight in force: what is
    // left is waiting.
    let start = Instant::now();
    while program.told("stepMeasuring") < 2 * ROLLOUTS {
        program.lives()?;
        ensure!(start.elapsed() < Duration::from_secs(120), "not all measure: {}", program.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    let (cpu, start) = (program.cpu()?, Instant::now());
    std::thread::sleep(settings.watch);
    program.lives()?;
    let watched = start.elapsed().as_secs_f64();
    Ok(((program.cpu()? - cpu) / watched, watched, program.memory()?))
}
