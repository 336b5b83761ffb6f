//! Doing what a tick asked for: publish, kill, revive, tell, keep a baseline. It decides nothing.

use std::sync::Arc;

use headgate_rollout::file::NotificationKind;
use headgate_rollout::plan::Weights;
use headgate_rollout::tick::{Action, Effect, wanted};
use serde_json::{Value, json};

use super::Runner;
use crate::clock;
use crate::merge;
use crate::notify::{self, Ticket};
use crate::run::proposal;
use crate::run::publish::{self, Seen, publish, publish_urgently};
use crate::run::shares;
use crate::run::watch::Sent;
use crate::write::set;

impl Runner {
    /// Does an effect, and notes whether it was done.
    pub(super) fn act(&mut self, effect: &Effect) {
        let done = match &effect.action {
            Action::Publish { fence, weights, stage, .. } => self.publish(effect.urgent, *fence, weights, stage),
            Action::Kill { .. } => self.kill(),
            Action::Revive { .. } => self.revive(),
            Action::Notify { kind, text } => {
                // Done once everybody was told: its ticket says so.
                if self.memory.telling.begun.insert(effect.id) {
                    let ticket = Ticket::new(effect.id, self.memory.telling.over.0.clone());
                    self.tell(*kind, text, &ticket);
                }
                return;
            }
            Action::Propose { segments, why } => {
                let folder = self.store.path().parent().unwrap_or(std::path::Path::new("."));
                let target = std::path::Path::new(&self.row.target_file);
                proposal::write(folder, &self.plan, target, segments, why).map(|path| {
                    let text = format!("the proposal stands in {}; it is applied by nobody but you", path.display());
                    self.console.note(&self.row.name, "proposal", &text);
                })
            }
            Action::RecordBaseline { baseline } => {
                let kept = crate::store::Baseline {
                    at: clock::now(),
                    actor: "headgate".to_owned(),
                    data: serde_json::to_value(baseline).unwrap_or_default(),
                };
                self.store.keep_baseline(&baseline.name, &kept).map_err(|f| f.message)
            }
        };
        match done {
            Ok(()) => self.memory.done.push(effect.id),
            Err(why) => {
                if !self.memory.failed.iter().any(|(id, _)| *id == effect.id) {
                    self.memory.failed.push((effect.id, why));
                }
            }
        }
    }

    fn publish(&mut self, urgent: bool, fence: u64, weights: &Weights, stage: &str) -> Result<(), String> {
        let plan = Arc::clone(&self.plan);
        let next = |config: &Value| {
            let mut next = shares::apply(config, &plan, weights)?;
            set(&mut next, "stage", json!(shares::stage(&plan.name, stage)));
            Ok(next)
        };
        let before = self.watch.readings.iter().map(|r| r.as_ref().ok().cloned()).collect();
        let written = if urgent {
            publish_urgently(&self.target, self.watch.revision(), next)
        } else {
            let seen = Seen { readings: &self.watch.readings, killed: self.watch.killed_by_runtime().is_some() };
            publish(&self.target, &self.owner, seen, next)
        };
        match written {
            Ok(published) => {
                for note in &published.notes {
                    self.console.note(&self.row.name, "publish", note);
                }
                // Nothing written: what is in force already needs no new acknowledgement.
                let before = if published.changed { before } else { Vec::new() };
                self.memory.sent = Some(Sent { fence, revision: published.revision, before });
                Ok(())
            }
            Err(failure) if urgent => Err(self.last_resort(&failure.message)),
            Err(failure) => {
                let findings: Vec<String> = failure.findings.iter().map(ToString::to_string).collect();
                Err([vec![failure.message], findings].concat().join("; "))
            }
        }
    }

    /// The way back could not be written: then by the proxies' runtime, which needs no file.
    fn last_resort(&mut self, why: &str) -> String {
        let missed = publish::by_runtime(&self.target, self.watch.client());
        self.watch.forget_runtime();
        let by_runtime = if missed.is_empty() {
            "everything on this target was sent to the stable version by the proxies' runtime instead; `headgate revive` clears that".to_owned()
        } else {
            format!("by the proxies' runtime it was tried too, without success on {}", missed.join("; "))
        };
        format!("{why}; {by_runtime}")
    }

    fn kill(&mut self) -> Result<(), String> {
        let route = self.plan.route.clone();
        match publish_urgently(&self.target, self.watch.revision(), |c| merge::kill(c, Some(&route), true)) {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.last_resort(&failure.message)),
        }
    }

    fn revive(&mut self) -> Result<(), String> {
        let route = self.plan.route.clone();
        let seen = Seen { readings: &self.watch.readings, killed: false };
        publish(&self.target, &self.owner, seen, |c| merge::kill(c, Some(&route), false))
            .map(drop)
            .map_err(|f| f.message)
    }

    fn tell(&self, kind: NotificationKind, text: &str, ticket: &Arc<Ticket>) {
        let name = serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        let gate = wanted(&self.plan, &self.state).gate.filter(|_| kind == NotificationKind::Gate);
        let links = gate.and_then(|g| self.links.of(&self.row.name, self.row.run, &g.gate));
        let event = notify::Event {
            kind: name,
            rollout: self.row.name.clone(),
            run: self.row.run,
            text: text.to_owned(),
            at: clock::now(),
            data: json!({
                "phase": self.state.phase, "weights": self.state.weights, "labels": self.plan.labels,
                "look": self.state.look, "links": links,
            }),
        };
        self.notifier.tell_with(&event, Some(ticket));
    }
}
