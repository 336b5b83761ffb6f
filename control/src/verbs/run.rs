//! `headgate run`: rollouts to their end.

use headgate_rollout::file::Force;
use serde_json::Value;

use crate::answer::Answer;
use crate::cli::rollouts::Run;
use crate::exit::{Exit, Failure};
use crate::run::{self, Settings};
use crate::shadow::collect::{KEEP, Out, ROTATE};

pub(super) fn run(args: &Run, json: bool) -> Result<Answer, Failure> {
    let force = args.force.then(|| Force { actor: args.who.name(), reason: args.who.reason.clone() });
    if force.as_ref().is_some_and(|f| f.reason.trim().is_empty()) {
        return Err(Failure::new(Exit::Usage, "--force needs a --reason: it stands in the audit"));
    }
    let settings = Settings {
        files: args.files.clone(),
        state: args.state.folder(),
        json,
        force,
        listen: args.listen.clone(),
        public_url: args.public_url.clone(),
        records: args.records.clone().map(|path| Out { path, rotate: ROTATE, keep: KEEP }),
        drift: args.drift,
    };
    // A pipeline sees one code for a bad file, whatever is bad about it.
    let exit = run::run(&settings).map_err(|failure| match failure.exit {
        Exit::Refused => Failure { exit: Exit::Usage, ..failure },
        _ => failure,
    })?;
    Ok(Answer { exit: Exit::of_run(exit), json: Value::Null, text: String::new() })
}
