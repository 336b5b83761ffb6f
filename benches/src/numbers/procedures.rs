//! The procedures that [`super::tick`]'s look does not ask, over what it sees: 3 variants, 8 metrics beside latency, 20 segments, 32 buckets of users.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use headgate_rollout::stats::adaptive::{Adaptive, Holds};
use headgate_rollout::stats::bayes::Rate;
use headgate_rollout::stats::counts::Clustering;
use headgate_rollout::stats::drift::{self, Bins};
use headgate_rollout::stats::experiment::{self, Evidence, Procedure};
use headgate_rollout::stats::fixed::intervals::newcombe;
use headgate_rollout::stats::fixed::lift::Lift;
use headgate_rollout::stats::fixed::means::{Moments, welch};
use headgate_rollout::stats::fixed::proportions::{Proportion, Spread, z_test};
use headgate_rollout::stats::fixed::ranks::{Law, mann_whitney};
use headgate_rollout::stats::fixed::{Alternative, Look, noninferiority, tables};
use headgate_rollout::stats::histogram::Histogram;
use headgate_rollout::stats::multiple::{benjamini_hochberg, holm};
use headgate_rollout::stats::segments::{Pair, breslow_day, mantel_haenszel, reversal};
use headgate_rollout::stats::sequential::{multinomial, spending};
use headgate_rollout::stats::{Arm, Reason, Stratum, design, normal, srm};

use super::refused;

const VARIANTS: usize = 3;
const SEGMENTS: usize = 20;
const BUCKETS: usize = 32;
const RATES: usize = 6;
const MEANS: usize = 2;
const ALPHA: f64 = 0.01;

/// What was counted: by variant and segment, of each metric.
struct Counted {
    rates: Vec<Vec<Vec<Arm>>>,
    means: Vec<Vec<Vec<Arm>>>,
    latency: Vec<Vec<Histogram>>,
}

/// Seconds of so many rounds in which each was asked everything.
pub(super) fn measure(looks: usize) -> Result<Vec<f64>> {
    let mut random = fastrand::Rng::with_seed(7);
    let counted = counted(&mut random).map_err(refused)?;
    let mut seconds = Vec::with_capacity(looks);
    for _ in 0..looks {
        let begin = Instant::now();
        let p = look(black_box(&counted)).map_err(refused)?;
        seconds.push(begin.elapsed().as_secs_f64());
        ensure!(!p.is_empty() && p.iter().all(|p| (0.0..=1.0).contains(p)), "a p-value is none: {p:?}");
    }
    Ok(seconds)
}

fn counted(random: &mut fastrand::Rng) -> Result<Counted, Reason> {
    let edges: Vec<f64> = (0..40).map(|i| 500.0 * 1.3_f64.powi(i)).collect();
    let mut arms = |base: f64, spread: f64| -> Vec<Vec<Arm>> {
        let mut segment = || {
            let mut arm = Arm::default();
            for bucket in 0..BUCKETS {
                let units = f64::from(random.u32(150..250));
                arm.add(bucket, units, (units * (base + spread * random.f64())).floor());
            }
            arm
        };
        (0..VARIANTS).map(|_| (0..SEGMENTS).map(|_| segment()).collect()).collect()
    };
    let rates = (0..RATES).map(|_| arms(0.02, 0.03)).collect();
    let means = (0..MEANS).map(|_| arms(40.0, 10.0)).collect();
    let mut latency = Vec::new();
    for _ in 0..VARIANTS {
        let mut segments = Vec::new();
        for _ in 0..SEGMENTS {
            let mut counts = vec![0.0; edges.len() + 1];
            for _ in 0..6_000 {
                let value = 20_000.0 * (0.6 * (0..4).map(|_| random.f64() - 0.5).sum::<f64>()).exp();
                if let Some(count) = counts.get_mut(edges.partition_point(|edge| *edge < value)) {
                    *count += 1.0;
                }
            }
            segments.push(Histogram::new(edges.clone(), counts)?);
        }
        latency.push(segments);
    }
    Ok(Counted { rates, means, latency })
}

fn strata(stable: &[Arm], other: &[Arm]) -> Vec<Stratum> {
    let both = stable.iter().zip(other).enumerate();
    both.map(|(i, (a, b))| Stratum {
        name: format!("segment-{i}"),
        canary: b.clone(),
        baseline: a.clone(),
        share: Some(0.5),
    })
    .collect()
}

/// All of it once: the p-values, corrected.
fn look(counted: &Counted) -> Result<Vec<f64>, Reason> {
    let fractions = [0.2, 0.4, 0.6, 0.8, 1.0];
    let planned = spending::bounds(&fractions, ALPHA, spending::Spending::OBrienFleming, true)?;
    let mut all = ratios(counted)?;
    for other in 1..VARIANTS {
        let mut of_metrics = Vec::new();
        for (metrics, rate) in [(&counted.rates, true), (&counted.means, false)] {
            for metric in metrics {
                if let [stable, ..] = metric.as_slice()
                    && let Some(other) = metric.get(other)
                {
                    of_metrics.push(of_metric(&strata(stable, other), rate, &planned)?);
                    if rate {
                        all.extend(textbook(stable, other)?);
                    }
                }
            }
        }
        all.extend(holm(&of_metrics)?);
        all.extend(benjamini_hochberg(&of_metrics)?);
        latencies(counted, other)?;
    }
    for metric in &counted.rates {
        adaptive(metric)?;
    }
    Ok(all)
}

