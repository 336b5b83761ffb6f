//! `headgate simulate`: what a rollout would do with versions that behave so, over many seeds, in virtual time.

use std::time::Duration;

use anstyle::AnsiColor;
use headgate_rollout::file::Force;
use headgate_rollout::simulate::{Scenario, Version};
use headgate_rollout::tick::EventKind;
use serde_json::json;

use crate::answer::{Answer, coloured, table};
use crate::cli::simulate::Simulate;
use crate::exit::{Exit, Failure};
use crate::report::page;
use crate::rollout_file::{read, read_forced};
use crate::simulate::{self, Ended, Summary, kind, lives, since_begin, summary, told};

pub(super) fn run(args: &Simulate) -> Result<Answer, Failure> {
    let scenario = scenario(args)?;
    let loaded = if args.force {
        let force = Force { actor: "simulation".to_owned(), reason: "simulated".to_owned() };
        read_forced(&args.file, &force)?
    } else {
        read(&args.file)?
    };
    let plan = &loaded.plan;
    let all = lives(plan, &scenario, args.seed, args.seeds);
    let ended: Vec<Ended> = all.iter().map(|lived| Ended::of(lived, scenario.good_for_ms)).collect();
    let summary = summary(&all, &ended);
    let Some((first, first_ended)) = all.first().zip(ended.first()) else {
        return Err(Failure::new(Exit::Usage, "--seeds 0: nothing is simulated with no seed; give at least 1"));
    };
    let how = described(&scenario, args.seed);
    if let Some(path) = &args.report {
        let html = page(&told(plan, first, how.clone()));
        std::fs::write(path, html)
            .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", path.display())))?;
    }
    let events: Vec<_> = first
        .events
        .iter()
        .map(|(at, e)| json!({"after": since_begin(*at), "kind": kind(e), "step": e.step, "text": e.text, "canary": e.weights.canary}))
        .collect();
    let runs: Vec<_> =
        ended.iter().zip(args.seed..).map(|(ended, seed)| json!({"seed": seed, "ended": ended})).collect();
    let json = json!({"rollout": plan.name, "scenario": how, "summary": summary, "leftOut": first.left_out,
        "runs": runs, "first": {"seed": args.seed, "ticks": first.ticks, "events": events}, "report": args.report});
    let mut text = vec![format!("{}: {how}", plan.name), verdict(&summary), String::new()];
    if !first.left_out.is_empty() {
        text.insert(1, format!("not simulated, their numbers come from elsewhere: {}", first.left_out.join(", ")));
    }
    text.push(format!("seed {}, in {} looks: {}", args.seed, first.ticks, first_ended.why));
    let shown = |kind: EventKind| {
        use EventKind::{Gate, Held, Promoted, RolledBack, RollingBack, Shares, StepStarted, Verdict};
        matches!(kind, StepStarted | Shares | Verdict | RollingBack | RolledBack | Promoted | Held | Gate)
    };
    let rows: Vec<Vec<String>> = first
        .events
        .iter()
        .filter(|(_, event)| shown(event.kind))
        .map(|(at, event)| vec![since_begin(*at), kind(event), event.text.clone()])
        .collect();
    text.push(table(&["after", "what", "why"], &rows));
    if let Some(path) = &args.report {
        text.push(format!("{}: the report of seed {}", path.display(), args.seed));
    }
    Ok(Answer::done(json, text.join("\n")))
}

fn scenario(args: &Simulate) -> Result<Scenario, Failure> {
    let wrong = |name: &str, why: String| Failure::new(Exit::Usage, format!("{name}: {why}"));
    let stable = simulate::read(&args.stable, &Version::default()).map_err(|why| wrong("--stable", why))?;
    let canary = simulate::read(&args.canary, &stable).map_err(|why| wrong("--canary", why))?;
    let mut arms = std::collections::BTreeMap::new();
    for arm in &args.arm {
        let (name, spec) = arm
            .split_once(':')
            .ok_or_else(|| wrong("--arm", format!("`{arm}` is not ARM:NAME=VALUE, like short:success=14%")))?;
        arms.insert(name.to_owned(), simulate::read(spec, &canary).map_err(|why| wrong("--arm", why))?);
    }
    if !(args.rps > 0.0 && args.rps <= 1e6) {
        return Err(wrong("--rps", format!("{} is no rate: above 0 and at most a million a second", args.rps)));
    }
    if !(0.0..=1.0).contains(&args.correlation) {
        return Err(wrong("--correlation", format!("{} is none: from 0 to 1", args.correlation)));
    }
    Ok(Scenario {
        requests_per_s: args.rps,
        users: args.users,
        correlation: args.correlation,
        stable,
        canary,
        arms,
        good_for_ms: u64::try_from(args.after.as_millis()).unwrap_or(u64::MAX),
    })
}

