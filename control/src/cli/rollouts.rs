//! Arguments of the verbs that run rollouts and speak with running ones.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::published::Watch;
use crate::store;

/// Where rollouts are remembered.
#[derive(Debug, Args)]
pub(crate) struct StateFolder {
    /// The state folder. Default: `$XDG_STATE_HOME/headgate`, else `~/.local/state/headgate`.
    #[arg(long, value_name = "FOLDER", env = "HEADGATE_STATE")]
    pub(crate) state: Option<PathBuf>,
}

impl StateFolder {
    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(store::default_folder)
    }
}

/// Who, for the audit.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Who asks, for the audit. Default: the user and the host.
    #[arg(long, env = "HEADGATE_ACTOR")]
    pub(crate) actor: Option<String>,
    /// Why, for the audit.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

impl Who {
    /// The name that stands in the audit.
    pub(crate) fn name(&self) -> String {
        if let Some(actor) = &self.actor {
            return actor.clone();
        }
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .ok()
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|h| h.trim().to_owned())
            .filter(|h| !h.is_empty());
        let user = user.unwrap_or_else(|| "somebody".to_owned());
        host.map_or_else(|| user.clone(), |host| format!("{user}@{host}"))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Rollout files. Several rollouts of one target belong into one process.
    #[arg(required = true, value_name = "ROLLOUT.YAML")]
    pub(crate) files: Vec<PathBuf>,
    /// Override what is refused as dangerous; needs a reason, and stands in the audit.
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) who: Who,
    /// Answer signed approve and reject links of gates at this address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// How that address is called from outside, for the links.
    #[arg(long, value_name = "URL", requires = "listen")]
    pub(crate) public_url: Option<String>,
    /// Write the records of comparisons that proxies post to /shadow/records at that address to this file. It is set aside
    /// at 256 MiB, eight of those are kept; HEADGATE_RECORDS_TOKEN is the token that senders must show.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) records: Option<PathBuf>,
    /// Go on after a promotion, and watch what was promoted for drift (`spec.drift`) until it is stopped.
    #[arg(long)]
    pub(crate) drift: bool,
    #[command(flatten)]
    pub(crate) state: StateFolder,
}

/// A rollout that somebody wants something of.
#[derive(Debug, Args)]
pub(crate) struct Command {
    /// The rollout: its name, or its file.
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: String,
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) state: StateFolder,
    #[command(flatten)]
    pub(crate) watch: Watch,
}

#[derive(Debug, Args)]
pub(crate) struct Promote {
    #[command(flatten)]
    pub(crate) command: Command,
    /// To 100 %, skipping the steps between; needs --force and a reason.
    #[arg(long)]
    pub(crate) full: bool,
    /// Also out of a step that has not passed; needs a reason, and stands in the audit.
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The rollout: its name, or its file.
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: String,
    /// One run alone. Default: all.
    #[arg(long)]
    pub(crate) run: Option<i64>,
    #[command(flatten)]
    pub(crate) state: StateFolder,
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// The rollout whose route is rehearsed: its name, or its file.
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: String,
    /// An address, through the proxies, that the old version must answer meanwhile. Default: its answers in the proxies' counters.
    #[arg(long, value_name = "URL")]
    pub(crate) check: Option<String>,
    /// How long the way back may take, and the way forth.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) within: Duration,
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) state: StateFolder,
}

#[derive(Debug, Args)]
pub(crate) struct Baseline {
    #[command(subcommand)]
    pub(crate) what: BaselineVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineVerb {
    /// Measure the stable version for a time, and keep that to compare later rollouts with.
    #[command(
        after_help = "Examples:\n  headgate baseline record rollout.yaml\n  headgate baseline record rollout.yaml --for 2h --name evening"
    )]
    Record(Record),
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The rollout whose stable version is measured: its name, or its file.
    #[arg(value_name = "ROLLOUT")]
    pub(crate) rollout: String,
    /// For how long.
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// Another variant than the stable one: a reference for drift.
    #[arg(long, requires = "name")]
    pub(crate) variant: Option<String>,
    /// What it is called (`analysis.baselineName`, `drift.reference`). Default: that name, else the route's.
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) who: Who,
    #[command(flatten)]
    pub(crate) state: StateFolder,
}
