//! Procedures of which no paper prints figures to enough digits, against figures worked out another way.
//!
//! Each by a path that shares nothing with the code: integrals that define a mixture (`scipy.integrate.quad`) beside its closed form, probabilities
//! by `scipy.stats` beside tilted products, scores unit by unit beside sums by bucket. scipy is 1.17.1, statsmodels 0.15.0. Where
//! GrowthBook's tests (`gbstats`, `test_tests.py`) have a figure, it is theirs.

#![allow(clippy::unwrap_used, reason = "a test panics where it should")]

use headgate_rollout::stats::adaptive::{Adaptive, Holds};
use headgate_rollout::stats::bayes::Mean;
use headgate_rollout::stats::compare::Limit;
use headgate_rollout::stats::counts::{self, Group};
use headgate_rollout::stats::detect::{self, Traffic};
use headgate_rollout::stats::evalue::p_value;
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::Moments;
use headgate_rollout::stats::histogram::Histogram;
use headgate_rollout::stats::sequential::{confidence, msprt, multinomial};
use headgate_rollout::stats::{Arm, anytime};

/// Equal to eight significant digits.
#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-8 * expected.abs(), "{found} instead of {expected}");
}

/// The two samples of GrowthBook's tests, as sums.
fn growthbook() -> Lift {
    let a = Moments::from_sums(3000.0, 1396.87, 52_377.976_7).unwrap();
    let b = Moments::from_sums(3461.0, 2422.7, 134_698.29).unwrap();
    Lift::of_moments(a, b).unwrap()
}

#[test]
fn the_lift_of_two_means_with_its_interval() {
    let lift = growthbook();
    close(lift.value, 0.503_361_085_856_235_8);
    close(lift.variance.sqrt(), 0.333_412_214_640_073_5);
    // Those two figures, and scipy.stats.norm.isf(0.025).
    let [low, high] = lift.interval(0.05).unwrap();
    close(low, -0.150114846844);
    close(high, 1.15683701856);
}

#[test]
fn a_confidence_sequence_to_one_side() {
    // GrowthBook's TestSequentialOneSidedGreaterTTest: one-sided 5 %, tuned at twice that for 5,000 observations.
    let lift = growthbook();
    let rho = confidence::tuning(0.10, 5000.0).unwrap();
    close(confidence::lower(lift.value, lift.variance.sqrt(), 6461.0, rho, 0.05).unwrap(), -0.423_564_546_027_908_83);
    // To the other side: the bound of the negative.
    let upper = -confidence::lower(-lift.value, lift.variance.sqrt(), 6461.0, rho, 0.05).unwrap();
    close(upper, 1.430_286_717_740_380_6);
}

#[test]
fn the_mixture_of_likelihood_ratios_is_the_integral_that_defines_it() {
    // quad of N(d; theta, error) / N(d; 0, error) over theta ~ N(0, tau^2).
    for (difference, error, tau2, log, p) in [
        (0.05, 0.02, 0.001, 1.6057613729, 0.20073666126),
        (0.3, 0.1, 0.0772, 2.90113533517, 0.0549607857083),
        (-0.012, 0.004, 1e-5, 1.48801532288, 0.225820391652),
    ] {
        close(msprt::ln_ratio(difference, error, tau2).unwrap(), log);
        close(msprt::p(difference, error, tau2).unwrap(), p);
    }
}

#[test]
fn a_normal_choice_and_what_it_may_lose() {
    // quad of max(-x, 0) and max(x, 0) over the normal density of B less A.
    for (a, b, chance, loss_of_b, loss_of_a) in [
        ((0.1, 0.01), (0.12, 0.015), 0.866371253423, 0.00121423768345, 0.0212142376834),
        ((10.0, 2.0), (9.5, 1.0), 0.411531636879, 1.16427114895, 0.664271148947),
        ((0.0, 0.0), (0.03, 0.02), 0.933192798731, 0.000586135875252, 0.0305861358753),
    ] {
        let mean = |(mean, deviation): (f64, f64)| Mean { mean, deviation };
        let found = Mean::choose(&mean(a), &mean(b));
        close(found.chance_to_win, chance);
        close(found.loss_of_b, loss_of_b);
        close(found.loss_of_a, loss_of_a);
    }
}

#[test]
fn a_count_against_a_rate() {
    // quad of poisson.pmf(k, l n) / poisson.pmf(k, r n) over l ~ gamma(shape, mean r).
    for (events, exposure, rate, shape, expected) in [
        (7.0, 20.0, 0.1, 2.5, 1.40664211064),
        (42.0, 100.0, 0.3, 1.0, 0.110431606884),
        (3.0, 1.0, 1.0, 1.0, 0.0191707469883),
    ] {
        close(multinomial::ln_poisson(events, exposure, rate, shape).unwrap(), expected);
    }
}

#[test]
fn bounds_of_a_rate_at_every_look() {
    // brentq on the quad of x^k (1-x)^(n-k) / (p^k (1-p)^(n-k)) over x ~ Beta(1/2, 1/2), both sides at 1/alpha.
    for (events, trials, alpha, low, high) in [
        (30.0, 1000.0, 0.01, 0.0129611091102, 0.0573156636001),
        (5.0, 40.0, 0.001, 0.00864017809672, 0.433327344562),
        (250.0, 1000.0, 0.05, 0.202323862433, 0.302107947563),
    ] {
        close(anytime::rate_lower(events, trials, alpha), low);
        close(anytime::rate_upper(events, trials, alpha), high);
    }
}

