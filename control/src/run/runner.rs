//! One rollout, live: look, tick, write down, act, again.
//!
//! The order is the promise. Ordinary effects are acted on only after the state that holds them is in the store; effects that are not reported
//! done stand in the state, so a process that is killed anywhere does them again, and they may be done twice. Urgent effects (the way back, a
//! kill) go out first and are written down after, whatever the store says. All decisions are `headgate_rollout::tick`'s.

mod act;
mod look;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use headgate_rollout::plan::Plan;
use headgate_rollout::state::{Outcome, State};
use headgate_rollout::tick::{Action, Answer, Effect, GateAnswer, Input, RewardAnswer, Verb, tick, wanted};
use serde_json::Value;

use super::ask::Asker;
use super::beside::Beside;
use super::console::Console;
use super::watch::{Sent, Watch};
use crate::notify::Notifier;
use crate::owner::Owner;
use crate::pool::Pool;
use crate::store::{Command, Row, Store};
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
