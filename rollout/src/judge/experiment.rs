//! What experiments are made of: both versions by segment and bucket of users, from the proxies or a provider, and when they may be looked at.
//!
//! Used by the A/B test and by criteria that must be shown (`notWorseThan`).

use super::provided::{requests_per_user, thinned};
use super::sides::sides;
use super::{Case, Evidence, rates};
use crate::file::{Metric, Procedure};
use crate::plan::{Bound, Criterion, PLANNED_LOOKS, Source, Unit, unit};
use crate::stats::counts::Clustering;
use crate::stats::experiment::{self, Ask, Found};
use crate::stats::sequential::spending::{self, Spending};
use crate::stats::{Arm, Stratum, normal};
use crate::tick::{Measured, Sums};

/// Both versions, and how their observations depend on each other.
pub(super) struct Data {
    pub(super) strata: Vec<Stratum>,
    pub(super) clustering: Clustering,
    /// When it was measured, unix ms.
    pub(super) at_ms: u64,
}

/// Why there are none.
#[derive(Debug)]
pub(super) enum Lacking {
    /// It cannot be measured.
    Problem(String),
    /// Nothing was seen so far.
    Open(String),
    /// The provider was not asked since the last look.
    NotAsked,
}

/// What is known of a metric in the window.
pub(super) fn data(
    case: &Case<'_>,
    metric: Metric,
    goal: Option<&str>,
    source: &Source,
    question: &str,
) -> Result<Data, Lacking> {
    match source {
        Source::Proxies => {
            let found = sides(case, &case.window.totals);
            let strata = rates::strata(case, metric, goal, &found).map_err(Lacking::Problem)?;
            if strata.iter().all(|s| s.canary.units() <= 0.0) {
                return Err(Lacking::Open("no request of the new version was seen".to_owned()));
            }
            Ok(Data { strata, clustering: Clustering::Buckets, at_ms: case.now_ms })
        }
        Source::Provider { .. } => {
            let Some(answer) = case.measurements.iter().rev().find(|m| m.criterion == question) else {
                return Err(Lacking::NotAsked);
            };
            let share_of = |share: f64| Some(share).filter(|s| *s > 0.0 && *s < 1.0);
            let (canary, stable) = match &answer.value {
                Measured::Sums { canary, stable } => (canary, stable),
                Measured::Strata { each } => {
                    let strata = each.iter().map(|(segment, (canary, stable))| Stratum {
                        name: segment.clone(),
                        canary: arm(canary),
                        baseline: arm(stable),
                        share: share_of(f64::from(case.weights.in_segment(segment)) / 10_000.0),
                    });
                    let strata = strata.collect();
                    return Ok(Data { strata, clustering: Clustering::Buckets, at_ms: answer.at_ms });
                }
                Measured::NoValues => return Err(Lacking::Open("the provider has no values yet".to_owned())),
                Measured::Error { reason } => return Err(Lacking::Problem(format!("the provider failed: {reason}"))),
                Measured::Values { .. } => {
                    return Err(Lacking::Problem(
                        "the provider gives a bare number, which says nothing of chance: it must count, or take outcomes".to_owned(),
                    ));
                }
            };
            let clustering = if canary.buckets.len() > 1 { Clustering::Buckets } else { Clustering::Independent };
            let share = case.weights.segments.is_empty().then(|| f64::from(case.weights.canary) / 10_000.0);
            let per_user = if clustering == Clustering::Buckets { 1.0 } else { requests_per_user(case, source) };
            let stratum = Stratum {
                name: "all".to_owned(),
                canary: thinned(&arm(canary), per_user),
                baseline: thinned(&arm(stable), per_user),
                share: share.and_then(share_of),
            };
            Ok(Data { strata: vec![stratum], clustering, at_ms: answer.at_ms })
        }
    }
}

pub(super) fn arm(sums: &Sums) -> Arm {
    let mut arm = Arm::default();
    for (bucket, (count, total)) in sums.buckets.iter().enumerate() {
        arm.add(bucket, super::f(*count), *total);
    }
    arm
}

