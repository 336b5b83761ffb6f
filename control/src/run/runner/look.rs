//! What a tick is told: the published file, the proxies' counters and confirmations, providers, gates, people's commands. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use headgate_rollout::state::Phase;
use headgate_rollout::tick::{Answer, Command as Wish, GateAnswer, Input, Recorded, Wanted};

use super::{LONGEST_PATIENCE, Runner, verb};
use crate::clock;
use crate::run::ask::{self, span};
use crate::run::beside;
use crate::run::watch::Sent;

impl Runner {
    /// What is seen now, of what is wanted.
    pub(super) fn look(&mut self, wanted: &Wanted) -> Input {
        let mut input = Input::default();
        let seen = self.watch.in_force(&self.plan, &self.state.weights);
        let clusters = seen.as_ref().map(|s| s.clusters.clone()).unwrap_or_default();
        if wanted.readings || wanted.confirmations || self.watch.never_looked() {
            let patience = (self.interval() * 4 / 5).clamp(Duration::from_millis(200), LONGEST_PATIENCE);
            let copies = clusters.1.clone().filter(|_| wanted.copies);
            let readings = self.watch.look(copies, patience);
            if wanted.readings {
                input.readings = readings;
            }
        }
        match seen {
            Ok(seen) => {
                self.memory.unreadable = false;
                // A process that was started anew knows its last publish by what is published.
                if self.memory.sent.is_none() && seen.in_force.weights.as_ref() == Some(&self.state.weights) {
                    self.memory.sent =
                        Some(Sent { fence: self.state.fence, revision: seen.revision, before: Vec::new() });
                }
                let mut in_force = seen.in_force;
                if let Some(proxy) = self.watch.killed_by_runtime() {
                    in_force.killed = true;
                    if in_force.detail.is_empty() {
                        in_force.detail = format!("the runtime of {proxy}");
                    }
                }
                input.in_force = Some(in_force);
            }
            Err(e) => {
                if !core::mem::replace(&mut self.memory.unreadable, true) {
                    self.console.note(&self.row.name, "unreadable", &e);
                }
            }
        }
        if let Some(sent) = &self.memory.sent
            && wanted.confirmations
        {
            input.proxies = self.watch.confirm(sent);
        }
        input.measurements = self.asker.measurements(&wanted.asks);
        self.look_beside(wanted, &clusters, &mut input);
        if let Some(name) = &wanted.recorded {
            let found = self.store.baseline(name);
            let fresh = found.ok().flatten().and_then(|b| serde_json::from_value(b.data).ok());
            input.recorded = Some(fresh.map_or(Recorded::Missing, |b| Recorded::Found(Box::new(b))));
        }
        if self.plan.drill_within_ms.is_some() && self.state.phase == Phase::Initializing {
            let last = self.store.last_drill(&self.target.name, &self.plan.route).ok().flatten();
            input.last_drill_ms = last.and_then(|at| u64::try_from(at).ok());
        }
        for told in self.memory.telling.over.1.try_iter() {
            self.memory.telling.begun.remove(&told);
            self.memory.done.push(told);
        }
        input.commands = self.commands();
        input.done.clone_from(&self.memory.done);
        input.failed.clone_from(&self.memory.failed);
        input.now_ms = u64::try_from(clock::now()).unwrap_or(0);
        input
    }

    fn look_beside(&mut self, wanted: &Wanted, clusters: &(Vec<String>, Option<String>), input: &mut Input) {
        let every = self.interval();
        let asides = &mut self.memory.beside;
        if let Some(requests) = wanted.readiness.clone() {
            input.readiness = asides.readiness.ask(&self.pool, every, move || beside::readiness(&requests));
        }
        if !wanted.rewards.is_empty() {
            let (plan, store, asks) = (Arc::clone(&self.plan), Arc::clone(&self.store), wanted.rewards.clone());
            let told = asides.rewards.ask(&self.pool, every, move || ask::rewards(&plan, &store, &asks));
            input.rewards = told.unwrap_or_default();
        }
        if wanted.failsafe {
            let goal = self.plan.failsafe_cluster.clone().or_else(|| clusters.1.clone());
            input.failsafe = match goal {
                None => Some(Answer {
                    holds: false,
                    detail: "the new version has no `cluster` in the plugin configuration: add it, or `finalising.cluster` to the rollout"
                        .to_owned(),
                }),
                Some(goal) => {
                    let (target, client, known) =
                        (Arc::clone(&self.target), self.watch.client().clone(), clusters.0.clone());
                    asides.failsafe.ask(&self.pool, every, move || beside::failsafe(&target, &client, &known, &goal))
                }
            };
        }
        if let Some(gate) = &wanted.gate {
            let at = i64::try_from(gate.since_ms).unwrap_or(i64::MAX);
            if let Err(failure) = self.store.open_gate(&self.row.name, self.row.run, &gate.gate, at) {
                self.console.note(&self.row.name, "store", &failure.message);
            }
            let known = self.store.gate(&self.row.name, self.row.run, &gate.gate).ok().flatten();
            if let Some((answered, answer)) = known.and_then(|g| g.answer.clone().map(|answer| (g, answer))) {
                input.gates.push(GateAnswer {
                    gate: gate.gate.clone(),
                    approved: answer == "approve",
                    actor: answered.actor.unwrap_or_default(),
                    reason: answered.reason.unwrap_or_default(),
                });
            } else if let Some(hook) = gate.webhook.clone() {
                let every = span(hook.interval.as_ref(), Duration::from_secs(10));
                let body = beside::gate_body(&self.row.name, self.row.run, &gate.gate, &gate.question, gate.since_ms);
                let name = gate.gate.clone();
                let said = asides.gate.ask(&self.pool, every, move || beside::gate(&hook, &name, &body));
                match said {
                    Some(Ok(Some(answer))) => {
                        // Kept before it is acted on: a process that is started anew does not ask again.
                        let word = if answer.approved { "approve" } else { "reject" };
                        let place = (self.row.name.as_str(), self.row.run, answer.gate.as_str());
                        let kept = self.store.answer_gate(place, word, &answer.actor, &answer.reason, clock::now());
                        if let Err(failure) = kept {
                            self.console.note(&self.row.name, "store", &failure.message);
                        }
                        input.gates.push(answer);
                    }
                    Some(Ok(None)) | None => {}
                    Some(Err(e)) => {
                        if asides.gate_error != e {
                            self.console.note(&self.row.name, "gate", &format!("the gate {}: {e}", gate.gate));
                            asides.gate_error = e;
                        }
                    }
                }
            }
        }
    }

    /// The wishes as the state machine takes them; those it cannot know are answered here.
    fn commands(&mut self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        self.memory.taken.clone_from(&self.memory.wishes);
        for command in self.memory.wishes.drain(..) {
            match verb(&command.kind) {
                Some(verb) => wishes.push(Wish {
                    id: command.id.to_string(),
                    actor: command.actor,
                    reason: command.reason,
                    at_ms: u64::try_from(command.at).unwrap_or(0),
                    verb,
                }),
                None => drop(
                    self.memory.answers.insert(command.id, format!("refused: there is no command `{}`", command.kind)),
                ),
            }
        }
        wishes
    }
}
