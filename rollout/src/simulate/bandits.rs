//! Policies of a bandit against each other, over many seeds: what they earn, what they give up, what they find out.
//!
//! Arms have true rates; users come and come back, and some are always luckier than others. The policies, floors, rounding and
//! inference are those of a live rollout ([`crate::bandit`]). Nothing here talks to a state machine: [`super::simulate`] does.

use super::random::Random;
use crate::bandit::{Ledger, Policy, Reward, Rules, weights};
use crate::file::WHOLE;
use crate::measure::BUCKETS;
use crate::stats::adaptive::Holds;
use crate::stats::{Arm, Reason, normal};

/// Batches are so long, ms: any number would do.
const BATCH_MS: u64 = 60_000;

/// What the arms are, and how the bandit plays them.
#[derive(Debug, Clone, PartialEq)]
pub struct Game {
    /// The true chance of a reward for one unit of each arm, 0 to 1.
    pub rates: Vec<f64>,
    /// From this batch on (from 0) the rates are others: rewards that drift.
    pub shift: Option<(u32, Vec<f64>)>,
    /// Units (requests, or outcomes) in a batch, all arms together.
    pub units: f64,
    /// Batches.
    pub batches: u32,
    /// Users that they come from, over the whole time.
    pub users: u64,
    /// How alike one user's units are: the intraclass correlation, 0 to 1.
    pub correlation: f64,
    /// What every arm keeps, parts of [`WHOLE`].
    pub floor: u32,
    /// Changes of a weight below this are not made.
    pub least_change: u32,
    /// Units that each arm needs before any is preferred.
    pub warm_up: f64,
    /// After how many batches a reward weighs half as much; none: never.
    pub half_life: Option<f64>,
    /// How many batches rewards come late.
    pub delay: u32,
}

impl Default for Game {
    fn default() -> Self {
        Self {
            rates: vec![0.05, 0.06, 0.08],
            shift: None,
            units: 1_000.0,
            batches: 50,
            users: 10_000,
            correlation: 0.0,
            floor: 100,
            least_change: 100,
            warm_up: 100.0,
            half_life: None,
            delay: 0,
        }
    }
}

/// One play.
#[derive(Debug, Clone)]
pub struct Played {
    /// Rewards given up against everybody on the best arm at all times, by the true rates.
    pub regret: f64,
    /// The same as the ledger estimates it, which knows no true rates.
    pub estimated: f64,
    /// Weights of each batch.
    pub weights: Vec<Vec<u32>>,
    /// Share of users that changed their arm, added up over all changes of weights.
    pub moved: f64,
    /// Changes of weights.
    pub changes: u32,
    /// Everything that was counted.
    pub ledger: Ledger,
}

/// Plays once. The same arguments give the same play.
#[must_use]
pub fn play(game: &Game, policy: Policy, seed: u64) -> Played {
    let count = game.rates.len();
    let rules = Rules { policy, floor: game.floor, least_change: game.least_change, warm_up: game.warm_up };
    let half_life = game.half_life.map(|batches| (batches * BATCH_MS as f64) as u64);
    let mut ledger = Ledger::new(count, Reward::Rate, half_life, u64::from(game.delay) * BATCH_MS);
    let mut random = Random::new(seed);
    let luck = luck(game, &mut random);
    let out = vec![false; count];
    let mut current = weights::rounded(&vec![1.0; count], &out, game.floor);
    let (mut regret, mut moved, mut changes, mut all) = (0.0, 0.0, 0, Vec::new());
    let mut late: std::collections::VecDeque<(u64, Vec<Arm>)> = std::collections::VecDeque::new();
    for batch in 0..game.batches {
        let now = u64::from(batch) * BATCH_MS;
        ledger.begin(now, current.clone());
        let rates = match &game.shift {
            Some((from, rates)) if batch >= *from => rates,
            _ => &game.rates,
        };
        let top = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut arms = Vec::with_capacity(count);
        for ((rate, weight), luck) in rates.iter().zip(&current).zip(&luck) {
            let mut arm = Arm::default();
            let expected = game.units * f64::from(*weight) / f64::from(WHOLE) / BUCKETS as f64;
            for (bucket, luck) in luck.iter().enumerate() {
                let units = random.poisson(expected * luck.0);
                let earned = random.binomial(units, (rate * luck.1).clamp(0.0, 1.0));
                arm.add(bucket, units as f64, earned as f64);
                regret += (top - rate) * units as f64;
            }
            arms.push(arm);
        }
        late.push_back((u64::from(batch) + 1, arms));
        if late.len() > game.delay as usize
            && let Some((number, arms)) = late.pop_front()
        {
            ledger.credit(number, arms);
        }
        let end = now + BATCH_MS;
        ledger.end(end);
        ledger.settle(end);
        let next = rules.next(&ledger, &current, &out, end);
        all.push(current.clone());
        if next != current {
            moved += weights::moved(&current, &next);
            changes += 1;
        }
        current = next;
    }
    // What was on its way arrives.
    for (number, arms) in late {
        ledger.credit(number, arms);
    }
    let end = u64::from(game.batches) * BATCH_MS;
    Played { regret, estimated: ledger.regret(end), weights: all, moved, changes, ledger }
}

