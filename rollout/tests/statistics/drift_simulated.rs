//! Drift by simulation: windows in which nothing moved are seldom called noise's excess, with heavy users and many looks; what moved is found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a simulation panics where it should")]

use std::collections::BTreeMap;

use headgate_rollout::drift::{Told, Verdict, Watch, look};
use headgate_rollout::measure::{Counters, Predicted, Totals};
use headgate_rollout::state::Baseline;
use headgate_rollout::stats::drift::{Ask, Bins, population_stability, risen, share_of_alpha, smirnov};
use headgate_rollout::stats::histogram::Histogram;
use headgate_rollout::stats::{Arm, design};

use crate::traffic::Random;

/// Users with a level of latency of their own; some come a hundred times as often as others.
struct Users(Vec<(f64, f64)>);

/// A window: counts by bin, and by bucket of users for the design effect.
struct Window {
    counts: Histogram,
    effect: f64,
    buckets: usize,
}

const WINDOWS: u32 = 12;

fn edges() -> Vec<f64> {
    (0..60).map(|i| 10.0 * 1.15_f64.powi(i)).collect()
}

impl Users {
    fn new(random: &mut Random, count: usize) -> Self {
        let user = |random: &mut Random| (0.3 * random.normal(), random.uniform().powf(-1.0 / 1.5).min(100.0));
        Self((0..count).map(|_| user(random)).collect())
    }

    fn window(&self, random: &mut Random, slower: f64) -> Window {
        let edges = edges();
        let mut counts = vec![0.0; edges.len() + 1];
        let mut arm = Arm::default();
        for (at, (level, activity)) in self.0.iter().enumerate() {
            for _ in 0..random.poisson(*activity) {
                let latency = slower * 100.0 * (level + 0.5 * random.normal()).exp();
                counts[edges.partition_point(|edge| *edge < latency)] += 1.0;
                arm.add(at % 32, 1.0, latency);
            }
        }
        let counts = Histogram::new(edges, counts).unwrap();
        let effect = design::of_mean(&arm, counts.variance());
        Window { counts, effect, buckets: arm.occupied() }
    }
}

/// PSI and the distance beyond their noise, at the look's share of alpha.
fn beyond(reference: &Window, now: &Window, alpha: f64) -> [bool; 2] {
    let effect = |w: &Window| w.effect * design::margin(w.buckets, alpha);
    let ask = Ask { alpha, reference_effect: effect(reference), now_effect: effect(now) };
    let bins = Bins::new(&reference.counts, 10).unwrap();
    let in_bins = |w: &Window| bins.counts(&w.counts).unwrap();
    let index = population_stability(&in_bins(reference), &in_bins(now), &ask).unwrap();
    let distance = smirnov(&reference.counts, &now.counts, &ask).unwrap();
    [index.moved(0.0), distance.moved(0.0)]
}

/// In how many of `runs` lives each measure was ever beyond its noise.
fn lives(runs: usize, alpha: f64, slower: f64, same_users: bool) -> [usize; 2] {
    let mut ever = [0; 2];
    for run in 0..runs {
        let mut random = Random(0xd41f + run as u64);
        let users = Users::new(&mut random, 400);
        let reference = users.window(&mut random, 1.0);
        let mut found = [false; 2];
        for look in 1..=WINDOWS {
            let others;
            let who = if same_users {
                &users
            } else {
                others = Users::new(&mut random, 400);
                &others
            };
            let now = who.window(&mut random, slower);
            let alarms = beyond(&reference, &now, share_of_alpha(alpha, look));
            found = [found[0] || alarms[0], found[1] || alarms[1]];
        }
        ever = [ever[0] + usize::from(found[0]), ever[1] + usize::from(found[1])];
    }
    ever
}

#[test]
fn windows_in_which_nothing_moved_are_seldom_beyond_noise_however_many_are_looked_at() {
    for same_users in [true, false] {
        let (runs, alpha) = (120, 0.1);
        let alarms = lives(runs, alpha, 1.0, same_users);
        // 12 are expected at most; more than 23 have a chance of 0.1 %.
        assert!(alarms.iter().all(|count| *count <= 23), "same users {same_users}: {alarms:?} of {runs}");
    }
}

#[test]
fn a_latency_that_rose_by_half_is_found() {
    let found = lives(20, 0.01, 1.5, false);
    assert!(found.iter().all(|count| *count >= 19), "{found:?} of 20");
}

/// Everybody's score lies around one's own; some come a hundred times as often as others.
struct Scored(Vec<(f64, f64)>);

const SCORES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

impl Scored {
    fn new(random: &mut Random, count: usize) -> Self {
        let user = |random: &mut Random| (0.5 + 0.15 * random.normal(), random.uniform().powf(-1.0 / 1.5).min(100.0));
        Self((0..count).map(|_| user(random)).collect())
    }

