//! The rules of a bandit between two batches: from the ledger to the next weights.

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::policy::{Policy, wanted};
use super::posterior::Posterior;
use super::weights::{rounded, settled};

/// How the next weights follow from what was earned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// The policy.
    pub policy: Policy,
    /// What every arm keeps, parts of [`crate::file::WHOLE`].
    pub floor: u32,
    /// Changes of a weight below this are not made, parts of [`crate::file::WHOLE`].
    pub least_change: u32,
    /// Units that each arm needs before any is preferred.
    pub warm_up: f64,
}

impl Rules {
    /// The weights of the next batch, given those of this one. `out`: arms that get nothing, whatever they earn.
    #[must_use]
    pub fn next(&self, ledger: &Ledger, current: &[u32], out: &[bool], now_ms: u64) -> Vec<u32> {
        let next = self.wanted(ledger, out, now_ms);
        settled(current, &next, self.floor, self.least_change)
    }

    /// The weights that the policy would like best, whatever is in force.
    #[must_use]
    pub fn wanted(&self, ledger: &Ledger, out: &[bool], now_ms: u64) -> Vec<u32> {
        let units = ledger.units();
        let is_out = |i: usize| out.get(i).copied().unwrap_or(false);
        let known = ledger.posteriors(now_ms).into_iter().zip(&units);
        let known: Vec<Option<Posterior>> =
            known.map(|(posterior, units)| posterior.ok().filter(|_| *units >= self.warm_up)).collect();
        let inside: Vec<usize> = (0..known.len()).filter(|i| !is_out(*i)).collect();
        let arms: Vec<Option<Posterior>> = inside.iter().filter_map(|i| known.get(*i).copied()).collect();
        let mut shares = vec![0.0; known.len()];
        for (i, share) in inside.iter().zip(wanted(self.policy, &arms)) {
            if let Some(place) = shares.get_mut(*i) {
                *place = share;
            }
        }
        rounded(&shares, out, self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::posterior::Reward;
    use super::*;
    use crate::stats::Arm;

    fn rules() -> Rules {
        Rules { policy: Policy::Thompson, floor: 500, least_change: 100, warm_up: 100.0 }
    }

    fn ledger(rates: [f64; 3], units: f64) -> Ledger {
        let mut ledger = Ledger::new(3, Reward::Rate, None, 0);
        ledger.begin(0, vec![3_334, 3_333, 3_333]);
        let arm = |rate: &f64| {
            let mut arm = Arm::default();
            (0..32).for_each(|b| arm.add(b, units / 32.0, rate * units / 32.0));
            arm
        };
        ledger.credit(1, rates.iter().map(arm).collect());
        ledger
    }

    #[test]
    fn before_every_arm_is_known_all_are_equal() {
        let equal = [3_334, 3_333, 3_333];
        assert_eq!(rules().next(&ledger([0.1, 0.5, 0.9], 96.0), &equal, &[false; 3], 10), equal);
    }

    #[test]
    fn the_best_arm_gets_all_but_the_floors_and_nothing_when_it_is_out() {
        let ledger = ledger([0.1, 0.2, 0.4], 3_200.0);
        let equal = [3_334, 3_333, 3_333];
        assert_eq!(rules().next(&ledger, &equal, &[false; 3], 10), [500, 500, 9_000]);
        assert_eq!(rules().next(&ledger, &equal, &[false, false, true], 10), [500, 9_500, 0]);
        assert_eq!(rules().next(&ledger, &[500, 500, 9_000], &[false; 3], 10), [500, 500, 9_000]);
    }
}
