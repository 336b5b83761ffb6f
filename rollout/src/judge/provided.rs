//! Measurements of providers: sums, which are judged as requests are, and plain numbers, which come without a variance. Those fail by how often
//! their readings lie beyond the limit ([`crate::stats::sign`]).

use super::experiment::arm;
use super::{Case, Evidence, alphas, beyond, by_threshold};
use crate::file::{Importance, WHOLE};
use crate::plan::{Bound, Criterion, Source, Unit, unit};
use crate::state::Figures;
use crate::stats::compare::{self, Ask, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::{Arm, Finding, Reason, Stratum, sign};
use crate::tick::{Measured, Newest, Sums};

/// Requests that a user of a source without buckets of users makes in a step, when the file does not say.
const REQUESTS_PER_USER: f64 = 20.0;

/// Evidence, where the baseline comes from, whether it is a plain number, and when it was asked; or the earlier figures, when the
/// provider has not been asked again.
pub(super) fn measure(case: &Case<'_>, criterion: &Criterion) -> Result<(Evidence, String, bool, u64), Box<Figures>> {
    let from = format!("{} now", case.plan.stable);
    let previous = case.previous.and_then(|look| look.figures.iter().find(|f| f.name == criterion.name));
    let readings = previous.map_or((0, 0), |f| (f.readings, f.beyond));
    let unmeasured = |why: String| Evidence { readings, ..Evidence::unmeasured(why) };
    let Some(answer) = case.measurements.iter().rev().find(|m| m.criterion == criterion.name) else {
        // A provider that is asked less often than the judge looks has said what it says.
        let patience = (3 * case.plan.judging.interval_ms).max(120_000);
        if let Some(previous) = previous
            && case.now_ms.saturating_sub(previous.at_ms) <= patience
        {
            return Err(Box::new(previous.clone()));
        }
        return Ok((unmeasured("the provider has not answered".to_owned()), from, true, case.now_ms));
    };
    let at = answer.at_ms;
    Ok(match &answer.value {
        Measured::NoValues => (unmeasured("the provider has no values".to_owned()), from, true, at),
        Measured::Error { reason } => (unmeasured(format!("the provider failed: {reason}")), from, true, at),
        Measured::Values { canary, stable, newest } => {
            let finite = |value: &Option<f64>| value.filter(|v| v.is_finite());
            let (kept, kept_from) = match kept(case, criterion) {
                Some((Measured::Values { stable, .. }, from)) => (finite(stable), from),
                _ => (None, from.clone()),
            };
            let from = if finite(stable).is_none() && kept.is_some() { kept_from } else { from };
            let known = |now: &Option<f64>| finite(now).or(kept);
            let part = match newest {
                // The answer that was judged already is no further reading.
                _ if previous.is_some_and(|f| f.at_ms >= at && f.measured.is_some()) => None,
                Newest::Whole => Some((*canary, known(stable))),
                Newest::Nothing => None,
                Newest::Part { canary, stable } => Some((*canary, known(stable))),
            };
            (plain(case, criterion, (*canary, known(stable)), part, readings), from, true, at)
        }
        Measured::Sums { canary, stable } => match kept(case, criterion) {
            Some((Measured::Sums { stable, .. }, from)) => {
                (sums(case, criterion, &[stratum("all", canary, stable, None)]), from, false, at)
            }
            _ => (sums(case, criterion, &[stratum("all", canary, stable, None)]), from, false, at),
        },
        Measured::Strata { each } => {
            let (kept, from) = match kept(case, criterion) {
                Some((Measured::Strata { each }, from)) => (Some(each), from),
                _ => (None, from),
            };
            let nothing = Sums::default();
            let strata: Vec<Stratum> = each
                .iter()
                .map(|(segment, (canary, stable))| {
                    let share = f64::from(case.weights.in_segment(segment)) / f64::from(WHOLE);
                    match kept {
                        Some(kept) => {
                            stratum(segment, canary, kept.get(segment).map_or(&nothing, |(_, stable)| stable), None)
                        }
                        None => stratum(segment, canary, stable, (share > 0.0 && share < 1.0).then_some(share)),
                    }
                })
                .collect();
            (sums(case, criterion, &strata), from, false, at)
        }
    })
}

/// What was said of the stable version when it last had traffic, where it has none now; and of which step that is.
fn kept<'a>(case: &Case<'a>, criterion: &Criterion) -> Option<(&'a Measured, String)> {
    let baseline = case.baseline.filter(|_| case.weights.is_full())?;
    let said = baseline.provided.get(&criterion.name)?;
    Some((said, format!("{} in {}", case.plan.stable, baseline.name)))
}

