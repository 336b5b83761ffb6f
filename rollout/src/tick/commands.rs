//! What people ask for, each command once.

use super::effects::By;
use super::{Action, Command, EventKind, Turn, Verb};
use crate::plan::StepKind;
use crate::state::{HoldCause, Outcome, Phase, VerdictKind};

impl Turn<'_> {
    /// Obeys the commands that were not taken yet.
    pub(super) fn commands(&mut self) {
        let input = self.input;
        for command in &input.commands {
            if self.state.taken.contains(&command.id) {
                continue;
            }
            self.state.taken.push(command.id.clone());
            let by =
                By { actor: command.actor.clone(), reason: command.reason.clone(), command: Some(command.id.clone()) };
            match self.obey(command, &by) {
                Ok(text) => self.event_by(EventKind::Command, text, &by),
                Err(text) => self.event_by(EventKind::Refused, text, &by),
            }
        }
    }

    fn obey(&mut self, command: &Command, by: &By) -> Result<String, String> {
        let phase = self.state.phase;
        let over = || Err(format!("the rollout is over ({})", phase.name()));
        match command.verb {
            Verb::Kill => {
                self.effect(true, Action::Kill { why: by.words() });
                self.state.killed = true;
                self.roll_back(Outcome::RolledBack, by, true);
                Ok("everything goes to the stable version until a revive".to_owned())
            }
            Verb::Revive => {
                self.effect(false, Action::Revive { why: by.words() });
                Ok("the kill is cleared".to_owned())
            }
            Verb::Pause => match phase {
                Phase::Progressing | Phase::Waiting | Phase::Promoting => {
                    self.state.paused_from = Some(phase);
                    self.phase(Phase::Paused, by.words());
                    Ok("paused; the weights stay, and a failure is still acted on".to_owned())
                }
                Phase::Paused => Ok("it is paused already".to_owned()),
                _ => Err(format!("a rollout that is {} cannot be paused", phase.name())),
            },
            Verb::Resume => self.resume(),
            Verb::Promote { full, force } => self.promote(full, force, by),
            Verb::Abort | Verb::Rollback => {
                if phase.is_over() {
                    return over();
                }
                if phase == Phase::RollingBack {
                    return Ok("it is on the way back already".to_owned());
                }
                let ending = if command.verb == Verb::Abort { Outcome::Aborted } else { Outcome::RolledBack };
                self.roll_back(ending, by, true);
                Ok("all users go back to the stable version".to_owned())
            }
            Verb::Retry => self.retry(),
        }
    }

    fn resume(&mut self) -> Result<String, String> {
        match self.state.phase {
            Phase::Paused => {
                let phase = self.state.paused_from.take().unwrap_or(Phase::Progressing);
                self.phase(phase, "resumed");
                Ok("resumed".to_owned())
            }
            Phase::Waiting if matches!(self.plan.step(self.state.step).kind, StepKind::Pause) => {
                self.leave(None, "resumed");
                Ok("the pause is over".to_owned())
            }
            phase => Err(format!("a rollout that is {} is not paused", phase.name())),
        }
    }

    fn promote(&mut self, full: bool, force: bool, by: &By) -> Result<String, String> {
        let state = &self.state;
        let phase = state.phase;
        if phase.is_over() || phase == Phase::RollingBack {
            return Err(format!(
                "a rollout that is {} cannot be promoted; `headgate retry` begins again",
                phase.name()
            ));
        }
        if force && by.reason.trim().is_empty() {
            return Err("`--force` needs a reason".to_owned());
        }
        if phase != Phase::Initializing && self.plan.bandit.is_some() {
            return self.promote_leader(force, by);
        }
        if phase == Phase::Initializing {
            if !force {
                return Err(
                    "it has not begun: what is missing is in its status; --force --reason \"…\" goes on without"
                        .to_owned(),
                );
            }
            self.state.excused = true;
            self.state.hold = None;
            if self.state.taken_over && self.state.delivery.applied_ms.is_some() {
                self.enter(0);
            }
            return Ok("forced: going on without what was missing".to_owned());
        }
        if phase == Phase::Finalising {
            return Err("it is at 100 %; what it waits for is in its status".to_owned());
        }
        let monitoring = self.plan.steps.len();
        if full {
            if !force {
                return Err(
                    "to 100 % would skip stages; --force --reason \"…\" does it, and stands in the audit".to_owned()
                );
            }
            self.state.paused_from = None;
            self.keep_baseline();
            self.enter(monitoring);
            return Ok("forced: all users get the new version".to_owned());
        }
        let failed = state.look.as_ref().is_some_and(|l| l.verdict == VerdictKind::Fail);
        let cause = state.hold.as_ref().map(|h| h.cause);
        let kind = &self.plan.step(state.step).kind;
        let waits = matches!(kind, StepKind::Pause | StepKind::Gate(_));
        let decides = match cause {
            Some(HoldCause::Inconclusive | HoldCause::Unmeasured | HoldCause::Gate | HoldCause::Answered) => true,
            Some(
                HoldCause::Failed
                | HoldCause::Proxies
                | HoldCause::Drift
                | HoldCause::Precondition
                | HoldCause::SampleRatio,
            ) => false,
            None => waits,
        };
        if (failed || !decides) && !force {
            let why = if failed { "a criterion fails" } else { "the step has not come to a verdict" };
            return Err(format!(
                "{why}: to go on would skip it; --force --reason \"…\" does it, and stands in the audit"
            ));
        }
        self.state.paused_from = None;
        self.leave(None, format!("promoted by {}", by.words()));
        Ok("going on to the next step".to_owned())
    }

    fn retry(&mut self) -> Result<String, String> {
        let phase = self.state.phase;
        match phase {
            Phase::RolledBack | Phase::Failed => {
                if self.state.killed {
                    return Err("a kill is in force; `headgate revive` clears it".to_owned());
                }
                let old = std::mem::replace(&mut self.state, crate::state::State::new(self.plan.name.clone()));
                let fresh = &mut self.state;
                fresh.attempt = old.attempt + 1;
                fresh.fence = old.fence;
                fresh.next_effect = old.next_effect;
                fresh.pending = old.pending;
                fresh.taken = old.taken;
                fresh.results = old.results;
                fresh.started_ms = old.started_ms;
                fresh.now_ms = old.now_ms;
                fresh.clock_offset_ms = old.clock_offset_ms;
                fresh.phase_since_ms = self.now;
                fresh.because = "begun again".to_owned();
                Ok(format!("attempt {} begins", self.state.attempt))
            }
            Phase::Waiting | Phase::Paused if self.state.hold.is_some() => {
                let index = self.state.step;
                self.state.paused_from = None;
                self.enter(index);
                Ok("the step begins again".to_owned())
            }
            _ => Err(format!("a rollout that is {} has nothing to retry", phase.name())),
        }
    }
}