/// Do variants get their users? By segment, all variants at once, and on the totals as if they were keys.
fn ratios(counted: &Counted) -> Result<Vec<f64>, Reason> {
    let mut p = Vec::new();
    let Some(metric) = counted.rates.first() else { return Ok(p) };
    let mut logs = Vec::new();
    for segment in 0..SEGMENTS {
        let arms: Vec<Arm> = metric.iter().filter_map(|of| of.get(segment).cloned()).collect();
        logs.push(srm::buckets(&arms, &[1.0; VARIANTS])?);
        let totals: Vec<f64> = arms.iter().map(Arm::units).collect();
        p.push(multinomial::p(&totals, &[1.0; VARIANTS])?);
    }
    black_box((srm::same_users(&logs), srm::epochs(&logs)));
    Ok(p)
}

/// By how much different, by every procedure; in each segment by itself, corrected; and by ranks and means of buckets.
fn of_metric(strata: &[Stratum], rate: bool, planned: &[f64]) -> Result<f64, Reason> {
    let bound = planned.last().copied().unwrap_or_else(|| normal::isf(ALPHA));
    let ask = experiment::Ask {
        alpha: 0.5 * ALPHA,
        procedure: Procedure::Anytime,
        planned: Some(100_000.0),
        effect: 0.02,
        rate,
        clustering: Clustering::Buckets,
    };
    let evidence = Evidence::of(strata, &ask)?;
    for procedure in [Procedure::Anytime, Procedure::ConfidenceSequence, Procedure::Msprt, Procedure::Bound(bound)] {
        black_box(evidence.compare(procedure)?);
    }
    let by_segment: Vec<f64> = evidence.each(Some(5_000.0)).collect::<Result<_, _>>()?;
    black_box(holm(&by_segment)?);
    let means = |side: fn(&Stratum) -> &Arm| -> Vec<f64> {
        strata.iter().flat_map(|s| &side(s).cells).map(|cell| cell.total / cell.units).collect()
    };
    let (mut a, mut b) = (means(|s| &s.baseline), means(|s| &s.canary));
    black_box(welch(Moments::of(&a)?, Moments::of(&b)?, ALPHA, Alternative::TwoSided, Look::Only)?);
    black_box(mann_whitney(&mut a, &mut b, Law::Normal { continuity: true }, Alternative::TwoSided, Look::Only)?);
    evidence.p()
}

/// Tests of independent units, on counts divided by a design effect: each segment, and all together.
fn textbook(stable: &[Arm], other: &[Arm]) -> Result<Vec<f64>, Reason> {
    let of = |arm: &Arm| {
        let cells: Vec<(f64, f64)> = arm.cells.iter().map(|cell| (cell.units, cell.total)).collect();
        let effect = design::effect(&cells).max(1.0);
        Proportion::new(arm.total() / effect, arm.units() / effect)
    };
    let (mut pairs, mut p) = (Vec::new(), Vec::new());
    for (a, b) in stable.iter().zip(other) {
        let (a, b) = (of(a)?, of(b)?);
        p.push(z_test(a, b, Spread::Pooled, Alternative::TwoSided, Look::Only)?.p);
        p.push(noninferiority::rates(a, b, 0.01, Look::Only)?.p);
        let (others_a, others_b) = (a.units - a.events, b.units - b.events);
        p.push(tables::independence(&[&[a.events, others_a], &[b.events, others_b]], false, Look::Only)?.p);
        black_box(newcombe(a, b, ALPHA)?);
        black_box(Lift::of_proportions(a, b)?.interval(ALPHA)?);
        pairs.push(Pair { a, b });
    }
    let common = mantel_haenszel(&pairs, ALPHA)?;
    black_box((breslow_day(&pairs, common.odds_ratio)?, reversal(&pairs, ALPHA, ["stable", "other", "segments"])?));
    let sum = |side: fn(&Pair) -> Proportion| {
        pairs.iter().map(side).fold(Proportion::default(), |all, one| Proportion {
            events: all.events + one.events,
            units: all.units + one.units,
        })
    };
    let (a, b) = (sum(|pair| pair.a), sum(|pair| pair.b));
    black_box(Rate::choose(&Rate::new(a.events, a.units, 1.0)?, &Rate::new(b.events, b.units, 1.0)?));
    p.push(common.p);
    Ok(p)
}

/// Is the whole distribution another?
fn latencies(counted: &Counted, other: usize) -> Result<(), Reason> {
    let (Some(stable), Some(other)) = (counted.latency.first(), counted.latency.get(other)) else { return Ok(()) };
    let ask = drift::Ask::at(ALPHA);
    for (reference, now) in stable.iter().zip(other) {
        let bins = Bins::new(reference, 10)?;
        black_box(drift::population_stability(&bins.counts(reference)?, &bins.counts(now)?, &ask)?);
        black_box(drift::smirnov(reference, now, &ask)?);
    }
    Ok(())
}

/// What each variant earns, segment after segment as if they were epochs.
fn adaptive(metric: &[Vec<Arm>]) -> Result<(), Reason> {
    let mut sums = Adaptive::default();
    for segment in 0..SEGMENTS {
        let arms: Vec<Arm> = metric.iter().filter_map(|of| of.get(segment).cloned()).collect();
        sums.add(&[1.0 / 3.0; VARIANTS], &arms)?;
    }
    for arm in 0..VARIANTS {
        black_box(sums.value(arm, ALPHA, Holds::Always { best: 20.0 })?);
    }
    Ok(())
}