/// For each arm and bucket: by how much more its users come, and how much luckier they are, than on average. As of so many users of which each
/// comes as often as an exponential variable says; averages 1.
fn luck(game: &Game, random: &mut Random) -> Vec<Vec<(f64, f64)>> {
    let each = (game.users as f64 / BUCKETS as f64).max(1.0);
    game.rates
        .iter()
        .map(|rate| {
            (0..BUCKETS)
                .map(|_| {
                    let comes = random.gamma(each) / each;
                    // Users weigh by how often they come: their squares add up to twice as much as if all came equally often.
                    let lucky = random.beta(*rate, 2.0 * game.correlation / each);
                    (comes, if *rate > 0.0 { lucky / rate } else { 1.0 })
                })
                .collect()
        })
        .collect()
}

/// What a policy came to over many plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The policy.
    pub policy: Policy,
    /// Mean regret, and the interval of that mean at 95 %.
    pub regret: f64,
    /// See [`Self::regret`].
    pub low: f64,
    /// See [`Self::regret`].
    pub high: f64,
    /// Part of the rewards that could have been had which were earned, 0 to 1.
    pub earned: f64,
    /// Share of the plays in which the arm that seemed best in the end was the best.
    pub right: f64,
    /// Mean share of the best arm in each batch.
    pub best_share: Vec<f64>,
    /// Mean number of changes of weights in a play, and the mean share of users that each moved.
    pub changes: f64,
    /// See [`Self::changes`].
    pub moved: f64,
    /// Share of the plays whose interval for the best arm (inverse propensity, one look, 95 %) held the truth; none where rates shifted.
    pub covered: Option<f64>,
    /// Mean error of the plain average of the arm that is best, as part of its rate: below 0, it is too low.
    pub plain_bias: Option<f64>,
}

/// Plays every policy on the same seeds.
///
/// # Errors
/// [`Reason::TooFew`] for fewer than two arms or plays; [`Reason::NotAProbability`] for rates beyond 0 to 1; [`Reason::OutOfRange`] for the rest.
pub fn compare(game: &Game, policies: &[Policy], seeds: std::ops::Range<u64>) -> Result<Vec<Compared>, Reason> {
    check(game)?;
    let plays = seeds.end.saturating_sub(seeds.start) as f64;
    if plays < 2.0 {
        return Err(Reason::TooFew { what: "plays", have: plays, need: 2.0 });
    }
    Ok(policies.iter().map(|policy| one(game, *policy, seeds.clone())).collect())
}

