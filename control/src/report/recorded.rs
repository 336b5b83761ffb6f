//! The story of a rollout that ran, from the store.

use headgate_rollout::Plan;
use headgate_rollout::file::{Force, Rollout, check, check_forced};
use headgate_rollout::state::{Look, State};
use headgate_rollout::tick::EventKind;
use serde::Deserialize as _;
use serde_json::Value;

use super::{Happened, Known, Story, story};
use crate::exit::Failure;
use crate::store::{Logged, Row, Store};

/// The story of a rollout's newest run.
///
/// # Errors
/// When it is not there, or was written in a form that this program does not read.
pub(crate) fn recorded(store: &Store, name: &str) -> Result<Story, Failure> {
    let row = store.rollout(name)?.ok_or_else(|| {
        Failure::failed(format!(
            "there is no rollout `{name}` in {}: `headgate status` lists those that are, --state names another folder",
            store.path().display()
        ))
    })?;
    let unreadable = |what: &str, why: &dyn core::fmt::Display| {
        Failure::failed(format!("{what} of rollout {name} cannot be read ({why}): was it written by another version?"))
    };
    let file: Value = serde_json::from_str(&row.spec).map_err(|e| unreadable("the file", &e))?;
    let plan = plan(&file).map_err(|e| unreadable("the file", &e))?;
    let state: State = serde_json::from_str(&row.state).map_err(|e| unreadable("the state", &e))?;
    // A look that another version wrote is left out, not the report.
    let looks: Vec<Look> =
        store.looks(name, row.run)?.into_iter().filter_map(|look| Look::deserialize(look).ok()).collect();
    let events: Vec<Happened> = store.history(name, Some(row.run))?.into_iter().map(happened).collect();
    let mut told = story(&Known { plan: &plan, state: &state, looks: &looks, events: &events });
    told.drift = crate::run::drift::kept(store, name)?.as_ref().and_then(super::drift::section);
    told.facts.extend(about(&row));
    told.file = format!("{file:#}");
    Ok(told)
}

fn plan(file: &Value) -> Result<Plan, String> {
    let file = Rollout::deserialize(file).map_err(|e| e.to_string())?;
    // What was forced when it began is no problem now.
    let force = Force { actor: "at the start".to_owned(), reason: "see the decisions below".to_owned() };
    check(&file)
        .or_else(|_| check_forced(&file, &force))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn about(row: &Row) -> Vec<(String, String)> {
    let mut facts = vec![("Target".to_owned(), row.target.clone()), ("Run".to_owned(), row.run.to_string())];
    if let Some(exit) = row.exit {
        facts.push(("Exit code".to_owned(), exit.to_string()));
    }
    facts
}

fn happened(logged: Logged) -> Happened {
    let kind = logged.data.get("kind").and_then(|kind| EventKind::deserialize(kind).ok());
    let weight =
        logged.data.pointer("/weights/canary").and_then(serde_json::Value::as_u64).and_then(|w| u32::try_from(w).ok());
    let given = logged.data.get("reason").and_then(serde_json::Value::as_str).filter(|reason| !reason.is_empty());
    let text = given.map_or_else(|| logged.reason.clone(), |given| format!("{} (“{given}”)", logged.reason));
    Happened {
        at_ms: u64::try_from(logged.at).unwrap_or(0),
        actor: logged.actor,
        kind,
        action: logged.action,
        text,
        weight,
    }
}
