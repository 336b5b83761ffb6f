//! Whatever comes in, an answer has numbers and a refusal has a reason: never NaN, never a panic.

use headgate_rollout::stats::bayes::{Mean, Rate};
use headgate_rollout::stats::cell::{Arm, Cell, Stratum};
use headgate_rollout::stats::compare::{self, Ask, Finding, Limit, Worse};
use headgate_rollout::stats::counts::Clustering;
use headgate_rollout::stats::detect::{self, Traffic};
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::power::{self, Sides};
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::{Alternative, Look, intervals, noninferiority, tables};
use headgate_rollout::stats::histogram::Histogram;
use headgate_rollout::stats::segments::{Pair, mantel_haenszel};
use headgate_rollout::stats::sequential::{confidence, msprt, multinomial};
use headgate_rollout::stats::{Reason, anytime, design, drift, quantile, srm};

const ODD: [f64; 12] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 1e-300, 1e15, 1e300];

#[track_caller]
fn sound(name: &str, input: &[f64], found: &[f64]) {
    assert!(found.iter().all(|value| !value.is_nan()), "{name} of {input:?} gave {found:?}");
}

fn numbers(found: &Finding) -> Vec<f64> {
    let Finding { log_e, p, canary, baseline, allowed, low, high, ratio_bound, df, .. } = found;
    let mut all = vec![*log_e, *p, *canary, *allowed, *df];
    all.extend([baseline, low, high, ratio_bound].into_iter().flatten());
    all
}

#[test]
fn odd_numbers_everywhere() {
    for a in ODD {
        for b in ODD {
            sound("rate_lower", &[a, b], &[anytime::rate_lower(a, b, 0.01), anytime::rate_upper(a, b, 0.01)]);
            sound("effect", &[a, b], &[design::effect(&[(a, b), (b, a)]), design::effect_upper(&[(a, b); 9], 0.001)]);
            if let Ok(proportion) = Proportion::new(a, b) {
                let other = Proportion { events: 1.0, units: 3.0 };
                sound("wilson", &[a, b], &intervals::wilson(proportion, 0.05).unwrap());
                sound("newcombe", &[a, b], &intervals::newcombe(proportion, other, 0.05).unwrap());
                for spread in [Spread::Pooled, Spread::Unpooled] {
                    let test = z_test(proportion, other, spread, Alternative::TwoSided, Look::Only);
                    sound("z_test", &[a, b], &test.map_or(vec![], |t| vec![t.statistic, t.p]));
                }
                let test = noninferiority::rates(proportion, other, 0.1, Look::Only);
                sound("noninferiority", &[a, b], &test.map_or(vec![], |t| vec![t.statistic, t.p]));
                let lift = Lift::of_proportions(proportion, other);
                sound("lift", &[a, b], &lift.map_or(vec![], |lift| vec![lift.value, lift.variance]));
                let common = mantel_haenszel(&[Pair { a: proportion, b: other }], 0.05);
                sound("mantel_haenszel", &[a, b], &common.map_or(vec![], |c| vec![c.odds_ratio, c.error, c.p]));
            }
            if let (Ok(one), Ok(two)) = (Moments::new(3.0, a, b), Moments::new(2.0, b, a)) {
                let test = welch(one, two, 0.05, Alternative::TwoSided, Look::Only);
                sound("welch", &[a, b], &test.map_or(vec![], |(t, [low, high])| vec![t.statistic, t.p, low, high]));
            }
            for (name, found) in [
                ("multinomial", multinomial::p(&[a, b], &[1.0, 1.0])),
                ("shares", multinomial::p(&[1.0, 2.0], &[a, b])),
                ("poisson", multinomial::ln_poisson(3.0, 1.0, a, b)),
                ("msprt", msprt::p(a, b, 1.0)),
                ("tau", msprt::best_variance(0.05, a, b)),
                ("rho", confidence::tuning(a, b)),
                ("size", power::size_of_proportions(a, b, 0.05, 0.8, Sides::Two)),
                ("power", power::of_proportions(a, b, 0.5, 0.05, Sides::One)),
                ("means", power::size_of_means(a, b, 0.05, 0.8, Sides::Two)),
                ("decline", drift::decline(a, b)),
                ("psi", drift::psi(&[a, b], &[b, a]).map(|d| d.size)),
                ("keys", srm::keys(&[a, b], &[0.5, 0.5])),
                ("independence", tables::independence(&[&[a, b], &[b, a]], true, Look::Only).map(|t| t.p)),
            ] {
                sound(name, &[a, b], &found.map_or(vec![], |value| vec![value]));
            }
            if let Ok(rate) = Rate::new(a, b, 1.0) {
                let choice = Rate::choose(&rate, &Rate { a: 2.0, b: 3.0 });
                if b < 1e14 {
                    sound("choose", &[a, b], &[choice.chance_to_win, choice.loss_of_a, choice.loss_of_b]);
                }
            }
            sound("mean", &[a, b], &Mean::new(a, b, None).map_or(vec![], |m| vec![m.mean, m.deviation]));
        }
    }
}

