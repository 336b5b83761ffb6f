//! `headgate`, the companion control program of the filter.
//!
//! `cli` is the command line, `verbs` what each verb does. Below them lie parts that know nothing of each other: documents
//! and their checks (`document`, `structure`, `plugin`, `target`), what comes next (`merge`, `weights`), forms (`render`), the
//! published file (`publisher`), and proxies (`proxy`, `stats`, `verify`).

mod answer;
mod cli;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod clock;
mod document;
mod exit;
mod finding;
mod init;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod links;
mod merge;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod notify;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod owner;
mod plugin;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod providers;
mod proxy;
mod publisher;
mod render;
#[allow(dead_code, unused_imports, reason = "the verbs that use it come next")]
mod report;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod rollout_file;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod server;
mod stats;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
#[allow(unused_imports, reason = "as above")]
mod store;
mod structure;
mod target;
mod verbs;
mod verify;
#[allow(dead_code, reason = "the rollout runner, which uses it, comes next")]
mod web;
mod weights;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    answer::show(verbs::run(cli), json)
}
