//! What is watched after promotion.

use super::Checks;
use super::criteria::{Context, metric_name};
use crate::drift::{Limits, Performance, Watch};
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
    let Limits { psi, ks } = limits("spec.drift", written.psi.unwrap_or(PSI_LARGE), written.ks.unwrap_or(0.2), checks);
    let latency = written
        .latency
        .as_ref()
        .map(|l| limits("spec.drift.latency", l.psi.unwrap_or(psi), l.ks.unwrap_or(ks), checks));
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
        if !matches!(one.metric, Metric::ErrorRate | Metric::Goal | Metric::Success | Metric::Value) {
            let name = metric_name(one.metric);
            checks.push(
                format!("{path}.metric"),
                format!("`{name}` is not watched for a decline"),
                "write `errorRate`, `goal`, `success` or `value`",
            );
        }
        if matches!(one.metric, Metric::Success | Metric::Value)
            && !context.spec.providers.values().any(|provider| provider.outcomes.is_some())
        {
            checks.push(
                format!("{path}.metric"),
                format!("`{}` is of outcomes, and nobody tells any", metric_name(one.metric)),
                "add a provider with `outcomes` to `spec.providers`",
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
    if let Some(predictions) = &written.predictions {
        self::predictions(predictions, checks);
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
        latency,
        predictions: written.predictions.clone(),
        performance,
        retrain: written.retrain.clone(),
    })
}

/// The predictions' names; what else may be wrong with them is told when the plugin configuration is compiled.
fn predictions(of: &headgate_contract::Predictions, checks: &mut Checks) {
    if of.fields.is_empty() {
        checks.push("spec.drift.predictions.fields", "names nothing to read", "leave `predictions` out instead");
    }
    for (index, field) in of.fields.iter().enumerate() {
        let path = format!("spec.drift.predictions.fields[{index}]");
        checks.name(&format!("{path}.name"), &field.name);
        if of.fields.iter().take(index).any(|other| other.name == field.name) {
            checks.push(
                format!("{path}.name"),
                format!("`{}` is there twice", field.name),
                "give each prediction a name of its own",
            );
        }
        if field.edges.is_empty() == field.classes.is_empty() {
            checks.push(
                path,
                "needs exactly one of `edges` and `classes`",
                "write the bins of a number, or the classes",
            );
        }
    }
}

fn limits(path: &str, psi: f64, ks: f64, checks: &mut Checks) -> Limits {
    if !(psi > 0.0 && psi.is_finite()) {
        checks.push(format!("{path}.psi"), format!("is {psi}"), "write an index above 0: 0.1 is moderate, 0.25 large");
    }
    if !(ks > 0.0 && ks < 1.0) {
        checks.push(format!("{path}.ks"), format!("is {ks}"), "write a distance above 0 and below 1");
    }
    Limits { psi, ks }
}
