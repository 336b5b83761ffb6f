//! Steps of each strategy: what is written, with defaults filled in, and what order is refused.

use std::collections::BTreeSet;

use super::criteria::{Context, Place};
use super::{Checks, HOUR, MINUTE};
use crate::file::{Action, BlueGreen, Canary, Gate, ShadowFirst, ShadowMode, Step as Written, WHOLE};
use crate::plan::{Criterion, GatePlan, Step, StepKind, StrategyKind, Weights};
use crate::text::percent;

/// Shares of a canary whose file names no steps, parts of [`WHOLE`].
const DEFAULT_WEIGHTS: [u32; 5] = [100, 500, 2_500, 5_000, WHOLE];
/// Measured time of a step whose file names none.
const DEFAULT_MS: u64 = 30 * MINUTE;
/// A share below this does not go to 100 % in one step.
const LEAST_BEFORE_ALL: u32 = 1_000;

/// All steps of the file's strategy.
pub(super) fn all(context: &Context<'_>, checks: &mut Checks) -> (StrategyKind, Vec<Step>) {
    let strategy = &context.spec.strategy;
    let given = [
        strategy.canary.is_some(),
        strategy.blue_green.is_some(),
        strategy.shadow.is_some(),
        strategy.ab_test.is_some(),
        strategy.bandit.is_some(),
    ];
    let count = given.iter().filter(|g| **g).count();
    if count != 1 {
        let reason = if count == 0 { "names no strategy" } else { "names more than one strategy" };
        checks.push(
            "spec.strategy",
            reason,
            "write exactly one of `canary`, `blueGreen`, `shadow`, `abTest` and `bandit`",
        );
    }
    let (kind, steps) = if let Some(canary) = &strategy.canary {
        (StrategyKind::Canary, of_canary(canary, "spec.strategy.canary", context, checks, Vec::new()))
    } else if let Some(shadow) = &strategy.shadow {
        (StrategyKind::Shadow, of_shadow(shadow, context, checks))
    } else if let Some(blue_green) = &strategy.blue_green {
        (StrategyKind::BlueGreen, of_blue_green(blue_green, context, checks))
    } else if let Some(test) = &strategy.ab_test {
        (StrategyKind::AbTest, super::ab::steps(test, context, checks))
    } else if let Some(bandit) = &strategy.bandit {
        (StrategyKind::Bandit, super::bandit::steps(bandit, context, checks))
    } else {
        (StrategyKind::Canary, Vec::new())
    };
    unique_gates(&steps, checks);
    (kind, steps)
}

/// The time at 100 % after the last step.
pub(super) fn monitoring(context: &Context<'_>, checks: &mut Checks) -> Step {
    let monitoring = &context.spec.monitoring;
    let duration = checks.span("spec.monitoring.duration", monitoring.duration.as_ref(), 24 * HOUR);
    let criteria = if duration == 0 {
        Vec::new()
    } else {
        context.criteria(&monitoring.criteria, "spec.monitoring.criteria", Place::Full, checks)
    };
    Step {
        name: "monitoring".to_owned(),
        kind: StepKind::Monitoring,
        weights: Weights::canary(WHOLE),
        duration_ms: Some(duration),
        criteria,
    }
}

fn of_shadow(shadow: &ShadowFirst, context: &Context<'_>, checks: &mut Checks) -> Vec<Step> {
    let path = "spec.strategy.shadow";
    let share = checks.percent(&format!("{path}.share"), shadow.share.as_ref(), 1_000);
    let duration = duration(&format!("{path}.duration"), shadow.duration.as_ref(), context, checks);
    let place = place_of(shadow.mode);
    let criteria = context.criteria(&shadow.criteria, &format!("{path}.criteria"), place, checks);
    let kind = shadow_kind(shadow.mode, shadow.min_comparisons, path, checks);
    let first = shadow_step("shadow".to_owned(), kind, share, duration, criteria, &format!("{path}.share"), checks);
    let canary = Canary { steps: shadow.steps.clone(), max_weight: shadow.max_weight.clone() };
    of_canary(&canary, path, context, checks, vec![first])
}

