//! Arguments of `headgate drift` and `headgate stats drift`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::rollouts::StateFolder;

#[derive(Debug, Args)]
pub(crate) struct Drift {
    /// The rollout whose promoted version is watched: its name, or its file.
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: String,
    /// Look at one window, and exit with 13 if it drifted, 14 if that is not known.
    #[arg(long, conflicts_with = "duration")]
    pub(crate) once: bool,
    /// Watch for so long. Default: until it is stopped.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Instead of live proxies: pages of one proxy's statistics (`/stats?format=prometheus`), saved one after the other. What was counted
    /// between the first two is the reference, between each further one and the one before a window. Nobody is told.
    #[arg(long, num_args = 3.., value_name = "FILE", conflicts_with_all = ["once", "duration"])]
    pub(crate) pages: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateFolder,
}

/// Counts by bin, then and now.
#[derive(Debug, Args)]
pub(crate) struct Moved {
    /// Counts of the reference window, bin by bin.
    #[arg(long, value_delimiter = ',', required_unless_present = "input", requires = "now")]
    pub(crate) reference: Vec<f64>,
    /// Counts now, in the same bins.
    #[arg(long, value_delimiter = ',', requires = "reference")]
    pub(crate) now: Vec<f64>,
    /// CSV with a header line, or a JSON list of objects; `-` is standard input.
    #[arg(short, long, conflicts_with_all = ["reference", "now"], value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The bins are classes without an order.
    #[arg(long)]
    pub(crate) classes: bool,
    /// Population stability index from which on it is drift.
    #[arg(long, default_value_t = 0.25)]
    pub(crate) psi: f64,
    /// Kolmogorov-Smirnov distance from which on it is drift.
    #[arg(long, default_value_t = 0.2)]
    pub(crate) ks: f64,
    /// Chance that chance alone exceeds what is told as its noise.
    #[arg(long, default_value = "1%", value_parser = super::stats::share)]
    pub(crate) alpha: f64,
    /// Design effect: by how much users who come back enlarge the variance, when requests are counted.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) design_effect: f64,
    /// Also write both distributions as a chart on an HTML page of its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}
