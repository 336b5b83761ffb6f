//! Shares of requests: errors, timeouts, 4xx, unfinished; and conversions for each request, of which a user may have several.

use super::sides::{Side, Sides, sides};
use super::{Case, Evidence, alphas, beyond, by_threshold, f, segments};
use crate::file::Metric;
use crate::measure::{Counters, Totals};
use crate::plan::{Bound, Criterion};
use crate::stats::compare::{self, Ask, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::{Arm, Finding, Reason, Stratum, design};

/// Measures a rate in the whole step and in its newest part, with where the baseline comes from.
pub(super) fn measure(case: &Case<'_>, criterion: &Criterion) -> (Evidence, String) {
    let block = case.recent.map_or(1, |r| r.block);
    let (alpha, alpha_recent) = alphas(criterion, block);
    let found = sides(case, &case.window.totals);
    let lags = criterion.metric == Metric::UnfinishedRate;
    let lag = case.lagged.of_window().filter(|_| lags);
    let whole = |sides: &Sides<'_>, alpha, full| of(case, criterion, sides, alpha, full, lag);
    let mut evidence = segments::of_sides(&found, alpha, case.full, whole);
    if !evidence.exceeded
        && !by_threshold(case)
        && let Some(recent) = case.recent
    {
        let sides = sides(case, &recent.window.totals);
        let lag = lags.then(|| case.lagged.of_part(&case.window.totals, &recent.window.totals)).flatten();
        let part = |sides: &Sides<'_>, alpha, full| of(case, criterion, sides, alpha, full, lag.as_ref());
        let newest = segments::of_sides(&sides, alpha_recent, false, part);
        if newest.exceeded {
            evidence = newest;
        }
    }
    (evidence, found.from)
}

fn of(
    case: &Case<'_>,
    criterion: &Criterion,
    sides: &Sides<'_>,
    alpha: f64,
    full: bool,
    lag: Option<&Totals>,
) -> Evidence {
    if criterion.metric == Metric::UnfinishedRate && lag.is_none() {
        return Evidence::open("it is known some time after the step's clock started");
    }
    let strata: Vec<Stratum> = match sides
        .each
        .iter()
        .map(|s| stratum(case, criterion.metric, criterion.goal.as_deref(), s, sides, lag))
        .collect()
    {
        Ok(strata) => strata,
        Err(problem) => return Evidence::unmeasured(problem),
    };
    let units: f64 = strata.iter().map(|s| s.canary.units()).sum();
    if units <= 0.0 {
        let hangs = sides.each.iter().any(|s| s.canary.requests > 0) && criterion.metric != Metric::UnfinishedRate;
        return if hangs {
            Evidence::unmeasured("requests of the new version start, and none has finished")
        } else {
            Evidence::open("no request of the new version was seen")
        };
    }
    let relative = criterion.bound.is_relative();
    let compared = || strata.iter().filter(|s| !relative || s.baseline.units() > 0.0);
    let of_compared: f64 = compared().map(|s| s.canary.units()).sum();
    if of_compared <= 0.0 {
        return Evidence::unmeasured(format!("there is nothing to compare with: {}", no_baseline(sides)));
    }
    let canary = compared().map(|s| s.canary.total()).sum::<f64>() / of_compared;
    let baseline = relative
        .then(|| compared().map(|s| s.canary.units() / of_compared * s.baseline.mean().unwrap_or(0.0)).sum::<f64>());
    let limit = criterion.bound.limit(baseline.unwrap_or(0.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let samples = of_compared.round() as u64;
    let mut evidence =
        Evidence { measured: Some(canary), baseline, limit: Some(limit), samples, ..Evidence::default() };
    let wrong = beyond(criterion, canary, limit);
    evidence.beyond = wrong;
    if by_threshold(case) {
        evidence.exceeded = wrong && samples >= super::needed(case);
        return evidence;
    }
    // What is within the limit cannot be proved to be beyond it.
    if !wrong && !full {
        return evidence;
    }
    let clustering = if sides.copies { Clustering::Independent } else { Clustering::Buckets };
    // A user may convert more than once, and later than the request that counts: a mean, not a share.
    let counted = criterion.metric == Metric::Goal;
    let found = if counted {
        super::provided::mean(&criterion.bound, &strata, alpha)
    } else {
        test(&criterion.bound, &strata, alpha, clustering)
    };
    match found {
        Ok(finding) => {
            evidence.exceeded = finding.exceeded && wrong;
            let base = finding.baseline.unwrap_or(0.0);
            let most = if counted { f64::INFINITY } else { 1.0 };
            evidence.lower = finding.low.map(|low| (base + low).clamp(0.0, most));
            evidence.upper = finding.high.map(|high| (base + high).clamp(0.0, most));
        }
        Err(reason) => evidence.undecided = Some(reason.to_string()),
    }
    evidence
}

/// The statistics' question for a bound.
pub(super) fn test(bound: &Bound, strata: &[Stratum], alpha: f64, clustering: Clustering) -> Result<Finding, Reason> {
    let worse = if bound.is_lower() { Worse::Lower } else { Worse::Higher };
    let ask = Ask { alpha, worse, clustering };
    match *bound {
        Bound::Max { value } | Bound::Min { value } => compare::rate_bound(strata, value, &ask),
        Bound::Drop { by } | Bound::Rise { by } => compare::rate(strata, &Limit { ratio: 1.0, floor: by }, &ask),
        // Shown elsewhere; that it is worse by more than the margin is asked like a rise.
        Bound::NotWorse { margin, .. } => compare::rate(strata, &Limit { ratio: 1.0, floor: margin }, &ask),
        Bound::Ratio { factor, floor } => compare::rate(strata, &Limit { ratio: factor, floor }, &ask),
    }
}

fn no_baseline(sides: &Sides<'_>) -> &'static str {
    if sides.from == "nothing" {
        "the stable version has no traffic and no window of it was kept"
    } else {
        "no request of the stable version in the segments of the new one"
    }
}

/// Both versions, segment by segment, for metrics that are kept by buckets of users and need no lag.
pub(super) fn strata(
    case: &Case<'_>,
    metric: Metric,
    goal: Option<&str>,
    sides: &Sides<'_>,
) -> Result<Vec<Stratum>, String> {
    sides.each.iter().map(|side| stratum(case, metric, goal, side, sides, None)).collect()
}

fn stratum(
    case: &Case<'_>,
    metric: Metric,
    goal: Option<&str>,
    side: &Side<'_>,
    sides: &Sides<'_>,
    lagged: Option<&Totals>,
) -> Result<Stratum, String> {
    let lag = |variant: &str| lagged.and_then(|l| l.variants.get(variant)).and_then(|s| s.get(side.segment));
    let baseline = match &side.baseline {
        // A window that is over has nothing on its way.
        Some(counters) if !sides.concurrent => arm(metric, goal, counters, Some(counters))?,
        Some(counters) => arm(metric, goal, counters, lag(&case.plan.stable))?,
        None => Arm::default(),
    };
    let canary = if sides.copies {
        // Copies are not kept by users, but they are the same users' requests: what coming back does to the stable
        // version's counts, it does to theirs.
        let cells: Vec<(f64, f64)> = baseline.cells.iter().map(|c| (c.units, c.total)).collect();
        let effect = design::effect_upper(&cells, case.step.criteria.first().map_or(0.001, |c| c.alpha));
        let (units, total) = whole(metric, &side.canary);
        let mut arm = Arm::default();
        arm.add(0, units / effect, total / effect);
        arm
    } else {
        arm(metric, goal, &side.canary, lag(&case.plan.canary))?
    };
    Ok(Stratum { name: side.segment.to_owned(), canary, baseline, share: side.share })
}

/// Units and events of counters as a whole.
fn whole(metric: Metric, counters: &Counters) -> (f64, f64) {
    let [_, _, _, client, server, none] = counters.classes;
    let events = match metric {
        Metric::ClientErrorRate => client,
        Metric::TimeoutRate => counters.timeouts,
        _ => server + none,
    };
    let finished = counters.finished();
    (f(finished), f(events.min(finished)))
}

/// Units and events by bucket of users. `lag`: the counters as they were some time ago, for what is not finished yet.
pub(super) fn arm(
    metric: Metric,
    goal: Option<&str>,
    counters: &Counters,
    lag: Option<&Counters>,
) -> Result<Arm, String> {
    let mut arm = Arm::default();
    let kept = counters.replicates.iter().any(|r| r.finished > 0 || r.requests > 0);
    if !kept && counters.finished() > 0 {
        return Err("the proxies do not keep it by buckets of users: `metrics.replicates` of the plugin configuration is not in force".to_owned());
    }
    let refused = || counters.replicates.iter().map(|r| r.client_errors).sum::<u64>();
    if metric == Metric::ClientErrorRate && counters.classes.get(3).is_some_and(|n| *n > 0) && refused() == 0 {
        return Err("the proxies do not keep 4xx by buckets of users: `clientErrors` of `metrics.replicates` in the plugin configuration was not in force".to_owned());
    }
    if let Some(goal) = goal {
        for (bucket, (reached, exposed)) in counters.conversions(goal).enumerate() {
            arm.add(bucket, f(exposed), f(reached));
        }
        return Ok(arm);
    }
    for (bucket, replicate) in counters.replicates.iter().enumerate() {
        let (units, events) = match metric {
            Metric::TimeoutRate => (replicate.finished, replicate.timeouts),
            Metric::ClientErrorRate => (replicate.finished, replicate.client_errors),
            Metric::UnfinishedRate => {
                let started = lag.and_then(|l| l.replicates.get(bucket)).map_or(0, |r| r.requests);
                (started, started.saturating_sub(replicate.finished))
            }
            _ => (replicate.finished, replicate.failures),
        };
        if metric == Metric::LatencyMean {
            arm.add(bucket, f(replicate.finished), f(replicate.latency_us));
            continue;
        }
        arm.add(bucket, f(units), f(events.min(units)));
    }
    Ok(arm)
}
