//! Entering steps, leaving them, and what is done about a verdict.

use super::effects::By;
use super::{EventKind, Turn};
use crate::file::{Action, NotificationKind};
use crate::plan::StepKind;
use crate::state::{Baseline, Hold, HoldCause, Outcome, Phase, StepResult, VerdictKind};
use crate::text::percent;

/// How long a step may go without any measurement before `onError` is asked, ms.
const BLIND_MS: u64 = 600_000;

impl Turn<'_> {
    /// Changes the phase and says why.
    pub(super) fn phase(&mut self, phase: Phase, because: impl Into<String>) {
        self.state.because = because.into();
        if self.state.phase != phase {
            self.state.phase = phase;
            self.state.phase_since_ms = self.now;
            self.event(EventKind::Phase, format!("{}: {}", phase.name(), self.state.because));
        }
    }

    /// Enters a step; the index after the last one is the monitoring.
    pub(super) fn enter(&mut self, index: usize) {
        let plan = self.plan;
        let step = plan.step(index);
        let monitoring = index >= plan.steps.len();
        self.state.step = index.min(plan.steps.len());
        self.state.step_since_ms = self.now;
        self.state.hold = None;
        self.state.gate_told = false;
        if monitoring && step.duration_ms == Some(0) && step.weights == self.state.weights {
            self.finalise();
            return;
        }
        if matches!(step.kind, StepKind::Bandit) {
            self.state.judged = Some(index);
            self.begin_bandit();
            return;
        }
        self.event(EventKind::StepStarted, format!("{}: the canary gets {}", step.name, percent(step.weights.canary)));
        let measures = step.is_judged() || matches!(step.kind, StepKind::Observe);
        if measures {
            self.state.judged = Some(index);
            self.state.tallies.clear();
            self.state.fail_told = false;
            self.state.blind_ms = 0;
            self.state.look = None;
            self.state.window = None;
            self.state.recent = None;
        }
        if matches!(step.kind, StepKind::Test(_)) {
            self.begin_test();
        }
        if step.weights != self.state.weights {
            self.publish(step.weights.clone(), false, step.name.clone(), format!("step {}", step.name));
        }
        if step.weights.is_full() {
            self.state.full_since_ms.get_or_insert(self.now);
        }
        match &step.kind {
            StepKind::Monitoring => {
                self.phase(Phase::Promoting, "all users are on the new version, which is still judged");
            }
            StepKind::Pause => self.phase(Phase::Waiting, format!("the pause {}", step.name)),
            StepKind::Gate(gate) => self.phase(Phase::Waiting, format!("the gate {}", gate.name)),
            _ => {
                self.phase(Phase::Progressing, format!("step {}", step.name));
                self.notify(NotificationKind::Step, format!("{} began", step.name));
            }
        }
    }

    /// Leaves the step with a result and enters the next one.
    pub(super) fn leave(&mut self, verdict: Option<VerdictKind>, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let step = self.plan.step(self.state.step);
        self.keep_baseline();
        if verdict.is_some() {
            self.event_with_look(EventKind::Verdict, format!("{}: {sentence}", step.name));
        }
        self.state.results.push(StepResult {
            step: self.state.step,
            name: step.name.clone(),
            attempt: self.state.attempt,
            since_ms: self.state.step_since_ms,
            until_ms: self.now,
            verdict,
            sentence,
        });
        if self.state.step >= self.plan.steps.len() {
            self.finalise();
        } else {
            self.enter(self.state.step + 1);
        }
    }

    /// Keeps the stable version's window for steps where it has no traffic, if it was measured sufficiently.
    pub(super) fn keep_baseline(&mut self) {
        let Some(window) = &self.state.window else { return };
        if self.plan.judging.recorded_baseline.is_some() {
            return;
        }
        if window.totals.finished(&self.plan.stable) < self.plan.judging.min_requests {
            return;
        }
        let name = format!("{} of attempt {}", self.plan.step(self.state.step).name, self.state.attempt);
        let mut baseline = Baseline::of(name, &self.plan.stable, window.since_ms, window.until_ms, &window.totals);
        let said = self.input.measurements.iter();
        baseline.provided = said.filter_map(|m| Some((m.criterion.clone(), m.value.of_stable()?))).collect();
        // What was not asked in this step was said in an earlier one.
        for (criterion, value) in self.state.baseline.take().map(|b| b.provided).unwrap_or_default() {
            baseline.provided.entry(criterion).or_insert(value);
        }
        self.state.baseline = Some(baseline);
    }

    /// What a judged step does with its look: nothing before its time is over, then on, longer, or what the policy says.
    pub(super) fn judged_step(&mut self) {
        let step = self.plan.step(self.state.step);
        let duration = step.duration_ms.unwrap_or(0);
        let measured = self.state.window.as_ref().map_or(0, |w| w.measured_ms);
        let look = self.state.look.as_ref().map(|l| (l.verdict, l.sentence.clone()));
        let verdict = look.as_ref().map_or(VerdictKind::Error, |l| l.0);
        // What failed, or lacks proxies, does not heal by a later look.
        if self
            .state
            .hold
            .as_ref()
            .is_some_and(|h| matches!(h.cause, HoldCause::Failed | HoldCause::Proxies | HoldCause::Drift))
        {
            return;
        }
        let settled = self.state.delivery.short_since_ms.is_none() && !self.state.drifted;
        if measured >= duration && verdict == VerdictKind::Pass && settled {
            self.leave(Some(VerdictKind::Pass), look.map_or_else(String::new, |l| l.1));
            return;
        }
        if self.state.hold.is_some() {
            return;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds"
        )]
        let patience = duration + (duration as f64 * self.plan.judging.patience) as u64;
        // Without measurements nothing gets better by waiting: then a short time without them decides.
        let blind_too_long = self.state.blind_ms >= patience.min(BLIND_MS.max(3 * self.plan.judging.interval_ms));
        if measured < patience && !blind_too_long {
            return;
        }
        let sentence = look.map_or_else(|| "nothing was measured".to_owned(), |l| l.1);
        let (policy, cause) = match verdict {
            VerdictKind::Inconclusive => (self.plan.on_inconclusive, HoldCause::Inconclusive),
            VerdictKind::Error => (self.plan.on_error, HoldCause::Unmeasured),
            VerdictKind::Pass | VerdictKind::Fail => return,
        };
        match policy {
            Action::Rollback => self.roll_back(Outcome::RolledBack, &By::headgate(sentence), false),
            Action::Hold => self
                .hold(cause, format!("{sentence}; it goes on by itself when that changes, or by `headgate promote`")),
            Action::Proceed => self.leave(Some(verdict), format!("{sentence}; going on, as the policy says")),
        }
    }

    /// Holds until something changes or a person decides.
    pub(super) fn hold(&mut self, cause: HoldCause, reason: impl Into<String>) {
        let reason = reason.into();
        if let Some(hold) = &mut self.state.hold
            && (hold.cause == cause || cause != HoldCause::Failed)
        {
            hold.reason = reason;
            return;
        }
        self.state.hold = Some(Hold { since_ms: self.now, cause, reason: reason.clone() });
        self.event_with_look(EventKind::Held, format!("holding: {reason}"));
        self.notify(NotificationKind::Hold, format!("holding: {reason}"));
        if !matches!(self.state.phase, Phase::Paused | Phase::Initializing | Phase::Finalising) {
            self.phase(Phase::Waiting, reason);
        }
    }

    /// Ends a hold and goes back to what the step does.
    pub(super) fn release(&mut self, why: &str) {
        if self.state.hold.take().is_none() {
            return;
        }
        self.event(EventKind::Released, why);
        if self.state.phase == Phase::Waiting {
            let phase = match self.plan.step(self.state.step).kind {
                StepKind::Monitoring => Phase::Promoting,
                StepKind::Pause | StepKind::Gate(_) => Phase::Waiting,
                _ => Phase::Progressing,
            };
            self.phase(phase, why);
        }
    }
}
