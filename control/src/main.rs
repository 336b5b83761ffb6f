//! `headgate`, the companion control program of the filter.
//!
//! `cli` is the command line, `verbs` what each verb does. Below them lie parts that know nothing of each other: documents
//! and their checks (`document`, `structure`, `plugin`, `target`), what comes next (`merge`, `weights`), forms (`render`), the
//! published file (`publisher`), records of comparisons (`shadow`), and proxies (`proxy`, `stats`, `verify`).

mod advice;
mod answer;
mod chart;
mod cli;
mod clock;
mod document;
mod exit;
mod exposition;
mod exposure;
mod finding;
mod init;
mod intake;
mod links;
mod merge;
mod notify;
mod owner;
mod plugin;
mod pool;
mod providers;
mod proxy;
mod publisher;
mod render;
mod report;
mod rollout_file;
mod run;
mod server;
mod shadow;
mod simulate;
mod stats;
mod store;
mod structure;
mod subject;
mod target;
mod verbs;
mod verify;
mod web;
mod weights;
mod write;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        // A wrong command line answers as it was asked to. What was asked for and is no error (`--help`) is for people.
        Err(wrong) if wrong.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            let told = wrong.to_string();
            let message = told.trim_end().trim_start_matches("error: ");
            return answer::show(Err(exit::Failure::new(exit::Exit::Usage, message)), true);
        }
        Err(wrong) => wrong.exit(),
    };
    let json = cli.json;
    answer::show(verbs::run(cli), json)
}
