//! Checking a rollout file into a plan: every problem at once, each with its path, the reason and the way out.

mod ab;
mod around;
mod bandit;
mod criteria;
mod drift;
mod noninferiority;
mod steps;

use std::collections::BTreeSet;
use std::fmt;

use headgate_contract::{Replicate, check_name};
use serde::{Deserialize, Serialize};

use super::{API_VERSION, Action, BaselineSource, KIND, Metric, Percent, RollbackMode, Rollout, Span, Spec};
use crate::plan::{Judging, Plan, ProxyPolicy, Source, share_alpha};

/// How old a recorded baseline may be when nothing else is said: a week, which has every kind of day in it once.
const BASELINE_WITHIN_MS: u64 = 7 * 86_400_000;

/// One thing that is wrong with a rollout file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where, as in `spec.strategy.canary.steps[2].weight`.
    pub path: String,
    /// What is wrong, without a full stop.
    pub reason: String,
    /// The way out, without a full stop.
    pub fix: String,
    /// Whether `--force --reason "…"` overrides it: it is dangerous, not meaningless.
    pub forcible: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.reason, self.fix)
    }
}

/// Who overrides what can be overridden, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Force {
    /// Who. Example: `ana`.
    pub actor: String,
    /// Why; not empty. It stands in the audit.
    pub reason: String,
}

/// Checks a file into a plan.
///
/// # Errors
/// Everything that is wrong.
pub fn check(rollout: &Rollout) -> Result<Plan, Vec<Problem>> {
    let (plan, problems) = compile(rollout);
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// As [`check`], but what can be forced is: it is written down in [`Plan::forced`].
///
/// # Errors
/// Everything that is wrong beyond that.
pub fn check_forced(rollout: &Rollout, force: &Force) -> Result<Plan, Vec<Problem>> {
    let (mut plan, problems) = compile(rollout);
    let (forced, mut left): (Vec<_>, Vec<_>) = problems.into_iter().partition(|p| p.forcible);
    if force.reason.trim().is_empty() {
        left.push(Problem {
            path: String::new(),
            reason: "`--force` needs a reason".to_owned(),
            fix: "say it with --reason \"…\"; it stands in the audit".to_owned(),
            forcible: false,
        });
    }
    if !left.is_empty() {
        return Err(left);
    }
    plan.forced = forced.iter().map(|p| format!("{}: {}", p.path, p.reason)).collect();
    plan.forced_because = format!("{}: {}", force.actor, force.reason.trim());
    Ok(plan)
}

/// What was found wrong so far.
#[derive(Debug, Default)]
struct Checks(Vec<Problem>);

impl Checks {
    fn push(&mut self, path: impl Into<String>, reason: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem { path: path.into(), reason: reason.into(), fix: fix.into(), forcible: false });
    }

    fn refuse(&mut self, path: impl Into<String>, reason: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem { path: path.into(), reason: reason.into(), fix: fix.into(), forcible: true });
    }

    fn name(&mut self, path: &str, name: &str) {
        if let Err(reason) = check_name(name) {
            self.push(path, reason, "choose a name of letters, digits, `_`, `-` and `.`");
        }
    }

    /// Milliseconds of a span, or `default` when there is none or it cannot be read.
    fn span(&mut self, path: &str, span: Option<&Span>, default: u64) -> u64 {
        match span.map(Span::ms) {
            Some(Ok(ms)) => ms,
            Some(Err(reason)) => {
                self.push(path, reason, "for example `30m`");
                default
            }
            None => default,
        }
    }

    fn optional_span(&mut self, path: &str, span: Option<&Span>) -> Option<u64> {
        span.map(|span| self.span(path, Some(span), 0))
    }

    /// Parts of the whole, or `default`.
    fn percent(&mut self, path: &str, percent: Option<&Percent>, default: u32) -> u32 {
        match percent.map(Percent::parts) {
            Some(Ok(parts)) => parts,
            Some(Err(reason)) => {
                self.push(path, reason, "for example `5%`");
                default
            }
            None => default,
        }
    }
}