fn check(game: &Game) -> Result<(), Reason> {
    if game.rates.len() < 2 {
        return Err(Reason::TooFew { what: "arms", have: game.rates.len() as f64, need: 2.0 });
    }
    let shifted = game.shift.iter().flat_map(|(_, rates)| rates);
    if let Some(rate) = game.rates.iter().chain(shifted).find(|rate| !(0.0..=1.0).contains(*rate)) {
        return Err(Reason::NotAProbability { what: "the rate of an arm", value: *rate });
    }
    if let Some((_, rates)) = game.shift.as_ref().filter(|(_, rates)| rates.len() != game.rates.len()) {
        return Err(Reason::LengthsDiffer { left: game.rates.len(), right: rates.len() });
    }
    let range = |what, value: f64, fits: bool, allowed| {
        if fits { Ok(()) } else { Err(Reason::OutOfRange { what, value, allowed }) }
    };
    range("the number of units in a batch", game.units, (1.0..1e9).contains(&game.units), "1 to 1e9")?;
    let batches = f64::from(game.batches);
    range("the number of batches", batches, (1.0..=100_000.0).contains(&batches), "1 to 100,000")?;
    range("the number of users", game.users as f64, game.users >= 32, "at least 32")?;
    range("the correlation", game.correlation, (0.0..=1.0).contains(&game.correlation), "0 to 1")?;
    let most = f64::from(WHOLE) / game.rates.len() as f64;
    range("the floor", f64::from(game.floor), f64::from(game.floor) <= most, "at most an equal share")?;
    let half = game.half_life.unwrap_or(1.0);
    range("the half-life", half, half.is_finite() && half > 0.0, "above 0")
}

fn one(game: &Game, policy: Policy, seeds: std::ops::Range<u64>) -> Compared {
    let index = |rates: &[f64]| (0..rates.len()).max_by(|a, b| f(rates, *a).total_cmp(&f(rates, *b)).then(b.cmp(a)));
    let last = game.shift.as_ref().map_or(&game.rates, |(_, rates)| rates);
    let (first_best, last_best) = (index(&game.rates).unwrap_or(0), index(last).unwrap_or(0));
    let truth = f(&game.rates, first_best);
    let end_ms = u64::from(game.batches) * BATCH_MS;
    let mut regrets = Vec::new();
    let mut best_share = vec![0.0; game.batches as usize];
    let (mut right, mut changes, mut moved, mut covered, mut bias, mut plays) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for seed in seeds {
        let played = play(game, policy, seed);
        regrets.push(played.regret);
        for (batch, weights) in played.weights.iter().enumerate() {
            let shifted = game.shift.as_ref().is_some_and(|(from, _)| batch >= *from as usize);
            let best = if shifted { last_best } else { first_best };
            if let (Some(sum), Some(weight)) = (best_share.get_mut(batch), weights.get(best)) {
                *sum += f64::from(*weight) / f64::from(WHOLE);
            }
        }
        let known: Option<Vec<_>> = played.ledger.posteriors(end_ms).into_iter().map(Result::ok).collect();
        let top = known.and_then(|known| crate::bandit::policy::leader(&known));
        right += f64::from(u8::from(top == Some(last_best)));
        changes += f64::from(played.changes);
        moved += played.moved;
        plays += 1.0;
        let sums = played.ledger.inference();
        covered += f64::from(u8::from(
            sums.value(first_best, 0.05, Holds::Once).is_ok_and(|e| e.low <= truth && truth <= e.high),
        ));
        bias += sums.plain(first_best).map_or(0.0, |(_, mean)| mean / truth - 1.0);
    }
    let mean = regrets.iter().sum::<f64>() / plays;
    let variance = regrets.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (plays - 1.0);
    let half = normal::to_t(normal::isf(0.025), plays - 1.0) * (variance / plays).sqrt();
    let tops = (0..game.batches).map(|batch| match &game.shift {
        Some((from, _)) if batch >= *from => f(last, last_best),
        _ => truth,
    });
    let possible = game.units * tops.sum::<f64>();
    best_share.iter_mut().for_each(|share| *share /= plays);
    let steady = game.shift.is_none();
    Compared {
        policy,
        regret: mean,
        low: mean - half,
        high: mean + half,
        earned: if possible > 0.0 { 1.0 - mean / possible } else { 1.0 },
        right: right / plays,
        best_share,
        changes: changes / plays,
        moved: if changes > 0.0 { moved / changes } else { 0.0 },
        covered: steady.then_some(covered / plays),
        plain_bias: (steady && truth > 0.0).then_some(bias / plays),
    }
}

fn f(rates: &[f64], at: usize) -> f64 {
    rates.get(at).copied().unwrap_or(0.0)
}
