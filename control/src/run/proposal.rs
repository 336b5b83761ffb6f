//! A proposal of a test: each segment with the version it had better get, as a file for people. Nothing here changes a target.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headgate_rollout::plan::Plan;
use serde_json::{Map, Value, json};

use crate::clock;

/// Where the proposal of a rollout stands: in the state folder, by name.
pub(crate) fn path(folder: &Path, rollout: &str) -> PathBuf {
    folder.join("proposals").join(format!("{rollout}.json"))
}

/// Writes a proposal, in place of an earlier one of the same rollout.
///
/// # Errors
/// In words, when it cannot be written.
pub(crate) fn write(
    folder: &Path,
    plan: &Plan,
    target: &Path,
    segments: &BTreeMap<String, String>,
    why: &str,
) -> Result<PathBuf, String> {
    let path = path(folder, &plan.name);
    let said = |e: std::io::Error| format!("the proposal {} cannot be written: {e}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(said)?;
    }
    let next = path.with_extension("json.next");
    let text = serde_json::to_string_pretty(&document(plan, target, segments, why)).unwrap_or_default();
    std::fs::write(&next, text + "\n").map_err(said)?;
    std::fs::rename(&next, &path).map_err(said)?;
    Ok(path)
}

fn document(plan: &Plan, target: &Path, segments: &BTreeMap<String, String>, why: &str) -> Value {
    let weights = |variant: &str| {
        let other = if variant == plan.canary { &plan.stable } else { &plan.canary };
        json!({variant: 1, other.as_str(): 0})
    };
    let routing: Map<String, Value> =
        segments.iter().map(|(segment, variant)| (segment.clone(), weights(variant))).collect();
    let apply: Vec<String> = segments
        .iter()
        .map(|(segment, variant)| {
            let other = if *variant == plan.canary { &plan.stable } else { &plan.canary };
            // Outside of all segments the route's own weights hold.
            let within = if segment == "default" { String::new() } else { format!(" --segment {segment}") };
            format!("headgate set {} --route {}{within} {variant}=1 {other}=0", target.display(), plan.route)
        })
        .collect();
    json!({
        "proposal": "per-segment routing; it is never applied by itself",
        "rollout": plan.name,
        "route": plan.route,
        "written": clock::shown(clock::now()),
        "why": why,
        "weights": routing,
        "apply": {"first": format!("headgate rollback {} --reason \"segments differ\"", plan.name), "then": apply},
    })
}