fn of_blue_green(blue_green: &BlueGreen, context: &Context<'_>, checks: &mut Checks) -> Vec<Step> {
    let path = "spec.strategy.blueGreen";
    if blue_green.readiness.is_empty() {
        checks.refuse(
            format!("{path}.readiness"),
            "is empty: nothing would show that the new side can serve before all users are on it",
            "name at least one request and the answer it must get",
        );
    }
    for (index, request) in blue_green.readiness.iter().enumerate() {
        checks.url(&format!("{path}.readiness[{index}].url"), &request.url);
        checks.optional_span(&format!("{path}.readiness[{index}].expect.within"), request.expect.within.as_ref());
    }
    let observe = checks.span(&format!("{path}.observe"), blue_green.observe.as_ref(), 5 * MINUTE);
    if observe == 0 && context.spec.analysis.baseline == crate::file::BaselineSource::Concurrent {
        checks.refuse(
            format!("{path}.observe"),
            "is 0: after the switch there would be no baseline to compare with",
            "measure the old side for some minutes, or write `baseline: recorded`",
        );
    }
    let mut steps = vec![Step {
        name: "readiness".to_owned(),
        kind: StepKind::Readiness { requests: blue_green.readiness.clone() },
        weights: Weights::none(),
        duration_ms: None,
        criteria: Vec::new(),
    }];
    if observe > 0 {
        steps.push(Step {
            name: "observe".to_owned(),
            kind: StepKind::Observe,
            weights: Weights::none(),
            duration_ms: Some(observe),
            criteria: Vec::new(),
        });
    }
    if let Some(gate) = &blue_green.gate {
        steps.push(gate_step(gate, &format!("{path}.gate"), Weights::none(), checks));
    }
    let criteria = context.criteria(&blue_green.criteria, &format!("{path}.criteria"), Place::Full, checks);
    steps.push(Step {
        name: "switch".to_owned(),
        kind: StepKind::Weight,
        weights: Weights::canary(WHOLE),
        duration_ms: Some(duration(&format!("{path}.duration"), blue_green.duration.as_ref(), context, checks)),
        criteria,
    });
    steps
}

fn of_canary(
    canary: &Canary,
    path: &str,
    context: &Context<'_>,
    checks: &mut Checks,
    mut steps: Vec<Step>,
) -> Vec<Step> {
    let cap = checks.percent(&format!("{path}.maxWeight"), canary.max_weight.as_ref(), WHOLE);
    if cap == 0 {
        checks.push(format!("{path}.maxWeight"), "is 0 %", "name the share that the new version can carry");
    }
    let mut weights = steps.last().map_or_else(Weights::none, |s: &Step| s.weights.clone());
    if canary.steps.is_empty() {
        for parts in DEFAULT_WEIGHTS.into_iter().filter(|w| *w < WHOLE && *w <= cap) {
            weights = Weights::canary(parts);
            let criteria = context.criteria(&[], path, Place::Split, checks);
            steps.push(weight_step(None, weights.clone(), DEFAULT_MS.max(context.interval_ms), criteria));
        }
    }
    for (index, written) in canary.steps.iter().enumerate() {
        let at = format!("{path}.steps[{index}]");
        if let Some(step) = one(written, &at, &weights, cap, context, checks) {
            order(&format!("{at}.weight"), &step, &steps, checks);
            weights = step.weights.clone();
            steps.push(step);
        }
    }
    if cap < WHOLE {
        steps.push(Step {
            name: "scale-up".to_owned(),
            kind: StepKind::Gate(Box::new(GatePlan {
                name: "scale-up".to_owned(),
                question: format!("Is the new version scaled for all traffic? So far it carries {}.", percent(cap)),
                webhook: None,
                timeout_ms: None,
                on_timeout: Action::Hold,
            })),
            weights: weights.clone(),
            duration_ms: None,
            criteria: Vec::new(),
        });
    }
    if !weights.is_full() {
        let criteria = context.criteria(&[], path, Place::Full, checks);
        let all = weight_step(None, Weights::canary(WHOLE), DEFAULT_MS.max(context.interval_ms), criteria);
        if steps.iter().any(|s| matches!(s.kind, StepKind::Weight)) || canary.steps.is_empty() {
            order(&format!("{path}.steps"), &all, &steps, checks);
        }
        steps.push(all);
    }
    steps
}