/// The scenario in a sentence.
fn described(scenario: &Scenario, seed: u64) -> String {
    let version = |v: &Version| {
        let mut parts = vec![format!("{:.2} % errors", v.error * 100.0)];
        for (what, share) in [("4xx", v.client_error), ("timeouts", v.timeout), ("hanging", v.hang)] {
            if share > 0.0 {
                parts.push(format!("{:.2} % {what}", share * 100.0));
            }
        }
        parts.push(format!("p50 {:.0} ms, p95 {:.0} ms, {:.1} % success", v.p50_ms, v.p95_ms, v.success * 100.0));
        let usual = Version::default();
        let numbers = [
            ("goals reached by", v.conversion, usual.conversion, 0.01, " % of requests"),
            ("value", v.value, usual.value, 1.0, " each"),
            ("CPU", v.cpu, usual.cpu, 1.0, " cores"),
            ("memory", v.memory, usual.memory, 1e6, " MB"),
            ("custom", v.custom, usual.custom, 1.0, ""),
        ];
        for (what, number, usual, unit, word) in numbers {
            if (number - usual).abs() > usual.abs() * 1e-9 {
                parts.push(format!("{what} {:.2}{word}", number / unit));
            }
        }
        parts.join(", ")
    };
    let after = match scenario.good_for_ms {
        0 => String::new(),
        ms => format!(" from {} on", humantime::format_duration(Duration::from_millis(ms))),
    };
    let arms: String = scenario.arms.iter().map(|(name, v)| format!("; {name}: {}", version(v))).collect();
    format!(
        "{} requests/s of {} users (correlation {}), seeds from {seed}; stable: {}; canary{after}: {}{arms}",
        scenario.requests_per_s,
        scenario.users,
        scenario.correlation,
        version(&scenario.stable),
        version(&scenario.canary)
    )
}

fn verdict(summary: &Summary) -> String {
    let word = |name: &&str| match *name {
        "promoted" => coloured("promoted", AnsiColor::Green),
        "rolledBack" => coloured("rolled back", AnsiColor::Red),
        other => other.to_owned(),
    };
    let counts: Vec<String> =
        summary.outcomes.iter().map(|(name, n)| format!("{n} of {} {}", summary.seeds, word(name))).collect();
    let mut out = counts.join(", ");
    if !summary.answers.is_empty() {
        let words = |name: &str| match name {
            "bWins" => "B is better (or what was asked for)",
            "aWins" => "A is better",
            "equivalent" => "no difference that matters",
            _ => "not decided in its time",
        };
        let list: Vec<String> = summary.answers.iter().map(|(name, n)| format!("{n} {}", words(name))).collect();
        out.push_str(&format!("\n  the test: {}", list.join(", ")));
        if let Some(ms) = summary.answered_ms {
            let time = humantime::format_duration(Duration::from_millis(ms / 1_000 * 1_000));
            out.push_str(&format!("; after {time} (median)"));
        }
    }
    for (by, n) in &summary.rolled_back {
        out.push_str(&format!("\n  {n} at {by}"));
    }
    if let Some((median, longest)) = summary.noticed_ms {
        let time = |ms: u64| humantime::format_duration(Duration::from_millis(ms)).to_string();
        out.push_str(&format!(
            "\n  noticed after {} (median), {} at the longest; at most {} % of users had it",
            time(median),
            time(longest),
            f64::from(summary.exposed) / 100.0
        ));
    }
    out
}
