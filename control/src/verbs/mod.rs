//! What each verb does, one file each: reads files and proxies, asks the pure parts, and answers.

mod baseline;
mod command;
mod drift;
mod drill;
mod explain;
mod history;
mod init;
mod kill;
mod push;
mod render;
mod report;
mod run;
mod set;
mod shadow;
mod simulate;
mod standing;
mod stats;
mod status;
mod token;
mod validate;

use clap::CommandFactory as _;

use crate::answer::Answer;
use crate::cli::published::Of;
use crate::cli::{Cli, Verb};
use crate::exit::Failure;

/// Runs a command line.
pub(crate) fn run(cli: Cli) -> Result<Answer, Failure> {
    match cli.verb {
        Verb::Validate(args) => validate::run(&args),
        Verb::Render(args) => render::run(&args),
        Verb::Push(args) => push::run(&args),
        Verb::Set(args) => set::run(&args),
        Verb::Kill(args) => kill::run(&args, true),
        Verb::Revive(args) => kill::run(&args, false),
        Verb::Status(args) => status::run(&args, cli.json),
        Verb::Run(args) => run::run(&args, cli.json),
        Verb::Pause(args) => command::run(&args, "pause"),
        Verb::Resume(args) => command::run(&args, "resume"),
        Verb::Promote(args) => command::promote(&args),
        Verb::Abort(args) => command::run(&args, "abort"),
        Verb::Rollback(args) => command::run(&args, "rollback"),
        Verb::Retry(args) => command::run(&args, "retry"),
        Verb::History(args) => history::run(&args),
        Verb::Drill(args) => drill::run(&args),
        Verb::Baseline(args) => baseline::run(&args),
        Verb::Drift(args) => drift::run(&args, cli.json),
        Verb::Explain(args) => explain::run(&args),
        Verb::Token(args) => token::run(&args),
        Verb::Stats(args) => stats::run(&args),
        Verb::Shadow(args) => shadow::run(&args.kind, cli.json),
        Verb::Init(args) => init::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Report(args) => report::run(&args),
        Verb::Schema(args) => {
            let schema = match args.of {
                Of::Plugin => headgate_contract::json_schema(),
                Of::Target => crate::target::json_schema(),
                Of::Rollout => headgate_rollout::file::json_schema(),
            };
            let text = format!("{schema:#}");
            Ok(Answer::done(serde_json::json!({"schema": schema}), text))
        }
        Verb::Completion(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "headgate", &mut script);
            let script = String::from_utf8_lossy(&script).into_owned();
            Ok(Answer::done(serde_json::json!({"script": script}), script))
        }
    }
}
