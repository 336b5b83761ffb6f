//! `headgate validate`: all that is wrong with any of the files.

use headgate_rollout::plan::StepKind;
use serde_json::json;

use crate::advice;
use crate::answer::Answer;
use crate::cli::published::Validate;
use crate::document::Document;
use crate::exit::{Exit, Failure};
use crate::plugin::Plugin;
use crate::rollout_file::{self, Loaded};
use crate::target::Target;

pub(super) fn run(args: &Validate) -> Result<Answer, Failure> {
    let mut findings = Vec::new();
    let mut lines = Vec::new();
    let mut files = Vec::new();
    let mut broken = None;
    let mut note = |failure: Failure| {
        if failure.exit == Exit::Refused { findings.extend(failure.findings) } else { broken = Some(failure) }
    };
    let mut name = None;
    if let Some(path) = &args.target {
        match Target::read(path) {
            Ok(target) => {
                lines.push(format!(
                    "{}: good, target {} with {} proxies",
                    path.display(),
                    target.name,
                    target.proxies.len()
                ));
                files.push(json!({"file": path, "target": target.name}));
                name = Some(target.name);
            }
            Err(failure) => note(failure),
        }
    }
    for path in &args.files {
        let document = match Document::read(path) {
            Ok(document) => document,
            Err(failure) => {
                note(failure);
                continue;
            }
        };
        if rollout_file::is_rollout(&document) {
            match rollout_file::of(&document, path, None) {
                Ok(loaded) => {
                    lines.push(format!("{}: good, {}", path.display(), rollout(&loaded)));
                    files.push(json!({"file": path, "rollout": loaded.plan.name, "target": loaded.plan.target,
                        "route": loaded.plan.route, "strategy": loaded.plan.strategy, "steps": loaded.plan.steps.len()}));
                }
                Err(failure) => note(failure),
            }
            continue;
        }
        match Plugin::of(document, name.as_deref()) {
            Ok(plugin) => {
                let routes: Vec<&str> = plugin.config.routes.iter().map(|r| r.name.as_str()).collect();
                let features: Vec<String> = crate::plugin::features(&plugin.config).into_iter().collect();
                lines.push(format!(
                    "{}: good, routes {}",
                    path.display(),
                    if routes.is_empty() { "none".to_owned() } else { routes.join(", ") }
                ));
                let notes = [advice::unreachable(&plugin.config), advice::nonce(&plugin.config)];
                let notes: Vec<String> = notes.into_iter().flatten().collect();
                lines.extend(notes.iter().map(|note| format!("  note: {note}")));
                files
                    .push(json!({"file": path, "target": plugin.config.target, "routes": routes, "features": features,
                    "notes": notes}));
            }
            Err(failure) => note(failure),
        }
    }
    if let Some(failure) = broken {
        return Err(failure);
    }
    if findings.is_empty() {
        return Ok(Answer::done(json!({"files": files}), lines.join("\n")));
    }
    let mut names: Vec<&str> = findings.iter().map(|f| f.file.as_str()).collect();
    names.dedup();
    let names = names.join(", ");
    Err(Failure::refused(&names, findings))
}

/// A rollout in a line, and what is missing beside it.
fn rollout(loaded: &Loaded) -> String {
    let plan = &loaded.plan;
    let shares = |kind: &StepKind| match kind {
        StepKind::Weight | StepKind::Test(_) | StepKind::Shadow | StepKind::Compare { .. } | StepKind::Bandit => true,
        StepKind::Pause
        | StepKind::Gate(_)
        | StepKind::Analysis
        | StepKind::Readiness { .. }
        | StepKind::Observe
        | StepKind::Monitoring => false,
    };
    let steps: Vec<&str> = plan.steps.iter().filter(|s| shares(&s.kind)).map(|s| s.name.as_str()).collect();
    let took = std::time::Duration::from_millis(plan.shortest_ms());
    let mut out = format!(
        "rollout {} of route {}: {}, {} at the least",
        plan.name,
        plan.route,
        steps.join(", "),
        humantime::format_duration(took)
    );
    let target = loaded.target_path();
    if !target.exists() {
        out.push_str(&format!("; its target file {} is not there", target.display()));
    }
    out
}
