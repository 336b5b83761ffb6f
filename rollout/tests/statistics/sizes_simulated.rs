//! Tests for one look, done many times: the power that was computed, no more false alarms than alpha, and intervals that cover.

#![allow(clippy::unwrap_used, reason = "a test panics where it should")]

use headgate_rollout::stats::fixed::intervals::newcombe;
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::power::{self, Sides};
use headgate_rollout::stats::fixed::proportions::Proportion;
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look};

use crate::traffic::{Random, at_most, within};

fn sample(size: usize, mean: f64, random: &mut Random) -> Vec<f64> {
    (0..size).map(|_| mean + random.normal()).collect()
}

#[test]
fn the_size_for_means_finds_what_it_was_planned_for() {
    let mut random = Random(401);
    let runs = 2_000;
    for (difference, sides, alternative) in
        [(0.5, Sides::Two, Alternative::TwoSided), (1.0, Sides::One, Alternative::Greater)]
    {
        let size = power::size_of_means(difference, 1.0, 0.05, 0.8, sides).unwrap().ceil();
        let computed = power::of_means(size, difference, 1.0, 0.05, sides).unwrap();
        assert!((0.8..0.83).contains(&computed), "{computed}");
        let mut shown = |difference: f64| {
            (0..runs)
                .filter(|_| {
                    let a = Moments::of(&sample(size as usize, 10.0, &mut random)).unwrap();
                    let b = Moments::of(&sample(size as usize, 10.0 + difference, &mut random)).unwrap();
                    welch(a, b, 0.05, alternative, Look::Only).unwrap().0.p <= 0.05
                })
                .count()
        };
        let (found, alarms) = (shown(difference), shown(0.0));
        // Welch's test has a hair fewer degrees of freedom than the power supposes.
        assert!(within(found, computed, runs), "{found} of {runs} instead of {computed}: {sides:?}");
        assert!(alarms <= at_most(0.05, runs), "{alarms} of {runs}");
    }
}

#[test]
fn ranks_alarm_no_more_often_than_alpha() {
    let mut random = Random(402);
    let runs = 2_000;
    for law in [Law::Exact, Law::Normal { continuity: true }] {
        let alarms = (0..runs)
            .filter(|_| {
                let (mut a, mut b) = (sample(12, 0.0, &mut random), sample(9, 0.0, &mut random));
                mann_whitney(&mut a, &mut b, law, Alternative::TwoSided, Look::Only).unwrap().p <= 0.05
            })
            .count();
        assert!(alarms <= at_most(0.05, runs), "{alarms} of {runs}: {law:?}");
    }
}

#[test]
fn intervals_of_two_rates_cover() {
    let mut random = Random(403);
    let (runs, units) = (2_000, 400);
    let rates = [0.4, 0.5];
    let mut arm = |rate: f64| {
        let events = (0..units).filter(|_| random.uniform() < rate).count();
        Proportion::new(events as f64, f64::from(units)).unwrap()
    };
    let (mut of_lift, mut of_difference) = (0, 0);
    for _ in 0..runs {
        let [a, b] = rates.map(&mut arm);
        let covers = |[low, high]: [f64; 2], truth: f64| usize::from(low <= truth && truth <= high);
        of_lift += covers(Lift::of_proportions(a, b).unwrap().interval(0.05).unwrap(), 0.25);
        of_difference += covers(newcombe(a, b, 0.05).unwrap(), 0.1);
    }
    // Four standard errors about 95 %; the lift's interval is right for many units only, and half a point is for that.
    for covered in [of_lift, of_difference] {
        let share = covered as f64 / runs as f64;
        assert!((share - 0.95).abs() <= 4.0 * (0.95 * 0.05 / runs as f64).sqrt() + 0.005, "{share}");
    }
}
