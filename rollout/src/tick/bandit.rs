//! A bandit's turns: rewards are credited, and at the end of each batch shares follow them.
//!
//! Rewards of the present epoch come from the window's counters, those of outcomes are asked anew for each epoch that is still open. A push
//! ends an epoch; the next one begins when its weights are in force, and what happens in between belongs to none.

use super::effects::By;
use super::{EventKind, Turn};
use crate::bandit::posterior::best;
use crate::bandit::{Ledger, Posterior, weights};
use crate::file::{NotificationKind, WHOLE};
use crate::measure::Totals;
use crate::plan::{BanditPlan, RewardSource, Weights};
use crate::state::{
    ArmLook, BanditLook, BanditState, HoldCause, Interval, Known, Outcome, Phase, StepResult, VerdictKind,
};
use crate::stats::Arm;
use crate::stats::adaptive::{Estimate, Holds};
use crate::text::{percent, span};

use super::measuring::BOUNDS_MS;

/// Of the intervals that are shown.
const ALPHA: f64 = 0.05;

impl Turn<'_> {
    /// Begins to play; after a restart of the step with what was learnt.
    pub(super) fn begin_bandit(&mut self) {
        let plan = self.plan;
        let Some(game) = &plan.bandit else { return };
        let arms = game.arms.len();
        let played = self.state.bandit.take().unwrap_or_else(|| BanditState {
            ledger: Ledger::new(arms, game.reward, game.half_life_ms, game.delay_ms),
            out: vec![None; arms],
            base: vec![Arm::default(); arms],
            published: 0,
            measured_ms: 0,
            winner: None,
            compared_ms: 0,
        });
        let out: Vec<bool> = played.out.iter().map(Option::is_some).collect();
        let next = game.rules.wanted(&played.ledger, &out, self.now);
        self.state.bandit = Some(played);
        self.state.tallies.clear();
        self.state.blind_ms = 0;
        self.state.look = None;
        let text = format!("bandit: {}", listed(game, &next));
        self.event(EventKind::StepStarted, text);
        self.phase(Phase::Progressing, "shares follow rewards");
        self.notify(NotificationKind::Step, "the bandit began");
        self.publish_shares(&next, "the bandit begins".to_owned());
    }

    /// Asks for shares of the arms. What is counted until then belongs to the epoch that ends.
    fn publish_shares(&mut self, next: &[u32], why: String) {
        let Some(game) = &self.plan.bandit else { return };
        let measured = self.state.window.as_ref().map_or(0, |w| w.measured_ms);
        if let Some(played) = &mut self.state.bandit {
            played.ledger.end(self.now);
            played.measured_ms += measured;
            played.published += 1;
        }
        let names = game.arms.iter().map(String::as_str);
        let shares = Weights::of_arms(&self.plan.stable, names.zip(next.iter().copied()));
        let number = self.state.bandit.as_ref().map_or(0, |b| b.published);
        if shares == self.state.weights {
            return;
        }
        self.keep_baseline();
        self.publish(shares, false, format!("bandit.{number}"), why);
    }

    /// What a bandit does at a turn whose weights are in force.
    pub(super) fn bandit_step(&mut self) {
        let plan = self.plan;
        let Some(game) = &plan.bandit else { return };
        let Some(mut played) = self.state.bandit.take() else { return };
        if let Some(winner) = played.winner {
            self.state.bandit = Some(played);
            self.won(game, winner);
            return;
        }
        self.credit(game, &mut played);
        played.ledger.settle(self.now);
        let since = played.ledger.current().map(|e| e.since_ms);
        let over = since.is_some_and(|since| self.now.saturating_sub(since) >= game.batch_ms);
        let settled = self.state.delivery.short_since_ms.is_none() && !self.state.drifted;
        if over || self.now.saturating_sub(played.compared_ms) >= BOUNDS_MS {
            played.compared_ms = self.now;
            let shown = compared(game, &played, self.now, plan.step(self.state.step).duration_ms);
            if let Some(look) = &mut self.state.look {
                look.bandit = Some(shown);
            }
        }
        self.state.bandit = Some(played);
        if over && settled {
            self.next_batch(game);
        }
        self.time_is_up(game);
    }

    /// Notes what was earned.
    fn credit(&mut self, game: &BanditPlan, played: &mut BanditState) {
        let input = self.input;
        let by_counters = !matches!(game.source, RewardSource::Outcomes { .. });
        let ledger = &mut played.ledger;
        if let Some(window) = &self.state.window {
            let counted = earned(game, &window.totals);
            // A window that began anew within the epoch (what is published was changed and put back) ends it.
            if ledger.current().is_some_and(|e| window.since_ms > e.since_ms) {
                ledger.end(window.since_ms);
            }
            if ledger.current().is_none() {
                let now = self.state.weights.clone();
                let parts = game.arms.iter().map(|a| share(&now, &self.plan.stable, a)).collect();
                ledger.begin(window.since_ms.max(1), parts);
                played.base = vec![Arm::default(); game.arms.len()];
            }
            if let (true, Some(current)) = (by_counters, ledger.current()) {
                let number = current.number;
                let new = counted.iter().zip(&played.base).map(|(now, then)| less(now, then)).collect();
                ledger.credit(number, new);
            }
        }
        for answer in &input.rewards {
            let arm = |name: &String| {
                let mut arm = Arm::default();
                let sums = answer.arms.get(name).map(|s| s.buckets.as_slice()).unwrap_or_default();
                for (bucket, (count, sum)) in sums.iter().enumerate().filter(|(_, (_, sum))| sum.is_finite()) {
                    arm.add(bucket, *count as f64, *sum);
                }
                arm
            };
            ledger.credit(answer.epoch, game.arms.iter().map(arm).collect());
        }
    }

    /// A batch is over: the shares of the next one.
    fn next_batch(&mut self, game: &BanditPlan) {
        let Some(played) = &mut self.state.bandit else { return };
        let Some(current) = played.ledger.current().map(|e| e.weights.clone()) else { return };
        let out: Vec<bool> = played.out.iter().map(Option::is_some).collect();
        let next = game.rules.next(&played.ledger, &current, &out, self.now);
        if next != current {
            let moved = weights::moved(&current, &next);
            let why = format!("{}; {:.1} % of users change their variant", listed(game, &next), moved * 100.0);
            self.event_with_look(EventKind::Shares, format!("shares follow rewards: {why}"));
            self.publish_shares(&next, why);
            return;
        }
        // The same weights: the next epoch begins where this one ends.
        played.ledger.begin(self.now, current);
        if let Some(window) = &self.state.window {
            played.base = earned(game, &window.totals);
        }
    }

    /// Takes an arm out that failed a guardrail, or goes back.
    pub(super) fn drop_arm(&mut self, arm: usize, sentence: &str) {
        let plan = self.plan;
        let Some(game) = &plan.bandit else { return };
        let Some(played) = &mut self.state.bandit else { return };
        if let Some(out) = played.out.get_mut(arm) {
            *out = Some(sentence.to_owned());
        }
        let left = played.out.iter().skip(1).filter(|o| o.is_none()).count();
        if !game.drop || left == 0 {
            let why = if game.drop { format!("{sentence}; no variant is left") } else { sentence.to_owned() };
            self.roll_back(Outcome::RolledBack, &By::headgate(why), true);
            return;
        }
        let out: Vec<bool> = played.out.iter().map(Option::is_some).collect();
        let next = game.rules.wanted(&played.ledger, &out, self.now);
        let name = game.arms.get(arm).map_or("", String::as_str);
        let text = format!("{name} gets nobody any more: {sentence}; {}", listed(game, &next));
        self.event_with_look(EventKind::Shares, text.clone());
        self.notify(NotificationKind::Rollback, text.clone());
        self.publish_shares(&next, text);
    }

    fn time_is_up(&mut self, game: &BanditPlan) {
        let duration = self.plan.step(self.state.step).duration_ms.unwrap_or(u64::MAX);
        let Some(played) = &self.state.bandit else { return };
        let measured = played.measured_ms + self.state.window.as_ref().map_or(0, |w| w.measured_ms);
        if measured < duration || self.state.window.is_none() {
            return;
        }
        let after = span(measured);
        let Some((leader, chance)) = leader(played, self.now) else {
            self.hold_bandit(format!("after {after} too little is known of some variant to name the best"));
            return;
        };
        let name = game.arms.get(leader).map_or("", String::as_str);
        let text = format!("after {after} {name} is the best with a chance of {:.1} %", chance * 100.0);
        match game.finish_at {
            Some(enough) if chance >= enough => self.finish(leader, text),
            Some(enough) => self.hold_bandit(format!(
                "{text}; {:.1} % are asked for. It goes on by itself, or by `headgate promote`, which gives it all users",
                enough * 100.0
            )),
            None => self.hold_bandit(format!("{text}; `headgate promote` gives it all users, `headgate abort` ends it")),
        }
    }

    fn hold_bandit(&mut self, reason: String) {
        if self.state.hold.is_none() {
            self.hold(HoldCause::Inconclusive, reason);
        }
    }

    /// A person gives the leader all users.
    pub(super) fn promote_leader(&mut self, force: bool, by: &By) -> Result<String, String> {
        let Some(played) = &self.state.bandit else { return Err("it has not begun to play".to_owned()) };
        if played.winner.is_some() {
            return Ok("it is about to end already".to_owned());
        }
        let due = self.state.hold.as_ref().is_some_and(|h| h.cause == HoldCause::Inconclusive);
        if !due && !force {
            return Err(
                "its time is not up: to end it now would cut it short; --force --reason \"…\" does it, and stands in the audit"
                    .to_owned(),
            );
        }
        let Some((leader, chance)) = leader(played, self.now) else {
            return Err("too little is known of some variant to name the best; `headgate abort` goes back".to_owned());
        };
        let name = self.plan.bandit.as_ref().and_then(|g| g.arms.get(leader)).cloned().unwrap_or_default();
        self.state.paused_from = None;
        self.finish(
            leader,
            format!("promoted by {}: {name} leads with a chance of {:.1} %", by.words(), chance * 100.0),
        );
        Ok(format!("{name} gets all users"))
    }

    /// Gives one arm all users.
    fn finish(&mut self, arm: usize, why: String) {
        let Some(game) = &self.plan.bandit else { return };
        if arm == 0 {
            self.roll_back(Outcome::RolledBack, &By::headgate(format!("{why}: the stable version earns most")), true);
            return;
        }
        let all: Vec<u32> = (0..game.arms.len()).map(|i| if i == arm { WHOLE } else { 0 }).collect();
        if let Some(played) = &mut self.state.bandit {
            played.winner = Some(arm);
        }
        self.state.hold = None;
        self.event_with_look(EventKind::Verdict, why.clone());
        self.state.results.push(StepResult {
            step: self.state.step,
            name: "bandit".to_owned(),
            attempt: self.state.attempt,
            since_ms: self.state.step_since_ms,
            until_ms: self.now,
            verdict: Some(VerdictKind::Pass),
            sentence: why.clone(),
        });
        self.phase(Phase::Progressing, why.clone());
        self.publish_shares(&all, why);
    }

    /// The winner has all users: as with a canary, it is not over before the fail-safe route is seen to reach it.
    fn won(&mut self, game: &BanditPlan, winner: usize) {
        let name = game.arms.get(winner).map_or("", String::as_str);
        self.state.judged = None;
        self.phase(
            Phase::Finalising,
            format!("{name} has all users; verifying that the fail-safe route reaches it; keep the old version"),
        );
    }

    /// The arm that a bandit gave all users.
    pub(super) fn winner(&self) -> Option<&str> {
        let winner = self.state.bandit.as_ref()?.winner?;
        self.plan.bandit.as_ref()?.arms.get(winner).map(String::as_str)
    }
}

