//! Verdicts in plain words, with their figures.

use super::Evidence;
use crate::plan::{Bound, Criterion, Unit, unit};
use crate::state::{Figures, VerdictKind};
use crate::text::{micros, share, trimmed};

/// A value in its metric's unit.
fn value(of: Unit, value: f64) -> String {
    match of {
        Unit::Share => share(value),
        Unit::Micros => micros(value),
        Unit::Number => trimmed(value, 4),
    }
}

/// A difference in its metric's unit.
fn difference(of: Unit, by: f64) -> String {
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
        Bound::Ratio { factor, floor: 0.0 } => format!("at most {}x the baseline", trimmed(factor, 3)),
        Bound::Ratio { factor, floor } => {
            format!("at most {}x the baseline, or {} more", trimmed(factor, 3), difference(of, floor))
        }
    }
}

/// A verdict in one sentence.
pub(super) fn sentence(figures: &Figures, evidence: &Evidence) -> String {
    let of = unit(figures.metric);
    let name = &figures.name;
    if let Some(problem) = &evidence.problem {
        return format!("{name} cannot be measured: {problem}");
    }
    let measured = figures.measured.map_or_else(|| "not known".to_owned(), |m| value(of, m));
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
