//! What is told of users: outcomes since a window or a bandit's epoch began. In a simulation they come at once.

use std::collections::BTreeMap;

use crate::tick::{Measured, RewardAnswer, RewardAsk, Sums};

/// Outcomes by variant.
pub(super) type Outcomes = BTreeMap<String, Sums>;

/// Epochs that are kept.
const EPOCHS: usize = 64;

/// What there was before the windows and epochs that are asked about.
#[derive(Default)]
pub(super) struct Told {
    /// Before the window that is judged, successes and values: since when, the canary's and stable's.
    windows: [Option<(u64, Sums, Sums)>; 2],
    /// Of a bandit's epochs: the number, what there was before it, and at its end.
    epochs: Vec<(u64, Outcomes, Option<Outcomes>)>,
}

impl Told {
    /// Outcomes since a window began, of those that there are now, the canary's and stable's.
    pub(super) fn measured(&mut self, since_ms: u64, values: bool, (canary, stable): (Sums, Sums)) -> Measured {
        let [of_successes, of_values] = &mut self.windows;
        let window = if values { of_values } else { of_successes };
        match window {
            Some((since, canary_then, stable_then)) if *since == since_ms => {
                Measured::Sums { canary: grown(&canary, canary_then), stable: grown(&stable, stable_then) }
            }
            _ => {
                *window = Some((since_ms, canary, stable));
                Measured::NoValues
            }
        }
    }

    /// Outcomes of an epoch, of those that there are now.
    pub(super) fn rewards(&mut self, ask: &RewardAsk, now: Outcomes) -> RewardAnswer {
        if !self.epochs.iter().any(|(number, ..)| *number == ask.epoch) {
            self.epochs.push((ask.epoch, now.clone(), None));
            let surplus = self.epochs.len().saturating_sub(EPOCHS);
            self.epochs.drain(..surplus);
        }
        let mut arms = BTreeMap::new();
        if let Some((_, before, after)) = self.epochs.iter_mut().find(|(number, ..)| *number == ask.epoch) {
            let until = if ask.until_ms.is_some() { after.get_or_insert(now).clone() } else { now };
            for (name, sums) in until {
                let then = before.get(&name).cloned().unwrap_or_default();
                arms.insert(name, grown(&sums, &then));
            }
        }
        RewardAnswer { epoch: ask.epoch, arms }
    }
}

fn grown(now: &Sums, then: &Sums) -> Sums {
    Sums { buckets: now.buckets.iter().zip(&then.buckets).map(|(n, t)| (n.0 - t.0, n.1 - t.1)).collect() }
}
