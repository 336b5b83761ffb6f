//! `headgate baseline record`: what the stable version looks like, for rollouts to be compared with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_rollout::Plan;
use headgate_rollout::measure::{Readings, Window};
use headgate_rollout::state::Baseline as Kept;
use serde_json::json;

use crate::answer::Answer;
use crate::cli::rollouts::{Baseline, BaselineVerb, Record};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::merge;
use crate::pool::Pool;
use crate::providers::histogram::Bounds;
use crate::publisher;
use crate::rollout_file;
use crate::run::watch::Watch;
use crate::run::{QUESTION, shares};
use crate::store;
use crate::subject::Named;
use crate::target::Target;
use crate::write::{Rules, in_force, write};

/// How long the proxies may take to count in buckets of users.
const APPLIED: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Baseline) -> Result<Answer, Failure> {
    let BaselineVerb::Record(args) = &args.what;
    record(args)
}

fn record(args: &Record) -> Result<Answer, Failure> {
    let rollout = Named::of(&args.rollout, &args.state.folder())?;
    let plan = rollout_file::read(&rollout.file)?.plan;
    let target = Arc::new(rollout.target()?);
    // Before the hours, so that nothing is measured in vain.
    let store = rollout.make_store()?;
    let name =
        args.name.clone().or_else(|| plan.judging.recorded_baseline.clone()).unwrap_or_else(|| plan.route.clone());
    let counted = count(&target, &plan)?;
    let variant = args.variant.as_ref().unwrap_or(&plan.stable);
    let interval = Duration::from_millis(plan.judging.interval_ms).min(args.duration);
    let mut watch = Watch::new(
        Arc::clone(&target),
        &plan,
        Pool::new(target.proxies.len().min(32)),
        Arc::new(Bounds::default()),
        QUESTION,
    );
    let mut readings = Readings::default();
    let now = || u64::try_from(clock::now()).unwrap_or(0);
    let mut window = Window::new(now());
    let (end, mut last) = (Instant::now() + args.duration, Instant::now());
    loop {
        let seen = watch.look(None, QUESTION);
        let new = seen.iter().filter_map(|r| Some((r.proxy.as_str(), r.snapshot.as_ref().ok()?)));
        let increment = readings.take_in(new);
        let took = u64::try_from(last.elapsed().as_millis()).unwrap_or(0);
        last = Instant::now();
        window.add(now(), took, &increment);
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            break;
        }
        std::thread::sleep(rest.min(interval));
    }
    let seen = window.totals.finished(variant);
    if seen < plan.judging.min_requests {
        return Err(Failure::failed(format!(
            "only {seen} finished requests of `{}` were seen in {}, a baseline needs {}: nothing was recorded",
            variant,
            humantime::format_duration(args.duration),
            plan.judging.min_requests
        )));
    }
    let segments = window.totals.variants.get(variant);
    if segments.is_none_or(|s| s.values().all(|c| c.latency.count == 0)) {
        return Err(Failure::failed(
            "no latency was seen: Envoy shows its histograms every `stats_flush_interval` (5s by default), so record for longer than that; nothing was recorded",
        ));
    }
    let baseline = Kept::of(name.clone(), variant, window.since_ms, window.until_ms, &window.totals);
    let data = serde_json::to_value(&baseline).map_err(|e| Failure::failed(e.to_string()))?;
    store.keep_baseline(&name, &store::Baseline { at: clock::now(), actor: args.who.name(), data })?;
    let mut text = format!("baseline `{name}`: {seen} requests of `{}` on {} proxies", variant, target.proxies.len());
    if let Some(revision) = counted {
        text.push_str(&format!(
            "\nsince revision {revision} the proxies count in buckets of users (`metrics.replicates`)"
        ));
    }
    let json = json!({"baseline": name, "variant": variant, "requests": seen, "since": window.since_ms, "until": window.until_ms});
    Ok(Answer::done(json, text))
}

/// Sees to it that the proxies count in buckets of users what the rollout judges: a variance comes from between those. Gives the revision, when
/// that had to be published.
fn count(target: &Target, plan: &Plan) -> Result<Option<u64>, Failure> {
    let published = publisher::read(&target.file()?.path)?;
    let config = in_force(target, published.as_ref())?;
    if shares::counted(&config, plan) == config {
        return Ok(None);
    }
    let rules = Rules { if_revision: None, replace_vm: false, dry_run: false, adopt: true, timeout: APPLIED };
    let written = write(target, rules, |config| Ok(shares::counted(config, plan)))?;
    if written.exit() == Exit::Done {
        return Ok(Some(merge::revision(&written.after)));
    }
    Err(Failure::new(written.exit(), format!("the proxies must count in buckets of users first:\n{}", written.text())))
}
