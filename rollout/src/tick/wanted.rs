//! What the next tick wants to know, so that nobody is asked in vain.

use super::{Ask, GateAsk, RewardAsk, Wanted};
use crate::plan::{Plan, RewardSource, Source, StepKind};
use crate::state::{Phase, State};

/// What is to be found out before the next [`crate::tick::tick`].
pub fn wanted(plan: &Plan, state: &State) -> Wanted {
    let mut wanted = Wanted::default();
    if state.phase.is_over() {
        return wanted;
    }
    wanted.confirmations = state.taken_over;
    wanted.readings = state.taken_over && state.phase != Phase::RollingBack;
    wanted.recorded = plan.judging.recorded_baseline.clone().filter(|_| !state.taken_over && state.baseline.is_none());
    wanted.copies = state.weights.mirror > 0;
    wanted.failsafe = state.phase == Phase::Finalising && plan.verify_failsafe && !state.weights.only_canary;
    if let (Some(bandit), Some(played)) = (&plan.bandit, &state.bandit)
        && let RewardSource::Outcomes { values } = bandit.source
    {
        let ask = |e: &crate::bandit::Epoch| RewardAsk {
            epoch: e.number,
            since_ms: e.since_ms,
            until_ms: e.until_ms,
            values,
        };
        wanted.rewards = played.ledger.open.iter().map(ask).collect();
    }
    let step = plan.step(state.step);
    if matches!(state.phase, Phase::Waiting | Phase::Progressing) {
        match &step.kind {
            StepKind::Gate(gate) => {
                wanted.gate = Some(GateAsk {
                    gate: gate.name.clone(),
                    question: gate.question.clone(),
                    webhook: gate.webhook.clone(),
                    since_ms: state.step_since_ms,
                });
            }
            StepKind::Readiness { requests } => wanted.readiness = Some(requests.clone()),
            _ => {}
        }
    }
    if let (Some(judged), Some(window)) = (state.judged, &state.window) {
        for criterion in &plan.step(judged).criteria {
            if let Source::Provider { name, query } = &criterion.source {
                wanted.asks.push(Ask {
                    criterion: criterion.name.clone(),
                    metric: criterion.metric,
                    provider: name.clone(),
                    query: query.clone(),
                    since_ms: window.since_ms,
                    baseline: criterion.bound.is_relative(),
                });
            }
        }
    }
    wanted_of_test(plan, state, &mut wanted);
    wanted
}

/// The metric of an A/B test is asked for from the beginning: it says how much the test takes.
fn wanted_of_test(plan: &Plan, state: &State, wanted: &mut Wanted) {
    let (Some(test), Some(window)) = (plan.test(), &state.window) else { return };
    let now = state.phase == Phase::Initializing
        || state.judged.is_some_and(|at| matches!(plan.step(at).kind, StepKind::Test(_)));
    if let (Source::Provider { name, query }, true) = (&test.primary.source, now) {
        wanted.asks.push(Ask {
            criterion: test.question(),
            metric: test.primary.metric,
            provider: name.clone(),
            query: query.clone(),
            since_ms: window.since_ms,
            baseline: true,
        });
    }
}
