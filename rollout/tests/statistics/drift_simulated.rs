//! Drift by simulation: windows in which nothing moved are seldom called noise's excess, with heavy users and many looks; what moved is found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a simulation panics where it should")]

use headgate_rollout::stats::drift::{Ask, Bins, population_stability, share_of_alpha, smirnov};
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
