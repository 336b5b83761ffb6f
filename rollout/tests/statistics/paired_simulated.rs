//! Shadows of users who come back: some much more often than others, and some with all disagreements. Intervals from between buckets hold the truth as
//! often as they say, and those that take each comparison for another user's do not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

use headgate_rollout::shadow::{Analysis, Answer, Findings, Observed, Recommendation, Settings};

use crate::traffic::{Random, at_most};

const ALPHA: f64 = 0.05;

/// A user: the bucket, how often he comes (mean), and the chance that an answer for him differs.
struct User {
    bucket: usize,
    activity: f64,
    differs: f64,
    shift: f64,
}

/// `tail`: Pareto exponent of how often users come, at most 100 times as often as the least; `touchy`: the part of users who have all disagreements. Of users'
/// own chance the mean is `rate`, weighed by how often they come: the truth for this crowd is drawn, so that intervals are asked about all crowds.
fn crowd(users: usize, tail: f64, touchy: f64, rate: f64, random: &mut Random) -> Vec<User> {
    (0..users)
        .map(|_| User {
            bucket: random.below(32),
            activity: random.uniform().powf(-1.0 / tail).min(100.0),
            differs: if random.uniform() < touchy { rate / touchy } else { 0.0 },
            shift: random.normal(),
        })
        .collect()
}

/// Everybody's comparisons; of those that agree a part is recorded.
fn analysed(users: &[User], kept: f64, known: bool, random: &mut Random) -> Findings {
    let mut analysis = Analysis::new(Settings { exact: 2, ..Settings::default() });
    for user in users {
        for _ in 0..random.poisson(user.activity) {
            let agrees = random.uniform() >= user.differs;
            let difference = user.shift + random.normal() + if agrees { 0.0 } else { 3.0 };
            if agrees && random.uniform() >= kept {
                continue;
            }
            let micros = 20_000.0 * (1.0 + random.uniform());
            let answer = || Answer { status: Some(200), micros: Some(micros), ..Answer::default() };
            analysis.take(&Observed {
                bucket: known.then_some(user.bucket),
                primary: answer(),
                shadow: answer(),
                agrees: Some(agrees),
                difference: Some(difference),
                share: if agrees { kept } else { 1.0 },
                ..Observed::default()
            });
        }
    }
    analysis.findings()
}

/// Runs in which the interval of agreement, and that of the mean difference, missed the truth of all crowds.
fn misses(tail: f64, touchy: f64, kept: f64, known: bool, runs: usize, seed: u64) -> [usize; 2] {
    const RATE: f64 = 0.1;
    let mut random = Random(seed);
    let mut missed = [0; 2];
    for _ in 0..runs {
        let found = analysed(&crowd(600, tail, touchy, RATE, &mut random), kept, known, &mut random);
        let outside = |low: f64, high: f64, truth: f64| usize::from(truth < low || truth > high);
        missed[0] += outside(found.agreement.low.unwrap(), found.agreement.high.unwrap(), 1.0 - RATE);
        let numbers = found.numbers.unwrap();
        let [low, high] = if known { numbers.interval } else { numbers.t_interval }.unwrap();
        missed[1] += outside(low, high, 3.0 * RATE);
    }
    missed
}

#[test]
fn intervals_hold_where_users_come_back() {
    let runs = 200;
    let most = at_most(ALPHA, runs);
    for (what, tail, touchy, kept) in [
        ("users alike", f64::INFINITY, 1.0, 1.0),
        ("some come often", 1.5, 1.0, 1.0),
        ("some come often, and few have all disagreements", 2.0, 0.3, 1.0),
        ("the same, and a tenth of agreement is recorded", 2.0, 0.3, 0.1),
    ] {
        let seen = misses(tail, touchy, kept, true, runs, 11);
        assert!(seen.iter().all(|missed| *missed <= most), "{what}: {seen:?} of {runs}, at most {most}");
    }
    // Without users intervals are too narrow, which is said where they are shown.
    let seen = misses(2.0, 0.3, 1.0, false, runs, 11);
    assert!(seen.iter().all(|missed| *missed > 3 * most / 2), "{seen:?} of {runs}");
}

#[test]
fn at_the_limit_the_recommendation_is_seldom_wrong() {
    let mut random = Random(12);
    let runs = 120;
    let (mut promoted, mut blamed) = (0, 0);
    for _ in 0..runs {
        // 15 % differ, so agreement is just what is asked for: to promote, or to say that it disagrees, is an error in half of the tail each.
        let recommendation =
            analysed(&crowd(1_200, 2.0, 0.4, 0.15, &mut random), 1.0, true, &mut random).verdict.recommendation;
        promoted += usize::from(recommendation == Recommendation::Promote);
        blamed += usize::from(recommendation == Recommendation::InvestigateDisagreement);
    }
    let most = at_most(ALPHA / 2.0, runs);
    assert!(promoted <= most && blamed <= most, "{promoted} promoted, {blamed} blamed, at most {most} of {runs}");
}