/// An arm's share of users, parts of [`WHOLE`].
pub(super) fn share(weights: &Weights, stable: &str, arm: &str) -> u32 {
    match weights.arms.get(arm) {
        Some(parts) => *parts,
        None if arm == stable => WHOLE.saturating_sub(weights.canary),
        None => 0,
    }
}

/// `stable 20%, a 60%, b 20%`.
fn listed(game: &BanditPlan, parts: &[u32]) -> String {
    let one = |(name, parts): (&String, &u32)| format!("{name} {}", percent(*parts));
    game.arms.iter().zip(parts).map(one).collect::<Vec<_>>().join(", ")
}

/// What each arm earned by the counters: requests that finished well among those that finished, or conversions among exposures.
fn earned(game: &BanditPlan, totals: &Totals) -> Vec<Arm> {
    let one = |name: &String| {
        let mut arm = Arm::default();
        for counters in totals.variants.get(name).into_iter().flat_map(|segments| segments.values()) {
            if let RewardSource::Goal { name } = &game.source {
                for (bucket, (reached, exposed)) in counters.conversions(name).enumerate() {
                    arm.add(bucket, exposed as f64, reached as f64);
                }
                continue;
            }
            for (bucket, r) in counters.replicates.iter().enumerate() {
                let well = r.finished.saturating_sub(r.failures);
                arm.add(bucket, r.finished as f64, well as f64);
            }
        }
        arm
    };
    game.arms.iter().map(one).collect()
}

