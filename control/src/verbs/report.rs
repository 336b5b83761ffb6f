//! `headgate report`: one HTML page about a rollout.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::answer::Answer;
use crate::cli::simulate::Report;
use crate::exit::Failure;
use crate::report::{page, recorded};
use crate::store::{Store, default_folder};

pub(super) fn run(args: &Report) -> Result<Answer, Failure> {
    let folder = args.state.clone().unwrap_or_else(default_folder);
    let store = Store::existing(&folder)?.ok_or_else(|| {
        Failure::failed(format!(
            "there is no state in {}: no rollout ran with it. --state names another folder",
            folder.display()
        ))
    })?;
    let story = recorded(&store, &args.name)?;
    let html = page(&story);
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.html", args.name)));
    let facts = json!({"rollout": story.name, "phase": story.phase, "outcome": story.outcome, "file": output,
        "steps": story.steps, "weights": story.weights, "decisions": story.events.len()});
    if output == Path::new("-") {
        return Ok(Answer::done(facts, html));
    }
    std::fs::write(&output, html)
        .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", output.display())))?;
    let text = format!("{}: {}, {}", output.display(), story.phase, story.outcome);
    Ok(Answer::done(facts, text))
}