fn compile(rollout: &Rollout) -> (Plan, Vec<Problem>) {
    let mut checks = Checks::default();
    envelope(rollout, &mut checks);
    let spec = &rollout.spec;
    let judging = judging(rollout, &mut checks);
    let context = criteria::Context { spec, interval_ms: judging.interval_ms };
    let (strategy, steps) = steps::all(&context, &mut checks);
    let monitoring = steps::monitoring(&context, &mut checks);
    around::check(spec, &mut checks);
    goals(spec, &mut checks);
    let rollback_ms = checks.span("spec.rollback.interval", spec.rollback.interval.as_ref(), 60_000);
    let bandit = spec.strategy.bandit.as_ref().and_then(|b| bandit::plan(b, &context, &mut checks));
    let tolerate = checks.percent("spec.proxies.tolerate", spec.proxies.tolerate.as_ref(), 0);
    let mut plan = Plan {
        name: rollout.metadata.name.clone(),
        labels: rollout.metadata.labels.clone(),
        target: spec.target.clone(),
        route: spec.route.clone(),
        stable: spec.variants.stable.clone(),
        canary: spec.variants.canary.clone(),
        strategy,
        steps,
        monitoring,
        judging,
        on_fail: spec.on_fail.unwrap_or(Action::Rollback),
        on_inconclusive: spec.on_inconclusive.unwrap_or(Action::Hold),
        on_error: spec.on_error.unwrap_or(Action::Hold),
        hold_limit_ms: checks.optional_span("spec.holdLimit", spec.hold_limit.as_ref()),
        rollback_interval_ms: matches!(spec.rollback.mode, RollbackMode::Steps).then_some(rollback_ms),
        proxies: ProxyPolicy {
            tolerate,
            patience_ms: checks.span("spec.proxies.patience", spec.proxies.patience.as_ref(), 60_000),
            on_exceeded: spec.proxies.on_exceeded.unwrap_or(Action::Hold),
            misrouted: checks.percent("spec.proxies.misrouted", spec.proxies.misrouted.as_ref(), 0),
        },
        stale_after_ms: checks.span("spec.monitoring.staleAfter", spec.monitoring.stale_after.as_ref(), 48 * HOUR),
        replicates: BTreeSet::new(),
        goals: spec.goals.clone(),
        drift: drift::check(&context, &mut checks),
        providers: spec.providers.clone(),
        notifications: spec.notifications.clone(),
        failsafe_cluster: spec.finalising.cluster.clone(),
        verify_failsafe: spec.finalising.verify.unwrap_or(true),
        drill_within_ms: spec
            .drill
            .as_ref()
            .and_then(|d| checks.optional_span("spec.drill.requiredWithin", d.required_within.as_ref())),
        forced: Vec::new(),
        forced_because: String::new(),
        bandit: None,
    };
    if matches!(plan.proxies.on_exceeded, Action::Proceed) {
        checks.push(
            "spec.proxies.onExceeded",
            "`proceed` would go on without the proxies",
            "write `hold` or `rollback`",
        );
    }
    if let Some(bandit) = bandit {
        bandit::complete(&mut plan, bandit);
    }
    plan.replicates.extend(replicates(&plan));
    share_alpha(&mut plan);
    // What all steps share is told once.
    let mut problems: Vec<Problem> = Vec::new();
    for problem in checks.0 {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    (plan, problems)
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn envelope(rollout: &Rollout, checks: &mut Checks) {
    if rollout.api_version != API_VERSION {
        checks.push(
            "apiVersion",
            format!("is `{}`, which this version does not read", rollout.api_version),
            format!("write `{API_VERSION}`"),
        );
    }
    if rollout.kind != KIND {
        checks.push("kind", format!("is `{}`", rollout.kind), format!("write `{KIND}`"));
    }
    checks.name("metadata.name", &rollout.metadata.name);
    let spec = &rollout.spec;
    if spec.target.trim().is_empty() {
        checks.push("spec.target", "is empty", "name the target file, for example `target.yaml`");
    }
    checks.name("spec.route", &spec.route);
    checks.name("spec.variants.stable", &spec.variants.stable);
    checks.name("spec.variants.canary", &spec.variants.canary);
    if spec.variants.stable == spec.variants.canary {
        checks.push(
            "spec.variants.canary",
            format!("is `{}`, as the stable one", spec.variants.canary),
            "name the route's two variants",
        );
    }
}

fn judging(rollout: &Rollout, checks: &mut Checks) -> Judging {
    let analysis = &rollout.spec.analysis;
    let alpha = analysis.alpha.unwrap_or(0.01);
    if !(alpha > 0.0 && alpha <= 0.5) {
        checks.push(
            "spec.analysis.alpha",
            format!("is {alpha}"),
            "choose a chance above 0 and at most 0.5, usually 0.01",
        );
    }
    let interval_ms = checks.span("spec.analysis.interval", analysis.interval.as_ref(), 10_000);
    if interval_ms < 200 {
        checks.push("spec.analysis.interval", format!("is {interval_ms} ms"), "look at most every 200ms");
    }
    let patience = analysis.patience.unwrap_or(0.5);
    if !(0.0..=100.0).contains(&patience) {
        checks.push(
            "spec.analysis.patience",
            format!("is {patience}"),
            "choose a part of the step's duration from 0 to 100",
        );
    }
    let min_requests = analysis.min_requests.unwrap_or(100);
    if min_requests == 0 {
        checks.push("spec.analysis.minRequests", "is 0: a step without a request would pass", "choose at least 1");
    }
    let recorded = matches!(analysis.baseline, BaselineSource::Recorded);
    let unused = [
        ("spec.analysis.baselineName", analysis.baseline_name.is_some()),
        ("spec.analysis.baselineWithin", analysis.baseline_within.is_some()),
    ];
    for (path, given) in unused {
        if given && !recorded {
            let way_out = "write `baseline: recorded`, or leave it out";
            checks.push(path, "is not used with `baseline: concurrent`", way_out);
        }
    }
    let within = checks.span("spec.analysis.baselineWithin", analysis.baseline_within.as_ref(), BASELINE_WITHIN_MS);
    let name = analysis.baseline_name.clone().unwrap_or_else(|| rollout.spec.route.clone());
    Judging {
        mode: analysis.mode,
        alpha,
        interval_ms: interval_ms.max(200),
        min_requests,
        patience,
        recorded_baseline: recorded.then_some(name),
        baseline_within_ms: within,
    }
}

/// The goals' names; what else may be wrong with them is told when the plugin configuration is compiled.
fn goals(spec: &Spec, checks: &mut Checks) {
    for (index, goal) in spec.goals.iter().enumerate() {
        let path = format!("spec.goals[{index}].name");
        checks.name(&path, &goal.name);
        if spec.goals.iter().take(index).any(|other| other.name == goal.name) {
            checks.push(path, format!("`{}` is there twice", goal.name), "give each goal a name of its own");
        }
    }
}

/// Whether a criterion is judged by what the proxies keep in buckets of users: read from them, or from a Prometheus that scrapes them.
fn by_bucket(plan: &Plan, criterion: &crate::plan::Criterion) -> bool {
    match &criterion.source {
        Source::Proxies => true,
        Source::Provider { name, query } => {
            let prometheus = plan.providers.get(name).and_then(|p| p.prometheus.as_ref());
            let ours = prometheus.is_some_and(|p| p.preset.as_deref() != Some("istio"));
            let counted = matches!(
                criterion.metric,
                Metric::ErrorRate | Metric::ClientErrorRate | Metric::TimeoutRate | Metric::UnfinishedRate
            );
            ours && query.is_none() && counted
        }
    }
}

/// What must be kept in replicate buckets for the criteria of a plan.
fn replicates(plan: &Plan) -> BTreeSet<Replicate> {
    let mut out = BTreeSet::new();
    let criteria = plan.steps.iter().chain([&plan.monitoring]).flat_map(|s| &s.criteria);
    for criterion in criteria.filter(|c| by_bucket(plan, c)) {
        match criterion.metric {
            Metric::ErrorRate => out.extend([Replicate::Finished, Replicate::Failures]),
            Metric::TimeoutRate => out.extend([Replicate::Finished, Replicate::Timeouts]),
            Metric::UnfinishedRate => out.extend([Replicate::Requests, Replicate::Finished]),
            Metric::LatencyP50
            | Metric::LatencyP95
            | Metric::LatencyP99
            | Metric::LatencyMean
            | Metric::HeadersP50
            | Metric::HeadersP95
            | Metric::HeadersP99 => out.extend([Replicate::Finished, Replicate::Latency]),
            Metric::ClientErrorRate => out.extend([Replicate::Finished, Replicate::ClientErrors]),
            Metric::Goal => out.extend([Replicate::Requests]),
            Metric::Agreement | Metric::Success | Metric::Value | Metric::Cpu | Metric::Memory | Metric::Custom => {}
        }
    }
    if let Some(test) = plan.test() {
        // Whether each version gets its share of users is always looked at.
        out.insert(Replicate::Requests);
        if test.primary.source == Source::Proxies {
            out.extend(match test.primary.metric {
                Metric::TimeoutRate => [Replicate::Finished, Replicate::Timeouts],
                // Exposed requests alone; conversions are always counted by bucket.
                Metric::Goal => [Replicate::Requests, Replicate::Requests],
                Metric::LatencyMean => [Replicate::Finished, Replicate::Latency],
                _ => [Replicate::Finished, Replicate::Failures],
            });
        }
    }
    if plan.drift.is_some() {
        out.extend([Replicate::Requests, Replicate::Finished, Replicate::Failures, Replicate::Latency]);
    }
    out
}
