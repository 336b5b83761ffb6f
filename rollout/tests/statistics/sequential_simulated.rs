//! Procedures for repeated looks keep their error probability, and fixed ones would not; intervals cover; power is as computed.

use headgate_rollout::stats::cell::{Arm, REPLICATES, Stratum};
use headgate_rollout::stats::compare::{self, Ask, Limit};
use headgate_rollout::stats::detect::{self, Traffic};
use headgate_rollout::stats::fixed::intervals::{newcombe, wilson};
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::power::{self, Sides};
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::{Alternative, Look};
use headgate_rollout::stats::sequential::spending::{Spending, bounds};
use headgate_rollout::stats::sequential::{confidence, msprt, multinomial};
use headgate_rollout::stats::{design, histogram::Histogram, quantile, srm};

use crate::traffic::{Habits, Random, at_most, failures, users, within};

fn binomial(n: f64, rate: f64, random: &mut Random) -> f64 {
    (0..n as usize).filter(|_| random.uniform() < rate).count() as f64
}

#[test]
fn a_difference_of_independent_units_at_every_look() {
    let (alpha, runs, looks, each) = (0.05, 1000, 40, 50.0);
    let mut random = Random(1);
    let rho = confidence::tuning(alpha, looks as f64 * each).unwrap();
    let planned: Vec<f64> = (1..=5).map(|look| f64::from(look) / 5.0).collect();
    let limits = bounds(&planned, alpha, Spending::Pocock, true).unwrap();
    let (mut naive, mut mixture, mut sequence, mut group, mut shares) = (0, 0, 0, 0, 0);
    for _ in 0..runs {
        let (mut a, mut b) = (Proportion::default(), Proportion::default());
        let mut wrong = [false; 5];
        for look in 1..=looks {
            for arm in [&mut a, &mut b] {
                arm.units += each;
                arm.events += binomial(each, 0.2, &mut random);
            }
            let Ok(test) = z_test(a, b, Spread::Pooled, Alternative::TwoSided, Look::Only) else { continue };
            let difference = b.rate() - a.rate();
            let error = difference.abs().max(1e-9) / test.statistic.abs().max(1e-9);
            let error = if test.statistic == 0.0 { (2.0 * a.variance() / a.units).sqrt() } else { error };
            wrong[0] |= test.p <= alpha;
            wrong[1] |= msprt::p(difference, error, 0.03f64.powi(2)).unwrap() <= alpha;
            let [low, high] = confidence::interval(difference, error, a.units, rho, alpha).unwrap();
            wrong[2] |= look >= 4 && (low > 0.0 || high < 0.0);
            if look % 8 == 0 {
                wrong[3] |= limits.get(look / 8 - 1).is_some_and(|bound| test.statistic.abs() > *bound);
            }
            wrong[4] |= multinomial::p(&[a.events, b.events], &[1.0, 1.0]).unwrap() <= alpha;
        }
        for (count, wrong) in [&mut naive, &mut mixture, &mut sequence, &mut group, &mut shares].into_iter().zip(wrong)
        {
            *count += usize::from(wrong);
        }
    }
    let seen = format!("naive {naive}, mSPRT {mixture}, sequence {sequence}, group {group}, shares {shares} of {runs}");
    assert!(naive > 4 * at_most(alpha, runs) / 2, "reading a test for one look at every look cries wolf: {seen}");
    assert!([mixture, sequence, shares].iter().all(|alarms| *alarms <= at_most(alpha, runs)), "{seen}");
    assert!(within(group, alpha, runs), "group sequential bounds spend all of alpha: {seen}");
}

#[test]
fn intervals_cover_and_power_is_as_computed() {
    let mut random = Random(2);
    let (alpha, runs, n) = (0.05, 2000, 400.0);
    let (of_a, of_b) = (0.1, 0.15);
    let [mut one, mut difference, mut lift, mut means, mut found] = [0; 5];
    let power = power::of_proportions(n, of_a, of_b, alpha, Sides::Two).unwrap();
    for _ in 0..runs {
        let a = Proportion::new(binomial(n, of_a, &mut random), n).unwrap();
        let b = Proportion::new(binomial(n, of_b, &mut random), n).unwrap();
        let holds = |[low, high]: [f64; 2], truth: f64| usize::from(low <= truth && truth <= high);
        one += holds(wilson(a, alpha).unwrap(), of_a);
        difference += holds(newcombe(a, b, alpha).unwrap(), of_b - of_a);
        lift += holds(Lift::of_proportions(a, b).unwrap().interval(alpha).unwrap(), of_b / of_a - 1.0);
        found += usize::from(z_test(a, b, Spread::Pooled, Alternative::TwoSided, Look::Only).unwrap().p <= alpha);
        let values: Vec<f64> = (0..20).map(|_| random.normal()).collect();
        let others: Vec<f64> = (0..10).map(|_| 1.0 + 3.0 * random.normal()).collect();
        let (a, b) = (Moments::of(&values).unwrap(), Moments::of(&others).unwrap());
        means += holds(welch(a, b, alpha, Alternative::TwoSided, Look::Only).unwrap().1, 1.0);
    }
    // Discrete counts: half a point of slack beside the simulation's own error.
    let near = |seen: usize, share: f64| {
        (seen as f64 / runs as f64 - share).abs() < 0.0075 + 4.0 * (share * (1.0 - share) / runs as f64).sqrt()
    };
    assert!(
        [one, difference, lift, means].iter().all(|seen| near(*seen, 1.0 - alpha)),
        "{one} {difference} {lift} {means} of {runs}"
    );
    assert!(near(found, power), "{found} of {runs} at power {power}");
}

