//! `notWorseThan`: a criterion that must be shown, by a procedure that the looks allow.

use super::Checks;
use super::criteria::{amount, metric_name};
use crate::file::{Criterion, Looks, Metric, Procedure};
use crate::plan::{Bound, unit};

/// The bound of a criterion that says `notWorseThan`.
pub(super) fn bound(written: &Criterion, path: &str, checks: &mut Checks) -> Option<Bound> {
    let others =
        [&written.max, &written.min, &written.max_drop, &written.max_rise, &written.versus_baseline, &written.floor];
    if others.iter().any(|other| other.is_some()) {
        checks.push(path, "has more than one bound", "write `notWorseThan` with `margin`, or one of the others");
        return None;
    }
    let kept = matches!(
        written.metric,
        Metric::ErrorRate | Metric::TimeoutRate | Metric::LatencyMean | Metric::Goal | Metric::Success | Metric::Value
    );
    if !kept {
        checks.push(
            format!("{path}.notWorseThan"),
            format!("needs a variance between users, which `{}` has not", metric_name(written.metric)),
            "take `errorRate`, `timeoutRate`, `latencyMean`, `goal`, `success` or `value`, or another bound",
        );
        return None;
    }
    if let Some(alpha) = written.alpha
        && !(alpha > 0.0 && alpha <= 0.5)
    {
        checks.push(
            format!("{path}.alpha"),
            format!("is {alpha}"),
            "choose a chance above 0 and at most 0.5, usually 0.01",
        );
    }
    if written.procedure == Some(Procedure::FixedHorizon) && written.looks != Some(Looks::AtEnd) {
        checks.push(
            format!("{path}.procedure"),
            "`fixedHorizon` holds for a single look at a size fixed in advance, and a step is looked at at every tick: read after each of forty \
             looks it errs about six times as often as alpha says",
            "write `looks: atEnd` to look once, when the step's time is over, or take `anytime`, which may be looked at whenever one likes",
        );
    }
    let Some(margin) = &written.margin else {
        checks.push(
            format!("{path}.margin"),
            "is missing: no data can show that two versions are exactly alike",
            "say how much worse is still not worse, for example `0.1 points`",
        );
        return None;
    };
    let margin = amount(margin, unit(written.metric), &format!("{path}.margin"), checks)?;
    if margin <= 0.0 {
        checks.push(format!("{path}.margin"), "is not above 0", "write for example `0.1 points`");
        return None;
    }
    Some(Bound::NotWorse { margin, lower: matches!(written.metric, Metric::Goal | Metric::Success | Metric::Value) })
}

/// What only `notWorseThan` uses must not stand beside another bound, and some metrics know nothing else.
pub(super) fn leave_out(written: &Criterion, path: &str, checks: &mut Checks) {
    let given = [
        ("margin", written.margin.is_some()),
        ("alpha", written.alpha.is_some()),
        ("procedure", written.procedure.is_some()),
        ("looks", written.looks.is_some()),
    ];
    for (field, _) in given.into_iter().filter(|(_, given)| *given) {
        checks.push(
            format!("{path}.{field}"),
            "belongs to `notWorseThan`",
            "add `notWorseThan: baseline`, or leave it out",
        );
    }
    if written.metric == Metric::LatencyMean {
        checks.push(
            format!("{path}.metric"),
            "`latencyMean` is judged by `notWorseThan` alone",
            "write `notWorseThan: baseline` with a `margin`, or take a quantile such as `latencyP95`",
        );
    }
}
