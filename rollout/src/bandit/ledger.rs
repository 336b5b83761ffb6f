//! The rewards of a bandit by weight epoch: what was earned under which weights, credited to the variant at exposure.
//!
//! A batch is an epoch of its own. While rewards may still come in for it (outcomes are told late) it stays *open*, and what is
//! told of it replaces what was known. Then it is *settled*: its sums go into the evidence that the policy looks at, which
//! fades if rewards drift, and into the sums for inference. Only a short line of it stays, for people: the ledger does not grow with time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::posterior::{Posterior, Reward, best};
use crate::file::WHOLE;
use crate::stats::adaptive::Adaptive;
use crate::stats::{Arm, Reason};

/// Short lines of epochs that are kept, for people.
pub const KEPT: usize = 240;

/// A time of constant weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Epoch {
    /// Its number, from 1.
    pub number: u64,
    /// When its weights were in force, unix ms.
    pub since_ms: u64,
    /// When it ended, unix ms; none while it lasts.
    pub until_ms: Option<u64>,
    /// The weights, parts of [`WHOLE`], in the order of the arms.
    pub weights: Vec<u32>,
    /// What was earned, in the order of the arms.
    pub arms: Vec<Arm>,
}

/// What stays of an epoch, for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its number.
    pub number: u64,
    /// From, unix ms.
    pub since_ms: u64,
    /// To, unix ms.
    pub until_ms: u64,
    /// The weights.
    pub weights: Vec<u32>,
    /// Units and rewards of each arm.
    pub arms: Vec<(f64, f64)>,
}

/// All epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// What a reward is.
    pub reward: Reward,
    /// After how long an arm's reward weighs half as much, ms; none: never.
    pub half_life_ms: Option<u64>,
    /// For how long after its end rewards of an epoch may come in, ms.
    pub delay_ms: u64,
    /// Epochs that are not settled, oldest first; the last one may still last.
    pub open: VecDeque<Epoch>,
    /// Short lines of the last [`KEPT`] epochs that are settled.
    pub lines: VecDeque<Line>,
    /// The settled evidence of each arm, faded to [`Self::faded_ms`].
    evidence: Vec<Arm>,
    faded_ms: u64,
    /// Units of each arm that are settled.
    units: Vec<f64>,
    /// For inference.
    sums: Adaptive,
    /// Regret of settled epochs as each was seen when it was settled; for rewards that fade.
    regret: f64,
    /// Number of the last epoch.
    number: u64,
}

impl Epoch {
    /// Adds what was counted, for inference. What was counted of an arm without a weight (answers on their way when it changed) cannot be weighed.
    fn weigh(&self, sums: &mut Adaptive) {
        let shares: Vec<f64> = self.weights.iter().map(|w| f64::from(*w) / f64::from(WHOLE)).collect();
        let weighed = |(arm, share): (&Arm, &f64)| if *share > 0.0 { arm.clone() } else { Arm::default() };
        let arms: Vec<Arm> = self.arms.iter().zip(&shares).map(weighed).collect();
        let _unusable = sums.add(&shares, &arms);
    }
}

impl Ledger {
    /// An empty one for so many arms.
    #[must_use]
    pub fn new(arms: usize, reward: Reward, half_life_ms: Option<u64>, delay_ms: u64) -> Self {
        Self {
            reward,
            half_life_ms,
            delay_ms,
            open: VecDeque::new(),
            lines: VecDeque::new(),
            evidence: vec![Arm::default(); arms],
            faded_ms: 0,
            units: vec![0.0; arms],
            sums: Adaptive::default(),
            regret: 0.0,
            number: 0,
        }
    }

    /// Begins an epoch with these weights; the one before ends.
    pub fn begin(&mut self, now_ms: u64, weights: Vec<u32>) {
        self.end(now_ms);
        self.number += 1;
        let arms = vec![Arm::default(); weights.len()];
        self.open.push_back(Epoch { number: self.number, since_ms: now_ms, until_ms: None, weights, arms });
    }

    /// Ends the epoch that lasts, if one does.
    pub fn end(&mut self, now_ms: u64) {
        if let Some(last) = self.open.back_mut() {
            last.until_ms.get_or_insert(now_ms);
        }
    }

    /// The epoch that lasts.
    #[must_use]
    pub fn current(&self) -> Option<&Epoch> {
        self.open.back().filter(|e| e.until_ms.is_none())
    }

