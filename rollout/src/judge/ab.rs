//! The A/B test: what its metric says, whether users are divided as they should be, and what segments say.
//!
//! Stopping early is free: bounds hold at every look (or only planned looks count). What is concluded is a claim about the primary metric
//! alone; guardrails are criteria like any others, and are judged beside it.

use std::collections::BTreeMap;

use super::experiment::{Data, Lacking, Turn, data, turn};
use super::words::{difference, figures_of, value};
use super::{Case, f};
use crate::file::{Hypothesis, Procedure, WHOLE};
use crate::measure::BUCKETS;
use crate::plan::{TestPlan, Unit, unit};
use crate::state::{Answer, Ratio, SegmentLook, TestLook, TestState};
use crate::stats::experiment::{self, Ask, Found};
use crate::stats::{Arm, Stratum, evalue, multiple, srm};
use crate::text::{share, trimmed};

/// Chance of ever holding a test whose users are divided as they should be.
const RATIO_ALPHA: f64 = 0.001;

/// Looks at a test.
pub(crate) fn test(case: &Case<'_>, test: &TestPlan, state: &TestState) -> TestLook {
    let before = case.previous.and_then(|look| look.test.as_deref());
    let ratio = ratio(case, state);
    let found = match (
        data(case, test.primary.metric, test.primary.goal.as_deref(), &test.primary.source, &test.question()),
        before,
    ) {
        (Ok(data), _) => match (turn(case, test.procedure, test.at_end, test.side()), before) {
            (Turn::Look(procedure), _) => look(case, test, state, &data, procedure),
            (Turn::Stands, Some(before)) => return TestLook { ratio, ..before.clone() },
            (Turn::Stands, None) => empty(test, "it was not looked at yet".to_owned()),
            (Turn::Early(why), _) => counted(empty(test, why.to_owned()), &data),
        },
        (Err(Lacking::NotAsked), Some(before)) => return TestLook { ratio, ..before.clone() },
        (Err(Lacking::NotAsked), None) => empty(test, "the provider has not answered".to_owned()),
        (Err(Lacking::Open(why) | Lacking::Problem(why)), _) => empty(test, why),
    };
    TestLook { ratio, ..found }
}

fn empty(test: &TestPlan, why: String) -> TestLook {
    TestLook {
        metric: test.primary.name.clone(),
        unit: match unit(test.primary.metric) {
            Unit::Share => "share",
            Unit::Micros => "micros",
            Unit::Number => "number",
        }
        .to_owned(),
        higher: test.primary.higher,
        hypothesis: test.hypothesis,
        margin: margin(test),
        a: None,
        b: None,
        units: [0, 0],
        estimate: None,
        low: None,
        high: None,
        confidence: 1.0 - 2.0 * test.side(),
        answer: Answer::Inconclusive,
        conclusive: false,
        sentence: format!("{} is not known yet: {why}", test.primary.name),
        ratio: None,
        segments: Vec::new(),
        notes: Vec::new(),
        proposal: BTreeMap::new(),
    }
}

