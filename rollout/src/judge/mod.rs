//! The judge: what was measured of a step, held against what is allowed.
//!
//! Looking often must not cry wolf. A naive rule ("twice the baseline after 100 requests", looked at each half minute) rolls back a
//! third of all healthy rollouts; so a criterion fails only when the statistics of [`crate::stats`] say that the new version is worse
//! than allowed with an error probability that holds over all looks, and alpha is shared out so that it holds over
//! all steps and criteria together. Half of a criterion's share watches the whole step, half its newest minute, so that a
//! long calm does not drown a sudden failure; the n-th minute gets `6 / (pi n)^2` of that half, which add up to 1.
//!
//! Passing is another question than failing: at the step's end the measurement itself must be within the limit, with enough
//! requests. Between the two lies "inconclusive". Without values there is an error, never a success.
//!
//! It decides nothing: what follows from a verdict is [`mod@crate::tick`]'s.

mod ab;
mod agreement;
mod experiment;
mod latency;
mod power;
mod provided;
mod rates;
mod segments;
mod sides;
mod size;
mod words;

use crate::file::{Importance, JudgeMode, Metric};
use crate::measure::{Lagged, Window};
use crate::plan::{Bound, Criterion, Plan, Source, Step, StepKind, Unit, Weights, unit};
use crate::state::{Baseline, Figures, Look, Recent, VerdictKind};
use crate::tick::Measurement;

pub(crate) use ab::test;
pub(crate) use power::power;
pub(crate) use size::announce;
pub(crate) use words::allowed;

/// All that a look rests on.
pub(crate) struct Case<'a> {
    pub(crate) plan: &'a Plan,
    /// The step whose criteria are judged.
    pub(crate) step: &'a Step,
    pub(crate) now_ms: u64,
    /// The weights in force.
    pub(crate) weights: &'a Weights,
    pub(crate) window: &'a Window,
    pub(crate) recent: Option<&'a Recent>,
    pub(crate) lagged: &'a Lagged,
    /// What stands for the stable version where it has no traffic.
    pub(crate) baseline: Option<&'a Baseline>,
    pub(crate) measurements: &'a [Measurement],
    pub(crate) previous: Option<&'a Look>,
    /// Whether bounds are worked out also where nothing can fail: costly, and for people alone.
    pub(crate) full: bool,
}

/// What a criterion's measurement says.
#[derive(Debug, Clone, Default)]
struct Evidence {
    measured: Option<f64>,
    /// Of a quantile out of a histogram: how far it may be off, the width of its bucket.
    error: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    baseline: Option<f64>,
    limit: Option<f64>,
    samples: u64,
    /// The measured value is on the wrong side of the limit, be it by chance.
    beyond: bool,
    /// Worse than allowed, beyond chance (or beyond the bound, in threshold mode).
    exceeded: bool,
    /// Why it cannot be measured.
    problem: Option<String>,
    /// Of a plain number: its readings in this step, and those beyond the limit.
    readings: (u32, u32),
    /// In which segment it fails, where it does in one alone.
    segment: Option<String>,
    /// Why it cannot be decided although it is measured.
    undecided: Option<String>,
    /// Said in place of the usual sentence.
    sentence: Option<String>,
}

impl Evidence {
    fn unmeasured(problem: impl Into<String>) -> Self {
        Self { problem: Some(problem.into()), ..Self::default() }
    }

    /// Too little was seen so far to measure anything.
    fn open(why: impl Into<String>) -> Self {
        Self { undecided: Some(why.into()), ..Self::default() }
    }
}

/// Looks at a step.
pub(crate) fn look(case: &Case<'_>) -> Look {
    let (plan, totals) = (case.plan, &case.window.totals);
    let figures: Vec<Figures> = case.step.criteria.iter().map(|c| figures(case, c)).collect();
    let copies = matches!(case.step.kind, StepKind::Shadow) || case.weights.mirror > 0;
    let canary_requests = if case.weights.shadow > 0 {
        totals.comparisons()
    } else if copies {
        totals.copies.as_ref().map_or(0, crate::measure::Counters::finished)
    } else {
        totals.finished(&plan.canary)
    };
    let mut look = Look {
        at_ms: case.now_ms,
        step: case.step.name.clone(),
        weights: case.weights.clone(),
        measured_ms: case.window.measured_ms,
        duration_ms: case.step.duration_ms,
        canary_requests,
        stable_requests: totals.finished(&plan.stable),
        misrouted: totals.misrouted(),
        verdict: VerdictKind::Pass,
        sentence: String::new(),
        bounds_at_ms: if case.full { case.now_ms } else { case.previous.map_or(0, |p| p.bounds_at_ms) },
        figures,
        test: None,
        bandit: None,
    };
    (look.verdict, look.sentence) = together(plan, &look, needed(case));
    look
}

/// Finished requests of the new version, or comparisons, that the step needs.
fn needed(case: &Case<'_>) -> u64 {
    match case.step.kind {
        StepKind::Compare { min } => min,
        _ => case.plan.judging.min_requests,
    }
}

