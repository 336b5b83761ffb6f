//! Evidence that may be combined and stopped at will: Poisson counts, many hypotheses at once, and sample ratios over several epochs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

use headgate_rollout::stats::cell::{Arm, REPLICATES};
use headgate_rollout::stats::multiple::e_benjamini_hochberg;
use headgate_rollout::stats::sequential::msprt;
use headgate_rollout::stats::sequential::multinomial::ln_poisson;
use headgate_rollout::stats::srm;
use statrs::distribution::{Discrete as _, Poisson};

use crate::traffic::{Random, at_most};

#[test]
fn the_poisson_e_value_has_mean_one_under_its_rate() {
    // Exactly, by adding up over all counts: an e-value's mean under the hypothesis is 1.
    for (rate, exposure, shape) in [(0.02, 100.0, 1.0), (0.5, 40.0, 2.0), (3.0, 10.0, 5.0)] {
        let law = Poisson::new(rate * exposure).unwrap();
        let mean: f64 =
            (0..2_000).map(|k| (law.ln_pmf(k) + ln_poisson(k as f64, exposure, rate, shape).unwrap()).exp()).sum();
        assert!((mean - 1.0).abs() < 1e-6, "{rate} {exposure} {shape}: {mean}");
    }
}

/// Events one by one at `rate` per unit, looked at after each, against a rate of 1: whether the evidence ever reached 1/alpha.
fn ever(random: &mut Random, rate: f64, events: usize, alpha: f64) -> bool {
    let mut exposure = 0.0;
    (1..=events).any(|count| {
        exposure -= random.uniform().ln() / rate;
        // Just before and just after the event: the two moments at which the evidence is extreme.
        let before = ln_poisson(count as f64 - 1.0, exposure, 1.0, 2.0).unwrap();
        let after = ln_poisson(count as f64, exposure, 1.0, 2.0).unwrap();
        before.max(after) >= -f64::ln(alpha)
    })
}

#[test]
fn poisson_counts_read_after_every_event() {
    let (alpha, runs) = (0.05, 1_000);
    let mut random = Random(401);
    let false_ones = (0..runs).filter(|_| ever(&mut random, 1.0, 200, alpha)).count();
    assert!(false_ones <= at_most(alpha, runs), "{false_ones} of {runs}");
    // A rate that is doubled, or halved, is found.
    for rate in [2.0, 0.5] {
        let found = (0..200).filter(|_| ever(&mut random, rate, 100, alpha)).count();
        assert!(found >= 190, "{found} of 200 at {rate}");
    }
}

#[test]
fn of_many_hypotheses_stopped_at_the_worst_moment_few_alarms_are_false() {
    // Twenty metrics with common noise, five of which really differ; one stops as soon as anything is called.
    let (alpha, runs, ticks) = (0.1, 300, 60);
    let mut random = Random(402);
    let (mut shares, mut all_true) = (0.0, 0);
    for _ in 0..runs {
        let mut sums = [0.0; 20];
        let mut called = Vec::new();
        for tick in 1..=ticks {
            let common = random.normal();
            for (at, sum) in sums.iter_mut().enumerate() {
                let shift = if at < 5 { 0.7 } else { 0.0 };
                *sum += shift + 0.6 * common + 0.8 * random.normal();
            }
            let error = 1.0 / f64::from(tick).sqrt();
            let logs: Vec<f64> =
                sums.iter().map(|sum| msprt::ln_ratio(sum / f64::from(tick), error, 0.25).unwrap()).collect();
            called = e_benjamini_hochberg(&logs, alpha);
            if called.iter().any(|c| *c) {
                break;
            }
        }
        let alarms = called.iter().filter(|c| **c).count();
        let wrong = called.iter().skip(5).filter(|c| **c).count();
        if alarms > 0 {
            shares += wrong as f64 / alarms as f64;
        }
        all_true += usize::from(alarms > wrong);
    }
    // The mean of a share has at most the variance of a coin with the same mean.
    let mean = shares / f64::from(runs);
    let most = alpha + 4.0 * (alpha * (1.0 - alpha) / f64::from(runs)).sqrt();
    assert!(mean <= most, "{mean} of {most}");
    assert!(all_true > 250, "{all_true} of {runs}: nothing is found at all");
}

/// Users of one epoch: bucket, whether they have the canary, and how much they come. Some come a hundred times as often.
fn crowd(random: &mut Random) -> Vec<(usize, bool, f64)> {
    (0..400)
        .map(|_| (random.below(REPLICATES), random.uniform() < 0.5, random.uniform().powf(-1.0 / 1.2).min(300.0)))
        .collect()
}

fn visit(crowd: &[(usize, bool, f64)], arms: &mut [Arm; 2], random: &mut Random) {
    for (bucket, canary, activity) in crowd {
        arms[usize::from(*canary)].add(*bucket, random.poisson(*activity) as f64, 0.0);
    }
}

#[test]
fn sample_ratios_over_epochs() {
    let (alpha, runs, epochs, ticks): (f64, usize, usize, usize) = (0.05, 300, 4, 6);
    let need = -alpha.ln();
    let mut random = Random(403);
    let (mut product, mut product_of_same, mut combined_of_same, mut missing) = (0, 0, 0, 0);
    for _ in 0..runs {
        let same = crowd(&mut random);
        let (mut of_new, mut of_same) = (Vec::new(), Vec::new());
        let mut seen = [false; 3];
        for _ in 0..epochs {
            let fresh = crowd(&mut random);
            let (mut new, mut old) = ([Arm::default(), Arm::default()], [Arm::default(), Arm::default()]);
            let (mut last_new, mut last_old) = (0.0, 0.0);
            for _ in 0..ticks {
                visit(&fresh, &mut new, &mut random);
                visit(&same, &mut old, &mut random);
                last_new = srm::buckets(&new, &[1.0, 1.0]).unwrap_or(0.0);
                last_old = srm::buckets(&old, &[1.0, 1.0]).unwrap_or(0.0);
                let with = |list: &[f64], last: f64| [list, &[last]].concat();
                seen[0] |= srm::epochs(&with(&of_new, last_new)) >= need;
                seen[1] |= srm::epochs(&with(&of_same, last_old)) >= need;
                seen[2] |= srm::same_users(&with(&of_same, last_old)) >= need;
            }
            of_new.push(last_new);
            of_same.push(last_old);
        }
        product += usize::from(seen[0]);
        product_of_same += usize::from(seen[1]);
        combined_of_same += usize::from(seen[2]);
        // A tenth of one version's users is lost: plain users, so that it can be seen.
        let mut logs = Vec::new();
        for _ in 0..epochs {
            let mut arms = [Arm::default(), Arm::default()];
            for _ in 0..6_000 {
                let canary = random.uniform() < 0.5;
                if !(canary && random.uniform() < 0.1) {
                    arms[usize::from(canary)].add(random.below(REPLICATES), 1.0, 0.0);
                }
            }
            logs.push(srm::buckets(&arms, &[1.0, 1.0]).unwrap());
        }
        missing += usize::from(srm::epochs(&logs) >= need);
    }
    assert!(product <= at_most(alpha, runs), "epochs of new users: {product} of {runs}");
    assert!(combined_of_same <= at_most(alpha, runs), "the same users: {combined_of_same} of {runs}");
    assert!(product_of_same >= product, "{product_of_same} of {runs}, {product} with new users");
    assert!(missing >= 298, "{missing} of {runs}");
}
