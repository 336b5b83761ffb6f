//! The A/B test's step: what is told before it begins, and what is done about its answer.
//!
//! Guardrails are the step's criteria, and are acted on where all criteria are, at any moment of the test. Here nothing is concluded while
//! users are not divided as they should be, while proxies lack the weights, or while a guardrail cannot be measured.

use super::effects::By;
use super::{Action as Wish, EventKind, Turn};
use crate::file::{Action, NotificationKind};
use crate::judge;
use crate::plan::TestPlan;
use crate::state::{Answer, HoldCause, Outcome, TestLook, VerdictKind};

/// How long a test may go without any measurement before `onError` is asked, ms.
const BLIND_MS: u64 = 600_000;

impl Turn<'_> {
    /// How long the stable version is watched before the first step, ms.
    pub(super) fn observe_ms(&self) -> u64 {
        self.plan.judging.interval_ms.max(self.plan.test().map_or(0, |test| test.observe_ms))
    }

    /// Says what the test takes, from the traffic that was seen.
    pub(super) fn announce_test(&mut self) {
        let (Some(test), Some(window)) = (self.plan.test(), &self.state.window) else { return };
        let (lines, planned) = judge::announce(self.plan, test, window, &self.input.measurements);
        let memory = self.state.test.get_or_insert_default();
        memory.planned = planned;
        memory.size.clone_from(&lines);
        for line in lines {
            self.event(EventKind::Power, line);
        }
    }

    /// The test begins, or begins again.
    pub(super) fn begin_test(&mut self) {
        let memory = self.state.test.get_or_insert_default();
        memory.answer = None;
        // The same users come again: what was seen of them before still counts.
        if let Some(before) = memory.ratio.take() {
            memory.ratio_epochs.push(before);
        }
    }

    /// Keeps what must be remembered of a look, and tells what segments say that the whole does not.
    pub(super) fn note_test(&mut self, look: &TestLook) {
        let memory = self.state.test.get_or_insert_default();
        if let Some(ratio) = &look.ratio {
            memory.ratio = Some(ratio.attempt_log_e);
        }
        if look.proposal.is_empty() || look.proposal == memory.proposal {
            return;
        }
        memory.proposal.clone_from(&look.proposal);
        let list: Vec<String> =
            look.proposal.iter().map(|(segment, variant)| format!("{segment}: {variant}")).collect();
        let text = format!("{}; proposed, and not applied: {}", look.notes.join("; "), list.join(", "));
        self.event_with_look(EventKind::Segments, text.clone());
        self.notify(NotificationKind::Step, text.clone());
        self.effect(false, Wish::Propose { segments: look.proposal.clone(), why: text });
    }

    /// What the test's step does with its look.
    pub(super) fn tested(&mut self, test: &TestPlan) {
        if self.state.hold.is_some() {
            return;
        }
        let step = self.plan.step(self.state.step);
        let horizon = step.duration_ms.unwrap_or(0);
        let measured = self.state.window.as_ref().map_or(0, |w| w.measured_ms);
        let blind = self.state.blind_ms >= horizon.min(BLIND_MS.max(3 * self.plan.judging.interval_ms));
        let Some(look) = self.state.look.clone() else {
            if blind {
                self.policy(self.plan.on_error, HoldCause::Unmeasured, None, "nothing was measured".to_owned());
            }
            return;
        };
        let Some(seen) = look.test else { return };
        if let Some(ratio) = seen.ratio.as_ref().filter(|r| r.mismatch) {
            let text = format!(
                "{}. Guardrails go on watching; find the reason, then `headgate retry` begins the test again, or `headgate rollback` ends it",
                ratio.sentence
            );
            self.hold(HoldCause::SampleRatio, text);
            return;
        }
        if look.verdict == VerdictKind::Error && (blind || measured >= horizon) {
            self.policy(self.plan.on_error, HoldCause::Unmeasured, None, look.sentence);
            return;
        }
        let settled = self.state.delivery.short_since_ms.is_none() && !self.state.drifted;
        if !settled || matches!(look.verdict, VerdictKind::Error | VerdictKind::Fail) {
            return;
        }
        if seen.conclusive {
            let (action, cause) = match seen.answer {
                Answer::BWins => (test.after.b_wins, HoldCause::Answered),
                Answer::AWins => (test.after.a_wins, HoldCause::Answered),
                Answer::Equivalent => (test.after.equivalent, HoldCause::Answered),
                Answer::Inconclusive => return,
            };
            self.answered(seen.answer);
            self.policy(action, cause, Some(VerdictKind::Pass), seen.sentence);
        } else if measured >= horizon {
            self.answered(Answer::Inconclusive);
            let text = format!("time is up, and it is {}", seen.sentence);
            self.policy(test.after.inconclusive, HoldCause::Inconclusive, Some(VerdictKind::Inconclusive), text);
        }
    }

    fn answered(&mut self, answer: Answer) {
        self.state.test.get_or_insert_default().answer = Some(answer);
    }

    fn policy(&mut self, action: Action, cause: HoldCause, verdict: Option<VerdictKind>, sentence: String) {
        match action {
            Action::Proceed => {
                self.notify(NotificationKind::Step, sentence.clone());
                self.leave(verdict, sentence);
            }
            Action::Rollback => {
                if verdict.is_some() {
                    let step = self.plan.step(self.state.step).name.clone();
                    self.event_with_look(EventKind::Verdict, format!("{step}: {sentence}"));
                }
                self.roll_back(Outcome::RolledBack, &By::headgate(sentence), false);
            }
            Action::Hold => self.hold(
                cause,
                format!(
                    "{sentence}; `headgate promote` gives all users the new version, `headgate rollback` the old one"
                ),
            ),
        }
    }
}
