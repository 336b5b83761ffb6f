//! The bandit: arms, rewards, batches, and the guardrails above them.

use headgate_contract::Replicate;

use super::criteria::{Context, Place};
use super::{Checks, HOUR, MINUTE};
use crate::bandit::{Policy, Reward, Rules, weights};
use crate::file::{AtEnd, Bandit, BanditPolicy, Metric, OnGuardrail, WHOLE};
use crate::plan::{BanditPlan, Plan, RewardSource, Step, StepKind, Weights};

/// Arms that compete with the stable version, at most.
const MOST_ARMS: usize = 15;
/// Batches that may wait for late rewards at the same time.
const MOST_OPEN: u64 = 50;
/// The least that an arm keeps: 0.1 %.
const LEAST_FLOOR: u32 = 10;
/// A batch is at least so long: a push takes some of it.
const LEAST_BATCH_MS: u64 = 2_000;

const PATH: &str = "spec.strategy.bandit";

/// The one step of a bandit. Its weights are those that it begins with: the same for all.
pub(super) fn steps(bandit: &Bandit, context: &Context<'_>, checks: &mut Checks) -> Vec<Step> {
    let arms = arms(bandit, context);
    let floor = floor(bandit, arms.len(), &mut Checks::default());
    let parts = weights::rounded(&vec![1.0; arms.len()], &vec![false; arms.len()], floor);
    let duration = checks.span(&format!("{PATH}.duration"), bandit.duration.as_ref(), 7 * 24 * HOUR);
    vec![Step {
        name: "bandit".to_owned(),
        kind: StepKind::Bandit,
        weights: Weights::of_arms(&context.spec.variants.stable, arms.iter().map(String::as_str).zip(parts)),
        duration_ms: Some(duration),
        criteria: context.criteria(&bandit.guardrails, &format!("{PATH}.guardrails"), Place::Split, checks),
    }]
}

/// What is played; none where that cannot be said.
pub(super) fn plan(bandit: &Bandit, context: &Context<'_>, checks: &mut Checks) -> Option<BanditPlan> {
    let arms = arms(bandit, context);
    names(&arms, checks);
    let at = |field: &str| format!("{PATH}.{field}");
    let batch_ms = checks.span(&at("batch"), bandit.batch.as_ref(), 10 * MINUTE);
    if batch_ms < LEAST_BATCH_MS {
        checks.push(
            at("batch"),
            format!("is {batch_ms} ms: each change has to reach the proxies"),
            "write at least `2s`",
        );
    }
    let delay_ms = checks.span(&at("delay"), bandit.delay.as_ref(), 0);
    if delay_ms > MOST_OPEN.saturating_mul(batch_ms) {
        checks.push(
            at("delay"),
            format!("is more than {MOST_OPEN} batches: so many would be open at once"),
            "make the batches longer; who learns a day later need not change weights each minute",
        );
    }
    let half_life_ms = checks.optional_span(&at("halfLife"), bandit.half_life.as_ref());
    if half_life_ms.is_some_and(|half| half < batch_ms) {
        checks.push(at("halfLife"), "is shorter than a batch: nothing would be learnt", "make it some batches long");
    }
    let floor = floor(bandit, arms.len(), checks);
    let epsilon = checks.percent(&at("epsilon"), bandit.epsilon.as_ref(), 1_000);
    if bandit.epsilon.is_some() && bandit.policy != BanditPolicy::EpsilonGreedy {
        checks.push(at("epsilon"), "is not used with `thompson`", "write `policy: epsilonGreedy`, or leave it out");
    }
    let least_change = checks.percent(&at("leastChange"), bandit.least_change.as_ref(), 100);
    let confidence = bandit.confidence.unwrap_or(0.95);
    if !(confidence > 0.5 && confidence < 1.0) {
        checks.push(
            at("confidence"),
            format!("is {confidence}"),
            "choose a chance above 0.5 and below 1, usually 0.95",
        );
    }
    if bandit.confidence.is_some() && bandit.at_end != AtEnd::Best {
        checks.push(at("confidence"), "is not used with `atEnd: hold`", "write `atEnd: best`, or leave it out");
    }
    if context.spec.on_fail.is_some() {
        checks.push("spec.onFail", "is not used by a bandit", "write `onGuardrail: drop` or `rollback` in its place");
    }
    let (reward, source) = reward(bandit, context, checks)?;
    Some(BanditPlan {
        arms,
        reward,
        source,
        rules: Rules {
            policy: match bandit.policy {
                BanditPolicy::Thompson => Policy::Thompson,
                BanditPolicy::EpsilonGreedy => Policy::EpsilonGreedy { epsilon: f64::from(epsilon) / f64::from(WHOLE) },
            },
            floor,
            least_change,
            warm_up: bandit.warm_up.unwrap_or(100) as f64,
        },
        batch_ms,
        delay_ms,
        half_life_ms,
        drop: bandit.on_guardrail == OnGuardrail::Drop,
        finish_at: (bandit.at_end == AtEnd::Best).then_some(confidence),
    })
}

