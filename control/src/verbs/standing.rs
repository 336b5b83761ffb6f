//! `headgate status` of rollouts: where each stands, why, and what it waits for.
//!
//! Read from the state that the rollout's process writes down; whether there is such a process is seen by its lock. What is asked for and in
//! force on proxies is `status TARGET`'s.

use std::path::Path;

use headgate_rollout::State;
use headgate_rollout::tick::ProxyStatus;
use serde_json::{Value, json};

use crate::answer::{Answer, coloured, table};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::owner;
use crate::run::console::{arms, figures};
use crate::store::{Row, Store};
use crate::subject::Named;
use crate::target::Target;

use anstyle::AnsiColor;

/// All rollouts of a state folder.
pub(super) fn all(folder: &Path) -> Result<Answer, Failure> {
    let rows = match Store::existing(folder)? {
        Some(store) => store.rollouts()?,
        None => Vec::new(),
    };
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for row in &rows {
        let (standing, json) = standing(row);
        lines.push(vec![
            row.name.clone(),
            row.run.to_string(),
            standing.phase.clone(),
            standing.weight.clone(),
            standing.step.clone(),
            standing.process.clone(),
            standing.because.clone(),
        ]);
        list.push(json);
    }
    let text = if rows.is_empty() {
        format!("{} knows no rollouts", folder.display())
    } else {
        table(&["rollout", "run", "phase", "canary", "step", "process", "why"], &lines)
    };
    Ok(Answer::done(json!({"rollouts": list}), text))
}

/// One rollout in full.
pub(super) fn one(rollout: &Named) -> Result<Answer, Failure> {
    let store = rollout.store()?;
    let row = rollout.row(&store)?;
    let (standing, json) = standing(&row);
    let mut lines = vec![format!(
        "{} run {}: {} at {}, step {}",
        row.name,
        row.run,
        coloured(&standing.phase, AnsiColor::Cyan),
        standing.weight,
        standing.step
    )];
    lines.push(format!("  why: {}", standing.because));
    lines.push(format!("  target {}, route {}, {}", row.target, row.route, standing.process));
    lines.push(format!("  begun {}, last written {}", clock::shown(row.started), clock::shown(row.updated)));
    lines.extend(standing.more.iter().map(|m| format!("  {m}")));
    Ok(Answer { exit: Exit::Done, json, text: lines.join("\n") })
}

/// Where a rollout stands, in words.
struct Standing {
    phase: String,
    weight: String,
    step: String,
    because: String,
    process: String,
    more: Vec<String>,
}

fn process(row: &Row) -> Option<owner::Card> {
    let target = Target::read(Path::new(&row.target_file)).ok()?;
    let card = owner::current(&target.file().ok()?.path)?;
    card.rollouts.contains(&row.name).then_some(card)
}

fn standing(row: &Row) -> (Standing, Value) {
    let card = process(row);
    let process = match (&card, row.ended, row.exit) {
        (Some(card), _, _) => format!("process {}", card.pid),
        (None, Some(at), _) => format!("ended {}", clock::shown(at)),
        (None, None, Some(11)) => "ended as held: `headgate run` goes on".to_owned(),
        (None, None, _) => "NO PROCESS runs it: `headgate run` goes on where it was".to_owned(),
    };
    let state: Option<State> = serde_json::from_str(&row.state).ok();
    let json = json!({
        "name": row.name, "run": row.run, "target": row.target, "targetFile": row.target_file, "route": row.route,
        "file": row.file, "phase": row.phase, "started": row.started, "updated": row.updated, "ended": row.ended,
        "exitCode": row.exit, "pid": card.as_ref().map(|c| c.pid), "state": state,
        "keepOldVersion": state.as_ref().is_none_or(State::keep_old_version),
    });
    let Some(state) = state else {
        let standing = Standing {
            phase: row.phase.clone(),
            weight: "?".to_owned(),
            step: "?".to_owned(),
            because: "its state was written by another version of headgate".to_owned(),
            process,
            more: Vec::new(),
        };
        return (standing, json);
    };
    let step = state.look.as_ref().map_or_else(|| (state.step + 1).to_string(), |look| look.step.clone());
    let standing = Standing {
        phase: row.phase.clone(),
        weight: state.weights.words(),
        step,
        because: state.hold.as_ref().map_or_else(|| state.because.clone(), |hold| format!("HOLDS: {}", hold.reason)),
        process,
        more: more(&state),
    };
    (standing, json)
}

/// What somebody who looks at one rollout wants to know besides.
fn more(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    if state.killed {
        lines.push(coloured("a kill is in force: `headgate revive` clears it", AnsiColor::Red));
    }
    for (proxy, (status, why)) in &state.delivery.proxies {
        let word = match status {
            ProxyStatus::Applied => continue,
            ProxyStatus::Pending => "has not applied the weights",
            ProxyStatus::Rejected => "rejects the weights",
            ProxyStatus::Unreachable => "does not answer",
        };
        lines.push(coloured(&format!("proxy {proxy} {word}: {why}"), AnsiColor::Yellow));
    }
    for (proxy, why) in &state.delivery.unread {
        if !state.delivery.proxies.contains_key(proxy) {
            lines.push(coloured(&format!("proxy {proxy} cannot be measured: {why}"), AnsiColor::Yellow));
        }
    }
    for result in &state.results {
        lines.push(format!("done: {} ({})", result.name, result.sentence));
    }
    if let Some(look) = &state.look {
        let duration = look.duration_ms.map_or_else(String::new, |d| format!(" of {} s", d / 1_000));
        lines.push(format!(
            "now: {}, measured {} s{duration}, {} canary and {} stable requests: {}",
            look.step,
            look.measured_ms / 1_000,
            look.canary_requests,
            look.stable_requests,
            look.sentence
        ));
        lines.extend(figures(look).into_iter().map(|f| format!("  {f}")));
        lines.extend(look.bandit.iter().flat_map(arms));
    }
    if let Some(failsafe) = &state.failsafe {
        let word = if failsafe.reached { "reaches the new version" } else { "does NOT reach the new version" };
        lines.push(format!("the fail-safe route {word}: {}", failsafe.detail));
    }
    if state.stale_told_ms.is_some() && !state.phase.is_over() {
        lines.push(coloured("STALE: long at 100 % and not finished", AnsiColor::Yellow));
    }
    if state.keep_old_version() {
        lines.push("keep the old version".to_owned());
    }
    lines
}