#[test]
fn odd_cells_everywhere() {
    for a in ODD {
        for b in ODD {
            for cells in [1, 9, 32] {
                let odd = Arm { cells: vec![Cell { units: a, total: b }; cells] };
                let mut mixed = odd.clone();
                mixed.add(0, 100.0, 3.0);
                let usual = Arm { cells: (0..32).map(|i| Cell { units: 50.0, total: f64::from(i % 3) }).collect() };
                for (canary, baseline) in [(&odd, &usual), (&usual, &odd), (&mixed, &usual), (&odd, &odd)] {
                    let strata = [Stratum {
                        canary: canary.clone(),
                        baseline: baseline.clone(),
                        share: Some(a),
                        ..Stratum::default()
                    }];
                    for (worse, ratio) in [(Worse::Higher, 2.0), (Worse::Lower, 0.5)] {
                        for clustering in [Clustering::Buckets, Clustering::Independent] {
                            let ask = Ask { alpha: 0.01, worse, clustering };
                            let limit = Limit { ratio, floor: 0.01 };
                            for found in [
                                compare::rate(&strata, &limit, &ask),
                                compare::rate_bound(&strata, 0.1, &ask),
                                compare::mean(&strata, &limit, &ask),
                                compare::mean_bound(&strata, 0.1, &ask),
                            ] {
                                sound("compare", &[a, b], &found.map_or(vec![], |found| numbers(&found)));
                            }
                        }
                    }
                }
                let ratio = srm::buckets(&[odd.clone(), mixed.clone()], &[0.5, 0.5]);
                sound("srm", &[a, b], &ratio.map_or(vec![], |value| vec![value]));
            }
        }
    }
}

#[test]
fn odd_questions() {
    let strata = [Stratum {
        canary: Arm { cells: vec![Cell { units: 10.0, total: 1.0 }; 32] },
        baseline: Arm { cells: vec![Cell { units: 10.0, total: 1.0 }; 32] },
        ..Stratum::default()
    }];
    for a in ODD {
        for b in ODD {
            let found = compare::rate(&strata, &Limit { ratio: a, floor: b }, &Ask::at(0.01));
            sound("limit", &[a, b], &found.map_or(vec![], |found| numbers(&found)));
            let found = compare::rate(&strata, &Limit { ratio: 2.0, floor: 0.0 }, &Ask::at(a));
            assert_eq!(found.is_ok(), a > 0.0 && a < 1.0, "alpha {a}");
            let traffic = Traffic { canary_units: a, baseline_units: b, baseline: 0.01, effect: 1.0 };
            let limit = Limit { ratio: 2.0, floor: 0.0 };
            sound("detect", &[a, b], &detect::rate(&traffic, &limit, 0.01, 0.8).map_or(vec![], |rate| vec![rate]));
            sound("detect", &[a, b], &detect::mean(&traffic, 1.0, &limit, 0.01, 0.8).map_or(vec![], |mean| vec![mean]));
            if let Ok(histogram) = Histogram::new(vec![1.0, 2.0], vec![a, b, 1.0]) {
                let ask = quantile::Ask { q: 0.9, alpha: 0.01, canary_effect: 1.0, baseline_effect: 1.0, buckets: 32 };
                let pair = quantile::Pair { canary: histogram.clone(), baseline: histogram };
                let found = quantile::compare(&[pair], &Limit { ratio: 1.0, floor: 0.0 }, &ask);
                assert!(!found.is_ok_and(|found| found.exceeded), "{a} {b}");
            }
        }
    }
    assert_eq!(compare::rate(&[], &Limit { ratio: 2.0, floor: 0.0 }, &Ask::at(0.01)), Err(Reason::NoData("canary")));
}