/// One step as written; `weights` are those in force before it.
fn one(
    written: &Written,
    at: &str,
    weights: &Weights,
    cap: u32,
    context: &Context<'_>,
    checks: &mut Checks,
) -> Option<Step> {
    let given = [
        written.weight.is_some(),
        written.shadow.is_some(),
        written.pause.is_some(),
        written.gate.is_some(),
        written.analysis.is_some(),
    ];
    if given.iter().filter(|g| **g).count() != 1 {
        checks.push(
            at,
            "is not exactly one thing",
            "write one of `weight`, `shadow`, `pause`, `gate` and `analysis` in a step",
        );
        return None;
    }
    let judged = written.weight.is_some() || written.shadow.is_some() || written.analysis.is_some();
    if !judged && !written.criteria.is_empty() {
        checks.push(
            format!("{at}.criteria"),
            "are on a step that is not judged",
            "move them to a `weight` or `analysis` step",
        );
    }
    if written.weight.is_none() && written.duration.is_some() {
        checks.push(
            format!("{at}.duration"),
            "belongs to a `weight` step",
            "write it inside of `shadow`, `pause` or `analysis`",
        );
    }
    if written.weight.is_none() && !written.segments.is_empty() {
        checks.push(format!("{at}.segments"), "belong to a `weight` step", "move them to one");
    }
    let name = |default: &str| written.name.clone().unwrap_or_else(|| default.to_owned());
    let criteria_at = format!("{at}.criteria");
    if let Some(weight) = &written.weight {
        let mut new = Weights::canary(checks.percent(&format!("{at}.weight"), Some(weight), 0));
        for (segment, share) in &written.segments {
            checks.name(&format!("{at}.segments.{segment}"), segment);
            let parts = checks.percent(&format!("{at}.segments.{segment}"), Some(share), 0);
            new.segments.insert(segment.clone(), parts);
        }
        let most = new.segments.values().copied().max().unwrap_or(0).max(new.canary);
        if most > cap {
            checks.push(
                format!("{at}.weight"),
                format!("is {}, above `maxWeight` {}", percent(most), percent(cap)),
                "leave the step out: a gate for scaling up and 100 % follow by themselves",
            );
        }
        if new.is_none() {
            checks.push(format!("{at}.weight"), "is 0 %", "write a `shadow` step to run without users");
        }
        let duration = duration(&format!("{at}.duration"), written.duration.as_ref(), context, checks);
        let place = if new.is_full() { Place::Full } else { Place::Split };
        let criteria = context.criteria(&written.criteria, &criteria_at, place, checks);
        return Some(weight_step(written.name.clone(), new, duration, criteria));
    }
    if let Some(shadow) = &written.shadow {
        let share = checks.percent(&format!("{at}.shadow.share"), shadow.share.as_ref(), 1_000);
        let duration = duration(&format!("{at}.shadow.duration"), shadow.duration.as_ref(), context, checks);
        let criteria = context.criteria(&written.criteria, &criteria_at, place_of(shadow.mode), checks);
        if !weights.is_none() && weights.mirror == 0 && weights.shadow == 0 {
            checks.push(at, "is a shadow step after users were on the new version", "put shadow steps first");
        }
        let kind = shadow_kind(shadow.mode, shadow.min_comparisons, &format!("{at}.shadow"), checks);
        return Some(shadow_step(
            name("shadow"),
            kind,
            share,
            duration,
            criteria,
            &format!("{at}.shadow.share"),
            checks,
        ));
    }
    if let Some(pause) = &written.pause {
        return Some(Step {
            name: name("pause"),
            kind: StepKind::Pause,
            weights: weights.clone(),
            duration_ms: checks.optional_span(&format!("{at}.pause.duration"), pause.duration.as_ref()),
            criteria: Vec::new(),
        });
    }
    if let Some(gate) = &written.gate {
        return Some(gate_step(gate, &format!("{at}.gate"), weights.clone(), checks));
    }
    let analysis = written.analysis.as_ref()?;
    if weights.is_none() {
        checks.push(at, "judges before the new version gets anything", "put a `weight` or `shadow` step before it");
    }
    let place = if weights.shadow > 0 {
        Place::Compared
    } else if weights.mirror > 0 {
        Place::Shadow
    } else if weights.is_full() {
        Place::Full
    } else {
        Place::Split
    };
    Some(Step {
        name: name("analysis"),
        kind: StepKind::Analysis,
        weights: weights.clone(),
        duration_ms: Some(duration(&format!("{at}.analysis.duration"), analysis.duration.as_ref(), context, checks)),
        criteria: context.criteria(&written.criteria, &criteria_at, place, checks),
    })
}