    /// Notes what is known of an epoch's rewards, in place of what was. Of one that is settled it comes too late: `false`.
    pub fn credit(&mut self, number: u64, arms: Vec<Arm>) -> bool {
        match self.open.iter_mut().find(|e| e.number == number) {
            Some(epoch) if arms.len() == epoch.weights.len() => {
                epoch.arms = arms;
                true
            }
            _ => false,
        }
    }

    /// Settles the epochs for which no rewards can come in any more.
    pub fn settle(&mut self, now_ms: u64) {
        while let Some(first) = self.open.front() {
            let Some(until) = first.until_ms.filter(|until| now_ms >= until.saturating_add(self.delay_ms)) else {
                break;
            };
            let Some(epoch) = self.open.pop_front() else { break };
            let fade = self.fade(until.saturating_sub(self.faded_ms));
            self.faded_ms = until;
            for (sum, arm) in self.evidence.iter_mut().zip(&epoch.arms) {
                scale(sum, fade);
                sum.merge(arm);
            }
            for (units, arm) in self.units.iter_mut().zip(&epoch.arms) {
                *units += arm.units();
            }
            epoch.weigh(&mut self.sums);
            let known: Vec<Option<Posterior>> =
                self.evidence.iter().map(|a| Posterior::of(self.reward, a).ok()).collect();
            let units: Vec<f64> = epoch.arms.iter().map(Arm::units).collect();
            self.regret += lost(&known, &units);
            self.lines.push_back(Line {
                number: epoch.number,
                since_ms: epoch.since_ms,
                until_ms: until,
                weights: epoch.weights,
                arms: epoch.arms.iter().map(|a| (a.units(), a.total())).collect(),
            });
            while self.lines.len() > KEPT {
                self.lines.pop_front();
            }
        }
    }

    /// What is known of each arm now: everything settled and open, faded; or why nothing is.
    #[must_use]
    pub fn posteriors(&self, now_ms: u64) -> Vec<Result<Posterior, Reason>> {
        self.evidence_at(now_ms).iter().map(|arm| Posterior::of(self.reward, arm)).collect()
    }

    /// The evidence of each arm now, faded.
    #[must_use]
    pub fn evidence_at(&self, now_ms: u64) -> Vec<Arm> {
        let fade = self.fade(now_ms.saturating_sub(self.faded_ms));
        let mut all = self.evidence.clone();
        all.iter_mut().for_each(|arm| scale(arm, fade));
        for epoch in &self.open {
            let fade = self.fade(now_ms.saturating_sub(epoch.until_ms.unwrap_or(now_ms)));
            for (sum, arm) in all.iter_mut().zip(&epoch.arms) {
                let mut arm = arm.clone();
                scale(&mut arm, fade);
                sum.merge(&arm);
            }
        }
        all
    }

    /// Units of each arm so far, nothing faded.
    #[must_use]
    pub fn units(&self) -> Vec<f64> {
        let mut all = self.units.clone();
        for epoch in &self.open {
            all.iter_mut().zip(&epoch.arms).for_each(|(sum, arm)| *sum += arm.units());
        }
        all
    }

    /// Rewards given up so far against everybody on the best arm from the start: `sum over arms of units * E(max - reward)`, by what is known now.
    /// Where rewards fade, each epoch by what was known when it was settled. 0 while an arm is unknown.
    #[must_use]
    pub fn regret(&self, now_ms: u64) -> f64 {
        let known: Vec<Option<Posterior>> = self.posteriors(now_ms).into_iter().map(Result::ok).collect();
        if self.half_life_ms.is_none() {
            return lost(&known, &self.units());
        }
        let open = |epoch: &Epoch| lost(&known, &epoch.arms.iter().map(Arm::units).collect::<Vec<_>>());
        self.regret + self.open.iter().map(open).sum::<f64>()
    }

    /// For inference: the sums of all epochs, the open ones as they are known.
    #[must_use]
    pub fn inference(&self) -> Adaptive {
        let mut sums = self.sums.clone();
        for epoch in &self.open {
            epoch.weigh(&mut sums);
        }
        sums
    }

    /// By how much evidence fades in so long.
    fn fade(&self, ms: u64) -> f64 {
        self.half_life_ms.filter(|half| *half > 0).map_or(1.0, |half| 0.5f64.powf(ms as f64 / half as f64))
    }
}

