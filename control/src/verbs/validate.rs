//! `headgate validate`: all that is wrong with any of the files.

use serde_json::json;

use crate::answer::Answer;
use crate::cli::Validate;
use crate::exit::{Exit, Failure};
use crate::plugin::Plugin;
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
        match Plugin::read(path, name.as_deref()) {
            Ok(plugin) => {
                let routes: Vec<&str> = plugin.config.routes.iter().map(|r| r.name.as_str()).collect();
                let features: Vec<String> = crate::plugin::features(&plugin.config).into_iter().collect();
                lines.push(format!(
                    "{}: good, routes {}",
                    path.display(),
                    if routes.is_empty() { "none".to_owned() } else { routes.join(", ") }
                ));
                files.push(
                    json!({"file": path, "target": plugin.config.target, "routes": routes, "features": features}),
                );
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
