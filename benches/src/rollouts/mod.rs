//! The rollout controller: how soon a failing version is taken back, and what looking costs.

mod catch;
mod fleet;
mod program;
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
}

/// Runs `headgate run` over and over.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Rollouts> {
    let caught = catch::measure(settings.catches, upstreams).await?;
    Ok(Rollouts { caught, fleet: fleet::measure(settings, upstreams).await? })
}
