//! Guardrails of a bandit: every arm is held against the stable version, whatever it earns.
//!
//! Each set of weights is compared within itself, so its window begins anew with each; the n-th gets `6 / (pi n)^2` of a criterion's alpha,
//! which add up to 1, and arms share it equally.

use super::measuring::{BOUNDS_MS, MOST_INTERVALS};
use super::{EventKind, Turn};
use crate::file::WHOLE;
use crate::judge::{self, Case};
use crate::plan::{Plan, Weights};
use crate::state::{Look, VerdictKind};

impl Turn<'_> {
    /// Looks at every arm, and drops one that fails at once.
    pub(super) fn judge_arms(&mut self) {
        let plan = self.plan;
        let (Some(game), Some(played), Some(window)) = (&plan.bandit, &self.state.bandit, &self.state.window) else {
            return;
        };
        if played.winner.is_some() {
            return;
        }
        let step = plan.step(self.state.step);
        let before = self.state.look.as_ref();
        let bounds_at = before.map_or(0, |l| l.bounds_at_ms);
        let full = self.now.saturating_sub(bounds_at) >= BOUNDS_MS.max(window.measured_ms / 10);
        let others: Vec<usize> =
            (1..game.arms.len()).filter(|i| played.out.get(*i).is_some_and(Option::is_none)).collect();
        let n = std::f64::consts::PI * f64::from(played.published.max(1));
        let part = 6.0 / (n * n) / (game.arms.len() - 1).max(1) as f64;
        let mut step = step.clone();
        step.criteria.iter_mut().for_each(|c| c.alpha *= part);
        let mut whole: Option<Look> = None;
        let mut failed = None;
        let mut looks = Vec::new();
        for i in others {
            let Some(name) = game.arms.get(i) else { continue };
            let mut of_arm: Plan = plan.clone();
            of_arm.canary.clone_from(name);
            let (mine, stable) = (self.share_of(name), self.share_of(&plan.stable));
            let both = (mine + stable).max(1);
            let weights = Weights::canary(mine * WHOLE / both);
            let prefix = if game.arms.len() > 2 { format!("{name}: ") } else { String::new() };
            let previous = before.map(|look| of(look, &prefix));
            let case = Case {
                plan: &of_arm,
                step: &step,
                now_ms: self.now,
                weights: &weights,
                window,
                recent: self.state.recent.as_ref(),
                lagged: &self.state.lagged,
                baseline: self.state.baseline.as_ref(),
                measurements: &self.input.measurements,
                previous: previous.as_ref(),
                full,
            };
            let mut look = judge::look(&case);
            look.figures.iter_mut().for_each(|f| f.name = format!("{prefix}{}", f.name));
            look.sentence = format!("{prefix}{}", look.sentence);
            looks.push((i, look));
        }
        for (i, mut look) in looks {
            let failing = self.tally(&step, &look);
            if look.verdict == VerdictKind::Fail && failing.is_none() {
                look.verdict = VerdictKind::Inconclusive;
            }
            if let Some(sentence) = failing {
                failed.get_or_insert((i, sentence));
            }
            match &mut whole {
                None => whole = Some(look),
                Some(all) => join(all, look),
            }
        }
        let Some(mut look) = whole else { return };
        look.weights = self.state.weights.clone();
        look.bandit = self.state.look.take().and_then(|l| l.bandit);
        let most = MOST_INTERVALS * plan.judging.interval_ms;
        let blind = look.verdict == VerdictKind::Error;
        self.state.blind_ms = if blind { self.state.blind_ms + self.elapsed.min(most) } else { 0 };
        self.state.look = Some(look);
        if let Some((arm, sentence)) = failed {
            self.event_with_look(EventKind::Verdict, format!("guardrail: {sentence}"));
            self.drop_arm(arm, &sentence);
        }
    }

    fn share_of(&self, arm: &str) -> u32 {
        super::bandit::share(&self.state.weights, &self.plan.stable, arm)
    }
}

/// An arm's part of the last look, with the names that its criteria have.
fn of(look: &Look, prefix: &str) -> Look {
    let mut mine = look.clone();
    mine.figures.retain_mut(|f| match f.name.strip_prefix(prefix) {
        Some(name) => {
            f.name = name.to_owned();
            true
        }
        None => false,
    });
    mine
}

/// Adds an arm's look to the others': the worst verdict counts.
fn join(all: &mut Look, look: Look) {
    let rank = |verdict: VerdictKind| match verdict {
        VerdictKind::Pass => 0,
        VerdictKind::Inconclusive => 1,
        VerdictKind::Error => 2,
        VerdictKind::Fail => 3,
    };
    if rank(look.verdict) > rank(all.verdict) {
        all.verdict = look.verdict;
        all.sentence.clone_from(&look.sentence);
    }
    all.canary_requests += look.canary_requests;
    all.figures.extend(look.figures);
}