/// What a bandit changes of the plan around it: nothing is judged after its step, and each arm has its part of alpha.
pub(super) fn complete(plan: &mut Plan, bandit: BanditPlan) {
    if let Some(first) = bandit.arms.get(1) {
        plan.canary.clone_from(first);
    }
    plan.monitoring.duration_ms = Some(0);
    plan.monitoring.criteria.clear();
    plan.rollback_interval_ms = None;
    match &bandit.source {
        RewardSource::Requests => plan.replicates.extend([Replicate::Finished, Replicate::Failures]),
        RewardSource::Goal { .. } => plan.replicates.extend([Replicate::Requests]),
        RewardSource::Outcomes { .. } => {}
    }
    plan.bandit = Some(bandit);
}

/// The stable version and those that compete with it.
fn arms(bandit: &Bandit, context: &Context<'_>) -> Vec<String> {
    let variants = &context.spec.variants;
    let others = if bandit.arms.is_empty() { std::slice::from_ref(&variants.canary) } else { &bandit.arms };
    std::iter::once(&variants.stable).chain(others).cloned().collect()
}

fn names(arms: &[String], checks: &mut Checks) {
    let others = arms.get(1..).unwrap_or_default();
    if others.len() > MOST_ARMS {
        checks.push(
            format!("{PATH}.arms"),
            format!("has {} variants", others.len()),
            format!("name at most {MOST_ARMS}"),
        );
    }
    for (index, name) in others.iter().enumerate() {
        let path = format!("{PATH}.arms[{index}]");
        checks.name(&path, name);
        if arms.iter().take(index + 1).any(|earlier| earlier == name) {
            let what =
                if index == 0 || arms.first() == Some(name) { "is the stable version" } else { "is there twice" };
            checks.push(path, format!("`{name}` {what}"), "name each variant that competes with the stable one once");
        }
    }
}

fn floor(bandit: &Bandit, arms: usize, checks: &mut Checks) -> u32 {
    let path = format!("{PATH}.floor");
    let floor = checks.percent(&path, bandit.floor.as_ref(), 200);
    let most = WHOLE / u32::try_from(arms.max(1)).unwrap_or(1);
    if floor < LEAST_FLOOR {
        checks.push(&path, "is below 0.1%: a variant without users is never known better", "write at least `0.1%`");
    }
    if floor > most {
        checks.push(
            &path,
            format!("is more than an equal share of {arms} variants"),
            format!("write at most `{}%`", f64::from(most / 10) / 10.0),
        );
    }
    floor.clamp(LEAST_FLOOR, most.max(LEAST_FLOOR))
}

fn reward(bandit: &Bandit, context: &Context<'_>, checks: &mut Checks) -> Option<(Reward, RewardSource)> {
    let path = format!("{PATH}.reward");
    let written = &bandit.reward;
    let values = written.metric == Metric::Value;
    let goal = context.goal(written.metric, written.goal.as_deref(), &path, checks);
    if written.metric == Metric::Goal {
        if written.provider.is_some() {
            checks.push(format!("{path}.provider"), "is not asked: the proxies count goals", "leave it out");
        }
        return goal.map(|name| (Reward::Count, RewardSource::Goal { name }));
    }
    if !matches!(written.metric, Metric::Success | Metric::Value) {
        checks.push(
            format!("{path}.metric"),
            "is no reward: more of it must be better",
            "take `goal`, `success` or `value`; what must not get worse is a guardrail",
        );
        return None;
    }
    let Some(name) = &written.provider else {
        if values {
            checks.push(
                format!("{path}.provider"),
                "is missing: the proxies know no values",
                "name one of `spec.providers` that takes outcomes",
            );
            return None;
        }
        return Some((Reward::Rate, RewardSource::Requests));
    };
    match context.spec.providers.get(name) {
        None => {
            checks.push(
                format!("{path}.provider"),
                format!("there is no provider `{name}`"),
                "name one of `spec.providers` that takes outcomes",
            );
            return None;
        }
        Some(provider) if provider.outcomes.is_none() => {
            checks.push(
                format!("{path}.provider"),
                format!(
                    "`{name}` takes no outcomes: a number for everything together says nothing of each epoch's users"
                ),
                "name a provider with `outcomes`, or leave it out for requests that went well",
            );
            return None;
        }
        Some(_) => {}
    }
    Some((if values { Reward::Value } else { Reward::Rate }, RewardSource::Outcomes { values }))
}
