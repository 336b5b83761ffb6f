//! `headgate init`: writes a commented rollout file to start from.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::answer::Answer;
use crate::cli::init::Init;
use crate::exit::{Exit, Failure};
use crate::init::{Names, starter};

pub(super) fn run(args: &Init) -> Result<Answer, Failure> {
    if let Err(reason) = headgate_contract::check_name(&args.name) {
        return Err(Failure::new(Exit::Usage, format!("--name {:?}: {reason}", args.name)));
    }
    let printed = args.file == Path::new("-");
    let file = if printed { "rollout.yaml".to_owned() } else { args.file.display().to_string() };
    let names = Names { name: &args.name, target: &args.target, route: &args.route, file: &file };
    let text = starter(args.strategy, names);
    let strategy = args.strategy.as_str();
    if printed {
        return Ok(Answer::done(json!({"strategy": strategy, "text": text}), text));
    }
    // Created anew: what somebody wrote is never written over.
    let mut options = std::fs::OpenOptions::new();
    let mut opened = options.write(true).create_new(true).open(&args.file).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::failed(format!(
                "{file} is there already, and is left as it is: name another file, or `-` to print"
            ))
        } else {
            Failure::failed(format!("{file} cannot be written: {e}"))
        }
    })?;
    opened.write_all(text.as_bytes()).map_err(|e| Failure::failed(format!("{file} cannot be written: {e}")))?;
    let next =
        format!("{file}: a rollout to start from, strategy {strategy}\nnext: edit it, then `headgate validate {file}`");
    Ok(Answer::done(json!({"strategy": strategy, "file": args.file}), next))
}
