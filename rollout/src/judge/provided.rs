//! Measurements of providers: sums, which are judged as requests are, and plain numbers, which come without a variance and are
//! held against their bound look by look.

use super::{Case, Evidence, alphas, beyond, by_threshold};
use crate::plan::{Bound, Criterion, Unit, unit};
use crate::state::Figures;
use crate::stats::compare::{self, Ask, Limit, Worse};
use crate::stats::counts::Clustering;
use crate::stats::{Arm, Finding, Reason, Stratum};
use crate::tick::{Measured, Sums};

/// Evidence, where the baseline comes from, whether it is a plain number, and when it was asked; or the earlier figures, when the
/// provider has not been asked again.
pub(super) fn measure(case: &Case<'_>, criterion: &Criterion) -> Result<(Evidence, String, bool, u64), Box<Figures>> {
    let from = format!("{} now", case.plan.stable);
    let Some(answer) = case.measurements.iter().rev().find(|m| m.criterion == criterion.name) else {
        let previous = case.previous.and_then(|look| look.figures.iter().find(|f| f.name == criterion.name));
        // A provider that is asked less often than the judge looks has said what it says.
        let patience = (3 * case.plan.judging.interval_ms).max(120_000);
        if let Some(previous) = previous
            && case.now_ms.saturating_sub(previous.at_ms) <= patience
        {
            return Err(Box::new(previous.clone()));
        }
        return Ok((Evidence::unmeasured("the provider has not answered"), from, true, case.now_ms));
    };
    let at = answer.at_ms;
    Ok(match &answer.value {
        Measured::NoValues => (Evidence::unmeasured("the provider has no values"), from, true, at),
        Measured::Error { reason } => (Evidence::unmeasured(format!("the provider failed: {reason}")), from, true, at),
        Measured::Values { canary, stable } => {
            let now = stable.filter(|s| s.is_finite());
            match (now, kept(case, criterion)) {
                (None, Some((Measured::Values { stable, .. }, from))) => {
                    (plain(criterion, *canary, *stable), from, true, at)
                }
                _ => (plain(criterion, *canary, *stable), from, true, at),
            }
        }
        Measured::Sums { canary, stable } => match kept(case, criterion) {
            Some((Measured::Sums { stable, .. }, from)) => (sums(case, criterion, canary, stable), from, false, at),
            _ => (sums(case, criterion, canary, stable), from, false, at),
        },
    })
}

/// What was said of the stable version when it last had traffic, where it has none now; and of which step that is.
fn kept<'a>(case: &Case<'a>, criterion: &Criterion) -> Option<(&'a Measured, String)> {
    let baseline = case.baseline.filter(|_| case.weights.is_full())?;
    let said = baseline.provided.get(&criterion.name)?;
    Some((said, format!("{} in {}", case.plan.stable, baseline.name)))
}

fn plain(criterion: &Criterion, canary: f64, stable: Option<f64>) -> Evidence {
    let relative = criterion.bound.is_relative();
    if !canary.is_finite() {
        return Evidence::unmeasured("the provider's value for the new version is no number");
    }
    let baseline = stable.filter(|s| s.is_finite());
    if relative && baseline.is_none() {
        return Evidence::unmeasured("the provider has no value for the stable version");
    }
    let limit = criterion.bound.limit(baseline.unwrap_or(0.0));
    Evidence {
        measured: Some(canary),
        baseline: baseline.filter(|_| relative),
        limit: Some(limit),
        samples: 1,
        exceeded: beyond(criterion, canary, limit),
        beyond: beyond(criterion, canary, limit),
        ..Evidence::default()
    }
}

fn arm(sums: &Sums) -> Arm {
    let mut arm = Arm::default();
    for (bucket, (count, total)) in sums.buckets.iter().enumerate() {
        arm.add(bucket, super::f(*count), *total);
    }
    arm
}

fn sums(case: &Case<'_>, criterion: &Criterion, canary: &Sums, stable: &Sums) -> Evidence {
    let stratum = Stratum { name: "all".to_owned(), canary: arm(canary), baseline: arm(stable), share: None };
    let relative = criterion.bound.is_relative();
    let Some(measured) = stratum.canary.mean().filter(|m| m.is_finite()) else {
        return Evidence::unmeasured("nothing was reported of the new version");
    };
    let baseline = stratum.baseline.mean().filter(|m| m.is_finite() && relative);
    if relative && baseline.is_none() {
        return Evidence::unmeasured("nothing was reported of the stable version to compare with");
    }
    let limit = criterion.bound.limit(baseline.unwrap_or(0.0));
    let samples: u64 = canary.buckets.iter().map(|(count, _)| count).sum();
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
    let clustering = if canary.buckets.len() > 1 { Clustering::Buckets } else { Clustering::Independent };
    // Counts of a Prometheus come as one sum: shares of them can still be told from chance.
    let found = if unit(criterion.metric) == Unit::Share {
        super::rates::test(&criterion.bound, std::slice::from_ref(&stratum), alpha, clustering)
    } else {
        mean(&criterion.bound, std::slice::from_ref(&stratum), alpha)
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