#[test]
fn what_a_step_notices_is_noticed() {
    let (alpha, limit) = (0.01, Limit { ratio: 2.0, floor: 0.005 });
    let traffic = Traffic { canary_units: 4000.0, baseline_units: 16_000.0, baseline: 0.01, effect: 1.0 };
    let rate = detect::rate(&traffic, &limit, alpha, 0.8).unwrap();
    let (runs, mut random) = (500, Random(3));
    let found = (0..runs)
        .filter(|_| {
            let mut stratum = Stratum { share: Some(0.2), ..Stratum::default() };
            for (arm, units, rate) in [(&mut stratum.canary, 4000.0, rate), (&mut stratum.baseline, 16_000.0, 0.01)] {
                for bucket in 0..REPLICATES {
                    let units = units / REPLICATES as f64;
                    arm.add(bucket, units, binomial(units, rate, &mut random));
                }
            }
            compare::rate(&[stratum], &limit, &Ask::at(alpha)).unwrap().exceeded
        })
        .count();
    let share = found as f64 / runs as f64;
    assert!((0.72..=0.9).contains(&share), "{share} of the runs noticed {rate}");
}

#[test]
fn sample_ratios_at_every_look() {
    let (alpha, runs, ticks) = (0.01, 300, 40);
    let heavy = Habits { users: 800, share: 0.2, requests: 0.5, tail: 1.2, rates: [0.0, 0.0], unlucky: 1.0 };
    let mut random = Random(4);
    let mut alarms = |habits: &Habits, weights: [f64; 2]| {
        (0..runs)
            .filter(|_| {
                let users = users(habits, &mut random);
                let mut stratum = Stratum::default();
                (0..ticks).any(|_| {
                    failures(&users, &mut stratum, &mut random);
                    let arms = [stratum.canary.clone(), stratum.baseline.clone()];
                    srm::buckets(&arms, &weights).is_ok_and(|log_e| log_e >= -f64::ln(alpha))
                })
            })
            .count()
    };
    let healthy = [heavy, Habits { tail: f64::INFINITY, ..heavy }, Habits { share: 0.01, users: 4000, ..heavy }];
    for habits in healthy {
        let seen = alarms(&habits, [habits.share, 1.0 - habits.share]);
        assert!(seen <= at_most(alpha, runs), "{seen} of {runs} for {habits:?}");
    }
    // A fifth of the canary's users is lost.
    let seen = alarms(&Habits { tail: f64::INFINITY, users: 4000, share: 0.4, ..heavy }, [0.5, 0.5]);
    assert!(seen * 10 >= runs * 9, "{seen} of {runs} found");
    let mut keys = 0;
    for _ in 0..runs {
        let (mut canary, mut all) = (0.0, 0.0);
        keys += usize::from((0..ticks).any(|_| {
            canary += binomial(50.0, 0.05, &mut random);
            all += 50.0;
            srm::keys(&[canary, all - canary], &[0.05, 0.95]).unwrap() >= -f64::ln(alpha)
        }));
    }
    assert!(keys <= at_most(alpha, runs), "{keys} of {runs}");
}

#[test]
fn quantiles_of_heavy_users_at_every_look() {
    let (alpha, runs, ticks) = (0.05, 200, 30);
    let edges: Vec<f64> = (1..40).map(|i| 5.0 * f64::from(i)).collect();
    let mut random = Random(5);
    let mut alarms = 0;
    for _ in 0..runs {
        // Each user has a level of their own, and some come thirty times as often.
        let people: Vec<(bool, usize, f64, f64)> = (0..300)
            .map(|_| {
                let often = if random.uniform() < 0.05 { 15.0 } else { 0.5 };
                (random.uniform() < 0.3, random.below(REPLICATES), often, 60.0 * (0.5 * random.normal()).exp())
            })
            .collect();
        let mut counts = [vec![0.0; 40], vec![0.0; 40]];
        let mut arms = [Arm::default(), Arm::default()];
        alarms += usize::from((0..ticks).any(|_| {
            for (canary, bucket, often, level) in &people {
                for _ in 0..random.poisson(*often) {
                    let value = level + 10.0 * random.normal();
                    let bin = ((value / 5.0).ceil() - 1.0).clamp(0.0, 39.0) as usize;
                    let side = usize::from(!canary);
                    if let Some(count) = counts.get_mut(side).and_then(|of_side| of_side.get_mut(bin)) {
                        *count += 1.0;
                    }
                    if let Some(arm) = arms.get_mut(side) {
                        arm.add(*bucket, 1.0, value);
                    }
                }
            }
            let [canary, baseline] = counts.clone().map(|counts| Histogram::new(edges.clone(), counts).unwrap());
            let [of_canary, of_baseline] = &arms;
            let ask = quantile::Ask {
                q: 0.9,
                alpha,
                canary_effect: design::of_mean(of_canary, canary.variance()),
                baseline_effect: design::of_mean(of_baseline, baseline.variance()),
                buckets: REPLICATES,
            };
            let equal = Limit { ratio: 1.0, floor: 0.0 };
            quantile::compare(&[quantile::Pair { canary, baseline }], &equal, &ask).is_ok_and(|found| found.exceeded)
        }));
    }
    assert!(alarms <= at_most(alpha, runs), "{alarms} of {runs}");
}
