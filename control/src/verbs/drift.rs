//! `headgate drift`: is what was promoted still what is served? Live, once, or from saved pages of statistics.

use std::sync::Arc;
use std::time::Instant;

use headgate_rollout::Plan;
use headgate_rollout::drift::{Look, Progress, Told, Verdict, Watch, tick};
use headgate_rollout::measure::Readings;
use headgate_rollout::state::Baseline;
use serde_json::json;

use crate::answer::{Answer, table};
use crate::cli::drift::Drift;
use crate::exit::{Exit, Failure};
use crate::providers::envoy::{self, Wanted};
use crate::providers::histogram::Bounds;
use crate::rollout_file;
use crate::run::drift::{Sentinel, Until};
use crate::subject::Named;

pub(super) fn run(args: &Drift, json: bool) -> Result<Answer, Failure> {
    let rollout = Named::of(&args.rollout, &args.state.folder())?;
    let plan = rollout_file::read(&rollout.file)?.plan;
    let Some(watch) = plan.drift.clone() else {
        let reason =
            format!("{} has no `spec.drift`: write for example `drift: {{window: 1h}}`", rollout.file.display());
        return Err(Failure::new(Exit::Refused, reason));
    };
    if !args.pages.is_empty() {
        let looks = saved(&plan, &watch, &args.pages)?;
        return Ok(answer(&looks));
    }
    let target = Arc::new(rollout.target()?);
    let store = Arc::new(rollout.make_store()?);
    let until = match (args.once, args.duration) {
        (true, _) => Until::Looked,
        (false, Some(duration)) => Until::Time(Instant::now() + duration),
        (false, None) => Until::Stopped,
    };
    let run = store.rollout(&plan.name)?.map_or(0, |row| row.run);
    let plan = Arc::new(plan);
    if watch.wants_outcomes()
        && let Err(failure) = crate::run::take_outcomes(&plan, &target, &store, &args.state.folder(), run)
    {
        // What somebody else takes in stands in the same store.
        anstream::eprintln!("outcomes are not taken in here: {}", failure.message);
    }
    let sentinel = Sentinel::new(plan, watch, run, target, store)?;
    let looks = sentinel.watch(until, &mut |look| {
        if !args.once {
            crate::run::drift::print(look, json);
        }
    })?;
    if args.once {
        return Ok(answer(&looks));
    }
    Ok(Answer { exit: Exit::Done, json: serde_json::Value::Null, text: String::new() })
}

/// Windows between saved pages of one proxy.
fn saved(plan: &Plan, watch: &Watch, pages: &[std::path::PathBuf]) -> Result<Vec<Look>, Failure> {
    let wanted = Wanted { target: String::new(), resource: String::new(), route: plan.route.clone(), copies: None };
    let bounds = Bounds::default();
    let mut readings = Readings::default();
    let mut progress = Progress::default();
    let mut looks = Vec::new();
    for (at, path) in pages.iter().enumerate() {
        let said = |e: String| Failure::failed(format!("{}: {e}", path.display()));
        let page = std::fs::read_to_string(path).map_err(|e| said(e.to_string()))?;
        let now_ms = at as u64 + 1;
        let (_, mut snapshot) = envoy::read(&page, &wanted, &bounds, now_ms).map_err(said)?;
        // When it was saved is not known, so a restart shows by counters that fell alone.
        snapshot.uptime_ms = None;
        if !snapshot.variants.contains_key(&watch.variant) {
            return Err(said(format!("it counts nothing of `{}` on route `{}`", watch.variant, plan.route)));
        }
        let snapshot = Arc::new(snapshot);
        let increment = readings.take_in([("saved", &snapshot)]);
        match at {
            0 => {}
            1 => {
                let name = format!(
                    "{} until {}",
                    pages.first().map_or_else(String::new, |p| p.display().to_string()),
                    path.display()
                );
                progress.reference = Some(Baseline::of(name, &watch.variant, 1, 2, &increment));
                (progress, _, _) = tick(watch, progress, now_ms, 0, &increment, &Told::default());
            }
            _ => {
                let look;
                (progress, look, _) = tick(watch, progress, now_ms, watch.window_ms, &increment, &Told::default());
                looks.extend(look);
            }
        }
    }
    Ok(looks)
}

/// All windows: a table of the last one, a sentence for each, and the exit code of the last.
fn answer(looks: &[Look]) -> Answer {
    let exit = match looks.last().map(|look| look.verdict) {
        Some(Verdict::Drifted) => Exit::Drifted,
        Some(Verdict::Steady) => Exit::Done,
        Some(Verdict::Inconclusive) | None => Exit::Unknown,
    };
    let mut text = String::new();
    if let Some(look) = looks.last() {
        let rows = crate::report::drift_rows(look);
        text = table(&["of", "measure", "size", "drift from", "chance", "verdict"], &rows);
    }
    for look in looks {
        text.push_str(&format!("\nwindow {}: {}", look.number, look.sentence));
    }
    Answer { exit, json: json!({"looks": looks}), text }
}