/// Refuses what goes down, and what skips a stage.
fn order(at: &str, step: &Step, before: &[Step], checks: &mut Checks) {
    if !matches!(step.kind, StepKind::Weight) {
        return;
    }
    let last = before.iter().rev().find(|s| matches!(s.kind, StepKind::Weight));
    let Some(last) = last else {
        if step.weights.is_full() {
            let shadow = before.iter().any(|s| matches!(s.kind, StepKind::Shadow | StepKind::Compare { .. }));
            let reason =
                if shadow { "goes from shadow straight to 100 %" } else { "goes from nothing straight to 100 %" };
            checks.refuse(at, reason, "put steps between, for example 1, 5, 25 and 50 %");
        }
        return;
    };
    let named = last.weights.segments.keys().chain(step.weights.segments.keys());
    let mut shares = vec![("the canary", last.weights.canary, step.weights.canary)];
    shares.extend(named.map(|s| (s.as_str(), last.weights.in_segment(s), step.weights.in_segment(s))));
    if let Some((whose, before, after)) = shares.into_iter().find(|(_, before, after)| after < before) {
        checks.push(
            at,
            format!("gives {whose} {}, less than the {} before it", percent(after), percent(before)),
            "let the steps rise; the way back is the rollback's",
        );
    } else if step.weights.is_full() && last.weights.canary < LEAST_BEFORE_ALL {
        checks.refuse(
            at,
            format!("skips stages: from {} to 100 %", percent(last.weights.canary)),
            "put a step of 10 % or more between",
        );
    }
}

fn weight_step(name: Option<String>, weights: Weights, duration: u64, criteria: Vec<Criterion>) -> Step {
    let name = name.unwrap_or_else(|| percent(weights.canary).replace(' ', ""));
    Step { name, kind: StepKind::Weight, weights, duration_ms: Some(duration), criteria }
}

fn place_of(mode: ShadowMode) -> Place {
    match mode {
        ShadowMode::Mirror => Place::Shadow,
        ShadowMode::Compare => Place::Compared,
    }
}

/// Comparisons that a step needs when the file says nothing else.
const COMPARISONS: u64 = 1_000;

fn shadow_kind(mode: ShadowMode, min: Option<u64>, at: &str, checks: &mut Checks) -> StepKind {
    let at = format!("{at}.minComparisons");
    match (mode, min) {
        (ShadowMode::Mirror, None) => StepKind::Shadow,
        (ShadowMode::Mirror, Some(_)) => {
            checks.push(at, "is not used: nothing is compared", "write `mode: compare`, or leave it out");
            StepKind::Shadow
        }
        (ShadowMode::Compare, min) => {
            if min == Some(0) {
                checks.push(at, "is 0: a step without a comparison would pass", "choose at least 1");
            }
            StepKind::Compare { min: min.unwrap_or(COMPARISONS) }
        }
    }
}

fn shadow_step(
    name: String,
    kind: StepKind,
    share: u32,
    duration: u64,
    criteria: Vec<Criterion>,
    share_at: &str,
    checks: &mut Checks,
) -> Step {
    if share == 0 {
        checks.push(share_at, "is 0 %: nothing would be copied", "name the share of users, for example `10%`");
    }
    let weights = match kind {
        StepKind::Compare { .. } => Weights { shadow: share, ..Weights::none() },
        _ => Weights { mirror: share, ..Weights::none() },
    };
    Step { name, kind, weights, duration_ms: Some(duration), criteria }
}

fn gate_step(gate: &Gate, at: &str, weights: Weights, checks: &mut Checks) -> Step {
    checks.name(&format!("{at}.name"), &gate.name);
    if let Some(webhook) = &gate.webhook {
        checks.webhook(&format!("{at}.webhook"), webhook);
    }
    if matches!(gate.on_timeout, Some(Action::Proceed)) {
        checks.push(format!("{at}.onTimeout"), "`proceed` would make silence a yes", "write `hold` or `rollback`");
    }
    let plan = GatePlan {
        name: gate.name.clone(),
        question: gate.question.clone().unwrap_or_else(|| gate.name.clone()),
        webhook: gate.webhook.clone(),
        timeout_ms: checks.optional_span(&format!("{at}.timeout"), gate.timeout.as_ref()),
        on_timeout: gate.on_timeout.unwrap_or(Action::Hold),
    };
    Step {
        name: gate.name.clone(),
        kind: StepKind::Gate(Box::new(plan)),
        weights,
        duration_ms: None,
        criteria: Vec::new(),
    }
}

/// Measured time of a judged step: at least one interval.
fn duration(at: &str, span: Option<&crate::file::Span>, context: &Context<'_>, checks: &mut Checks) -> u64 {
    let ms = checks.span(at, span, DEFAULT_MS.max(context.interval_ms));
    if ms < context.interval_ms {
        checks.push(
            at,
            format!("is {ms} ms, shorter than the {} ms between two looks", context.interval_ms),
            "make the step longer or `spec.analysis.interval` shorter",
        );
    }
    ms
}

fn unique_gates(steps: &[Step], checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for step in steps {
        if let StepKind::Gate(gate) = &step.kind
            && !seen.insert(&gate.name)
        {
            checks.push("spec.strategy", format!("has two gates `{}`", gate.name), "give each gate a name of its own");
        }
    }
}
