//! Taking in the proxies' counters, and looking at them.

use super::{EventKind, Turn};
use crate::measure::Window;
use crate::state::{Look, Phase, Recent, VerdictKind};

/// Length of the newest part of a window, ms: a version that begins to fail after hours is seen as fast as at once.
const RECENT_MS: u64 = 60_000;
/// A look counts for at most so many intervals, however long ago the last one was: what nobody watched was not measured.
const MOST_INTERVALS: u64 = 3;

impl Turn<'_> {
    /// Adds what the proxies counted since the last turn, while the weights are in force.
    pub(super) fn measure(&mut self) {
        let unread: std::collections::BTreeMap<String, String> = self
            .input
            .readings
            .iter()
            .filter_map(|r| Some((r.proxy.clone(), r.snapshot.as_ref().err()?.clone())))
            .collect();
        let read = self.input.readings.len() - unread.len();
        let enough = read > 0 && self.tolerated(unread.len(), self.input.readings.len());
        if !self.input.readings.is_empty() {
            self.state.delivery.unread = unread;
        }
        let settled = self.state.delivery.applied_ms.is_some() && self.state.delivery.short_since_ms.is_none();
        if !settled || self.state.drifted || self.state.phase.is_over() || self.state.phase == Phase::RollingBack {
            return;
        }
        let new = self.input.readings.iter().filter_map(|r| Some((r.proxy.as_str(), r.snapshot.as_ref().ok()?)));
        let Some(window) = &mut self.state.window else {
            if enough {
                self.state.readings.clear();
                self.state.readings.take(new);
                self.state.window = Some(Window::new(self.now));
                self.state.recent = Some(Recent { block: 1, window: Window::new(self.now) });
                self.event(EventKind::StepMeasuring, "the weights are in force; the clock of the step runs");
            }
            return;
        };
        let taken = self.state.readings.take(new);
        let counts = enough && taken.continued > 0 && self.state.phase != Phase::Paused;
        let measured = if counts { self.elapsed.min(MOST_INTERVALS * self.plan.judging.interval_ms) } else { 0 };
        window.add(self.now, measured, &taken.increment);
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

    /// Looks at what was measured.
    pub(super) fn judge(&mut self) {
        let (Some(window), Some(judged)) = (&self.state.window, self.state.judged) else { return };
        let step = self.plan.step(judged);
        let canary_requests = window.totals.finished(&self.plan.canary);
        let enough = canary_requests >= self.plan.judging.min_requests;
        self.state.look = Some(Look {
            at_ms: self.now,
            step: step.name.clone(),
            weights: self.state.weights.clone(),
            measured_ms: window.measured_ms,
            duration_ms: step.duration_ms,
            canary_requests,
            stable_requests: window.totals.finished(&self.plan.stable),
            misrouted: window.totals.misrouted(),
            verdict: if enough { VerdictKind::Pass } else { VerdictKind::Inconclusive },
            sentence: format!("{canary_requests} of {} requests seen", self.plan.judging.min_requests),
            figures: Vec::new(),
        });
    }
}