#[test]
fn few_events_exactly() {
    // The mean over the sixteen tilts of binom.pmf(K, K + X, tilted share) / binom.pmf(K, K + X, share), which is what a likelihood ratio is.
    for (events, baseline_events, slope, ratio, expected) in [
        (12.0, 9.0, 2.0, 0.25, 1.63446434358),
        (5.0, 2.0, 1.0, 0.5, 1.50229011104),
        (31.0, 140.0, 1.0, 1.0 / 9.0, 3.45822393085),
    ] {
        let found = counts::ln_e(&[Group { events, baseline_events, ratio, exposure: 100.0 }], slope, 0.0);
        close(found, expected);
        close(p_value(found), (-expected).exp());
    }
    // Against a rate without a baseline: poisson.pmf(K, tilt n f) / poisson.pmf(K, n f).
    for (events, exposure, rate, expected) in [(8.0, 300.0, 0.01, 1.18538424027), (20.0, 1000.0, 0.005, 10.483156164)] {
        close(counts::ln_e(&[Group { events, baseline_events: 0.0, ratio: 0.0, exposure }], 0.0, rate), expected);
    }
}

#[test]
fn rewards_of_a_bandit_unit_by_unit() {
    // Three epochs of 32 buckets, two arms. Each of the 1,312 units scored by itself (numpy), its bucket the cluster of a weighted mean: statsmodels
    // WLS(score, 1, weights=h).fit(cov_type="cluster"), whose correction for one parameter is G / (G - 1).
    let mut sums = Adaptive::default();
    for (epoch, shares, units) in
        [(1, [0.5, 0.5], [6.0, 6.0]), (2, [0.2, 0.8], [3.0, 10.0]), (3, [0.1, 0.9], [2.0, 14.0])]
    {
        let mut arms = [Arm::default(), Arm::default()];
        for bucket in 0..32 {
            let earned = [(bucket * 3 + epoch * 5) % 4, (bucket * 2 + epoch * 3) % 5];
            for ((arm, units), earned) in arms.iter_mut().zip(units).zip(earned) {
                arm.add(bucket, units, f64::min(earned as f64, units));
            }
        }
        sums.add(&shares, &arms).unwrap();
    }
    for (arm, value, error) in [(0, 0.453699085669, 0.0164674023066), (1, 0.210042019221, 0.00941437747649)] {
        let found = sums.value(arm, 0.05, Holds::Once).unwrap();
        close(found.value, value);
        close(found.error, error);
    }
    let found = sums.difference(0, 1, 0.05, Holds::Once).unwrap();
    close(found.value, -0.243657066448);
    close(found.error, 0.017899873761);
}

#[test]
fn what_a_step_can_notice() {
    // The evidence written down once more in Python, its mixture confirmed by quad, solved by scipy.optimize.brentq.
    for (traffic, limit, alpha, power, expected) in [
        ((1000.0, 19_000.0, 0.005, 1.0), (2.0, 0.005), 0.001, 0.8, 0.0461017686617),
        ((50_000.0, 50_000.0, 0.02, 1.7), (1.0, 0.002), 0.01, 0.9, 0.0291250795386),
        ((200.0, 1800.0, 0.001, 1.0), (3.0, 0.0), 0.01, 0.8, 0.0574841039089),
    ] {
        let (canary_units, baseline_units, baseline, effect) = traffic;
        let traffic = Traffic { canary_units, baseline_units, baseline, effect };
        let found = detect::rate(&traffic, &Limit { ratio: limit.0, floor: limit.1 }, alpha, power).unwrap();
        // To 1e-10 of 1, as crossings are looked for.
        assert!((found - expected).abs() < 5e-10, "{found} instead of {expected}");
    }
    let traffic = Traffic { canary_units: 10_000.0, baseline_units: 90_000.0, baseline: 100.0, effect: 2.0 };
    let found = detect::mean(&traffic, 2500.0, &Limit { ratio: 1.2, floor: 10.0 }, 0.001, 0.8).unwrap();
    close(found, 124.0228687);
}

#[test]
fn a_quantile_between_edges() {
    // Measurements of NIST's handbook, section 7.2.6.2, with an edge at each value and one unit between neighbours: then interpolation is
    // Hyndman and Fan's definition 7 (numpy's, R's), whose p90 stands in Kayenta's tests.
    let edges = vec![
        95.0610, 95.0925, 95.1065, 95.1195, 95.1442, 95.1567, 95.1591, 95.1682, 95.1772, 95.1937, 95.1959, 95.1990,
    ];
    let mut units = vec![1.0; 13];
    units[0] = 0.0;
    units[12] = 0.0;
    let found = Histogram::new(edges, units).unwrap().quantile(0.9).unwrap();
    assert!((found.value - 95.19568).abs() < 1e-9, "{found:?}");
    assert_eq!((found.low, found.high), (95.1937, 95.1959));
}
