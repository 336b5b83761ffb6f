//! Do the answers to copies agree with what users got? Over all, and in each segment.
//!
//! The share of compared pairs that agree is a rate like any other, and its variance comes from between buckets of users.

use super::{Case, Evidence, alphas, beyond, by_threshold, f, rates, segments};
use crate::measure::{Shadowed, Totals};
use crate::plan::Criterion;
use crate::stats::counts::Clustering;
use crate::stats::{Arm, Stratum};

/// Measures agreement in the whole step and in its newest part.
pub(super) fn measure(case: &Case<'_>, criterion: &Criterion) -> Evidence {
    let (alpha, alpha_recent) = alphas(criterion, case.recent.map_or(1, |r| r.block));
    let evidence = of(case, criterion, &case.window.totals, alpha, case.full);
    if !evidence.exceeded
        && !by_threshold(case)
        && let Some(recent) = case.recent
    {
        let newest = of(case, criterion, &recent.window.totals, alpha_recent, false);
        if newest.exceeded {
            return newest;
        }
    }
    evidence
}

fn of(case: &Case<'_>, criterion: &Criterion, totals: &Totals, alpha: f64, full: bool) -> Evidence {
    let strata: Vec<Stratum> = totals
        .shadow
        .iter()
        .filter(|(_, pairs)| pairs.comparisons() > 0)
        .map(|(segment, pairs)| Stratum { name: segment.clone(), canary: agreeing(pairs), ..Stratum::default() })
        .collect();
    if strata.is_empty() {
        return Evidence::open("nothing was compared");
    }
    segments::each(&strata, |s| &s.name, alpha, full, |some, alpha, full| one(case, criterion, some, alpha, full))
}

fn one(case: &Case<'_>, criterion: &Criterion, strata: &[Stratum], alpha: f64, full: bool) -> Evidence {
    let (units, agree) = strata.iter().fold((0.0, 0.0), |(n, x), s| (n + s.canary.units(), x + s.canary.total()));
    let value = agree / units;
    let limit = criterion.bound.limit(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let samples = units.round() as u64;
    let wrong = beyond(criterion, value, limit);
    let mut evidence =
        Evidence { measured: Some(value), limit: Some(limit), samples, beyond: wrong, ..Evidence::default() };
    if by_threshold(case) {
        evidence.exceeded = wrong && samples >= super::needed(case);
        return evidence;
    }
    if !wrong && !full {
        return evidence;
    }
    match rates::test(&criterion.bound, strata, alpha, Clustering::Buckets) {
        Ok(found) => {
            evidence.exceeded = found.exceeded && wrong;
            evidence.lower = found.low.map(|low| low.clamp(0.0, 1.0));
            evidence.upper = found.high.map(|high| high.clamp(0.0, 1.0));
        }
        Err(reason) => evidence.undecided = Some(reason.to_string()),
    }
    evidence
}

/// Pairs and agreeing pairs by bucket of users.
fn agreeing(pairs: &Shadowed) -> Arm {
    let mut arm = Arm::default();
    for (bucket, compared) in pairs.compared.iter().enumerate() {
        let mismatched = pairs.mismatched.get(bucket).copied().unwrap_or(0).min(*compared);
        arm.add(bucket, f(*compared), f(compared - mismatched));
    }
    arm
}
