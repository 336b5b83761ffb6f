//! Arguments of the verbs that tell of a rollout on paper: simulated, or as a report.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The rollout file.
    pub(crate) file: PathBuf,
    /// How the version in service behaves.
    #[arg(long, default_value = "error=0.5%,p50=20ms,p95=80ms,success=90%", value_name = "NAME=VALUE,…")]
    pub(crate) stable: String,
    /// How the new version behaves; what is not named is as stable's.
    #[arg(long, default_value = "", value_name = "NAME=VALUE,…")]
    pub(crate) canary: String,
    /// How an arm of a bandit behaves: `short:conversion=14%`; arms that are not named do as the canary.
    #[arg(long, value_name = "ARM:NAME=VALUE,…")]
    pub(crate) arm: Vec<String>,
    /// Requests a second to the route, all versions together.
    #[arg(long, default_value_t = 100.0)]
    pub(crate) rps: f64,
    /// Users that they come from: the fewer, the less independent requests are.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) users: u64,
    /// How alike requests of one user are, 0 (not at all) to 1 (always the same).
    #[arg(long, default_value_t = 0.05)]
    pub(crate) correlation: f64,
    /// The new version behaves as stable for so long, and only then as said.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) after: Duration,
    /// How many lives are lived, each with a seed of its own.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) seeds: u64,
    /// The first seed; its life is told step by step.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Write the HTML report of the first seed's life.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Simulate also what is refused without `--force`.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The rollout's name.
    pub(crate) name: String,
    /// The file to write; `-` prints it. Default: the name with `.html`.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// The folder of the state. Default: `$XDG_STATE_HOME/headgate`, else `~/.local/state/headgate`.
    #[arg(long, env = "HEADGATE_STATE", value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
}
