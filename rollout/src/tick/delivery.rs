//! Whether the weights asked for are in force on the proxies, and what is in force that nobody asked for.

use super::effects::By;
use super::{Action as Wish, EventKind, ProxyStatus, Turn};
use crate::file::{Action, WHOLE};
use crate::plan::Weights;
use crate::state::{HoldCause, Outcome, Phase};
use crate::text::span;

impl Turn<'_> {
    /// Notices a kill that is in force, or gone, and weights that differ from those asked for.
    pub(super) fn kills_and_drift(&mut self) {
        let Some(in_force) = &self.input.in_force else { return };
        // While a kill or a revive of ours is on its way, what is in force is not news.
        let ours = self.state.pending.iter().any(|e| matches!(e.action, Wish::Kill { .. } | Wish::Revive { .. }));
        if in_force.killed != self.state.killed && !ours {
            self.state.killed = in_force.killed;
            let text = if in_force.killed { "a kill is in force" } else { "no kill is in force any more" };
            self.event(EventKind::Kill, with_detail(text, &in_force.detail));
        }
        let going = !self.state.phase.is_over() && self.state.phase != Phase::RollingBack;
        if self.state.killed && going && self.state.taken_over {
            let by = By::headgate(with_detail("a kill is in force", &in_force.detail));
            self.roll_back(Outcome::RolledBack, &by, true);
            return;
        }
        // Only weights that were in force can have been changed by somebody: before, ours may be on the way.
        let settled = self.state.delivery.applied_ms.is_some();
        let differs = in_force.weights.as_ref().is_none_or(|w| !w.same_as(&self.state.weights));
        if settled && going && differs {
            // All users put back by somebody else, or by this program just before it was killed: that is a rollback.
            if in_force.weights.as_ref().is_some_and(Weights::is_none) {
                let why = "the route was put back to the stable version outside of this rollout";
                self.roll_back(Outcome::RolledBack, &By::headgate(with_detail(why, &in_force.detail)), true);
                return;
            }
            if !self.state.drifted {
                self.state.drifted = true;
                let text = match &in_force.weights {
                    Some(weights) => format!(
                        "the route has the canary at {}, not at {}: somebody else changed it, and the step's clock stands still until that is undone",
                        crate::text::percent(weights.canary),
                        crate::text::percent(self.state.weights.canary)
                    ),
                    None => "the route or a variant of it is not in the published configuration any more; the step's clock stands still".to_owned(),
                };
                let text = with_detail(&text, &in_force.detail);
                self.event(EventKind::Drift, &text);
                self.hold(HoldCause::Drift, text);
            }
        } else if self.state.drifted && !differs {
            self.state.drifted = false;
            let text = if matches!(self.plan.step(self.state.step).kind, crate::plan::StepKind::Test(_)) {
                // The same users have the same versions again: the test goes on, without the time between.
                self.state.readings.clear();
                "what is published is what was asked for again; the test goes on, without what was counted in between"
            } else {
                self.state.window = None;
                "what is published is what was asked for again; the step's clock starts anew"
            };
            self.event(EventKind::Drift, text);
            if self.state.hold.as_ref().is_some_and(|h| h.cause == HoldCause::Drift) {
                self.release("what is published was changed back");
            }
        }
    }

    /// Takes in the proxies' answers about the last publish.
    pub(super) fn deliver(&mut self) {
        if !self.state.taken_over || self.state.phase.is_over() {
            return;
        }
        let fence = self.state.fence;
        if !self.input.proxies.is_empty() {
            self.state.delivery.proxies = self
                .input
                .proxies
                .iter()
                .map(|c| {
                    let seen = if c.fence == fence {
                        (c.status, c.why.clone())
                    } else {
                        (
                            ProxyStatus::Pending,
                            format!("its answer is about publish {}, the last one is {fence}", c.fence),
                        )
                    };
                    (c.proxy.clone(), seen)
                })
                .collect();
        }
        let unread = self.input.readings.iter();
        self.state.delivery.unread =
            unread.filter_map(|r| Some((r.proxy.clone(), r.snapshot.as_ref().err()?.clone()))).collect();
        let delivery = &self.state.delivery;
        let total = delivery.proxies.len();
        let missing: Vec<String> = delivery
            .proxies
            .iter()
            .filter_map(|(name, (status, why))| match (status, delivery.unread.get(name)) {
                (ProxyStatus::Applied, None) => None,
                (ProxyStatus::Applied, Some(why)) => Some(format!("{name} (its counters cannot be read: {why})")),
                _ => Some(format!("{name} ({}: {why})", status_word(*status))),
            })
            .collect();
        if total > missing.len() && self.tolerated(missing.len(), total) {
            let first = self.state.delivery.applied_ms.is_none();
            if first {
                self.state.delivery.applied_ms = Some(self.now);
                self.state.pending.retain(|e| !matches!(e.action, Wish::Publish { .. }));
            }
            self.state.delivery.short_since_ms = None;
            self.state.delivery.told = false;
            if first && !missing.is_empty() {
                self.event(EventKind::Proxies, format!("going on without {}", missing.join(", ")));
            }
            if self.state.hold.as_ref().is_some_and(|h| h.cause == HoldCause::Proxies) {
                self.release("enough proxies have the weights in force again");
            }
            return;
        }
        let since = *self.state.delivery.short_since_ms.get_or_insert(self.now);
        let waited = self.now.saturating_sub(since);
        if waited < self.plan.proxies.patience_ms || self.state.delivery.told {
            return;
        }
        self.state.delivery.told = true;
        let who = if total == 0 {
            "no proxy answers for the target: nothing can be confirmed".to_owned()
        } else {
            format!(
                "{} of {total} proxies do not have the weights in force, or cannot be read, since {}: {}",
                missing.len(),
                span(waited),
                missing.join(", ")
            )
        };
        self.event(EventKind::Proxies, &who);
        if self.state.phase == Phase::RollingBack {
            return;
        }
        match self.plan.proxies.on_exceeded {
            Action::Rollback => self.roll_back(Outcome::RolledBack, &By::headgate(who), false),
            Action::Hold | Action::Proceed => self.hold(HoldCause::Proxies, who),
        }
    }

    /// Whether so many of so many may be missing.
    pub(super) fn tolerated(&self, missing: usize, total: usize) -> bool {
        let whole = usize::try_from(WHOLE).unwrap_or(usize::MAX);
        let share = usize::try_from(self.plan.proxies.tolerate).unwrap_or(0);
        missing.saturating_mul(whole) <= share.saturating_mul(total)
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text} ({detail})") }
}

fn status_word(status: ProxyStatus) -> &'static str {
    match status {
        ProxyStatus::Applied => "applied",
        ProxyStatus::Pending => "pending",
        ProxyStatus::Rejected => "rejected",
        ProxyStatus::Unreachable => "unreachable",
    }
}