/// A number without a variance. `whole` is measured of the step, `part` of it is a further reading; `readings` were there before.
fn plain(
    case: &Case<'_>,
    criterion: &Criterion,
    (canary, stable): (f64, Option<f64>),
    part: Option<(f64, Option<f64>)>,
    readings: (u32, u32),
) -> Evidence {
    let relative = criterion.bound.is_relative();
    if !canary.is_finite() {
        let why = "the provider's value for the new version is no number";
        return Evidence { readings, ..Evidence::unmeasured(why) };
    }
    if relative && stable.is_none() {
        let why = "the provider has no value for the stable version";
        return Evidence { readings, ..Evidence::unmeasured(why) };
    }
    let limit = criterion.bound.limit(stable.unwrap_or(0.0));
    let wrong = beyond(criterion, canary, limit);
    let (mut all, mut wrong_ones) = readings;
    // What cannot be compared is no reading.
    if let Some((canary, stable)) =
        part.filter(|(canary, stable)| canary.is_finite() && (stable.is_some() || !relative))
    {
        all = all.saturating_add(1);
        if beyond(criterion, canary, criterion.bound.limit(stable.unwrap_or(0.0))) {
            wrong_ones = wrong_ones.saturating_add(1);
        }
    }
    // An ordinary criterion says by itself how many failed looks it may have.
    let at_once = by_threshold(case) || criterion.importance == Importance::Ordinary;
    let shown = at_once || sign::ln_e(wrong_ones, all) >= -criterion.alpha.ln();
    let undecided = (wrong && !shown).then(|| {
        format!(
            "{wrong_ones} of {all} readings were beyond it; {} in a row would be no chance",
            sign::in_a_row(criterion.alpha)
        )
    });
    Evidence {
        measured: Some(canary),
        baseline: stable.filter(|_| relative),
        limit: Some(limit),
        samples: u64::from(all),
        exceeded: wrong && shown,
        beyond: wrong,
        readings: (all, wrong_ones),
        undecided,
        ..Evidence::default()
    }
}

fn stratum(segment: &str, canary: &Sums, stable: &Sums, share: Option<f64>) -> Stratum {
    Stratum { name: segment.to_owned(), canary: arm(canary), baseline: arm(stable), share }
}

/// How many requests count as one, where a source tells of requests and not of users. If nobody makes more than so many in a step, neither
/// variance nor exact test says too much of them: a sum of `m` requests of one user spreads at most as one request `m` times as heavy.
pub(super) fn requests_per_user(case: &Case<'_>, source: &Source) -> f64 {
    let Source::Provider { name, .. } = source else { return 1.0 };
    let provider = case.plan.providers.get(name).and_then(|p| p.prometheus.as_ref());
    provider.map_or(1.0, |p| p.requests_per_user.unwrap_or(REQUESTS_PER_USER).max(1.0))
}

/// An arm in which so many requests count as one.
pub(super) fn thinned(arm: &Arm, by: f64) -> Arm {
    let mut out = Arm::default();
    arm.cells.iter().enumerate().for_each(|(bucket, cell)| out.add(bucket, cell.units / by, cell.total / by));
    out
}

