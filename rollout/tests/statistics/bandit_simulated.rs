//! Bandits over many seeds: what they give up, what they keep, and whether their intervals hold.

use headgate_rollout::bandit::Policy;
use headgate_rollout::file::WHOLE;
use headgate_rollout::simulate::bandits::{Game, compare, play};
use headgate_rollout::stats::adaptive::Holds;

const EPSILON: Policy = Policy::EpsilonGreedy { epsilon: 0.1 };

#[test]
fn thompson_gives_up_less_than_the_others_beyond_chance() {
    let game = Game { units: 800.0, batches: 40, correlation: 0.05, ..Game::default() };
    let found = compare(&game, &[Policy::Uniform, EPSILON, Policy::Thompson], 1..81).unwrap();
    let [uniform, greedy, thompson] = found.as_slice() else { panic!("three") };
    // Intervals of 95 % that do not meet: chance alone would part them in far fewer than 1 of 1,000 runs.
    assert!(thompson.high < greedy.low && greedy.high < uniform.low, "{found:?}");
    // Uniform's regret is known: (0.03 + 0.02 + 0) / 3 of all units. Within four of its own standard errors (the half is 1.99 of them).
    let exact = 0.05 / 3.0 * 800.0 * 40.0;
    assert!((uniform.regret - exact).abs() <= 2.01 * (uniform.high - uniform.regret), "{} {exact}", uniform.regret);
    assert!(thompson.right > 0.9 && thompson.best_share.last() > Some(&0.8), "{thompson:?}");
}

#[test]
fn floors_are_kept_in_every_batch_and_few_users_move() {
    let game = Game { floor: 700, batches: 40, ..Game::default() };
    for policy in [EPSILON, Policy::Thompson] {
        let played = play(&game, policy, 7);
        assert!(played.weights.iter().all(|w| w.iter().all(|part| *part >= 700) && w.iter().sum::<u32>() == WHOLE));
        assert!(played.changes < 25, "{} changes", played.changes);
    }
}

#[test]
fn intervals_by_inverse_propensity_hold_where_plain_averages_are_too_low() {
    // Users who come back, in every epoch, and an arm that is hardly worse: what makes a bandit's averages wrong.
    let game = Game {
        rates: vec![0.10, 0.10],
        units: 400.0,
        batches: 20,
        users: 2_000,
        correlation: 0.1,
        least_change: 1,
        warm_up: 10.0,
        floor: 200,
        ..Game::default()
    };
    let (plays, mut covered, mut of_difference, mut bias, mut debiased) = (400_u64, 0, 0, 0.0, 0.0);
    for seed in 0..plays {
        let sums = play(&game, Policy::Thompson, 9_000 + seed).ledger.inference();
        let value = sums.value(0, 0.05, Holds::Once).unwrap();
        covered += usize::from(value.low <= 0.10 && 0.10 <= value.high);
        let difference = sums.difference(0, 1, 0.05, Holds::Once).unwrap();
        of_difference += usize::from(difference.low <= 0.0 && 0.0 <= difference.high);
        bias += sums.plain(0).unwrap().1 / 0.10 - 1.0;
        debiased += value.value / 0.10 - 1.0;
    }
    let n = plays as f64;
    // Four standard errors below 95 %.
    let least = 0.95 - 4.0 * (0.95 * 0.05 / n).sqrt();
    assert!(covered as f64 / n >= least && of_difference as f64 / n >= least, "{covered} {of_difference} of {plays}");
    // Each of the two means has a standard error of about a quarter of the bias, so no more is asked than that it is clearly smaller.
    assert!(bias / n < -0.01 && debiased.abs() < 0.75 * bias.abs(), "{} {}", bias / n, debiased / n);
}

#[test]
fn rewards_that_drift_are_followed_only_by_those_who_forget() {
    let game = Game {
        rates: vec![0.05, 0.10],
        shift: Some((30, vec![0.10, 0.05])),
        batches: 60,
        floor: 300,
        ..Game::default()
    };
    let forgets = Game { half_life: Some(4.0), ..game.clone() };
    let [keeps] = compare(&game, &[Policy::Thompson], 1..31).unwrap().try_into().unwrap();
    let [fades] = compare(&forgets, &[Policy::Thompson], 1..31).unwrap().try_into().unwrap();
    assert!(fades.high < keeps.low, "{} to {}; {} to {}", fades.low, fades.high, keeps.low, keeps.high);
    assert!(fades.best_share[59] > 0.9 && fades.best_share[29] > 0.9, "{:?}", fades.best_share);
}

#[test]
fn late_rewards_cost_some_regret_and_no_reward() {
    let game = Game { batches: 30, ..Game::default() };
    let late = Game { delay: 5, ..game.clone() };
    let (soon, later) = (play(&game, Policy::Thompson, 3), play(&late, Policy::Thompson, 3));
    for played in [&soon, &later] {
        let units: f64 = played.ledger.units().iter().sum();
        assert!((units / 30_000.0 - 1.0).abs() < 0.05, "{units}");
        assert!((played.estimated / played.regret - 1.0).abs() < 0.5, "{} {}", played.estimated, played.regret);
    }
    assert!(later.weights[3] == later.weights[0], "nothing is preferred before anything is told");
    let [of_soon] = compare(&game, &[Policy::Thompson], 1..41).unwrap().try_into().unwrap();
    let [of_late] = compare(&late, &[Policy::Thompson], 1..41).unwrap().try_into().unwrap();
    assert!(of_soon.high < of_late.low, "{} {}", of_soon.regret, of_late.regret);
}

#[test]
fn games_that_cannot_be_played_are_refused() {
    let refused = |game: Game| compare(&game, &[Policy::Thompson], 0..10).unwrap_err().to_string();
    assert!(refused(Game { rates: vec![0.1], ..Game::default() }).contains("arms"));
    assert!(refused(Game { rates: vec![0.1, 1.2], ..Game::default() }).contains("rate of an arm"));
    assert!(refused(Game { shift: Some((3, vec![0.1])), ..Game::default() }).contains("pairs"));
    assert!(refused(Game { floor: 5_000, ..Game::default() }).contains("floor"));
    assert!(refused(Game { units: f64::NAN, ..Game::default() }).contains("units"));
    assert!(compare(&Game::default(), &[Policy::Thompson], 0..1).is_err());
}
