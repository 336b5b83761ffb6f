//! A story out of what was recorded of a rollout: its looks, its events and its last state. The same for one that ran and for a
//! simulated one.

use headgate_rollout::Plan;
use headgate_rollout::file::{Hypothesis, WHOLE};
use headgate_rollout::plan::{StepKind, StrategyKind};
use headgate_rollout::state::{Answer, Figures, Look, Outcome, State, TestLook, VerdictKind};
use headgate_rollout::tick::EventKind;

use super::{Criterion, Event, Point, Step, Story, Tone, Unit};

/// What is known of a rollout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) state: &'a State,
    /// Every look that was kept, oldest first.
    pub(crate) looks: &'a [Look],
    /// Everything that happened, oldest first.
    pub(crate) events: &'a [Happened],
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Happened {
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
    /// A person, or `headgate`.
    pub(crate) actor: String,
    /// What the state machine said, when it was it.
    pub(crate) kind: Option<EventKind>,
    /// Its name in the audit.
    pub(crate) action: String,
    pub(crate) text: String,
    /// The canary's weight asked for at that time, in 1/10,000.
    pub(crate) weight: Option<u32>,
}

/// The story.
pub(crate) fn story(known: &Known<'_>) -> Story {
    let (plan, state) = (known.plan, known.state);
    let from_ms = known.events.first().map(|e| e.at_ms).unwrap_or(state.started_ms);
    let last = [known.events.last().map(|e| e.at_ms), known.looks.last().map(|l| l.at_ms), Some(state.now_ms)];
    Story {
        name: plan.name.clone(),
        phase: state.phase.name().to_owned(),
        outcome: state.because.clone(),
        tone: match state.outcome {
            Some(Outcome::Promoted) => Tone::Good,
            Some(Outcome::RolledBack | Outcome::Aborted | Outcome::Failed) => Tone::Bad,
            Some(Outcome::Held) | None => Tone::Neutral,
        },
        facts: facts(plan),
        from_ms,
        to_ms: last.into_iter().flatten().max().unwrap_or(from_ms).max(from_ms),
        weights: weights(known),
        steps: steps(known),
        section: super::arms::section(known.looks).or_else(|| super::question::section(known.looks)),
        drift: None,
        many: plan.bandit.is_some(),
        criteria: criteria(known.looks),
        events: known.events.iter().map(event).collect(),
        file: String::new(),
        simulated: None,
    }
}

fn facts(plan: &Plan) -> Vec<(String, String)> {
    let strategy = match plan.strategy {
        StrategyKind::Canary => "canary",
        StrategyKind::BlueGreen => "blue-green",
        StrategyKind::Shadow => "shadow, then canary",
        StrategyKind::AbTest => "A/B test",
        StrategyKind::Bandit => "bandit",
    };
    let mut facts = vec![
        ("Strategy", strategy.to_owned()),
        ("Route", plan.route.clone()),
        ("Stable", plan.stable.clone()),
        ("Canary", plan.canary.clone()),
        ("Target file", plan.target.clone()),
        ("Chance of a false rollback", format!("at most {} %", plan.judging.alpha * 100.0)),
    ];
    if !plan.forced.is_empty() {
        facts.push(("Forced", format!("{} ({})", plan.forced.join("; "), plan.forced_because)));
    }
    facts.into_iter().map(|(what, value)| (what.to_owned(), value)).chain(plan.labels.clone()).collect()
}

fn weights(known: &Known<'_>) -> Vec<(u64, u32)> {
    let of_events = known.events.iter().filter_map(|e| Some((e.at_ms, e.weight?)));
    let mut all: Vec<(u64, u32)> = of_events.chain(known.looks.iter().map(|l| (l.at_ms, l.weights.canary))).collect();
    // Of one moment the later entry counts: events of a tick stand in their order.
    all.sort_by_key(|(at, _)| *at);
    let mut out: Vec<(u64, u32)> = Vec::new();
    for (at, weight) in all {
        match out.last_mut() {
            Some(last) if last.1 == weight => {}
            Some(last) if last.0 == at => last.1 = weight,
            _ => out.push((at, weight)),
        }
    }
    out
}

fn steps(known: &Known<'_>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for result in &known.state.results {
        out.push(Step {
            number: result.step + 1,
            what: what(known.plan, result.step, &result.name),
            from_ms: result.since_ms,
            to_ms: Some(result.until_ms),
            verdict: result.sentence.clone(),
            tone: match result.verdict {
                Some(VerdictKind::Pass) => Tone::Good,
                Some(VerdictKind::Fail) => Tone::Bad,
                Some(VerdictKind::Inconclusive | VerdictKind::Error) | None => Tone::Neutral,
            },
        });
    }
    if known.state.outcome.is_none() && known.state.started_ms > 0 {
        let name = &known.plan.step(known.state.step).name;
        let look = known.state.look.as_ref().map(|look| look.sentence.clone());
        out.push(Step {
            number: known.state.step + 1,
            what: what(known.plan, known.state.step, name),
            from_ms: known.state.step_since_ms,
            to_ms: None,
            verdict: look.unwrap_or_default(),
            tone: Tone::Neutral,
        });
    }
    out
}