fn sums(case: &Case<'_>, criterion: &Criterion, strata: &[Stratum]) -> Evidence {
    let relative = criterion.bound.is_relative();
    let units: f64 = strata.iter().map(|s| s.canary.units()).sum();
    if units <= 0.0 {
        return Evidence::unmeasured("nothing was reported of the new version");
    }
    // Each segment weighs as much as the new version has of it.
    let compared = || strata.iter().filter(|s| s.canary.units() > 0.0 && (!relative || s.baseline.units() > 0.0));
    let of_compared: f64 = compared().map(|s| s.canary.units()).sum();
    if of_compared <= 0.0 {
        return Evidence::unmeasured("nothing was reported of the stable version to compare with");
    }
    let measured = compared().map(|s| s.canary.total()).sum::<f64>() / of_compared;
    let baseline = relative
        .then(|| compared().map(|s| s.canary.units() / of_compared * s.baseline.mean().unwrap_or(0.0)).sum::<f64>());
    if !measured.is_finite() || baseline.is_some_and(|b| !b.is_finite()) {
        return Evidence::unmeasured("what was reported is no number");
    }
    let limit = criterion.bound.limit(baseline.unwrap_or(0.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let samples = units.round() as u64;
    let mut evidence =
        Evidence { measured: Some(measured), baseline, limit: Some(limit), samples, ..Evidence::default() };
    let wrong = beyond(criterion, measured, limit);
    evidence.beyond = wrong;
    if by_threshold(case) {
        evidence.exceeded = wrong && samples >= case.plan.judging.min_requests;
        return evidence;
    }
    if samples < case.plan.judging.min_requests {
        evidence.undecided =
            Some(format!("{samples} values were reported, {} are needed", case.plan.judging.min_requests));
    }
    if !wrong && !case.full {
        return evidence;
    }
    // Sums are those of the whole step: their whole share of alpha watches it.
    let alpha = alphas(criterion, 1).0 * 2.0;
    let by_users = strata.iter().any(|s| s.canary.cells.len() > 1 || s.baseline.cells.len() > 1);
    let clustering = if by_users { Clustering::Buckets } else { Clustering::Independent };
    let found = if unit(criterion.metric) == Unit::Share {
        let by = if by_users { 1.0 } else { requests_per_user(case, &criterion.source) };
        let thin =
            |s: &Stratum| Stratum { canary: thinned(&s.canary, by), baseline: thinned(&s.baseline, by), ..s.clone() };
        let strata: Vec<Stratum> = strata.iter().map(thin).collect();
        super::rates::test(&criterion.bound, &strata, alpha, clustering)
    } else {
        mean(&criterion.bound, strata, alpha)
    };
    match found {
        Ok(finding) => {
            evidence.exceeded = finding.exceeded && wrong;
            let base = finding.baseline.unwrap_or(0.0);
            evidence.lower = finding.low.map(|low| base + low);
            evidence.upper = finding.high.map(|high| base + high);
        }
        Err(reason) if wrong => evidence.undecided = Some(reason.to_string()),
        Err(_) => {}
    }
    evidence
}

/// The statistics' question for a bound on a mean.
pub(super) fn mean(bound: &Bound, strata: &[Stratum], alpha: f64) -> Result<Finding, Reason> {
    let worse = if bound.is_lower() { Worse::Lower } else { Worse::Higher };
    let ask = Ask { alpha, worse, clustering: Clustering::Buckets };
    match *bound {
        Bound::Max { value } | Bound::Min { value } => compare::mean_bound(strata, value, &ask),
        Bound::Drop { by } | Bound::Rise { by } | Bound::NotWorse { margin: by, .. } => {
            compare::mean(strata, &Limit { ratio: 1.0, floor: by }, &ask)
        }
        Bound::Ratio { factor, floor } => compare::mean(strata, &Limit { ratio: factor, floor }, &ask),
    }
}
