//! Identical versions are not called worse, whatever their users are like and however often one looks; worse ones are.

use headgate_rollout::stats::cell::Stratum;
use headgate_rollout::stats::compare::{self, Ask, Limit};
use headgate_rollout::stats::counts::Clustering;

use crate::traffic::{Habits, Random, at_most, failures, users, values};

const ALPHA: f64 = 0.05;
/// Equality itself, the hardest case: no room at all between the versions and the limit.
const EQUAL: Limit = Limit { ratio: 1.0, floor: 0.0 };

const USUAL: Habits =
    Habits { users: 800, share: 0.2, requests: 0.5, tail: f64::INFINITY, rates: [0.02, 0.02], unlucky: 1.0 };

/// Runs in which the limit was ever exceeded, looked at after each of `ticks` ticks.
fn alarms(habits: &Habits, limit: &Limit, runs: usize, ticks: usize, seed: u64) -> usize {
    let mut random = Random(seed);
    (0..runs)
        .filter(|_| {
            let users = users(habits, &mut random);
            let mut stratum = Stratum { share: Some(habits.share), ..Stratum::default() };
            (0..ticks).any(|_| {
                failures(&users, &mut stratum, &mut random);
                compare::rate(std::slice::from_ref(&stratum), limit, &Ask::at(ALPHA)).is_ok_and(|found| found.exceeded)
            })
        })
        .count()
}

#[test]
fn identical_versions_at_every_look() {
    let heavy = Habits { tail: 1.2, ..USUAL };
    let cases = [
        ("independent requests", USUAL),
        ("half and half", Habits { share: 0.5, ..USUAL }),
        ("one percent", Habits { share: 0.01, users: 4000, requests: 0.2, ..USUAL }),
        ("heavy users", heavy),
        ("heavy users, few unlucky ones with all failures", Habits { unlucky: 0.05, ..heavy }),
        ("the same at half and half", Habits { unlucky: 0.05, share: 0.5, ..heavy }),
        ("rare failures of heavy users", Habits { unlucky: 0.02, rates: [0.002, 0.002], ..heavy }),
        ("most on the canary", Habits { share: 0.9, unlucky: 0.05, ..heavy }),
        ("nearly all on the canary", Habits { share: 0.97, unlucky: 0.02, tail: 1.1, ..heavy }),
        ("mostly failing", Habits { rates: [0.9, 0.9], ..heavy }),
    ];
    let runs = 300;
    let seen: Vec<_> =
        cases.iter().zip(1..).map(|((name, habits), seed)| (*name, alarms(habits, &EQUAL, runs, 30, seed))).collect();
    assert!(seen.iter().all(|(_, alarms)| *alarms <= at_most(ALPHA, runs)), "of {runs}: {seen:?}");
}

#[test]
fn worse_versions_are_found() {
    let worse = Habits { rates: [0.005, 0.05], users: 2000, ..USUAL };
    let limit = Limit { ratio: 2.0, floor: 0.005 };
    let found = alarms(&worse, &limit, 100, 40, 7);
    assert!(found >= 99, "{found} of 100");
    let found = alarms(&Habits { tail: 1.5, ..worse }, &limit, 100, 40, 8);
    assert!(found >= 70, "{found} of 100 with heavy users");
}

#[test]
fn a_wholly_failing_version_is_found_at_the_first_look() {
    let habits = Habits { rates: [0.005, 1.0], users: 2000, ..USUAL };
    let mut random = Random(11);
    let users = users(&habits, &mut random);
    let mut stratum = Stratum { share: Some(habits.share), ..Stratum::default() };
    failures(&users, &mut stratum, &mut random);
    let found = compare::rate(&[stratum], &Limit { ratio: 2.0, floor: 0.005 }, &Ask::at(1e-6)).unwrap();
    assert!(found.exceeded && found.canary == 1.0, "{found:?}");
}

#[test]
fn identical_means_at_every_look() {
    let mut random = Random(21);
    for (name, tail) in [("light", f64::INFINITY), ("heavy", 1.3)] {
        let habits = Habits { tail, share: 0.3, users: 500, ..USUAL };
        let (runs, mut alarms, mut outside) = (300, 0, 0);
        for _ in 0..runs {
            let users = users(&habits, &mut random);
            let mut stratum = Stratum { share: Some(habits.share), ..Stratum::default() };
            let (mut alarm, mut out) = (false, false);
            for _ in 0..40 {
                values(&users, 1.0, &mut stratum, &mut random);
                if let Ok(found) = compare::mean(std::slice::from_ref(&stratum), &EQUAL, &Ask::at(ALPHA)) {
                    alarm |= found.exceeded;
                    out |= found.low.is_some_and(|low| low > 0.0) || found.high.is_some_and(|high| high < 0.0);
                }
            }
            alarms += usize::from(alarm);
            outside += usize::from(out);
        }
        assert!(alarms <= at_most(ALPHA, runs), "{name}: {alarms} of {runs}");
        assert!(outside <= at_most(2.0 * ALPHA, runs), "{name}: {outside} of {runs} outside");
    }
}

#[test]
fn a_slower_mean_is_found() {
    let mut random = Random(31);
    let habits = Habits { share: 0.3, users: 500, ..USUAL };
    let users = users(&habits, &mut random);
    let mut stratum = Stratum { share: Some(habits.share), ..Stratum::default() };
    for _ in 0..40 {
        values(&users, 1.5, &mut stratum, &mut random);
    }
    let found = compare::mean(&[stratum], &Limit { ratio: 1.2, floor: 10.0 }, &Ask::at(0.001)).unwrap();
    assert!(found.exceeded && found.ratio_bound.is_some_and(|ratio| ratio > 1.2 && ratio < 1.5), "{found:?}");
}

#[test]
fn outcomes_of_keys_are_independent() {
    let ask = Ask { clustering: Clustering::Independent, ..Ask::at(ALPHA) };
    let mut random = Random(41);
    let runs = 400;
    let alarms = (0..runs)
        .filter(|_| {
            let mut stratum = Stratum::default();
            (0..60).any(|_| {
                for arm in [&mut stratum.canary, &mut stratum.baseline] {
                    let events = (0..20).filter(|_| random.uniform() < 0.1).count();
                    arm.add(0, 20.0, events as f64);
                }
                compare::rate(std::slice::from_ref(&stratum), &EQUAL, &ask).is_ok_and(|found| found.exceeded)
            })
        })
        .count();
    assert!(alarms <= at_most(ALPHA, runs), "{alarms} of {runs}");
}
