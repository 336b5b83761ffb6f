//! What each step can detect with the traffic that was seen, said before it begins: so that nobody takes "nothing found" for
//! "nothing there".

use super::{allowed, f};
use crate::file::{Importance, JudgeMode, Metric, WHOLE};
use crate::measure::Window;
use crate::plan::{Bound, Plan, Source, Unit, unit};
use crate::stats::detect::{self, Traffic};
use crate::stats::{Limit, design};
use crate::text::{percent, share, span, trimmed};

/// The chance with which what is said to be detected is detected.
const POWER: f64 = 0.8;

/// One line for each judged step, from a window in which the stable version had the traffic.
pub(crate) fn power(plan: &Plan, window: &Window) -> Vec<String> {
    let mut lines = Vec::new();
    if window.measured_ms == 0 {
        return lines;
    }
    let per_ms = f(window.totals.finished(&plan.stable)) / f(window.measured_ms);
    let (mut units, mut failures, mut cells) = (0.0, 0.0, vec![(0.0, 0.0); crate::measure::BUCKETS]);
    for counters in window.totals.variants.get(&plan.stable).into_iter().flat_map(|s| s.values()) {
        for (cell, replicate) in cells.iter_mut().zip(&counters.replicates) {
            cell.0 += f(replicate.finished);
            cell.1 += f(replicate.failures);
            units += f(replicate.finished);
            failures += f(replicate.failures);
        }
    }
    let rate = if units > 0.0 { failures / units } else { 0.0 };
    if plan.judging.mode == JudgeMode::Threshold {
        lines.push(
            "plain thresholds: two equal versions are rolled back far more often than alpha says, and the more often one looks the more often"
                .to_owned(),
        );
    }
    for step in plan.steps.iter().filter(|s| s.is_judged() && s.duration_ms.is_some()) {
        let copied = step.weights.mirror.max(step.weights.shadow);
        let parts = if copied > 0 { copied } else { step.weights.canary };
        let all = per_ms * f(step.duration_ms.unwrap_or(0));
        let canary = all * f64::from(parts) / f64::from(WHOLE);
        let criterion = step.criteria.iter().find(|c| {
            unit(c.metric) == Unit::Share
                && c.metric != Metric::Goal
                && c.source == Source::Proxies
                && c.importance != Importance::DryRun
        });
        let seen = format!(
            "{} at {} for {}: about {} requests of the new version",
            step.name,
            percent(parts),
            span(step.duration_ms.unwrap_or(0)),
            trimmed(canary, 0)
        );
        let Some(criterion) = criterion else {
            lines.push(seen);
            continue;
        };
        let limit = match criterion.bound {
            Bound::Ratio { factor, floor } => Limit { ratio: factor, floor },
            Bound::Rise { by } | Bound::NotWorse { margin: by, lower: false } => Limit { ratio: 1.0, floor: by },
            Bound::Max { value } => Limit { ratio: 1.0, floor: (value - rate).max(0.0) },
            Bound::Min { .. } | Bound::Drop { .. } | Bound::NotWorse { .. } => {
                lines.push(seen);
                continue;
            }
        };
        let traffic = Traffic {
            canary_units: canary,
            baseline_units: (all - canary).max(units),
            baseline: rate,
            effect: design::effect(&cells),
        };
        lines.push(match detect::rate(&traffic, &limit, criterion.alpha, POWER) {
            Ok(found) => format!(
                "{seen}; {} of {} and more is found with a chance of {} ({}; stable has {})",
                criterion.name,
                share(found),
                share(POWER),
                allowed(criterion),
                share(rate)
            ),
            Err(reason) => format!("{seen}; that is too little to judge {}: {reason}", criterion.name),
        });
    }
    lines
}