/// All criteria together, and what must hold beside them.
fn together(plan: &Plan, look: &Look, needed: u64) -> (VerdictKind, String) {
    let acting = || look.figures.iter().filter(|f| !f.dry_run);
    if let Some(failed) = acting().find(|f| f.verdict == VerdictKind::Fail) {
        return (VerdictKind::Fail, failed.sentence.clone());
    }
    let all = look.canary_requests + look.stable_requests;
    if look.misrouted * u64::from(crate::file::WHOLE) > u64::from(plan.proxies.misrouted) * all.max(1) {
        let text = format!(
            "{} of {all} requests were served by another cluster than their variant's: what was delivered is not what was decided",
            look.misrouted
        );
        return (VerdictKind::Error, text);
    }
    if let Some(error) = acting().find(|f| f.verdict == VerdictKind::Error) {
        return (VerdictKind::Error, error.sentence.clone());
    }
    if look.canary_requests < needed {
        let what = if look.weights.shadow > 0 { "comparisons" } else { "finished requests of the new version" };
        let text = format!("{} {what} were seen, {needed} are needed", look.canary_requests);
        return (VerdictKind::Inconclusive, text);
    }
    if let Some(open) = acting().find(|f| f.verdict == VerdictKind::Inconclusive) {
        return (VerdictKind::Inconclusive, open.sentence.clone());
    }
    let names: Vec<&str> = acting().map(|f| f.name.as_str()).collect();
    (
        VerdictKind::Pass,
        format!(
            "{} hold over {} {}",
            names.join(", "),
            look.canary_requests,
            if look.weights.shadow > 0 { "comparisons" } else { "requests" }
        ),
    )
}

fn figures(case: &Case<'_>, criterion: &Criterion) -> Figures {
    if let Bound::NotWorse { margin, lower } = criterion.bound {
        let before = case.previous.and_then(|look| look.figures.iter().find(|f| f.name == criterion.name));
        return match (experiment::not_worse(case, criterion, margin, lower), before) {
            (Some((evidence, at_ms)), _) => {
                told(case, criterion, &evidence, sides::sides(case, &case.window.totals).from, false, at_ms)
            }
            (None, Some(before)) => before.clone(),
            (None, None) => {
                told(case, criterion, &Evidence::open("it was not looked at yet"), String::new(), false, case.now_ms)
            }
        };
    }
    let (mut evidence, from, plain, at_ms) = match (&criterion.source, unit(criterion.metric)) {
        (Source::Provider { .. }, _) => match provided::measure(case, criterion) {
            Ok(found) => found,
            Err(previous) => return *previous,
        },
        (Source::Proxies, Unit::Micros) => {
            let (evidence, from) = latency::measure(case, criterion);
            (evidence, from, false, case.now_ms)
        }
        (Source::Proxies, _) if criterion.metric == Metric::Agreement => {
            (agreement::measure(case, criterion), String::new(), false, case.now_ms)
        }
        (Source::Proxies, _) => {
            let (evidence, from) = rates::measure(case, criterion);
            (evidence, from, false, case.now_ms)
        }
    };
    // Between the looks that work out all bounds, the last ones stand.
    let known = case.previous.filter(|_| !case.full).and_then(|l| l.figures.iter().find(|f| f.name == criterion.name));
    if let Some(known) = known.filter(|_| evidence.lower.is_none() && evidence.upper.is_none()) {
        evidence.lower = known.lower;
        evidence.upper = known.upper;
    }
    told(case, criterion, &evidence, from, plain, at_ms)
}

/// The figures of some evidence, with their verdict and sentence.
fn told(case: &Case<'_>, criterion: &Criterion, evidence: &Evidence, from: String, plain: bool, at_ms: u64) -> Figures {
    let mut figures = Figures {
        name: criterion.name.clone(),
        metric: criterion.metric,
        unit: match unit(criterion.metric) {
            Unit::Share => "share",
            Unit::Micros => "micros",
            Unit::Number => "number",
        }
        .to_owned(),
        allowed: allowed(criterion),
        measured: evidence.measured,
        error: evidence.error,
        lower: evidence.lower,
        upper: evidence.upper,
        baseline: evidence.baseline,
        baseline_from: from,
        limit: evidence.limit,
        samples: evidence.samples,
        verdict: verdict(case, criterion, evidence),
        dry_run: criterion.importance == Importance::DryRun,
        plain,
        readings: evidence.readings.0,
        beyond: evidence.readings.1,
        at_ms,
        sentence: String::new(),
    };
    figures.sentence = words::sentence(&figures, evidence);
    figures
}

fn verdict(case: &Case<'_>, criterion: &Criterion, evidence: &Evidence) -> VerdictKind {
    if evidence.exceeded {
        return VerdictKind::Fail;
    }
    if evidence.problem.is_some() {
        return VerdictKind::Error;
    }
    let counted = criterion.source == Source::Proxies;
    let few = counted && evidence.samples < needed(case);
    if few || evidence.undecided.is_some() || evidence.beyond || evidence.measured.is_none() {
        VerdictKind::Inconclusive
    } else {
        VerdictKind::Pass
    }
}

/// Whether a value is on the wrong side of a limit.
fn beyond(criterion: &Criterion, value: f64, limit: f64) -> bool {
    if criterion.bound.is_lower() { value < limit } else { value > limit }
}

/// The share of a criterion's alpha for the whole step, and for its n-th newest part.
fn alphas(criterion: &Criterion, block: u32) -> (f64, f64) {
    let half = criterion.alpha / 2.0;
    let n = f64::from(block.max(1));
    (half, half * 6.0 / (std::f64::consts::PI * n).powi(2))
}

fn by_threshold(case: &Case<'_>) -> bool {
    case.plan.judging.mode == JudgeMode::Threshold
}

/// Which quantile a metric asks for.
fn quantile_of(metric: Metric) -> f64 {
    match metric {
        Metric::LatencyP50 | Metric::HeadersP50 => 0.5,
        Metric::LatencyP95 | Metric::HeadersP95 => 0.95,
        _ => 0.99,
    }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn f(count: u64) -> f64 {
    count as f64
}
