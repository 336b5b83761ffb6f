//! Verdicts in plain words, with their figures.

use super::Evidence;
use crate::plan::{Bound, Criterion, Unit, unit};
use crate::state::{Figures, VerdictKind};
use crate::stats::experiment::Found;
use crate::text::{micros, share, trimmed};

/// A value in its metric's unit.
pub(super) fn value(of: Unit, value: f64) -> String {
    match of {
        Unit::Share => share(value),
        Unit::Micros => micros(value),
        Unit::Number => trimmed(value, 4),
    }
}

/// A difference in its metric's unit.
pub(super) fn difference(of: Unit, by: f64) -> String {
    match of {
        Unit::Share => format!("{} points", trimmed(by * 100.0, 3)),
        _ => value(of, by),
    }
}

/// What a criterion allows: `at most 2x the baseline, or 0.5 points more`.
pub(crate) fn allowed(criterion: &Criterion) -> String {
    let of = unit(criterion.metric);
    match criterion.bound {
        Bound::Max { value: v } => format!("at most {}", value(of, v)),
        Bound::Min { value: v } => format!("at least {}", value(of, v)),
        Bound::Drop { by } => format!("at most {} less than the baseline", difference(of, by)),
        Bound::Rise { by } => format!("at most {} more than the baseline", difference(of, by)),
        Bound::NotWorse { margin, .. } => {
            format!("shown to be not worse than the baseline by more than {}", difference(of, margin))
        }
        Bound::Ratio { factor, floor: 0.0 } => format!("at most {}x the baseline", trimmed(factor, 3)),
        Bound::Ratio { factor, floor } => {
            format!("at most {}x the baseline, or {} more", trimmed(factor, 3), difference(of, floor))
        }
    }
}

/// A verdict in one sentence.
pub(super) fn sentence(figures: &Figures, evidence: &Evidence) -> String {
    let of = unit(figures.metric);
    if let Some(sentence) = &evidence.sentence {
        return sentence.clone();
    }
    let name = &match &evidence.segment {
        Some(segment) => format!("{} in segment {segment}", figures.name),
        None => figures.name.clone(),
    };
    if let Some(problem) = &evidence.problem {
        return format!("{name} cannot be measured: {problem}");
    }
    let measured = match (figures.measured, figures.error) {
        (None, _) => "not known".to_owned(),
        (Some(measured), None) => value(of, measured),
        (Some(measured), Some(error)) => format!("{} (to within {})", value(of, measured), value(of, error)),
    };
    let limit = figures.limit.map_or_else(String::new, |l| value(of, l));
    let against =
        figures.baseline.map_or_else(String::new, |b| format!(" ({} is at {})", figures.baseline_from, value(of, b)));
    let samples = figures.samples;
    let seen = if figures.plain { String::new() } else { format!(" over {samples}") };
    match figures.verdict {
        VerdictKind::Fail => {
            // A rate of which less is worse is bounded from above.
            let falls = figures.limit.zip(figures.measured).is_some_and(|(limit, measured)| measured < limit);
            let (word, bound) = if falls { ("at most", figures.upper) } else { ("at least", figures.lower) };
            let sure = bound.filter(|_| !figures.plain).map_or_else(String::new, |bound| {
                format!("; it is {word} {}, however often one looks", value(of, bound))
            });
            format!("{name} is {measured}{seen}, allowed is {limit}{against}{sure}")
        }
        VerdictKind::Pass => format!("{name} is {measured}{seen}, within {limit}{against}"),
        VerdictKind::Inconclusive | VerdictKind::Error => match &evidence.undecided {
            Some(why) if figures.measured.is_none() => format!("{name} is not known yet: {why}"),
            Some(why) => format!("{name} is {measured}{seen}, allowed is {limit}{against}; it is not decided: {why}"),
            None if figures
                .limit
                .zip(figures.measured)
                .is_some_and(|(l, m)| (m > l) != figures.allowed.starts_with("at least")) =>
            {
                format!(
                    "{name} is {measured}{seen}, beyond the allowed {limit}{against}, but that may be chance: more requests will tell"
                )
            }
            None => format!("{name} is {measured}{seen}, allowed is {limit}{against}; that is too few to say"),
        },
    }
}

/// A difference with its sign, in its metric's unit.
pub(super) fn signed(of: Unit, by: f64) -> String {
    let sign = if by < 0.0 { "-" } else { "+" };
    format!("{sign}{}", difference(of, by.abs()))
}

/// `0.52 % against 0.5 %, a difference of +0.02 points (95 % interval -0.01 to +0.05 points)`.
pub(super) fn figures_of(of: Unit, found: &Found, confidence: f64) -> String {
    let end = |bound: Option<f64>| bound.map_or_else(|| "unknown".to_owned(), |b| signed(of, b));
    // The unit once.
    let low = end(found.low).replace(" points", "");
    format!(
        "{} against {}, a difference of {} ({} % interval {} to {})",
        value(of, found.b),
        value(of, found.a),
        signed(of, found.estimate),
        trimmed(confidence * 100.0, 2),
        low,
        end(found.high)
    )
}

/// What a criterion that must be shown has shown, in one sentence with the interval. `(holds, fails)`: which of the two is shown.
pub(super) fn not_worse(criterion: &Criterion, found: &Found, margin: f64, (holds, fails): (bool, bool)) -> String {
    let of = unit(criterion.metric);
    let what = if fails {
        "is worse than the baseline's by more than"
    } else if holds {
        "is not worse than the baseline's by more than"
    } else {
        "is not shown yet to be within"
    };
    let [baseline, canary] = found.units;
    let margin =
        if fails || holds { difference(of, margin) } else { format!("{} of the baseline's", difference(of, margin)) };
    let often = if criterion.at_end { "" } else { ", however often one looks" };
    format!(
        "{} {what} {margin}: {} over {} and {} of the baseline{often}",
        criterion.name,
        figures_of(of, found, 1.0 - 2.0 * criterion.alpha),
        trimmed(canary, 0),
        trimmed(baseline, 0)
    )
}
