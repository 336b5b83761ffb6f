//! Memory that the filter adds to each worker: Envoys with 1, 2, 4 and 8 workers, with and without it.
//!
//! The slope over the number of workers is what one more costs; what all share (code, the throw-away VM of the main
//! thread) is not in it. Requests go to every worker before memory is read.

use anyhow::{Result, ensure};
use headgate_tests::Envoy;

use crate::load::Client;
use crate::statistics::{median, slope};
use crate::upstream::Upstreams;
use crate::{Settings, configurations, traffic};

/// Numbers of workers.
pub(crate) const WORKERS: [u32; 4] = [1, 2, 4, 8];
/// Connections: enough that each of eight workers has some.
const CONNECTIONS: usize = 128;

/// Resident memory in MB (10^6 bytes), by number of workers.
pub(crate) struct Memory {
    /// Without the filter.
    pub(crate) without: Vec<f64>,
    /// With it, and one route.
    pub(crate) with: Vec<f64>,
}

impl Memory {
    /// MB that the filter adds for each worker.
    pub(crate) fn per_worker(&self) -> f64 {
        let line = |memory: &[f64]| {
            let points: Vec<_> =
                WORKERS.iter().map(|workers| f64::from(*workers)).zip(memory.iter().copied()).collect();
            slope(&points)
        };
        line(&self.with) - line(&self.without)
    }
}

/// Starts the Envoys, one after the other.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Memory> {
    let mut memory = Memory { without: Vec::new(), with: Vec::new() };
    for workers in WORKERS {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..settings.starts {
            without.push(resident(workers, false, upstreams).await?);
            with.push(resident(workers, true, upstreams).await?);
        }
        eprintln!("  {workers} workers: {:.1} MB without, {:.1} MB with", median(&without), median(&with));
        memory.without.push(median(&without));
        memory.with.push(median(&with));
    }
    Ok(memory)
}

async fn resident(workers: u32, filter: bool, upstreams: Upstreams) -> Result<f64> {
    let mut bootstrap = headgate_tests::Bootstrap::filter_state()?;
    if !filter {
        bootstrap.filters()?.retain(|filter| filter["name"] != "headgate");
    }
    let mut builder = Envoy::builder(bootstrap)
        .cluster("model-v1", upstreams.stable)
        .cluster("model-v2", upstreams.canary)
        .configuration(&configurations::one_route())
        .concurrency(workers)
        .log_level("warning");
    if !filter {
        builder = builder.without_waiting_for_filter();
    }
    let envoy = builder.start().await?;
    let requests = traffic::requests();
    let samples = Client::connect(envoy.ingress(), CONNECTIONS)?.closed(&requests, 0, 5 * requests.len())?;
    ensure!(samples.iter().all(|sample| sample.version.is_some()), "a request failed");
    #[expect(clippy::cast_precision_loss, reason = "memory is below 2^53 bytes")]
    Ok(envoy.resident_bytes()? as f64 / 1e6)
}
