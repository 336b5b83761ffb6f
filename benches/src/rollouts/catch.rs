//! From the first failure of a canary that fails wholly to the last request that it gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::{Bootstrap, Envoy};
use serde_json::json;

use super::program::{Home, rollout};
use crate::load::Client;
use crate::upstream::{CANARY, Upstreams};
use crate::{configurations, cores, traffic};

/// Requests a second; half of them are the canary's.
const RATE: f64 = 400.0;
/// How long the canary is healthy after its first request.
const HEALTHY: Duration = Duration::from_secs(4);

/// Seconds, for each of `runs`.
pub(crate) async fn measure(runs: usize, upstreams: Upstreams) -> Result<Vec<f64>> {
    let mut seen = Vec::new();
    for run in 0..runs {
        let seconds = once(upstreams).await?;
        eprintln!("  caught {} of {runs}: {seconds:.2} s", run + 1);
        seen.push(seconds);
    }
    Ok(seen)
}

async fn once(upstreams: Upstreams) -> Result<f64> {
    CANARY.heal();
    let envoy = Envoy::builder(Bootstrap::filter_state()?)
        .cluster("model-v1", upstreams.stable)
        .cluster("model-v2", upstreams.canary)
        .configuration(&configurations::plain())
        .log_level("warning")
        .start()
        .await?;
    let home = Home::new()?;
    let proxy = json!({"name": "edge", "admin": format!("http://{}", envoy.admin().addr())});
    let publisher = json!({"file": {"path": envoy.ecds_path()}});
    let target = home.write("target.yaml", &json!({"name": "bench", "publisher": publisher, "proxies": [proxy]}))?;
    let analysis = json!({
        "interval": "1s",
        "criteria": [{"metric": "errorRate", "versusBaseline": "2x", "floor": "0.5 points"}]
    });
    let steps = json!([{"weight": "50%", "duration": "30m"}, {"weight": "100%", "duration": "30m"}]);
    let file = home.write("rollout.yaml", &rollout("bench", &target, &steps, &analysis))?;

    let requests = traffic::users();
    let mut client = Client::connect(envoy.ingress(), 8)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<f64> {
        let load = scope.spawn(|| {
            cores::stand_back()?;
            client.open_loop(&requests, RATE, || stop.load(Ordering::Relaxed))
        });
        let run = || -> Result<f64> {
            let mut program = home.run(&[file])?;
            while CANARY.last().is_none() {
                program.lives()?;
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(HEALTHY);
            program.lives()?;
            CANARY.fail();
            let code = program.end(Duration::from_secs(60))?;
            ensure!(code == Some(10), "headgate run ended with {code:?}: {}", program.said());
            // What is under way arrives.
            std::thread::sleep(Duration::from_millis(500));
            CANARY.failing_for().context("the canary never failed")
        };
        let seconds = run();
        stop.store(true, Ordering::Relaxed);
        load.join().ok().context("the client's thread ended")??;
        seconds
    })
}
