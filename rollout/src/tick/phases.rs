//! What each phase waits for.

use super::effects::By;
use super::{Action, EventKind, Recorded, Turn};
use crate::file::{self, NotificationKind};
use crate::plan::{StepKind, Weights};
use crate::state::{Baseline, Failsafe, HoldCause, Outcome, Phase};
use crate::text::span;

impl Turn<'_> {
    /// The first turn, and the first after a rollout ended as held.
    pub(super) fn begin(&mut self) {
        if self.state.outcome == Some(Outcome::Held) {
            self.state.outcome = None;
            if let Some(hold) = &mut self.state.hold {
                hold.since_ms = self.now;
            }
        }
        if self.state.started_ms != 0 {
            return;
        }
        self.state.started_ms = self.now.max(1);
        self.state.phase_since_ms = self.now;
        self.state.because = "taking over the route".to_owned();
        let takes = span(self.plan.shortest_ms());
        self.event(EventKind::Started, format!("{} begins; it takes {takes} when everything passes", self.plan.name));
        let by = By { actor: "headgate".to_owned(), reason: self.plan.forced_because.clone(), command: None };
        for forced in &self.plan.forced {
            self.event_by(EventKind::Forced, format!("forced: {forced}"), &by);
        }
        self.notify(NotificationKind::Start, "begins");
    }

    /// Moves on, if the phase allows.
    pub(super) fn progress(&mut self) {
        match self.state.phase {
            Phase::Initializing => self.initializing(),
            Phase::Progressing | Phase::Waiting | Phase::Promoting => self.in_step(),
            Phase::Finalising => self.finalising(),
            Phase::RollingBack => self.rolling_back(),
            Phase::Paused | Phase::Succeeded | Phase::RolledBack | Phase::Failed => {}
        }
        let limit = self.plan.hold_limit_ms;
        let held = self.state.hold.as_ref().map(|h| self.now.saturating_sub(h.since_ms));
        if let (Some(limit), Some(held)) = (limit, held)
            && held >= limit
            && self.state.outcome.is_none()
        {
            self.state.outcome = Some(Outcome::Held);
            self.event(EventKind::Held, format!("held for {}, the limit; the weights stay as they are", span(held)));
        }
    }

    fn initializing(&mut self) {
        if !self.state.taken_over {
            if let Some(reason) = self.precondition() {
                self.hold(HoldCause::Precondition, reason);
                return;
            }
            self.release("what was missing is there");
            self.publish(Weights::none(), false, "initializing".to_owned(), "taking over the route".to_owned());
            return;
        }
        let Some(window) = &self.state.window else { return };
        // One look at the stable version: that measuring works, and what the steps can detect.
        if window.measured_ms < self.observe_ms() {
            return;
        }
        let relative = self
            .plan
            .steps
            .iter()
            .chain([&self.plan.monitoring])
            .flat_map(|s| &s.criteria)
            .any(|c| c.bound.is_relative() && c.source == crate::plan::Source::Proxies);
        if relative && window.totals.finished(&self.plan.stable) == 0 && self.plan.judging.recorded_baseline.is_none() {
            self.hold(
                HoldCause::Precondition,
                "no finished request of the stable version was seen, so there is no baseline; it begins by itself when there is traffic, or by `headgate promote --force`",
            );
            return;
        }
        self.release("the stable version has traffic");
        let lines = self.state.window.as_ref().map(|w| crate::judge::power(self.plan, w)).unwrap_or_default();
        for line in lines {
            self.event(EventKind::Power, line);
        }
        self.announce_test();
        self.enter(0);
    }

    /// What must be there before the route is touched.
    fn precondition(&mut self) -> Option<String> {
        if self.state.excused {
            return None;
        }
        if let Some(within) = self.plan.drill_within_ms {
            let age = self.input.last_drill_ms.map(|at| self.now.saturating_sub(at));
            if age.is_none_or(|age| age > within) {
                let last =
                    age.map_or_else(|| "there was none".to_owned(), |age| format!("the last was {} ago", span(age)));
                return Some(format!(
                    "a passed drill of the last {} is required and {last}; run `headgate drill`",
                    span(within)
                ));
            }
        }
        if let Some(name) = &self.plan.judging.recorded_baseline
            && self.state.baseline.is_none()
        {
            match &self.input.recorded {
                Some(Recorded::Found(baseline)) => {
                    let age = self.now.saturating_sub(baseline.until_ms);
                    if age > self.plan.judging.baseline_within_ms {
                        return Some(format!(
                            "the recorded baseline `{name}` is {} old, {} at most are taken (`analysis.baselineWithin`); run `headgate baseline record`",
                            span(age),
                            span(self.plan.judging.baseline_within_ms)
                        ));
                    }
                    self.state.baseline = Some((**baseline).clone());
                }
                Some(Recorded::Missing) => {
                    return Some(format!("there is no recorded baseline `{name}`; run `headgate baseline record`"));
                }
                None => return Some(format!("the recorded baseline `{name}` was not read yet")),
            }
        }
        let Some(in_force) = &self.input.in_force else {
            return Some("what is published of the route could not be read".to_owned());
        };
        match &in_force.weights {
            None => Some(format!(
                "the target has no route `{}` with the variants `{}` and `{}`; push the plugin configuration first",
                self.plan.route, self.plan.stable, self.plan.canary
            )),
            Some(weights) if !weights.is_none() => Some(format!(
                "the canary has {} of the route already: to begin would put these users back; set it to 0 %, or `headgate promote --force`",
                crate::text::percent(weights.canary)
            )),
            Some(_) if in_force.killed => Some("a kill is in force; `headgate revive` clears it".to_owned()),
            Some(_) => None,
        }
    }

    fn in_step(&mut self) {
        let step = self.plan.step(self.state.step);
        if self.state.delivery.applied_ms.is_none() {
            return;
        }
        let waited = self.now.saturating_sub(self.state.step_since_ms);
        match &step.kind {
            StepKind::Weight
            | StepKind::Shadow
            | StepKind::Compare { .. }
            | StepKind::Analysis
            | StepKind::Monitoring => self.judged_step(),
            StepKind::Test(test) => self.tested(test),
            StepKind::Bandit => self.bandit_step(),
            StepKind::Pause => {
                if self.state.hold.is_none() && step.duration_ms.is_some_and(|ms| waited >= ms) {
                    self.leave(None, format!("paused for {}", span(waited)));
                }
            }
            StepKind::Gate(gate) => {
                if !self.state.gate_told {
                    self.state.gate_told = true;
                    self.event(EventKind::Gate, format!("the gate {} waits: {}", gate.name, gate.question));
                    self.notify(NotificationKind::Gate, format!("the gate {} waits: {}", gate.name, gate.question));
                }
                if let Some(answer) = self.input.gates.iter().rev().find(|a| a.gate == gate.name) {
                    let by = By { actor: answer.actor.clone(), reason: answer.reason.clone(), command: None };
                    self.gate(answer.approved, &by);
                } else if self.state.hold.is_none() && gate.timeout_ms.is_some_and(|ms| waited >= ms) {
                    let text = format!("nobody answered the gate {} within {}", gate.name, span(waited));
                    match gate.on_timeout {
                        file::Action::Rollback => self.roll_back(Outcome::RolledBack, &By::headgate(text), false),
                        _ => self.hold(HoldCause::Gate, text),
                    }
                }
            }
            StepKind::Readiness { .. } => match &self.input.readiness {
                Some(answer) if answer.holds => {
                    self.leave(None, format!("the new side answers as it must: {}", answer.detail))
                }
                Some(answer) => self.hold(
                    HoldCause::Precondition,
                    format!("the new side does not answer as it must: {}", answer.detail),
                ),
                None => {}
            },
            StepKind::Observe => {
                let Some(window) = &self.state.window else { return };
                if window.measured_ms < step.duration_ms.unwrap_or(0) {
                    return;
                }
                let seen = window.totals.finished(&self.plan.stable);
                let least = self.plan.judging.min_requests;
                if seen < least {
                    self.hold(
                        HoldCause::Inconclusive,
                        format!(
                            "only {seen} requests of the stable version were seen, {least} are needed for a baseline"
                        ),
                    );
                } else {
                    self.leave(None, format!("{seen} requests of the stable version were seen"));
                }
            }
        }
    }

    /// A gate's answer.
    fn gate(&mut self, approved: bool, by: &By) {
        let name = self.plan.step(self.state.step).name.clone();
        let word = if approved { "approved" } else { "rejected" };
        self.event_by(EventKind::Gate, format!("the gate {name} was {word} by {}", by.words()), by);
        self.notify(NotificationKind::Gate, format!("the gate {name} was {word} by {}", by.words()));
        if approved {
            self.leave(None, format!("{word} by {}", by.words()));
        } else {
            self.roll_back(Outcome::RolledBack, by, false);
        }
    }

    /// The monitoring is over: from here on it is verified that the fail-safe route reaches the new version.
    pub(super) fn finalise(&mut self) {
        self.phase(
            Phase::Finalising,
            "verifying that the fail-safe route reaches the new version; keep the old version",
        );
    }

    fn finalising(&mut self) {
        if self.state.weights.only_canary {
            if self.state.delivery.applied_ms.is_some() {
                self.succeed();
            }
            return;
        }
        if self.plan.verify_failsafe {
            let Some(answer) = &self.input.failsafe else { return };
            let seen = Failsafe { reached: answer.holds, detail: answer.detail.clone() };
            if self.state.failsafe.as_ref() != Some(&seen) {
                let text = if seen.reached {
                    "the fail-safe route reaches the new version"
                } else {
                    "the fail-safe route does not reach the new version: keep the old version"
                };
                self.event(EventKind::Failsafe, format!("{text}; {}", seen.detail));
                self.state.because = format!("{text}; {}", seen.detail);
                self.state.failsafe = Some(seen);
            }
            if !answer.holds {
                return;
            }
        } else {
            let detail = "not verified, as the file says: see to it that the fail-safe route reaches the new version before you remove the old one".to_owned();
            self.event(EventKind::Failsafe, detail.clone());
            self.state.failsafe = Some(Failsafe { reached: false, detail });
        }
        // A bandit's winner may be another arm than the canary, and nothing has been measured of it alone.
        let won = self.winner().is_some();
        let mut only = if won { self.state.weights.clone() } else { self.plan.monitoring.weights.clone() };
        only.only_canary = true;
        if !won {
            self.keep_canary_as_baseline();
        }
        self.publish(only, false, "promoted".to_owned(), "the new version is in service".to_owned());
    }

    /// The new version's last window is what the next rollout of the route is compared with.
    fn keep_canary_as_baseline(&mut self) {
        let Some(window) = &self.state.window else { return };
        let baseline =
            Baseline::of(self.plan.route.clone(), &self.plan.canary, window.since_ms, window.until_ms, &window.totals);
        self.effect(false, Action::RecordBaseline { baseline: Box::new(baseline) });
    }

    fn succeed(&mut self) {
        self.state.outcome = Some(Outcome::Promoted);
        self.state.judged = None;
        let text = self.winner().map_or_else(
            || "the new version is in service".to_owned(),
            |name| format!("{name} is in service: it has all users"),
        );
        self.event(EventKind::Promoted, text.clone());
        self.notify(NotificationKind::Promotion, format!("promoted: {text}"));
        self.phase(Phase::Succeeded, text);
    }

    /// Reports a rollout that was left at 100 %.
    pub(super) fn stale(&mut self) {
        let Some(since) = self.state.full_since_ms else { return };
        if self.state.phase.is_over() || self.state.phase == Phase::RollingBack {
            return;
        }
        let from = self.state.stale_told_ms.unwrap_or(since);
        if self.now.saturating_sub(from) < self.plan.stale_after_ms.max(1) {
            return;
        }
        self.state.stale_told_ms = Some(self.now);
        let text = format!(
            "stale: at 100 % for {} and not finished ({})",
            span(self.now.saturating_sub(since)),
            self.state.because
        );
        self.event(EventKind::Stale, text.clone());
        self.notify(NotificationKind::Stale, text);
    }
}