    /// What the proxies count of a window in which all scores are larger by `shift`: scores by bin and users' bucket, and whether they
    /// are above a half as a class.
    fn window(&self, random: &mut Random, shift: f64) -> Totals {
        let (mut score, mut label) = (Predicted::default(), Predicted::default());
        for (at, (level, activity)) in self.0.iter().enumerate() {
            for _ in 0..random.poisson(*activity) {
                let value = level + shift + 0.1 * random.normal();
                let edge = SCORES.iter().find(|edge| value <= **edge).map_or("inf".to_owned(), f64::to_string);
                let class = if value > 0.5 { "spam" } else { "ham" };
                score.values.entry(edge).or_insert_with(|| vec![0; 32])[at % 32] += 1;
                label.classes.entry(class.to_owned()).or_insert_with(|| vec![0; 32])[at % 32] += 1;
            }
        }
        let predictions = BTreeMap::from([("score".to_owned(), score), ("label".to_owned(), label)]);
        let mut totals = Totals::default();
        let counters = Counters { predictions, ..Counters::default() };
        totals.variants.entry("canary".to_owned()).or_default().insert("default".to_owned(), counters);
        totals
    }
}

/// What is watched of them: whatever is beyond chance is drift, however small.
fn anything(alpha: f64) -> Watch {
    Watch {
        variant: "canary".to_owned(),
        window_ms: 1,
        reference: None,
        min_requests: 0,
        alpha,
        psi: 1e-9,
        ks: 1e-9,
        latency: None,
        predictions: None,
        performance: Vec::new(),
        retrain: None,
    }
}

/// Of `runs` lives: in how many each measure of the predictions was ever called drift, and how many measures were decided of all.
fn predicted(runs: usize, alpha: f64, shift: f64) -> (BTreeMap<String, usize>, f64) {
    let watch = anything(alpha);
    let (mut ever, mut decided, mut all) = (BTreeMap::new(), 0.0, 0.0);
    for run in 0..runs {
        let mut random = Random(0x5c04e + run as u64);
        let reference = Scored::new(&mut random, 1_500).window(&mut random, 0.0);
        let reference = Baseline::of("shop", "canary", 0, 1, &reference);
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for number in 1..=WINDOWS {
            let now = Scored::new(&mut random, 1_500).window(&mut random, shift);
            let look = look(&watch, &reference, &now, &Told::default(), number, (1, 2));
            // Nothing was counted of latency.
            assert_ne!(look.verdict, Verdict::Steady);
            for measure in look.measures.iter().filter(|m| m.of != "latency") {
                *found.entry(format!("{} {}", measure.of, measure.measure)).or_default() |= measure.drifted;
                decided += f64::from(u8::from(measure.undecided.is_none()));
                all += 1.0;
            }
        }
        for (measure, alarm) in found {
            *ever.entry(measure).or_insert(0) += usize::from(alarm);
        }
    }
    (ever, decided / all)
}

#[test]
fn predictions_of_other_users_with_other_scores_are_seldom_called_drift_however_often_one_looks() {
    let (runs, alpha) = (100, 0.1);
    let (alarms, decided) = predicted(runs, alpha, 0.0);
    assert_eq!(alarms.len(), 3, "{alarms:?}");
    // Five measures share alpha, so each may raise 2 of 100; more than 9 have a chance of 0.005 %.
    assert!(alarms.values().all(|count| *count <= 9), "{alarms:?} of {runs}");
    assert!(decided > 0.9, "{decided} of all measures were decided");
}

#[test]
fn predictions_that_moved_by_half_a_deviation_are_found() {
    let (found, _) = predicted(10, 0.01, 0.09);
    assert!(found.values().all(|count| *count == 10), "{found:?} of 10");
}

/// Failures of users of whom each fails at a rate of one's own, 10 % on the whole times `worse`; some come a hundred times as often as others.
fn failures(random: &mut Random, users: usize, worse: f64) -> Arm {
    let mut arm = Arm::default();
    for at in 0..users {
        let rate = worse * 0.2 * random.uniform();
        let activity = random.uniform().powf(-1.0 / 1.5).min(100.0);
        for _ in 0..random.poisson(activity) {
            arm.add(at % 32, 1.0, f64::from(u8::from(random.uniform() < rate)));
        }
    }
    arm
}

/// In how many of `runs` lives some window was ever beyond chance.
fn declines(runs: usize, users: usize, alpha: f64, worse: f64) -> usize {
    let ever = |run: usize| {
        let mut random = Random(0xfa11 + run as u64);
        let reference = failures(&mut random, users, 1.0);
        (1..=WINDOWS).any(|look| {
            let alpha = share_of_alpha(alpha, look);
            risen(&reference, &failures(&mut random, users, worse), alpha).unwrap() <= alpha
        })
    };
    (0..runs).filter(|run| ever(*run)).count()
}

#[test]
fn performance_that_stays_is_seldom_called_a_decline_and_one_that_falls_is_found() {
    for users in [100, 1_000] {
        let alarms = declines(200, users, 0.1, 1.0);
        // 20 are expected at most; more than 34 have a chance of 0.1 %.
        assert!(alarms <= 34, "{alarms} of 200 with {users} users");
    }
    // From 90 % to 60 % with some three hundred outcomes in a window.
    let found = declines(20, 100, 0.01, 4.0);
    assert!(found >= 19, "{found} of 20");
}