fn scale(arm: &mut Arm, by: f64) {
    if by < 1.0 {
        for cell in &mut arm.cells {
            cell.units *= by;
            cell.total *= by;
        }
    }
}

/// What these units would have earned more on the best arm.
fn lost(arms: &[Option<Posterior>], units: &[f64]) -> f64 {
    let known: Vec<Posterior> = arms.iter().flatten().copied().collect();
    if known.len() < arms.len() || known.len() < 2 {
        return 0.0;
    }
    let top = best(&known).top;
    known.iter().zip(units).map(|(arm, units)| (top - arm.mean()) * units).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(units: f64, total: f64) -> Arm {
        let mut arm = Arm::default();
        (0..32).for_each(|b| arm.add(b, units / 32.0, total / 32.0));
        arm
    }

    #[test]
    fn late_rewards_go_to_the_epoch_of_the_exposure_until_it_is_settled() {
        let mut ledger = Ledger::new(2, Reward::Rate, None, 1_000);
        ledger.begin(0, vec![5_000, 5_000]);
        ledger.begin(100, vec![2_000, 8_000]);
        assert!(ledger.credit(1, vec![arm(64.0, 0.0), arm(64.0, 0.0)]));
        assert!(ledger.credit(1, vec![arm(64.0, 32.0), arm(64.0, 32.0)]), "told anew, not added");
        assert!(ledger.credit(2, vec![arm(320.0, 32.0), arm(640.0, 64.0)]));
        assert_eq!(ledger.units(), [384.0, 704.0]);
        ledger.settle(1_099);
        assert_eq!(ledger.open.len(), 2);
        ledger.settle(1_100);
        assert_eq!((ledger.open.len(), ledger.lines.len()), (1, 1));
        assert!(!ledger.credit(1, vec![arm(1.0, 1.0), arm(1.0, 1.0)]), "too late");
        assert_eq!(ledger.units(), [384.0, 704.0]);
        assert_eq!(ledger.lines[0].arms, [(64.0, 32.0), (64.0, 32.0)]);
        assert_eq!(ledger.inference().epochs, 2);
    }

    #[test]
    fn evidence_fades_by_half_in_its_half_life() {
        let mut ledger = Ledger::new(1, Reward::Rate, Some(1_000), 0);
        ledger.begin(0, vec![WHOLE]);
        ledger.credit(1, vec![arm(3_200.0, 320.0)]);
        ledger.begin(1_000, vec![WHOLE]);
        ledger.settle(1_000);
        let units = |ledger: &Ledger, at| ledger.evidence_at(at)[0].units();
        assert!((units(&ledger, 1_000) - 3_200.0).abs() < 1e-9);
        assert!((units(&ledger, 2_000) - 1_600.0).abs() < 1e-9);
        ledger.credit(2, vec![arm(320.0, 0.0)]);
        assert!((units(&ledger, 3_000) - 1_120.0).abs() < 1e-9);
        ledger.end(3_000);
        ledger.settle(3_000);
        assert!((units(&ledger, 4_000) - 560.0).abs() < 1e-9);
    }

    #[test]
    fn regret_counts_what_the_worse_arm_gave_up() {
        let mut ledger = Ledger::new(2, Reward::Rate, None, 0);
        ledger.begin(0, vec![5_000, 5_000]);
        ledger.credit(1, vec![arm(32_000.0, 3_200.0), arm(32_000.0, 6_400.0)]);
        let regret = ledger.regret(10);
        assert!((regret / 3_200.0 - 1.0).abs() < 0.01, "{regret}");
        ledger.end(10);
        ledger.settle(10);
        assert!((ledger.regret(20) - regret).abs() < 1e-6);
    }

    #[test]
    fn it_survives_being_written_and_does_not_grow() {
        let mut ledger = Ledger::new(2, Reward::Count, None, 0);
        for at in 0..1_000u64 {
            ledger.begin(at * 10, vec![5_000, 5_000]);
            ledger.credit(at + 1, vec![arm(10.0, 1.0), arm(10.0, 2.0)]);
            ledger.settle(at * 10);
        }
        assert_eq!((ledger.lines.len(), ledger.open.len()), (KEPT, 1));
        let text = serde_json::to_string(&ledger).unwrap();
        assert!(text.len() < 60_000, "{}", text.len());
        let back: Ledger = serde_json::from_str(&text).unwrap();
        assert_eq!(back.units(), ledger.units());
    }
}
