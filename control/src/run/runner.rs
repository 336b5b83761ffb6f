//! One rollout, live: look, tick, write down, act, again.
//!
//! The order is the promise. Ordinary effects are acted on only after the state that holds them is in the store; effects that are not reported
//! done stand in the state, so a process that is killed anywhere does them again, and they may be done twice. Urgent effects (the way back, a
//! kill) go out first and are written down after, whatever the store says. All decisions are `headgate_rollout::tick`'s.

mod act;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use headgate_rollout::plan::Plan;
use headgate_rollout::state::{Outcome, Phase, State};
use headgate_rollout::tick::{
    Action, Answer, Command as Wish, Effect, Event, GateAnswer, Input, Recorded, RewardAnswer, Verb, Wanted, tick,
    wanted,
};
use serde_json::Value;

use super::ask::{self, Asker, span};
use super::beside::{self, Beside};
use super::console::{self, Console};
use super::watch::{Sent, Watch};
use crate::clock;
use crate::notify::Notifier;
use crate::owner::Owner;
use crate::pool::Pool;
use crate::store::{Command, Entry, Row, Store};
use crate::target::Target;

/// Exit code of a rollout that was taken back.
const ROLLED_BACK: u8 = 10;
/// Of one that ended while holding.
const HELD: u8 = 11;
/// Of one that a person stopped.
const ABORTED: u8 = 12;
/// How long, at most, the state is not written when nothing happens: what is lost by a kill -9 is measured time, never a decision.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// As above, at least.
const SAVE_SOON: Duration = Duration::from_secs(1);
/// Which part of a step's time may be lost so.
const LOSS: u32 = 20;
/// Lines for the audit that are kept while the store cannot be written.
const BACKLOG: usize = 10_000;
/// How long the end waits for notifications that are on their way.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long the first look at the published file may have to wait for its turn to be told.
const LONGEST_PATIENCE: Duration = Duration::from_secs(2);

/// What wakes a rollout before its time.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Somebody wants something.
    Command(Command),
    /// Something may have changed: look.
    Look,
}

/// Where links to gates are made, when they are.
pub(crate) trait Links: Send + Sync {
    /// Addresses that approve and reject a gate.
    fn of(&self, rollout: &str, run: i64, gate: &str) -> Option<Value>;
}

/// All that one rollout needs.
pub(crate) struct Runner {
    pub(crate) plan: Arc<Plan>,
    pub(crate) target: Arc<Target>,
    pub(crate) row: Row,
    pub(crate) state: State,
    pub(crate) store: Arc<Store>,
    pub(crate) owner: Arc<Owner>,
    pub(crate) watch: Watch,
    pub(crate) asker: Asker,
    pub(crate) console: Arc<Console>,
    pub(crate) notifier: Notifier,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) pool: Pool,
    pub(crate) inbox: Receiver<Wake>,
    pub(crate) memory: Memory,
}

/// What is known of this run of the process alone.
#[derive(Default)]
pub(crate) struct Memory {
    sent: Option<Sent>,
    done: Vec<u64>,
    failed: Vec<(u64, String)>,
    /// Commands that wait for a tick, and those taken whose answer is not in the store yet.
    wishes: Vec<Command>,
    /// Those that the turn that goes on has taken.
    taken: Vec<Command>,
    answers: BTreeMap<i64, String>,
    backlog: Vec<Note>,
    saved: Option<Instant>,
    unwritable: bool,
    /// Whether weights wait for the state to be written.
    still: bool,
    unreadable: bool,
    last_look: u64,
    beside: Asides,
    telling: Telling,
}

impl Memory {
    /// With the commands that wait since before the process began: they come before anything else.
    pub(crate) fn with(wishes: Vec<Command>) -> Self {
        Self { wishes, ..Self::default() }
    }

    /// The numbers of the commands that wait for the next tick.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = i64> {
        self.wishes.iter().map(|c| c.id)
    }
}

/// Notifications on their way: told by their effects' numbers, so that none is begun twice.
struct Telling {
    begun: BTreeSet<u64>,
    over: (Sender<u64>, Receiver<u64>),
}

impl Default for Telling {
    fn default() -> Self {
        Self { begun: BTreeSet::new(), over: channel() }
    }
}

struct Asides {
    readiness: Beside<Answer>,
    failsafe: Beside<Answer>,
    gate: Beside<Result<Option<GateAnswer>, String>>,
    gate_error: String,
    rewards: Beside<Vec<RewardAnswer>>,
}

impl Default for Asides {
    fn default() -> Self {
        Self {
            readiness: Beside::new(),
            failsafe: Beside::new(),
            gate: Beside::new(),
            gate_error: String::new(),
            rewards: Beside::new(),
        }
    }
}

/// A line for the audit that is not written yet.
struct Note {
    at: i64,
    actor: String,
    action: String,
    text: String,
    data: Value,
}

