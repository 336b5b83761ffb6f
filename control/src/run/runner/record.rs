//! Writing down: the state with its audit and the answers to commands in one go, and looks for reports. It decides nothing.

use std::time::{Duration, Instant};

use headgate_rollout::tick::Event;

use super::{BACKLOG, LOSS, Note, Runner, SAVE_EVERY, SAVE_SOON};
use crate::run::console;
use crate::store::Entry;

impl Runner {
    /// Keeps an event for the audit, and what it answers to a command.
    pub(super) fn note(&mut self, at: i64, event: &Event) {
        let action = serde_json::to_value(event.kind).ok().and_then(|v| v.as_str().map(str::to_owned));
        if let Some(id) = event.command.as_ref().and_then(|id| id.parse().ok()) {
            use headgate_rollout::tick::EventKind::{Command, Refused};
            let answer = match event.kind {
                Command => Some(format!("taken: {}", event.text)),
                Refused => Some(format!("refused: {}", event.text)),
                _ => None,
            };
            if let Some(answer) = answer {
                self.memory.answers.insert(id, answer);
            }
        }
        if self.memory.backlog.len() < BACKLOG {
            self.memory.backlog.push(Note {
                at,
                actor: event.actor.clone(),
                action: action.unwrap_or_default(),
                text: event.text.clone(),
                data: console::data(event, &self.state),
            });
        }
    }

    /// Writes the state and what is to be told of it. `false` when it could not be written.
    pub(super) fn save(&mut self, now: i64, must: bool) -> bool {
        let step = self.plan.step(self.state.step).duration_ms.map_or(SAVE_EVERY, Duration::from_millis);
        let pause = (self.interval() * 3).min(step / LOSS).clamp(SAVE_SOON, SAVE_EVERY);
        let due = self.memory.saved.is_none_or(|at| at.elapsed() >= pause);
        if !must && !due && !self.memory.unwritable {
            return true;
        }
        self.row.phase = self.state.phase.name().to_owned();
        // Where the last one was: it is about as long.
        let mut place = core::mem::take(&mut self.row.state).into_bytes();
        place.clear();
        let told = serde_json::to_writer(&mut place, &self.state).is_ok();
        self.row.state = String::from_utf8(place).ok().filter(|_| told).unwrap_or_default();
        self.row.updated = now;
        let entries: Vec<Entry<'_>> = self
            .memory
            .backlog
            .iter()
            .map(|n| Entry {
                at: n.at,
                rollout: &self.row.name,
                run: self.row.run,
                actor: &n.actor,
                action: &n.action,
                reason: &n.text,
                data: &n.data,
            })
            .collect();
        match self.store.save(&self.row, &entries) {
            Ok(()) => {
                self.memory.still = false;
                if core::mem::replace(&mut self.memory.unwritable, false) {
                    self.console.note(&self.row.name, "store", "the state can be written again");
                }
                self.memory.backlog.clear();
                self.memory.saved = Some(Instant::now());
                for (id, answer) in core::mem::take(&mut self.memory.answers) {
                    if self.store.taken(id, now, &answer).is_err() {
                        self.memory.answers.insert(id, answer);
                    }
                }
                true
            }
            Err(failure) => {
                if !core::mem::replace(&mut self.memory.unwritable, true) {
                    let text = format!("{}; nothing goes forward until it can, ways back do", failure.message);
                    self.console.note(&self.row.name, "store", &text);
                }
                false
            }
        }
    }

    /// Keeps what was measured over time, thinned, for reports.
    pub(super) fn keep_look(&mut self, events: &[Event]) {
        let Some(look) = &self.state.look else { return };
        let least = (look.duration_ms.unwrap_or(0) / 500).max(1_000);
        let with_verdict = events.iter().any(|e| e.look.is_some());
        if look.at_ms == self.memory.last_look || (!with_verdict && look.at_ms < self.memory.last_look + least) {
            return;
        }
        self.memory.last_look = look.at_ms;
        if let Ok(value) = serde_json::to_value(look) {
            let at = i64::try_from(look.at_ms).unwrap_or(i64::MAX);
            // Reports lose a point when the store cannot be written; that it cannot is told elsewhere.
            let _told = self.store.keep_look(&self.row.name, self.row.run, at, &value);
        }
    }
}
