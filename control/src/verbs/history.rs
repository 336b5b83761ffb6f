//! `headgate history`: the audit of a rollout.

use serde_json::json;

use crate::answer::{Answer, table};
use crate::cli::rollouts::History;
use crate::clock;
use crate::exit::Failure;
use crate::subject::Named;

pub(super) fn run(args: &History) -> Result<Answer, Failure> {
    let rollout = Named::of(&args.rollout, &args.state.folder())?;
    let store = rollout.store()?;
    let lines = store.history(&rollout.name, args.run)?;
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|l| {
            let why = l.data.get("reason").and_then(serde_json::Value::as_str);
            // Where the text does not say it already.
            let why = why.filter(|w| !w.is_empty() && !l.reason.contains(w));
            let text = why.map_or_else(|| l.reason.clone(), |why| format!("{} ({why})", l.reason));
            vec![clock::shown(l.at), l.run.to_string(), l.actor.clone(), l.action.clone(), text]
        })
        .collect();
    let json = json!({"rollout": rollout.name, "history": lines});
    Ok(Answer::done(json, table(&["time", "run", "who", "what", "why"], &rows)))
}