impl Runner {
    /// Runs it to its end; gives the exit code.
    pub(crate) fn run(mut self) -> u8 {
        loop {
            let began = Instant::now();
            let wanted = wanted(&self.plan, &self.state);
            let input = self.look(&wanted);
            let now = i64::try_from(input.now_ms).unwrap_or(i64::MAX);
            let before = self.state.clone();
            let out = tick(&self.plan, core::mem::replace(&mut self.state, State::new("")), &input);
            self.state = out.state;
            self.memory.done.clear();
            self.memory.failed.clear();
            for effect in out.effects.iter().filter(|e| e.urgent) {
                self.act(effect);
            }
            let news = !out.events.is_empty() || before.phase != self.state.phase;
            let noted = self.memory.backlog.len();
            for event in &out.events {
                self.note(now, event);
            }
            let begun = &self.memory.telling.begun;
            let ordinary = out.effects.iter().any(|e| !e.urgent && !begun.contains(&e.id));
            let written = self.save(now, news || ordinary || !input.done.is_empty());
            if !written && forward(&before, &out.effects) {
                self.stand_still(before, input, noted, began);
                continue;
            }
            for event in &out.events {
                self.console.event(&self.row.name, self.row.run, now, event);
            }
            if written {
                for effect in out.effects.iter().filter(|e| !e.urgent) {
                    self.act(effect);
                }
            }
            self.keep_look(&out.events);
            self.console.progress(&self.state);
            if let Some(exit) = self.exit()
                && self.settled()
            {
                return self.end(now, exit);
            }
            let wait = out.next_ms.saturating_sub(input.now_ms);
            let wait = if self.exit().is_some() { wait.min(200) } else { wait };
            self.sleep(Duration::from_millis(wait).saturating_sub(began.elapsed()));
        }
    }

    /// What cannot be written down does not happen: the turn is taken back, so that what is in force is judged on, and is taken again at the
    /// next look.
    fn stand_still(&mut self, before: State, input: Input, noted: usize, began: Instant) {
        if !core::mem::replace(&mut self.memory.still, true) {
            let text = "the next weights wait until the state can be written; those in force are judged on";
            self.console.note(&self.row.name, "store", text);
        }
        self.state = before;
        self.memory.backlog.truncate(noted);
        (self.memory.done, self.memory.failed) = (input.done, input.failed);
        for wish in &input.commands {
            self.memory.answers.retain(|id, _| id.to_string() != wish.id);
        }
        self.memory.wishes.append(&mut self.memory.taken);
        self.sleep(self.interval().saturating_sub(began.elapsed()));
    }

    /// Waits, but not longer than until somebody wants something.
    fn sleep(&mut self, limit: Duration) {
        match self.inbox.recv_timeout(limit) {
            Ok(Wake::Command(command)) => self.memory.wishes.push(command),
            Ok(Wake::Look) => {}
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(limit),
        }
        while let Ok(wake) = self.inbox.try_recv() {
            if let Wake::Command(command) = wake {
                self.memory.wishes.push(command);
            }
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.plan.judging.interval_ms)
    }

    fn look(&mut self, wanted: &Wanted) -> Input {
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

    fn note(&mut self, at: i64, event: &Event) {
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
    fn save(&mut self, now: i64, must: bool) -> bool {
        let step = self.plan.step(self.state.step).duration_ms.map_or(SAVE_EVERY, Duration::from_millis);
        let pause = (self.interval() * 3).min(step / LOSS).clamp(SAVE_SOON, SAVE_EVERY);
        let due = self.memory.saved.is_none_or(|at| at.elapsed() >= pause);
        if !must && !due && !self.memory.unwritable {
            return true;
        }
        self.row.phase = self.state.phase.name().to_owned();
        self.row.state = serde_json::to_string(&self.state).unwrap_or_default();
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
    fn keep_look(&mut self, events: &[Event]) {
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

    /// The exit code, once there is one.
    fn exit(&self) -> Option<u8> {
        let outcome = self.state.outcome?;
        (self.state.phase.is_over() || outcome == Outcome::Held).then_some(match outcome {
            Outcome::Promoted => 0,
            Outcome::RolledBack => ROLLED_BACK,
            Outcome::Held => HELD,
            Outcome::Aborted => ABORTED,
            Outcome::Failed => 1,
        })
    }

    /// Whether all that was asked for was done: the process may end. Those who are still to be told have a time of their own.
    fn settled(&self) -> bool {
        let told = |e: &Effect| matches!(e.action, Action::Notify { .. });
        self.state.pending.iter().all(|e| told(e) || self.memory.done.contains(&e.id))
    }

    fn end(mut self, now: i64, exit: u8) -> u8 {
        // Before the end is written: a process that is killed meanwhile has them left to tell.
        self.notifier.finish(LAST_WORDS);
        let mut done = core::mem::take(&mut self.memory.done);
        done.extend(self.memory.telling.over.1.try_iter());
        self.state.pending.retain(|e| !done.contains(&e.id));
        self.row.exit = Some(i64::from(exit));
        // One that ended as held goes on where it was when it is run again.
        self.row.ended = (exit != HELD).then_some(now);
        let _told = self.save(now, true);
        let outcome = self.state.outcome.and_then(|o| serde_json::to_value(o).ok());
        let outcome = outcome.as_ref().and_then(Value::as_str).unwrap_or("over").to_owned();
        self.console.end(&self.row.name, self.row.run, &outcome, &self.state.because, exit);
        exit
    }
}

/// Whether a turn asked for other weights that are no way back.
fn forward(before: &State, effects: &[Effect]) -> bool {
    let asks = |e: &Effect| !e.urgent && matches!(e.action, Action::Publish { .. });
    effects.iter().any(|e| asks(e) && !before.pending.iter().any(|p| p.id == e.id)) && !effects.iter().any(|e| e.urgent)
}

/// A command's verb, by its name on the command line.
pub(crate) fn verb(kind: &str) -> Option<Verb> {
    Some(match kind {
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "promote" => Verb::Promote { full: false, force: false },
        "promote --full" => Verb::Promote { full: true, force: false },
        "promote --force" => Verb::Promote { full: false, force: true },
        "promote --full --force" => Verb::Promote { full: true, force: true },
        "abort" => Verb::Abort,
        "rollback" => Verb::Rollback,
        "retry" => Verb::Retry,
        "kill" => Verb::Kill,
        "revive" => Verb::Revive,
        _ => return None,
    })
}
