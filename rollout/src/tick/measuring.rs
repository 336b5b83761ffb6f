//! Taking in the proxies' counters, and looking at them.

use super::effects::By;
use super::{EventKind, ProxyStatus, Turn};
use crate::file::{Action, Importance};
use crate::judge::{self, Case};
use crate::measure::{Lagged, Window};
use crate::plan::{Step, StepKind};
use crate::state::{HoldCause, Look, Outcome, Phase, Recent, VerdictKind};

/// Length of the newest part of a window, ms: a version that begins to fail after hours is seen as fast as at once.
const RECENT_MS: u64 = 60_000;
/// A look counts for at most so many intervals, however long ago the last one was: what nobody watched was not measured.
pub(super) const MOST_INTERVALS: u64 = 3;
/// Bounds of criteria within their limits are for people: at most this often, ms.
pub(super) const BOUNDS_MS: u64 = 5_000;

impl Turn<'_> {
    /// Adds what the proxies counted since the last turn. Of each proxy only what it counted with the weights in force; the
    /// clock of the step runs only while enough of them have the weights and can be read.
    pub(super) fn measure(&mut self) {
        if self.state.phase.is_over() || self.state.phase == Phase::RollingBack {
            return;
        }
        let input = self.input;
        let delivery = &self.state.delivery;
        let applied =
            |proxy: &str| delivery.proxies.get(proxy).is_some_and(|(status, _)| *status == ProxyStatus::Applied);
        let new: Vec<_> = input
            .readings
            .iter()
            .filter(|r| applied(&r.proxy))
            .filter_map(|r| Some((r.proxy.as_str(), r.snapshot.as_ref().ok()?)))
            .collect();
        if new.is_empty() {
            return;
        }
        let Some(window) = &mut self.state.window else {
            self.state.readings.clear();
            self.state.readings.take(new);
            self.state.window = Some(Window::new(self.now));
            self.state.recent = Some(Recent { block: 1, window: Window::new(self.now) });
            self.state.lagged = Lagged::default();
            let on = self.state.delivery.proxies.values().filter(|(s, _)| *s == ProxyStatus::Applied).count();
            let all = self.state.delivery.proxies.len();
            let what = if self.state.weights.arms.is_empty() {
                format!("the canary's {} are", crate::text::percent(self.state.weights.canary))
            } else {
                "the shares are".to_owned()
            };
            self.event(EventKind::StepMeasuring, format!("{what} in force on {on} of {all} proxies; measuring"));
            return;
        };
        let taken = self.state.readings.take(new);
        if taken.continued == 0 {
            // These readings only say where to count from: what was before them was not measured.
            window.until_ms = self.now;
            return;
        }
        if self.state.drifted && matches!(self.plan.step(self.state.step).kind, StepKind::Test(_)) {
            // A test's counts outlive somebody else's weights; what was counted under those is left out.
            window.until_ms = self.now;
            return;
        }
        let settled = self.state.delivery.applied_ms.is_some() && self.state.delivery.short_since_ms.is_none();
        let most = MOST_INTERVALS * self.plan.judging.interval_ms;
        let since = self.now.saturating_sub(window.until_ms).min(most);
        let counts = settled && !self.state.drifted && self.state.phase != Phase::Paused;
        let measured = if counts { since } else { 0 };
        window.add(self.now, measured, &taken.increment);
        let judged = self.state.judged.and_then(|at| self.plan.step(at).duration_ms);
        self.state.lagged.note(self.now, judged.map_or(Lagged::GRACE_MS, |ms| ms / 4), &window.totals);
        if let Some(recent) = &mut self.state.recent {
            if self.now.saturating_sub(recent.window.since_ms) >= RECENT_MS {
                *recent = Recent { block: recent.block + 1, window: Window::new(self.now) };
            }
            recent.window.add(self.now, measured, &taken.increment);
        }
        if !taken.restarted.is_empty() {
            let who = taken.restarted.join(", ");
            self.event(EventKind::Proxies, format!("restarted: {who}; their counters are taken from nothing"));
        }
    }

    /// Looks at what was measured, and acts on a failure at once.
    pub(super) fn judge(&mut self) {
        if self.state.phase.is_over() || matches!(self.state.phase, Phase::RollingBack | Phase::Initializing) {
            return;
        }
        let Some(judged) = self.state.judged else { return };
        let Some(window) = &self.state.window else {
            if self.state.delivery.applied_ms.is_some() {
                self.state.blind_ms += self.elapsed.min(MOST_INTERVALS * self.plan.judging.interval_ms);
            }
            return;
        };
        let step = self.plan.step(judged);
        if !step.is_judged() {
            return;
        }
        if self.plan.bandit.is_some() {
            self.judge_arms();
            return;
        }
        let since_bounds = self.now.saturating_sub(self.state.look.as_ref().map_or(0, |l| l.bounds_at_ms));
        let ends = step.duration_ms.is_some_and(|ms| window.measured_ms >= ms);
        let due = since_bounds >= BOUNDS_MS.max(window.measured_ms / 10);
        let case = Case {
            plan: self.plan,
            step,
            now_ms: self.now,
            weights: &self.state.weights,
            window,
            recent: self.state.recent.as_ref(),
            lagged: &self.state.lagged,
            baseline: self.state.baseline.as_ref(),
            measurements: &self.input.measurements,
            previous: self.state.look.as_ref(),
            full: due || ends && self.state.hold.is_none(),
        };
        let mut look = judge::look(&case);
        if let StepKind::Test(test) = &step.kind {
            let memory = self.state.test.clone().unwrap_or_default();
            look.test = Some(Box::new(judge::test(&case, test, &memory)));
        }
        let blind = look.verdict == VerdictKind::Error;
        let most = MOST_INTERVALS * self.plan.judging.interval_ms;
        self.state.blind_ms = if blind { self.state.blind_ms + self.elapsed.min(most) } else { 0 };
        let failing = self.tally(step, &look);
        if look.verdict == VerdictKind::Fail && failing.is_none() {
            // It failed a look, and may do so some times more.
            look.verdict = VerdictKind::Inconclusive;
        }
        let tested = look.test.clone();
        self.state.look = Some(look);
        if let Some(tested) = tested {
            self.note_test(&tested);
        }
        let Some(sentence) = failing else { return };
        if self.state.hold.as_ref().is_some_and(|h| h.cause == HoldCause::Failed) {
            return;
        }
        match self.plan.on_fail {
            Action::Rollback => {
                self.event_with_look(EventKind::Verdict, format!("{}: {sentence}", step.name));
                self.roll_back(Outcome::RolledBack, &By::headgate(sentence), false);
            }
            Action::Hold => self.hold(HoldCause::Failed, sentence),
            Action::Proceed => {
                if !self.state.fail_told {
                    self.state.fail_told = true;
                    self.event_with_look(EventKind::LookFailed, format!("{sentence}; going on, as the policy says"));
                }
            }
        }
    }

    /// Counts failed looks; the sentence of a criterion that is to be acted on.
    pub(super) fn tally(&mut self, step: &Step, look: &Look) -> Option<String> {
        let mut acted = None;
        for (figures, criterion) in look.figures.iter().zip(&step.criteria) {
            // A provider's earlier answer is not a look of its own.
            if figures.at_ms != self.now && figures.at_ms <= self.state.look.as_ref().map_or(0, |l| l.at_ms) {
                continue;
            }
            let tally = self.state.tallies.entry(figures.name.clone()).or_default();
            if figures.verdict != VerdictKind::Fail {
                tally.consecutive = 0;
                continue;
            }
            tally.consecutive += 1;
            tally.total += 1;
            let limit = criterion.failure_limit;
            let reached = tally.consecutive >= limit.consecutive || tally.total >= limit.total;
            let first = tally.total == 1;
            let acts = match criterion.importance {
                Importance::DryRun => false,
                Importance::Critical => true,
                Importance::Ordinary => reached,
            };
            if acts {
                acted.get_or_insert_with(|| figures.sentence.clone());
            } else if first {
                let what = if figures.dry_run { "a dry run" } else { "not acted on yet" };
                self.event(EventKind::LookFailed, format!("{} ({what})", figures.sentence));
            }
        }
        acted
    }
}