/// Whether, and how, it may be looked at now.
pub(super) enum Turn {
    /// Now, so.
    Look(experiment::Procedure),
    /// The last planned look stands.
    Stands,
    /// The first one is still to come.
    Early(&'static str),
}

/// Which planned look a measured time has reached, from 0.
fn reached(procedure: Procedure, at_end: bool, measured_ms: u64, duration_ms: u64) -> u32 {
    let part = |looks: u32| {
        let done = measured_ms.saturating_mul(u64::from(looks)) / duration_ms.max(1);
        u32::try_from(done).unwrap_or(looks).min(looks)
    };
    match (procedure, at_end) {
        (_, true) | (Procedure::FixedHorizon, _) => part(1),
        (Procedure::GroupSequential, false) => part(PLANNED_LOOKS),
        _ => u32::MAX,
    }
}

/// How a procedure may look now, one-sided at `alpha`.
pub(super) fn turn(case: &Case<'_>, procedure: Procedure, at_end: bool, alpha: f64) -> Turn {
    let duration = case.step.duration_ms.unwrap_or(0);
    let now = reached(procedure, at_end, case.window.measured_ms, duration);
    let before = case.previous.map_or(0, |look| reached(procedure, at_end, look.measured_ms, duration));
    if now == 0 {
        return Turn::Early(if at_end {
            "it is looked at once, when time is up"
        } else {
            "the first planned look is to come"
        });
    }
    if now != u32::MAX && case.previous.is_some() && now <= before {
        return Turn::Stands;
    }
    Turn::Look(match procedure {
        Procedure::Anytime => experiment::Procedure::Anytime,
        Procedure::ConfidenceSequence => experiment::Procedure::ConfidenceSequence,
        Procedure::Msprt => experiment::Procedure::Msprt,
        Procedure::FixedHorizon => experiment::Procedure::Bound(normal::isf(alpha)),
        Procedure::GroupSequential => experiment::Procedure::Bound(planned_bound(now, alpha)),
    })
}

/// The bound for z at the n-th planned look.
pub(super) fn planned_bound(look: u32, alpha: f64) -> f64 {
    let fractions: Vec<f64> =
        (1..=look.clamp(1, PLANNED_LOOKS)).map(|k| f64::from(k) / f64::from(PLANNED_LOOKS)).collect();
    let bounds = spending::bounds(&fractions, (2.0 * alpha).min(0.999), Spending::OBrienFleming, true);
    bounds.ok().and_then(|b| b.last().copied()).unwrap_or(f64::INFINITY)
}

/// A criterion that must be shown: the new version is not worse by more than the margin.
pub(super) fn not_worse(case: &Case<'_>, criterion: &Criterion, margin: f64, lower: bool) -> Option<(Evidence, u64)> {
    let data = match data(case, criterion.metric, criterion.goal.as_deref(), &criterion.source, &criterion.name) {
        Ok(data) => data,
        Err(Lacking::Problem(why)) => return Some((Evidence::unmeasured(why), case.now_ms)),
        Err(Lacking::Open(why)) => return Some((Evidence::open(why), case.now_ms)),
        Err(Lacking::NotAsked) if case.previous.is_some() => return None,
        Err(Lacking::NotAsked) => return Some((Evidence::unmeasured("the provider has not answered"), case.now_ms)),
    };
    let procedure = match turn(case, criterion.procedure, criterion.at_end, criterion.alpha) {
        Turn::Look(procedure) => procedure,
        Turn::Stands => return None,
        Turn::Early(why) => return Some((Evidence::open(why), data.at_ms)),
    };
    let ask = Ask {
        alpha: criterion.alpha,
        procedure,
        planned: None,
        effect: margin,
        rate: unit(criterion.metric) == Unit::Share && criterion.metric != Metric::Goal,
        clustering: data.clustering,
    };
    let evidence = match experiment::compare(&data.strata, &ask) {
        Ok(found) => shown(criterion, &found, margin, lower),
        Err(reason) => Evidence { undecided: Some(reason.to_string()), ..Evidence::default() },
    };
    Some((evidence, data.at_ms))
}

fn shown(criterion: &Criterion, found: &Found, margin: f64, lower: bool) -> Evidence {
    let (holds, fails) = if lower {
        (found.low.is_some_and(|low| low > -margin), found.high.is_some_and(|high| high < -margin))
    } else {
        (found.high.is_some_and(|high| high < margin), found.low.is_some_and(|low| low > margin))
    };
    let limit = Bound::NotWorse { margin, lower }.limit(found.a);
    let [_, units] = found.units;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let samples = units.round() as u64;
    Evidence {
        measured: Some(found.b),
        baseline: Some(found.a),
        lower: found.low.map(|low| found.a + low),
        upper: found.high.map(|high| found.a + high),
        limit: Some(limit),
        samples,
        beyond: !holds,
        exceeded: fails,
        sentence: Some(super::words::not_worse(criterion, found, margin, (holds, fails))),
        ..Evidence::default()
    }
}
