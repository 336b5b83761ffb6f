//! The way back: at once or by steps, from any phase.

use super::effects::By;
use super::{EventKind, Turn};
use crate::file::NotificationKind;
use crate::plan::Weights;
use crate::state::{Outcome, Phase, StepResult};
use crate::text::percent;

impl Turn<'_> {
    /// Begins the way back. `at_once` whatever the policy says.
    pub(super) fn roll_back(&mut self, ending: Outcome, by: &By, at_once: bool) {
        if self.state.phase.is_over() {
            return;
        }
        if self.state.phase == Phase::RollingBack {
            if at_once && !self.state.weights.is_none() {
                self.go_down(Weights::none(), by.words());
            }
            return;
        }
        let word = if ending == Outcome::Aborted { "aborted" } else { "rolling back" };
        self.event_by(EventKind::RollingBack, format!("{word}: {}", by.reason), by);
        self.notify(NotificationKind::Rollback, format!("{word}: {}", by.words()));
        let step = self.plan.step(self.state.step);
        if self.state.taken_over {
            self.state.results.push(StepResult {
                step: self.state.step,
                name: step.name.clone(),
                attempt: self.state.attempt,
                since_ms: self.state.step_since_ms,
                until_ms: self.now,
                verdict: self.state.look.as_ref().map(|l| l.verdict),
                sentence: by.words(),
            });
        }
        self.state.ending = Some(ending);
        self.state.hold = None;
        self.state.paused_from = None;
        self.state.judged = None;
        if !self.state.taken_over {
            self.state.outcome = Some(ending);
            self.phase(Phase::Failed, format!("the route was not touched; {}", by.words()));
            return;
        }
        self.phase(Phase::RollingBack, by.words());
        let next = if at_once { Weights::none() } else { self.lower() };
        self.go_down(next, by.words());
    }

    /// The weights below the present ones on the way back.
    fn lower(&self) -> Weights {
        if self.plan.rollback_interval_ms.is_none() {
            return Weights::none();
        }
        let present = if self.state.weights.only_canary { u32::MAX } else { self.state.weights.canary };
        let below = self.plan.steps.iter().map(|s| &s.weights).filter(|w| w.canary < present && w.canary > 0);
        below.max_by_key(|w| w.canary).map_or_else(Weights::none, |w| Weights { mirror: 0, shadow: 0, ..w.clone() })
    }

    fn go_down(&mut self, weights: Weights, why: String) {
        let stage = if weights.is_none() { "rollback".to_owned() } else { format!("rollback-{}", weights.canary) };
        self.state.next_down_ms = self.plan.rollback_interval_ms.map(|ms| self.now.saturating_add(ms));
        self.publish(weights, true, stage, why);
    }

    /// Further down, or done.
    pub(super) fn rolling_back(&mut self) {
        if !self.state.weights.is_none() {
            if self.state.next_down_ms.is_none_or(|due| self.now >= due) {
                let next = self.lower();
                self.event(EventKind::RollingBack, format!("the canary goes down to {}", percent(next.canary)));
                let why = self.state.because.clone();
                self.go_down(next, why);
            }
            return;
        }
        if self.state.delivery.applied_ms.is_none() {
            return;
        }
        let outcome = self.state.ending.unwrap_or(Outcome::RolledBack);
        let because = self.state.because.clone();
        self.state.full_since_ms = None;
        self.state.outcome = Some(outcome);
        self.event(EventKind::RolledBack, "all users are on the stable version, on every proxy");
        self.notify(NotificationKind::Rollback, format!("rolled back; {because}"));
        self.phase(Phase::RolledBack, because);
    }
}
