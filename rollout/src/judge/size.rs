//! What an A/B test takes, said before it begins: how many requests, and how long that is with the traffic seen.

use super::ab::margin;
use super::experiment::planned_bound;
use super::f;
use super::words::{difference, value};
use crate::file::{Hypothesis, Procedure, WHOLE};
use crate::measure::Window;
use crate::plan::{PLANNED_LOOKS, Plan, Source, TestPlan, unit};
use crate::stats::{Arm, experiment, normal};
use crate::text::{share, span, trimmed};
use crate::tick::{Measured, Measurement};

/// What the test takes, in words for before it begins, and B's units that it plans for.
pub(crate) fn announce(
    plan: &Plan,
    test: &TestPlan,
    window: &Window,
    measurements: &[Measurement],
) -> (Vec<String>, Option<f64>) {
    let Some(step) = plan.steps.first() else { return (Vec::new(), None) };
    let of = unit(test.primary.metric);
    let horizon_ms = step.duration_ms.unwrap_or(0);
    let split = (f64::from(step.weights.canary) / f64::from(WHOLE)).clamp(1e-4, 1.0 - 1e-4);
    let arm = observed(plan, test, window, measurements);
    let (rate, variance, from) = match arm.as_ref().map(|arm| experiment::unit_variance(arm, test.is_rate())) {
        Some(Ok((mean, variance))) => (mean, variance, format!("{} of {} was seen", value(of, mean), plan.stable)),
        // Not known before: for a share the largest variance there is.
        _ if test.is_rate() => {
            (0.5, 0.25, format!("nothing is known of {} yet, so the largest variance is taken", test.primary.name))
        }
        _ => {
            let text = format!(
                "how many it takes is not known before {} was measured; the horizon is {}",
                test.primary.name,
                span(horizon_ms)
            );
            return (vec![text], None);
        }
    };
    let gain = if test.primary.higher { test.effect } else { -test.effect };
    // For a share, the variance at the rate that is looked for.
    let other = if test.is_rate() && test.hypothesis == Hypothesis::Superiority {
        let (at, base) = ((rate + gain).clamp(0.0, 1.0), rate * (1.0 - rate));
        if base > 0.0 { (variance * at * (1.0 - at) / base).max(0.0) } else { variance }
    } else {
        variance
    };
    let z = match test.procedure {
        Procedure::FixedHorizon => normal::isf(test.side()),
        Procedure::GroupSequential => planned_bound(PLANNED_LOOKS, test.side()),
        _ => experiment::boundary(test.side()).unwrap_or(3.1),
    };
    // Two one-sided tests must both succeed: each at the root of the power.
    let power = if test.hypothesis == Hypothesis::Equivalence { (1.0 + test.power) / 2.0 } else { test.power };
    let needed = experiment::size([variance, other], split, margin(test), z, power);
    let least = f(test.min_per_arm) / split.min(1.0 - split);
    let Ok(needed) = needed else { return (Vec::new(), None) };
    let needed = needed.max(least);
    let (what, seen) = arm.as_ref().map_or(("units", 0.0), |arm| {
        (if test.primary.source == Source::Proxies { "requests" } else { "outcomes" }, arm.units())
    });
    let asked = match test.hypothesis {
        Hypothesis::Superiority => {
            format!("to find a difference of {} in {}", difference(of, test.effect), test.primary.name)
        }
        Hypothesis::NonInferiority => {
            format!("to show that {} is not worse by more than {}", test.primary.name, difference(of, test.margin))
        }
        Hypothesis::Equivalence => {
            format!("to show that {} differs by less than {}", test.primary.name, difference(of, test.margin))
        }
    };
    let mut lines = vec![format!(
        "{asked} with a chance of {} takes {} {what} of A and {} of B ({from}; alpha {})",
        share(test.power),
        trimmed((needed * (1.0 - split)).ceil(), 0),
        trimmed((needed * split).ceil(), 0),
        test.alpha
    )];
    let per_ms = if window.measured_ms > 0 { seen / f(window.measured_ms) } else { 0.0 };
    if per_ms > 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let takes = (needed / per_ms) as u64;
        let mut line = format!(
            "with the traffic seen ({} {what} a minute) that is about {}; the test ends earlier when the answer is plain, and after {} at the latest",
            trimmed(per_ms * 60_000.0, 0),
            span(takes),
            span(horizon_ms)
        );
        if takes > horizon_ms
            && let Ok(found) = experiment::detectable([variance, other], split, per_ms * f(horizon_ms), z, power)
        {
            line = format!(
                "with the traffic seen ({} {what} a minute) that is about {}, longer than its horizon of {}: in that time it finds {} and more",
                trimmed(per_ms * 60_000.0, 0),
                span(takes),
                span(horizon_ms),
                difference(of, found)
            );
        }
        lines.push(line);
    }
    (lines, Some((needed * split).ceil()))
}

/// What was seen of the metric on the stable version.
fn observed(plan: &Plan, test: &TestPlan, window: &Window, measurements: &[Measurement]) -> Option<Arm> {
    let mut arm = Arm::default();
    if test.primary.source == Source::Proxies {
        for counters in window.totals.variants.get(&plan.stable).into_iter().flat_map(|s| s.values()) {
            arm.merge(&super::rates::arm(test.primary.metric, test.primary.goal.as_deref(), counters, None).ok()?);
        }
    } else {
        let answer = measurements.iter().rev().find(|m| m.criterion == test.question())?;
        match &answer.value {
            Measured::Sums { stable, .. } => arm = super::experiment::arm(stable),
            Measured::Strata { each } => {
                each.values().for_each(|(_, stable)| arm.merge(&super::experiment::arm(stable)));
            }
            _ => return None,
        }
    }
    (arm.units() > 0.0).then_some(arm)
}
