//! Effects and events: how a turn asks for something and tells something.

use super::{Action, Effect, Event, EventKind, Turn};
use crate::file::NotificationKind;
use crate::plan::Weights;
use crate::state::Delivery;

/// Notifications that wait to be delivered, at most.
const MOST_NOTIFICATIONS: usize = 50;

impl Turn<'_> {
    /// Notes which effects were done and which went wrong.
    pub(super) fn reported(&mut self) {
        let done = &self.input.done;
        self.state.pending.retain(|e| !done.contains(&e.id));
        for (id, why) in &self.input.failed {
            if let Some(effect) = self.state.pending.iter().find(|e| e.id == *id) {
                let what = match &effect.action {
                    Action::Publish { stage, .. } => format!("publishing {stage}"),
                    Action::Kill { .. } => "the kill".to_owned(),
                    Action::Revive { .. } => "the revive".to_owned(),
                    Action::Notify { .. } => "a notification".to_owned(),
                    Action::Propose { .. } => "writing the proposal".to_owned(),
                    Action::RecordBaseline { baseline } => format!("recording the baseline {}", baseline.name),
                };
                self.event(EventKind::EffectFailed, format!("{what} went wrong and is tried again: {why}"));
            }
        }
    }

    /// Asks for something.
    pub(super) fn effect(&mut self, urgent: bool, action: Action) {
        let id = self.state.next_effect;
        self.state.next_effect += 1;
        self.state.pending.push(Effect { id, urgent, action });
    }

    /// Asks for weights, in place of any publish that is not done.
    pub(super) fn publish(&mut self, weights: Weights, urgent: bool, stage: String, why: String) {
        self.state.pending.retain(|e| !matches!(e.action, Action::Publish { .. }));
        self.state.fence += 1;
        self.state.taken_over = true;
        self.state.weights = weights.clone();
        self.state.delivery = Delivery { asked_ms: self.now, ..Delivery::default() };
        self.state.window = None;
        self.state.recent = None;
        self.state.readings.clear();
        let (fence, replicates) = (self.state.fence, self.plan.replicates.clone());
        self.effect(urgent, Action::Publish { fence, weights, stage, replicates, why });
    }

    /// Tells those who want to know.
    pub(super) fn notify(&mut self, kind: NotificationKind, text: impl Into<String>) {
        if self.plan.notifications.is_empty() {
            return;
        }
        // Somebody who cannot be told must not fill the state.
        let waiting: Vec<u64> =
            self.state.pending.iter().filter(|e| matches!(e.action, Action::Notify { .. })).map(|e| e.id).collect();
        if let (true, Some(oldest)) = (waiting.len() >= MOST_NOTIFICATIONS, waiting.first()) {
            self.state.pending.retain(|e| e.id != *oldest);
            self.event(EventKind::EffectFailed, "the oldest notification could not be delivered and is given up");
        }
        let text = format!("{}: {}", self.plan.name, text.into());
        self.effect(false, Action::Notify { kind, text });
    }

    /// Writes down that something happened.
    pub(super) fn event(&mut self, kind: EventKind, text: impl Into<String>) {
        self.events.push(self.plain(kind, text.into()));
    }

    /// As [`Self::event`], with the measurements it rests on.
    pub(super) fn event_with_look(&mut self, kind: EventKind, text: impl Into<String>) {
        let mut event = self.plain(kind, text.into());
        event.look = self.state.look.clone();
        self.events.push(event);
    }

    /// As [`Self::event`], by somebody.
    pub(super) fn event_by(&mut self, kind: EventKind, text: impl Into<String>, by: &By) {
        let mut event = self.plain(kind, text.into());
        event.actor.clone_from(&by.actor);
        event.reason.clone_from(&by.reason);
        event.command.clone_from(&by.command);
        event.look = self.state.look.clone();
        self.events.push(event);
    }

    fn plain(&self, kind: EventKind, text: String) -> Event {
        Event {
            kind,
            text,
            step: self.plan.step(self.state.step).name.clone(),
            weights: self.state.weights.clone(),
            actor: "headgate".to_owned(),
            reason: String::new(),
            command: None,
            look: None,
        }
    }
}

/// Who caused something.
#[derive(Debug, Clone)]
pub(super) struct By {
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) command: Option<String>,
}

impl By {
    /// Nobody but this program, for a reason.
    pub(super) fn headgate(reason: impl Into<String>) -> Self {
        Self { actor: "headgate".to_owned(), reason: reason.into(), command: None }
    }

    /// `ana: because`.
    pub(super) fn words(&self) -> String {
        if self.reason.is_empty() { self.actor.clone() } else { format!("{}: {}", self.actor, self.reason) }
    }
}
