//! `headgate`, the companion control program of the filter.
//!
//! `cli` is the command line, `verbs` what each verb does. Below them lie parts that know nothing of each other: documents
//! and their checks (`document`, `structure`, `plugin`, `target`), what comes next (`merge`, `weights`), forms (`render`), the
//! published file (`publisher`), and proxies (`proxy`, `stats`, `verify`).

mod answer;
mod cli;
mod document;
mod exit;
mod finding;
mod merge;
mod plugin;
mod proxy;
mod publisher;
mod render;
mod stats;
mod structure;
mod target;
mod verbs;
mod verify;
mod weights;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    answer::show(verbs::run(cli), json)
}