fn what(plan: &Plan, index: usize, name: &str) -> String {
    match &plan.step(index).kind {
        StepKind::Gate(gate) => format!("gate {}", gate.name),
        StepKind::Monitoring => "monitoring at 100 %".to_owned(),
        StepKind::Weight => {
            let weight = f64::from(plan.step(index).weights.canary) * 100.0 / f64::from(WHOLE);
            let weight = format!("{weight} %");
            if name.replace(' ', "") == weight.replace(' ', "") { weight } else { format!("{name} ({weight})") }
        }
        _ => name.to_owned(),
    }
}

/// One for each criterion's name, in the order of appearance. What is allowed may differ from step to step: the last one's is
/// told, and each point carries its own limit.
fn criteria(looks: &[Look]) -> Vec<Criterion> {
    let mut out: Vec<Criterion> = Vec::new();
    for look in looks {
        for figures in &look.figures {
            let at = match out.iter().position(|c| c.name == figures.name) {
                Some(at) => at,
                None => {
                    out.push(Criterion {
                        name: figures.name.clone(),
                        unit: unit(&figures.unit),
                        ..Criterion::default()
                    });
                    out.len() - 1
                }
            };
            if let Some(criterion) = out.get_mut(at) {
                let dry = if figures.dry_run { " (dry run)" } else { "" };
                criterion.allowed = format!("{}{dry}", figures.allowed);
                criterion.points.push(point(look.at_ms, figures));
            }
        }
        if let Some(test) = look.test.as_deref() {
            let name = format!("A/B test: {}, B less A", test.metric);
            if !out.iter().any(|c| c.name == name) {
                out.insert(0, Criterion { name: name.clone(), unit: unit(&test.unit), ..Criterion::default() });
            }
            if let Some(criterion) = out.iter_mut().find(|c| c.name == name) {
                criterion.allowed = test.sentence.clone();
                criterion.points.push(difference(look.at_ms, test));
            }
        }
    }
    out
}

/// The difference of an A/B test with its interval, and where it is decided.
fn difference(at_ms: u64, test: &TestLook) -> Point {
    let factor = if unit(&test.unit) == Unit::Milliseconds { 1e-3 } else { 1.0 };
    let value = |value: Option<f64>| value.filter(|v| v.is_finite()).map(|v| v * factor);
    // What is not worse by the margin may be lower where more is better.
    let side = if test.higher { -test.margin } else { test.margin };
    let boundary = if test.hypothesis == Hypothesis::Superiority { 0.0 } else { side * factor };
    #[expect(clippy::cast_precision_loss, reason = "requests, far below 2^52")]
    let samples = Some(test.units.iter().sum::<u64>() as f64);
    Point {
        at_ms,
        measured: value(test.estimate),
        lower: value(test.low),
        upper: value(test.high),
        baseline: None,
        limit: Some(boundary),
        failed: test.conclusive && test.answer == Answer::AWins,
        samples,
    }
}

fn unit(unit: &str) -> Unit {
    match unit {
        "share" => Unit::Share,
        "micros" => Unit::Milliseconds,
        _ => Unit::Number,
    }
}

fn point(at_ms: u64, figures: &Figures) -> Point {
    let factor = if unit(&figures.unit) == Unit::Milliseconds { 1e-3 } else { 1.0 };
    // What is no number has no place in a chart.
    let value = |value: Option<f64>| value.filter(|v| v.is_finite()).map(|v| v * factor);
    #[expect(clippy::cast_precision_loss, reason = "requests, far below 2^52")]
    let samples = Some(figures.samples as f64);
    Point {
        at_ms,
        measured: value(figures.measured),
        lower: value(figures.lower),
        upper: value(figures.upper),
        baseline: value(figures.baseline),
        limit: value(figures.limit),
        failed: figures.verdict == VerdictKind::Fail,
        samples,
    }
}

fn event(happened: &Happened) -> Event {
    Event {
        at_ms: happened.at_ms,
        kind: happened.action.clone(),
        actor: happened.actor.clone(),
        text: happened.text.clone(),
        tone: match happened.kind {
            Some(EventKind::StepStarted | EventKind::Promoted) => Tone::Good,
            Some(EventKind::RollingBack | EventKind::RolledBack | EventKind::Kill | EventKind::Held) => Tone::Bad,
            _ => Tone::Neutral,
        },
    }
}
