//! The A/B test: what is asked must have an answer, and a procedure that the looks allow.

use super::Checks;
use super::criteria::{Context, Place, amount, metric_name};
use crate::file::{AbTest, Action, Better, Hypothesis, Looks, Metric, Procedure, WHOLE};
use crate::plan::{AfterPlan, Primary, Step, StepKind, TestPlan, Unit, Weights, unit};

const PATH: &str = "spec.strategy.abTest";
/// Two points.
const USUAL_EFFECT: f64 = 0.02;
const HOUR: u64 = 3_600_000;

/// The steps of a test: the division and its question. What follows is the monitoring at 100 %.
pub(super) fn steps(test: &AbTest, context: &Context<'_>, checks: &mut Checks) -> Vec<Step> {
    let share = checks.percent(&format!("{PATH}.split"), test.split.as_ref(), WHOLE / 2);
    let mut weights = Weights::canary(share);
    if share == 0 || share == WHOLE {
        checks.push(
            format!("{PATH}.split"),
            "leaves one version without users: there is nothing to compare",
            "write for example `50%`",
        );
    }
    for (segment, share) in &test.segments {
        let at = format!("{PATH}.segments.{segment}");
        checks.name(&at, segment);
        weights.segments.insert(segment.clone(), checks.percent(&at, Some(share), 0));
    }
    let horizon = checks.span(&format!("{PATH}.horizon"), test.horizon.as_ref(), 48 * HOUR);
    if horizon < context.interval_ms {
        checks.push(
            format!("{PATH}.horizon"),
            format!("is {horizon} ms, shorter than the {} ms between two looks", context.interval_ms),
            "give the test more time",
        );
    }
    let criteria = context.criteria(&test.guardrails, &format!("{PATH}.guardrails"), Place::Split, checks);
    let question = question(test, context, checks);
    vec![Step {
        name: "test".to_owned(),
        kind: StepKind::Test(Box::new(question)),
        weights,
        duration_ms: Some(horizon),
        criteria,
    }]
}

fn question(test: &AbTest, context: &Context<'_>, checks: &mut Checks) -> TestPlan {
    let chance = |value: Option<f64>, default: f64, most: f64, field: &str, checks: &mut Checks| {
        let value = value.unwrap_or(default);
        if !(value > 0.0 && value <= most && value < 1.0) {
            checks.push(format!("{PATH}.{field}"), format!("is {value}"), format!("usually {default}"));
        }
        value
    };
    let alpha = chance(test.alpha, 0.05, 0.5, "alpha", checks);
    let power = chance(test.power, 0.8, 1.0, "power", checks);
    let (effect, margin) = effects(test, checks);
    let min_per_arm = test.min_per_arm.unwrap_or(1_000);
    if min_per_arm == 0 {
        checks.push(format!("{PATH}.minPerArm"), "is 0", "write at least 1; 1000 is usual");
    }
    let at_end = test.looks == Some(Looks::AtEnd);
    if test.procedure == Procedure::FixedHorizon && !at_end {
        checks.push(
            format!("{PATH}.procedure"),
            "`fixedHorizon` holds for a single look at a size fixed in advance, and this test would be looked at at every tick: read after \
             each of forty looks it errs about six times as often as alpha says",
            "write `looks: atEnd` to look once, when time is up, or take `anytime`, which may be looked at whenever one likes",
        );
    }
    if test.procedure == Procedure::GroupSequential && at_end {
        checks.push(
            format!("{PATH}.looks"),
            "leaves a group-sequential test one look",
            "take `fixedHorizon`, or leave `looks` out",
        );
    }
    let proceed_if = |yes: bool| if yes { Action::Proceed } else { Action::Rollback };
    let after = AfterPlan {
        b_wins: test.after.b_wins.unwrap_or(Action::Proceed),
        a_wins: test.after.a_wins.unwrap_or(Action::Rollback),
        equivalent: test.after.equivalent.unwrap_or(proceed_if(test.hypothesis == Hypothesis::Equivalence)),
        inconclusive: test.after.inconclusive.unwrap_or(Action::Hold),
    };
    for (name, action) in [("aWins", after.a_wins), ("inconclusive", after.inconclusive)] {
        if action == Action::Proceed {
            checks.refuse(
                format!("{PATH}.after.{name}"),
                "would give all users a version that was not shown to be as good",
                "write `hold` or `rollback`",
            );
        }
    }
    TestPlan {
        hypothesis: test.hypothesis,
        primary: primary(test, context, checks),
        alpha,
        power,
        effect,
        margin,
        min_per_arm,
        observe_ms: checks.span(&format!("{PATH}.observe"), test.observe.as_ref(), 60_000),
        procedure: test.procedure,
        at_end,
        after,
    }
}

/// The smallest difference that matters, and the margin.
fn effects(test: &AbTest, checks: &mut Checks) -> (f64, f64) {
    let of = unit(test.primary.metric);
    let effect = match &test.minimum_effect {
        Some(written) => amount(written, of, &format!("{PATH}.minimumEffect"), checks).unwrap_or(USUAL_EFFECT),
        None if of == Unit::Share => USUAL_EFFECT,
        None => {
            checks.push(
                format!("{PATH}.minimumEffect"),
                "is missing: there is no usual one for a metric that is no share",
                "say which difference matters, for example `20ms`, `0.5`",
            );
            USUAL_EFFECT
        }
    };
    let margin = match &test.margin {
        Some(written) => amount(written, of, &format!("{PATH}.margin"), checks).unwrap_or(effect),
        None => effect,
    };
    for (name, value) in [("minimumEffect", effect), ("margin", margin)] {
        if value <= 0.0 || (of == Unit::Share && value >= 1.0) {
            checks.push(format!("{PATH}.{name}"), "is no difference between versions", "write for example `2 points`");
        }
    }
    if test.margin.is_some() && test.hypothesis == Hypothesis::Superiority {
        checks.push(
            format!("{PATH}.margin"),
            "is not used with `superiority`",
            "write `hypothesis: nonInferiority` or `equivalence`, or leave it out",
        );
    }
    (effect, margin)
}

fn primary(test: &AbTest, context: &Context<'_>, checks: &mut Checks) -> Primary {
    let written = &test.primary;
    let at = format!("{PATH}.primary");
    let name = metric_name(written.metric).to_owned();
    if matches!(
        written.metric,
        Metric::LatencyP50
            | Metric::LatencyP95
            | Metric::LatencyP99
            | Metric::HeadersP50
            | Metric::HeadersP95
            | Metric::HeadersP99
            | Metric::UnfinishedRate
            | Metric::ClientErrorRate
            | Metric::Cpu
            | Metric::Memory
            | Metric::Custom
    ) {
        checks.push(
            format!("{at}.metric"),
            format!("`{name}` is not kept by buckets of users, so nothing says how far its difference may be chance"),
            "take `goal`, `errorRate`, `timeoutRate`, `latencyMean`, `success` or `value`; what else must not suffer is a guardrail",
        );
    }
    let source = context.source_of(written.metric, written.provider.as_ref(), written.query.as_ref(), &at, checks);
    let goal = context.goal(written.metric, written.goal.as_deref(), &at, checks);
    let name = goal.clone().unwrap_or(name);
    let higher = matches!(written.metric, Metric::Success | Metric::Value | Metric::Goal);
    Primary {
        metric: written.metric,
        goal,
        name,
        source,
        higher: written.better.map_or(higher, |better| better == Better::Higher),
    }
}
