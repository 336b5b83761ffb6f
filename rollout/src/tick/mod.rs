//! The state machine: one function from the plan, the state and what was seen to the next state and effects.
//!
//! [`tick`] is called every interval by the live runner and, in virtual time, by the simulation. In this order it takes note of
//! what was done, obeys people, notices kills and drift, sees whether the weights are in force, measures, judges, and only
//! then moves on. A rollback may come out of any of these, in any phase.
//!
//! What holds throughout: nothing moves forward on missing data; a step's clock runs only while its weights are in force and
//! the proxies are measured; a person's command is taken once; effects may be done twice.

mod ab;
mod arms;
mod bandit;
mod commands;
mod delivery;
mod effects;
mod input;
mod measuring;
mod output;
mod phases;
mod steps;
mod wanted;
mod way_back;

use crate::plan::Plan;
use crate::state::State;

pub use input::{
    Answer, Command, Confirmation, GateAnswer, InForce, Input, Measured, Measurement, Newest, ProxyStatus, Reading,
    Recorded, RewardAnswer, Sums, Verb,
};
pub use output::{Action, Ask, Effect, Event, EventKind, GateAsk, Output, RewardAsk, Wanted};
pub use wanted::wanted;

/// How soon to look again while a publish is on its way to the proxies, ms.
const SOON_MS: u64 = 200;

/// One turn of the state machine.
struct Turn<'a> {
    plan: &'a Plan,
    input: &'a Input,
    state: State,
    /// The time, never earlier than at the last turn.
    now: u64,
    /// Since the last turn, ms; 0 at the first one.
    elapsed: u64,
    events: Vec<Event>,
}

/// Moves a rollout on by what was seen. Pure: the same arguments give the same result.
pub fn tick(plan: &Plan, state: State, input: &Input) -> Output {
    let mut turn = Turn::new(plan, state, input);
    turn.reported();
    turn.begin();
    turn.commands();
    turn.kills_and_drift();
    turn.deliver();
    turn.measure();
    turn.judge();
    turn.progress();
    turn.stale();
    turn.end()
}

impl<'a> Turn<'a> {
    fn new(plan: &'a Plan, mut state: State, input: &'a Input) -> Self {
        let seen = input.now_ms.saturating_add(state.clock_offset_ms);
        let mut back = 0;
        if seen < state.now_ms {
            back = state.now_ms - seen;
            state.clock_offset_ms += back;
        }
        let now = seen.max(state.now_ms);
        let elapsed = if state.now_ms == 0 { 0 } else { now - state.now_ms };
        state.now_ms = now;
        let mut turn = Self { plan, input, state, now, elapsed, events: Vec::new() };
        // Clocks are set back by some milliseconds all the time.
        if back > 1_000 {
            turn.event(
                EventKind::Clock,
                format!("the clock went back by {}; time goes on from where it was", crate::text::span(back)),
            );
        }
        turn
    }

    fn end(mut self) -> Output {
        let interval = self.plan.judging.interval_ms;
        let waits_for_proxies = self.state.delivery.applied_ms.is_none() && self.state.taken_over;
        let next = if waits_for_proxies { interval.min(SOON_MS) } else { interval };
        let mut effects = self.state.pending.clone();
        effects.sort_by_key(|e| (!e.urgent, e.id));
        self.state.taken.drain(..self.state.taken.len().saturating_sub(64));
        Output { effects, events: self.events, next_ms: self.input.now_ms.saturating_add(next), state: self.state }
    }
}
