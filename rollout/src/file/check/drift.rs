//! What is watched after promotion.

use super::Checks;
use super::criteria::{Context, metric_name};
use crate::drift::{Performance, Watch};
use crate::file::{Drift, Metric, WHOLE};
use crate::stats::drift::PSI_LARGE;

const HOUR: u64 = 3_600_000;
/// A relative decline, in parts of [`WHOLE`], when the file names none: 5 %.
const DECLINE: u32 = 500;

pub(super) fn check(context: &Context<'_>, checks: &mut Checks) -> Option<Watch> {
    let written: &Drift = context.spec.drift.as_ref()?;
    let window_ms = checks.span("spec.drift.window", written.window.as_ref(), HOUR);
    if window_ms < 1_000 {
        checks.push(
            "spec.drift.window",
            format!("is {window_ms} ms"),
            "write at least `1s`; an hour or a day is usual",
        );
    }
    let alpha = written.alpha.unwrap_or(0.01);
    if !(alpha > 0.0 && alpha <= 0.5) {
        checks.push("spec.drift.alpha", format!("is {alpha}"), "choose a chance above 0 and at most 0.5, usually 0.01");
    }
    let psi = written.psi.unwrap_or(PSI_LARGE);
    if !(psi > 0.0 && psi.is_finite()) {
        checks.push("spec.drift.psi", format!("is {psi}"), "write an index above 0: 0.1 is moderate, 0.25 large");
    }
    let ks = written.ks.unwrap_or(0.2);
    if !(ks > 0.0 && ks < 1.0) {
        checks.push("spec.drift.ks", format!("is {ks}"), "write a distance above 0 and below 1");
    }
    let min_requests = written.min_requests.unwrap_or(1_000);
    if min_requests == 0 {
        checks.push("spec.drift.minRequests", "is 0: nothing could be compared", "choose at least 1");
    }
    if let Some(name) = &written.reference {
        checks.name("spec.drift.reference", name);
    }
    let mut performance = Vec::new();
    for (index, one) in written.performance.iter().enumerate() {
        let path = format!("spec.drift.performance[{index}]");
        if !matches!(one.metric, Metric::ErrorRate | Metric::Goal) {
            let name = metric_name(one.metric);
            checks.push(
                format!("{path}.metric"),
                format!("`{name}` is not watched for a decline"),
                "write `errorRate` or `goal`",
            );
        }
        let goal = context.goal(one.metric, one.goal.as_deref(), &path, checks);
        let parts = checks.percent(&format!("{path}.decline"), one.decline.as_ref(), DECLINE);
        if parts == 0 {
            checks.push(format!("{path}.decline"), "is 0: everything declines a little", "write for example `5%`");
        }
        performance.push(Performance { metric: one.metric, goal, decline: f64::from(parts) / f64::from(WHOLE) });
    }
    if performance.is_empty() {
        let decline = f64::from(DECLINE) / f64::from(WHOLE);
        performance.push(Performance { metric: Metric::ErrorRate, goal: None, decline });
    }
    if let Some(webhook) = &written.retrain {
        checks.webhook("spec.drift.retrain", webhook);
    }
    Some(Watch {
        variant: context.spec.variants.canary.clone(),
        window_ms,
        reference: written.reference.clone(),
        min_requests,
        alpha,
        psi,
        ks,
        performance,
        retrain: written.retrain.clone(),
    })
}
