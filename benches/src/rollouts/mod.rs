//! The rollout controller: how soon a failing version is taken back, what looking costs, and what a simulation takes.

mod catch;
mod fleet;
mod program;
mod simulated;
mod stub;

use anyhow::Result;

use crate::Settings;
use crate::upstream::Upstreams;

pub(crate) use fleet::{Fleet, PROXIES, ROLLOUTS};

/// What was seen of the controller.
pub(crate) struct Rollouts {
    /// Seconds from the canary's first failure to the last request that it got, of each run.
    pub(crate) caught: Vec<f64>,
    /// What looking costs.
    pub(crate) fleet: Fleet,
    /// Seconds of CPU of five simulated days, of each run.
    pub(crate) simulated: Vec<f64>,
}

/// Runs `headgate run` over and over.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Rollouts> {
    let caught = catch::measure(settings.catches, upstreams).await?;
    let fleet = fleet::measure(settings, upstreams).await?;
    let simulated = simulated::measure(settings.catches)?;
    eprintln!("  five simulated days: {simulated:.2?} s of CPU");
    Ok(Rollouts { caught, fleet, simulated })
}
