//! `headgate shadow report`: is the shadow ready? From the proxies' counters.

use std::sync::Arc;
use std::time::Duration;

use headgate_rollout::measure::{Counters, Histogram, Readings, Shadowed, Totals};
use headgate_rollout::shadow::{Evidence, Timings, judge};
use headgate_rollout::stats::{Arm, design, histogram};
use serde_json::json;

use super::limits;
use crate::answer::Answer;
use crate::cli::shadow::Report;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::providers::envoy::{Wanted, read};
use crate::providers::histogram::Bounds;
use crate::proxy::{Client, each};
use crate::shadow::{labels, table};
use crate::target::Target;

pub(super) fn run(args: &Report) -> Result<Answer, Failure> {
    if !(args.limits.alpha > 0.0 && args.limits.alpha < 1.0) {
        return Err(Failure::new(Exit::Usage, "--alpha must lie between 0 and 1, both excluded"));
    }
    let target = Target::read(&args.target)?;
    let said = args.labels.as_deref().map(labels::read).transpose()?;
    let client = Client::new(Duration::from_secs(5));
    let mut readings = Readings::default();
    let mut totals = Totals::default();
    let mut missing = look(&target, &client, args, &mut readings, &mut totals, args.since.is_none())?;
    if let Some(since) = args.since {
        std::thread::sleep(since);
        missing = look(&target, &client, args, &mut readings, &mut totals, false)?;
    }
    let mut all = Shadowed::default();
    totals.shadow.values().for_each(|pairs| all.merge(pairs));
    let mut whole = evidence("", &all);
    let mut segments: Vec<Evidence> = totals.shadow.iter().map(|(name, pairs)| evidence(name, pairs)).collect();
    let mut unknown = false;
    if let Some(said) = &said {
        let (accepted, known) = said.accepted(None);
        // Labels without a user say nothing of how far users differ.
        unknown = !known;
        if known {
            whole.accepted = accepted;
            segments.iter_mut().for_each(|one| one.accepted = said.accepted(Some(&one.segment)).0);
        }
    }
    let verdict = judge(&whole, &segments, &limits(&args.limits));
    let mut text = table::verdict(&verdict);
    let people = said.as_ref().map(|said| said.judged(args.limits.alpha));
    if let Some(people) = &people {
        text.push_str(&format!("\n{}\n", table::people(people)));
    }
    if unknown {
        text.push_str("\nSome labels do not tell the user's bucket (requests without a key), so they do not count for the verdict: `shadow analyze --labels` reckons with them.\n");
    }
    if let Some(unread) = said.as_ref().map(|said| said.unread).filter(|unread| *unread > 0) {
        text.push_str(&format!("\nLines of the labels that could not be read and are left out: {unread}\n"));
    }
    if all.comparisons() == 0 {
        text.push_str(&format!(
            "\nNo comparison of route {} was counted: is its `shadow` in force, with a share above 0, and the filter headgate-shadow.wasm?\n",
            args.route
        ));
    }
    for gone in &missing {
        text.push_str(&format!("\nNot counted: {gone}\n"));
    }
    let document = json!({"verdict": verdict, "route": args.route, "proxies": target.proxies.len(), "missing": missing, "labels": people});
    Ok(Answer::done(document, text))
}

/// Reads every proxy once; gives those that could not be read. `all`: what they counted so far belongs to it.
fn look(
    target: &Target,
    client: &Client,
    args: &Report,
    readings: &mut Readings,
    totals: &mut Totals,
    all: bool,
) -> Result<Vec<String>, Failure> {
    let bounds = Bounds::default();
    let wanted =
        Wanted { target: target.name.clone(), resource: String::new(), route: args.route.clone(), copies: None };
    let now = u64::try_from(clock::now()).unwrap_or(0);
    let pages = each(&target.proxies, |proxy| {
        let url = wanted.url(proxy).ok_or("it has neither `admin` nor `stats`")?;
        let (_, snapshot) = read(&client.get(&url)?, &wanted, &bounds, now)?;
        Ok::<_, String>(Arc::new(snapshot))
    });
    let mut missing = Vec::new();
    let mut read = Vec::new();
    for (proxy, page) in target.proxies.iter().zip(pages) {
        match page {
            Ok(snapshot) => read.push((proxy.name.as_str(), snapshot)),
            Err(e) => missing.push(format!("{}: {e}", proxy.name)),
        }
    }
    if read.is_empty() {
        return Err(Failure::failed(format!("no proxy of {} could be read: {}", target.name, missing.join("; "))));
    }
    if all {
        for (_, snapshot) in &read {
            for (segment, pairs) in &snapshot.shadow {
                totals.shadow.entry(segment.clone()).or_default().merge(pairs);
            }
        }
    } else {
        let increment = readings.take_in(read.iter().map(|(name, snapshot)| (*name, snapshot)));
        totals.merge(&increment);
    }
    Ok(missing)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn f(count: u64) -> f64 {
    count as f64
}

fn evidence(segment: &str, pairs: &Shadowed) -> Evidence {
    let mut agreement = Arm::default();
    for (bucket, compared) in pairs.compared.iter().enumerate() {
        let mismatched = pairs.mismatched.get(bucket).copied().unwrap_or(0).min(*compared);
        agreement.add(bucket, f(*compared), f(compared - mismatched));
    }
    let failures = |counters: &Counters| {
        let mut arm = Arm::default();
        for (bucket, cell) in counters.replicates.iter().enumerate() {
            arm.add(bucket, f(cell.finished), f(cell.failures.min(cell.finished)));
        }
        arm
    };
    Evidence {
        segment: segment.to_owned(),
        agreement,
        primary_errors: failures(&pairs.primary),
        shadow_errors: failures(&pairs.shadow),
        primary: timings(&pairs.primary),
        shadow: timings(&pairs.shadow),
        independent: false,
        ..Evidence::default()
    }
}

/// Latencies with the design effect of their mean between buckets of users.
fn timings(counters: &Counters) -> Option<Timings> {
    let Histogram { bounds, cumulative, count, .. } = &counters.latency;
    if *count == 0 {
        return None;
    }
    let counts: Vec<f64> = cumulative.iter().chain([count]).map(|c| f(*c)).collect();
    let histogram = histogram::Histogram::from_cumulative(bounds.to_vec(), &counts).ok()?;
    let mut arm = Arm::default();
    for (bucket, cell) in counters.replicates.iter().enumerate() {
        arm.add(bucket, f(cell.finished), f(cell.latency_us));
    }
    let p95 = histogram.quantile(0.95).ok().map(|reading| reading.value);
    let effect = design::of_mean(&arm, histogram.variance()).max(1.0);
    Some(Timings { histogram, p95, effect, fine: None })
}
