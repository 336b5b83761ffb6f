//! `headgate status`: of a target, what is asked for and what is in force on each proxy. Rollouts are `standing.rs`'s.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::answer::{Answer, table};
use crate::cli::published::Status;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::proxy::{Client, each};
use crate::publisher;
use crate::subject::Subject;
use crate::target::Target;

use super::standing;

use crate::write::{QUESTION, in_force};

pub(super) fn run(args: &Status, json: bool) -> Result<Answer, Failure> {
    let folder = args.state.folder();
    let subject = args.subject.as_ref().map(|s| Subject::of(s, &folder)).transpose()?;
    let look = || match &subject {
        Some(Subject::Target(path)) => once(&Target::read(path)?),
        Some(Subject::Rollout(rollout)) => standing::one(rollout),
        None => standing::all(&folder),
    };
    let Some(pause) = args.watch else { return look() };
    // People see it in its place; a pipe gets one after the other.
    let painted = !json && std::io::stdout().is_terminal();
    loop {
        let answer = look();
        if painted {
            let _closed = write!(anstream::stdout(), "\x1b[2J\x1b[H");
        }
        let _exit = crate::answer::show(answer, json);
        std::thread::sleep(pause);
    }
}

fn once(target: &Target) -> Result<Answer, Failure> {
    let file = target.file()?;
    let client = Client::new(QUESTION);
    let published = publisher::read(&file.path).and_then(|p| in_force(target, p.as_ref()));
    let readings = each(&target.proxies, |proxy| client.read(proxy, &target.name, &file.resource));
    let runtime = each(&target.proxies, |proxy| client.runtime_killed(proxy));

    let mut lines = Vec::new();
    let mut exit = Exit::Done;
    let asked = published.as_ref().ok();
    match &published {
        Ok(config) => lines.extend(asked_for(target, config)),
        Err(failure) => {
            exit = Exit::Failed;
            lines.push(format!("target {}: {}", target.name, failure.message));
            lines.extend(failure.findings.iter().map(|f| format!("  {f}")));
        }
    }
    let mut rows = Vec::new();
    let mut proxies = Vec::new();
    let dash = || "-".to_owned();
    for ((proxy, reading), runtime) in target.proxies.iter().zip(&readings).zip(&runtime) {
        let kill = match runtime {
            Ok(Some(true)) => "on".to_owned(),
            Ok(Some(false)) => "off".to_owned(),
            Ok(None) => "not shown".to_owned(),
            Err(_) => "unknown".to_owned(),
        };
        match reading {
            Ok(r) => {
                let in_force = asked.is_some_and(|config| r.revision == Some(merge::revision(config)));
                if !in_force && exit == Exit::Done {
                    exit = Exit::Pending;
                }
                let state = if in_force { "in force" } else { "NOT in force" };
                rows.push(vec![
                    proxy.name.clone(),
                    state.to_owned(),
                    r.revision.map_or_else(dash, |n| n.to_string()),
                    kill.clone(),
                    format!(
                        "{} ({})",
                        r.acknowledgements,
                        r.workers.map_or_else(|| "workers not shown".to_owned(), |w| format!("{w} workers"))
                    ),
                    r.version.clone().unwrap_or_else(dash),
                    r.unknown_fields.to_string(),
                    r.rejected.to_string(),
                ]);
                proxies.push(json!({"proxy": proxy.name, "reachable": true, "inForce": in_force, "runtimeKill": kill, "reading": r}));
            }
            Err(e) => {
                if exit == Exit::Done {
                    exit = Exit::Pending;
                }
                let mut row = vec![proxy.name.clone(), format!("unreachable: {e}"), dash(), kill.clone()];
                row.extend((0..4).map(|_| dash()));
                rows.push(row);
                proxies.push(
                    json!({"proxy": proxy.name, "reachable": false, "inForce": false, "runtimeKill": kill, "error": e}),
                );
            }
        }
    }
    if rows.is_empty() {
        lines.push("no proxies are named in the target file".to_owned());
    } else {
        lines.push(table(
            &["proxy", "state", "revision", "runtime kill", "acknowledged", "filter", "unknown fields", "rejected"],
            &rows,
        ));
    }
    let asked = match &published {
        Ok(config) => json!({
            "revision": merge::revision(config), "killSwitch": merge::killed(config),
            "killedRoutes": merge::killed_routes(config), "configuration": config,
        }),
        Err(failure) => json!({"error": failure.message, "problems": failure.findings}),
    };
    let json = json!({"target": target.name, "asked": asked, "proxies": proxies});
    Ok(Answer { exit, json, text: lines.join("\n") })
}

fn asked_for(target: &Target, config: &Value) -> Vec<String> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    let kill = if merge::killed(config) { ", KILLED: everything is stable" } else { "" };
    let stage = text(config, "stage");
    let stage = if stage.is_empty() { String::new() } else { format!(", stage {stage}") };
    lines.push(format!("target {}: revision {}{stage}{kill}", target.name, merge::revision(config)));
    let mut rows = Vec::new();
    for route in config.get("routes").and_then(Value::as_array).into_iter().flatten() {
        let variants = route.get("variants").and_then(Value::as_array).into_iter().flatten();
        let weights: Vec<String> =
            variants.map(|v| format!("{}={}", text(v, "name"), v.get("weight").unwrap_or(&Value::Null))).collect();
        let kill = if merge::killed(route) { "KILLED" } else { "" };
        rows.push(vec![text(route, "name"), weights.join(" "), text(route, "stable"), kill.to_owned()]);
    }
    if rows.is_empty() {
        lines.push("no routes".to_owned());
    } else {
        lines.push(table(&["route", "weights", "stable", "kill"], &rows));
    }
    lines
}