/// The difference that the answer turns on.
pub(super) fn margin(test: &TestPlan) -> f64 {
    if test.hypothesis == Hypothesis::Superiority { test.effect } else { test.margin }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
fn units_of(units: [f64; 2]) -> [u64; 2] {
    units.map(|n| n.round() as u64)
}

fn counted(mut look: TestLook, data: &Data) -> TestLook {
    let sum = |pick: fn(&Stratum) -> f64| data.strata.iter().map(pick).sum::<f64>();
    look.units = units_of([sum(|s| s.baseline.units()), sum(|s| s.canary.units())]);
    look
}

fn look(
    case: &Case<'_>,
    test: &TestPlan,
    state: &TestState,
    data: &Data,
    procedure: experiment::Procedure,
) -> TestLook {
    let ask = Ask {
        alpha: test.side(),
        procedure,
        planned: state.planned,
        effect: test.effect,
        rate: test.is_rate(),
        clustering: data.clustering,
    };
    let found = match experiment::compare(&data.strata, &ask) {
        Ok(found) => found,
        Err(reason) => return counted(empty(test, reason.to_string()), data),
    };
    let answer = answer(test, &found);
    let fewest = found.units.into_iter().fold(f64::INFINITY, f64::min);
    let enough = fewest >= f(test.min_per_arm);
    let conclusive = answer != Answer::Inconclusive && enough;
    let mut out = TestLook {
        a: Some(found.a),
        b: Some(found.b),
        units: units_of(found.units),
        estimate: Some(found.estimate),
        low: found.low,
        high: found.high,
        answer: if enough { answer } else { Answer::Inconclusive },
        conclusive,
        sentence: sentence(case, test, &found, answer, enough),
        ..empty(test, String::new())
    };
    by_segment(case, test, state, data, &found, &mut out);
    out
}

/// What the bounds say of the question.
fn answer(test: &TestPlan, found: &Found) -> Answer {
    // Towards better: the gain of B.
    let (low, high) =
        if test.primary.higher { (found.low, found.high) } else { (found.high.map(|x| -x), found.low.map(|x| -x)) };
    let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
    let margin = margin(test);
    match test.hypothesis {
        Hypothesis::Superiority if low > 0.0 => Answer::BWins,
        Hypothesis::Superiority if high < 0.0 => Answer::AWins,
        Hypothesis::NonInferiority if low > -margin => Answer::BWins,
        Hypothesis::NonInferiority if high < -margin => Answer::AWins,
        Hypothesis::NonInferiority => Answer::Inconclusive,
        Hypothesis::Equivalence if low > margin => Answer::BWins,
        Hypothesis::Equivalence if high < -margin => Answer::AWins,
        _ if low > -margin && high < margin => Answer::Equivalent,
        _ => Answer::Inconclusive,
    }
}

fn sentence(case: &Case<'_>, test: &TestPlan, found: &Found, answer: Answer, enough: bool) -> String {
    let of = unit(test.primary.metric);
    let (a, b) = (&case.plan.stable, &case.plan.canary);
    let margin = difference(of, margin(test));
    let head = match (answer, test.hypothesis) {
        _ if !enough => format!("not decided: each version needs {} first", test.min_per_arm),
        (Answer::BWins, Hypothesis::NonInferiority) => {
            format!("B ({b}) is not worse than A ({a}) by more than {margin}")
        }
        (Answer::BWins, Hypothesis::Equivalence) => format!("B ({b}) is better than A ({a}) by more than {margin}"),
        (Answer::BWins, Hypothesis::Superiority) => format!("B ({b}) is better than A ({a})"),
        (Answer::AWins, Hypothesis::Superiority) => format!("A ({a}) is better than B ({b})"),
        (Answer::AWins, _) => format!("A ({a}) is better than B ({b}) by more than {margin}"),
        (Answer::Equivalent, _) => format!("A ({a}) and B ({b}) differ by less than {margin}"),
        (Answer::Inconclusive, _) => "not decided: the difference may still be chance".to_owned(),
    };
    let [of_a, of_b] = found.units;
    let often =
        if test.at_end || test.procedure == Procedure::GroupSequential { "" } else { ", however often one looks" };
    format!(
        "{head}: {} is {} over {} and {}{often}",
        test.primary.name,
        figures_of(of, found, 1.0 - 2.0 * test.side()),
        trimmed(of_b, 0),
        trimmed(of_a, 0)
    )
}

/// Each segment by itself, and whether they say something that the whole does not.
fn by_segment(case: &Case<'_>, test: &TestPlan, state: &TestState, data: &Data, whole: &Found, out: &mut TestLook) {
    let parts: Vec<&Stratum> =
        data.strata.iter().filter(|s| s.canary.units() > 0.0 && s.baseline.units() > 0.0).collect();
    if parts.len() < 2 {
        return;
    }
    let part = |all: Option<f64>, of: f64| all.map(|all| (all * of / whole.units[1].max(1.0)).max(1.0));
    let mut looks: Vec<SegmentLook> = Vec::new();
    let mut chances = Vec::new();
    for stratum in &parts {
        let one = std::slice::from_ref(*stratum);
        let planned = part(state.planned, stratum.canary.units());
        #[expect(clippy::cast_precision_loss, reason = "some dozens")]
        let alpha = test.side() / parts.len() as f64;
        let ask = Ask {
            alpha,
            procedure: experiment::Procedure::Anytime,
            planned,
            effect: test.effect,
            rate: test.is_rate(),
            clustering: data.clustering,
        };
        let Ok(evidence) = experiment::Evidence::of(one, &ask) else { continue };
        let Ok(found) = evidence.compare(ask.procedure) else { continue };
        let p = evidence.p().unwrap_or(1.0);
        chances.push(p);
        looks.push(SegmentLook {
            name: stratum.name.clone(),
            a: found.a,
            b: found.b,
            units: units_of(found.units),
            estimate: found.estimate,
            low: found.low,
            high: found.high,
            p,
            answer: Answer::Inconclusive,
        });
    }
    let corrected = multiple::holm(&chances).unwrap_or(chances);
    for (look, p) in looks.iter_mut().zip(corrected) {
        look.p = p;
        let better = if test.primary.higher { look.estimate > 0.0 } else { look.estimate < 0.0 };
        if p <= 2.0 * test.side() {
            look.answer = if better { Answer::BWins } else { Answer::AWins };
        }
    }
    out.notes = notes(case, test, data, whole, &looks);
    let wins = |answer: Answer| looks.iter().any(|l| l.answer == answer);
    if wins(Answer::BWins) && wins(Answer::AWins) {
        let winner = |l: &SegmentLook| if l.answer == Answer::BWins { &case.plan.canary } else { &case.plan.stable };
        out.proposal = looks.iter().map(|l| (l.name.clone(), winner(l).clone())).collect();
    }
    out.segments = looks;
}

/// Disagreement of segments, and Simpson's reversal, in words.
fn notes(case: &Case<'_>, test: &TestPlan, data: &Data, whole: &Found, looks: &[SegmentLook]) -> Vec<String> {
    let of = unit(test.primary.metric);
    let mut notes = Vec::new();
    let names = |answer: Answer| {
        let list: Vec<String> = looks
            .iter()
            .filter(|l| l.answer == answer)
            .map(|l| format!("{} ({} against {})", l.name, value(of, l.b), value(of, l.a)))
            .collect();
        list.join(", ")
    };
    let (for_b, for_a) = (names(Answer::BWins), names(Answer::AWins));
    if !for_b.is_empty() && !for_a.is_empty() {
        notes.push(format!(
            "the segments disagree: B ({}) is better in {for_b}, A ({}) in {for_a}; one answer for all would be wrong for some",
            case.plan.canary, case.plan.stable
        ));
    }
    let sum = |pick: fn(&Stratum) -> &Arm| {
        let (units, total) =
            data.strata.iter().map(pick).fold((0.0, 0.0), |(n, t), arm| (n + arm.units(), t + arm.total()));
        if units > 0.0 { total / units } else { 0.0 }
    };
    let pooled = sum(|s| &s.canary) - sum(|s| &s.baseline);
    let sure = whole.low.is_some_and(|low| low > 0.0) || whole.high.is_some_and(|high| high < 0.0);
    if sure && pooled * whole.estimate < 0.0 {
        let word = |higher: bool| if higher { "higher" } else { "lower" };
        notes.push(format!(
            "added up over the segments, B's {} is {} than A's by {}, but within the segments it is {} by {}: the versions' shares differ between \
             the segments, so the added-up figures mislead (Simpson's paradox); the comparison within is the right one",
            test.primary.name,
            word(pooled > 0.0),
            difference(of, pooled.abs()),
            word(whole.estimate > 0.0),
            difference(of, whole.estimate.abs())
        ));
    }
    notes
}

/// Whether both versions get their share of users, from requests by bucket of users, within segments of one share.
fn ratio(case: &Case<'_>, state: &TestState) -> Option<Ratio> {
    let (plan, totals) = (case.plan, &case.window.totals);
    let mut groups: BTreeMap<u32, [Arm; 2]> = BTreeMap::new();
    for (at, variant) in [&plan.stable, &plan.canary].into_iter().enumerate() {
        for (segment, counters) in totals.variants.get(variant).into_iter().flatten() {
            let arms = groups.entry(case.weights.in_segment(segment)).or_default();
            let Some(arm) = arms.get_mut(at) else { continue };
            arm.add(BUCKETS - 1, 0.0, 0.0);
            for (bucket, replicate) in counters.replicates.iter().enumerate() {
                arm.add(bucket, f(replicate.requests), 0.0);
            }
        }
    }
    let (mut logs, mut seen, mut wanted, mut all) = (Vec::new(), 0.0, 0.0, 0.0);
    for (parts, [stable, canary]) in groups {
        if parts == 0 || parts >= WHOLE {
            continue;
        }
        let part = f64::from(parts) / f64::from(WHOLE);
        let units = stable.units() + canary.units();
        seen += canary.units();
        wanted += part * units;
        all += units;
        if let Ok(log) = srm::buckets(&[stable, canary], &[1.0 - part, part]) {
            logs.push(log);
        }
    }
    if logs.is_empty() || all <= 0.0 {
        return None;
    }
    let mut epochs = state.ratio_epochs.clone();
    let attempt_log_e = evalue::ln_average(&logs);
    epochs.push(attempt_log_e);
    let log_e = srm::same_users(&epochs);
    let mismatch = log_e >= -RATIO_ALPHA.ln();
    let (seen, expected) = (seen / all, wanted / all);
    let sentence = if mismatch {
        format!(
            "the versions do not get the users that the weights say: B has {} of {} requests, its share is {} (chance below {}); something loses, adds or \
             keeps users of one version, so no comparison of the two is worth anything",
            share(seen),
            trimmed(all, 0),
            share(expected),
            evalue_words(log_e)
        )
    } else {
        format!(
            "users are divided as they should be: B has {} of {} requests, its share is {}",
            share(seen),
            trimmed(all, 0),
            share(expected)
        )
    };
    Some(Ratio { expected, seen, log_e, attempt_log_e, mismatch, sentence })
}

fn evalue_words(log_e: f64) -> String {
    let p = evalue::p_value(log_e);
    if p < 1e-6 { "1 in a million".to_owned() } else { trimmed(p, 6) }
}
