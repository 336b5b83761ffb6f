//! How far performance fell: what the proxies counted, and outcomes that were told.

use super::look::{Measure, f, of_distance};
use super::{Outcomes, Performance, Told};
use crate::file::Metric;
use crate::measure::Counters;
use crate::stats::compare::{self, Ask as Repeated, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::drift::{decline, risen};
use crate::stats::{Arm, Stratum};
use crate::text::trimmed;

/// How far a measure of performance fell, from the reference to the window.
pub(super) fn of_decline(
    performance: &Performance,
    [was, now]: [&Counters; 2],
    told: &Told,
    alpha: f64,
    few: Option<&str>,
) -> Measure {
    let name = match (&performance.goal, performance.metric) {
        (Some(goal), _) => format!("goal {goal}"),
        (None, Metric::Success) => "successes".to_owned(),
        (None, Metric::Value) => "values".to_owned(),
        (None, _) => "answers without a failure".to_owned(),
    };
    let limit = performance.decline;
    let mut out = Measure { of: name.clone(), ..of_distance(&name, "decline", limit, Err(String::new())) };
    let (was_arm, now_arm) = (arm(performance, was, &told.reference), arm(performance, now, &told.window));
    let stratum = Stratum { name: name.clone(), canary: now_arm.clone(), baseline: was_arm.clone(), share: None };
    let ask = Repeated { alpha, worse: Worse::Lower, clustering: Clustering::Buckets };
    let level = Limit { ratio: 1.0, floor: 0.0 };
    let fallen = (was_arm.mean(), now_arm.mean());
    let found = match (few, fallen) {
        (Some(few), _) => Err(few.to_owned()),
        (None, (Some(was), Some(now))) => decline(was, now)
            .and_then(|size| {
                // What has not declined needs no proof that it has.
                if size < limit {
                    return Ok((size, None));
                }
                let strata = std::slice::from_ref(&stratum);
                let p = match performance.metric {
                    Metric::Goal | Metric::Value => compare::mean(strata, &level, &ask)?.p,
                    _ => risen(&was_arm.complement(), &now_arm.complement(), alpha)?,
                };
                Ok((size, Some(p)))
            })
            .map_err(|e| e.to_string()),
        (None, (was, _)) => Err(match performance.metric {
            Metric::Success | Metric::Value => {
                let which = if was.is_none() { "the reference" } else { "the window" };
                format!("no outcome was told of {which}")
            }
            _ => "it is not counted in buckets of users: `metrics.replicates` of the plugin configuration".to_owned(),
        }),
    };
    (out.reference, out.now) = fallen;
    match found {
        Ok((size, found)) => {
            out.undecided = None;
            out.size = Some(size);
            out.p = found;
            out.drifted = found.is_some_and(|p| p <= alpha);
            let percent = |share: f64| format!("{} %", trimmed(share * 100.0, 2));
            let level = |mean: Option<f64>| match performance.metric {
                Metric::Value => trimmed(mean.unwrap_or(0.0), 4),
                _ => percent(mean.unwrap_or(0.0)),
            };
            let (from, to) = (level(fallen.0), level(fallen.1));
            out.sentence = if out.drifted {
                format!(
                    "{name} declined by {} from {from} to {to}, more than {} and beyond chance",
                    percent(size),
                    percent(limit)
                )
            } else if size >= limit {
                format!("{name} declined by {} from {from} to {to}, which chance alone may make", percent(size))
            } else if size >= 0.0 {
                format!("{name}: {to}, {} below {from}", percent(size))
            } else {
                format!("{name}: {to}, {} above {from}", percent(-size))
            };
        }
        Err(why) => {
            out.sentence = format!("{name}: a decline is not known: {why}");
            out.undecided = Some(why);
        }
    }
    out
}

/// A performance measure by buckets of users: units, and what of them was good.
fn arm(performance: &Performance, counters: &Counters, told: &Outcomes) -> Arm {
    let mut arm = Arm::default();
    match performance.metric {
        Metric::Success => return told.successes.clone(),
        Metric::Value => return told.values.clone(),
        _ => {}
    }
    match &performance.goal {
        Some(goal) => {
            for (bucket, (reached, exposed)) in counters.conversions(goal).enumerate() {
                arm.add(bucket, f(exposed), f(reached));
            }
        }
        None => {
            for (bucket, r) in counters.replicates.iter().enumerate() {
                arm.add(bucket, f(r.finished), f(r.finished.saturating_sub(r.failures)));
            }
        }
    }
    arm
}