fn less(now: &Arm, then: &Arm) -> Arm {
    let mut arm = Arm::default();
    for (bucket, cell) in now.cells.iter().enumerate() {
        let before = then.cells.get(bucket).copied().unwrap_or_default();
        arm.add(bucket, (cell.units - before.units).max(0.0), (cell.total - before.total).max(0.0));
    }
    arm
}

/// The arm that is most likely the best among those that are not out, with that chance; none while one of them is unknown.
fn leader(played: &BanditState, now_ms: u64) -> Option<(usize, f64)> {
    let known = played.ledger.posteriors(now_ms);
    let inside: Vec<usize> = (0..known.len()).filter(|i| played.out.get(*i).is_some_and(Option::is_none)).collect();
    let arms: Vec<Posterior> =
        inside.iter().map(|i| known.get(*i).and_then(|k| k.clone().ok())).collect::<Option<_>>()?;
    let chances = best(&arms).chance;
    inside.into_iter().zip(chances).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// What is shown of the arms.
fn compared(game: &BanditPlan, played: &BanditState, now_ms: u64, duration_ms: Option<u64>) -> BanditLook {
    let known: Vec<Option<Posterior>> = played.ledger.posteriors(now_ms).into_iter().map(Result::ok).collect();
    let inside: Vec<usize> = (0..known.len())
        .filter(|i| played.out.get(*i).is_some_and(Option::is_none) && known.get(*i).is_some_and(Option::is_some))
        .collect();
    let compared: Vec<Posterior> = inside.iter().filter_map(|i| known.get(*i).copied().flatten()).collect();
    let chances = best(&compared).chance;
    let chance = |i: usize| inside.iter().position(|k| *k == i).and_then(|at| chances.get(at).copied());
    let sums = played.ledger.inference();
    let holds = Holds::Always { best: duration_ms.map_or(100.0, |ms| (ms / game.batch_ms.max(1)).max(1) as f64) };
    let interval = |e: Estimate| Interval { value: e.value, low: e.low, high: e.high };
    let units = played.ledger.units();
    let weights = played.ledger.current().map(|e| e.weights.clone()).unwrap_or_default();
    let arm = |(i, name): (usize, &String)| {
        let posterior = known.get(i).copied().flatten();
        ArmLook {
            name: name.clone(),
            weight: weights.get(i).copied().unwrap_or(0),
            units: units.get(i).copied().unwrap_or(0.0),
            known: posterior.map(Known::from),
            credible: posterior.and_then(|p| {
                let [low, high] = p.interval(ALPHA).ok()?;
                Some(Interval { value: p.mean(), low, high })
            }),
            chance: chance(i),
            estimate: sums.value(i, ALPHA, holds).ok().map(interval),
            lead: (i > 0).then(|| sums.difference(0, i, ALPHA, holds).ok()).flatten().map(interval),
            out: played.out.get(i).cloned().flatten(),
        }
    };
    let arms: Vec<ArmLook> = game.arms.iter().enumerate().map(arm).collect();
    let batches = played.ledger.current().or(played.ledger.open.back()).map_or(0, |e| e.number);
    BanditLook { arms, batches, regret: played.ledger.regret(now_ms), units: units.iter().sum() }
}
