//! Arguments of the verbs about what is published: configurations, their weights, kills, and what is in force.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::rollouts::{StateFolder, Who};

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Plugin configurations, YAML or JSON; `-` is standard input.
    #[arg(required_unless_present = "target")]
    pub(crate) files: Vec<PathBuf>,
    /// A target file to check too; the plugin configurations are then for it.
    #[arg(long)]
    pub(crate) target: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    /// What to print.
    #[arg(value_enum)]
    pub(crate) form: Form,
    /// The target file; not needed for `plugin`.
    #[arg(required_if_eq_any([("form", "ecds"), ("form", "wasmplugin"), ("form", "trafficextension")]))]
    pub(crate) target: Option<PathBuf>,
    /// The plugin configuration, YAML or JSON.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// The revision to write. Default: the file's own, else 1.
    #[arg(long)]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The plugin configuration as JSON.
    Plugin,
    /// The file for Envoy's `path_config_source`.
    Ecds,
    /// Istio's `WasmPlugin`.
    Wasmplugin,
    /// Istio's `TrafficExtension` (1.30 and newer).
    Trafficextension,
}

/// How a write is watched.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// How long to wait for every proxy to apply it.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The target file.
    pub(crate) target: PathBuf,
    /// The plugin configuration, YAML or JSON.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// The file is the whole configuration: routes that it does not name are removed.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Push only if this revision is still the published one.
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Let the filter's code or VM change with this push: proxies compile it anew.
    #[arg(long)]
    pub(crate) replace_vm: bool,
    /// Show what would change; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The target file.
    pub(crate) target: PathBuf,
    /// The route.
    #[arg(long)]
    pub(crate) route: String,
    /// A segment of the route, whose weights are changed instead.
    #[arg(long)]
    pub(crate) segment: Option<String>,
    /// `variant=5%` (the whole is 100 %; one variant may be left out and takes the rest) or `variant=5` (relative weights).
    #[arg(required = true, value_name = "VARIANT=WEIGHT")]
    pub(crate) weights: Vec<String>,
    /// Set only if this revision is still the published one.
    #[arg(long, value_name = "REVISION")]
    pub(crate) if_revision: Option<u64>,
    /// Show what would change; write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// The target file; or a rollout, by its name or file: then its route alone.
    #[arg(value_name = "TARGET|ROLLOUT")]
    pub(crate) subject: String,
    /// One route alone, by the configuration. Default: the whole target, by runtime and configuration.
    #[arg(long)]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) state: StateFolder,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A target file; or a rollout, by its name or file. Default: all rollouts.
    #[arg(value_name = "TARGET|ROLLOUT")]
    pub(crate) subject: Option<String>,
    #[command(flatten)]
    pub(crate) state: StateFolder,
    /// Show it again and again, with this pause, until interrupted.
    #[arg(long, value_parser = humantime::parse_duration, num_args = 0..=1, default_missing_value = "2s")]
    pub(crate) watch: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of which document.
    #[arg(value_enum, default_value = "plugin")]
    pub(crate) of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    /// Plugin configurations.
    Plugin,
    /// Target files.
    Target,
    /// Rollout files.
    Rollout,
}
