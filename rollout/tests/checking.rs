//! Every refusal of a rollout file, with its path and whether it can be forced.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics where it should")]

mod support;

use headgate_contract::Replicate;
use headgate_rollout::file::{Force, Metric, check, check_forced};
use headgate_rollout::plan::{Bound, StepKind};
use serde_json::{Value, json};
use support::{plan, problems, rollout};

/// The one problem of a file: its path, and whether it can be forced.
#[track_caller]
fn refused(spec: Value, path: &str, forcible: bool) {
    let found = problems(spec);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].path.as_str(), found[0].forcible), (path, forcible), "{found:#?}");
    assert!(!found[0].reason.is_empty() && !found[0].fix.is_empty(), "{found:#?}");
}

fn canary(steps: Value) -> Value {
    json!({"strategy": {"canary": {"steps": steps}}})
}

fn with_criterion(criterion: Value) -> Value {
    json!({"strategy": {"canary": {}}, "analysis": {"criteria": [criterion]}})
}

#[test]
fn a_file_that_names_nothing_gets_the_documented_defaults() {
    let plan = plan(json!({"strategy": {"canary": {}}}));
    let steps: Vec<(u32, Option<u64>)> = plan.steps.iter().map(|s| (s.weights.canary, s.duration_ms)).collect();
    let half_an_hour = Some(1_800_000);
    assert_eq!(steps, [100, 500, 2_500, 5_000, 10_000].map(|w| (w, half_an_hour)));
    assert_eq!(plan.monitoring.duration_ms, Some(86_400_000));
    assert_eq!((plan.judging.alpha, plan.judging.interval_ms, plan.stale_after_ms), (0.01, 10_000, 48 * 3_600_000));
    let bounds: Vec<(Metric, Bound)> = plan.steps[0].criteria.iter().map(|c| (c.metric, c.bound)).collect();
    let ratio = |factor, floor| Bound::Ratio { factor, floor };
    assert_eq!(
        bounds,
        [
            (Metric::ErrorRate, ratio(2.0, 0.005)),
            (Metric::TimeoutRate, ratio(2.0, 0.005)),
            (Metric::UnfinishedRate, ratio(2.0, 0.05)),
            (Metric::LatencyP50, ratio(1.2, 10_000.0)),
            (Metric::LatencyP95, ratio(1.5, 10_000.0)),
        ]
    );
    let shares: f64 = plan.steps.iter().chain([&plan.monitoring]).flat_map(|s| &s.criteria).map(|c| c.alpha).sum();
    assert!((shares - 0.01).abs() < 1e-12, "alpha is shared out whole: {shares}");
    assert_eq!(
        plan.replicates.iter().copied().collect::<Vec<_>>(),
        [Replicate::Requests, Replicate::Finished, Replicate::Failures, Replicate::Timeouts, Replicate::Latency]
    );
}

#[test]
fn all_problems_come_at_once() {
    let mut file = rollout(json!({
        "route": "no spaces", "variants": {"stable": "a", "canary": "a"},
        "strategy": {"canary": {"steps": [{"weight": "5"}, {"weight": "2%", "duration": "soon"}, {}]}},
        "analysis": {"alpha": 2, "interval": "1ms", "criteria": [{"metric": "errorRate", "max": "soon"}]},
        "notifications": [{"webhook": {"url": "ftp://x"}}]
    }));
    file.kind = "Rollup".to_owned();
    let paths: Vec<String> = check(&file).unwrap_err().into_iter().map(|p| p.path).collect();
    for expected in [
        "kind",
        "spec.route",
        "spec.variants.canary",
        "spec.strategy.canary.steps[0].weight",
        "spec.strategy.canary.steps[1].duration",
        "spec.strategy.canary.steps[2]",
        "spec.analysis.alpha",
        "spec.analysis.interval",
        "spec.analysis.criteria[0].max",
        "spec.notifications[0].webhook.url",
    ] {
        assert!(paths.iter().any(|p| p == expected), "{expected} is not among {paths:#?}");
    }
}

#[test]
fn strategies_are_exactly_one() {
    refused(json!({"strategy": {"canary": {}, "shadow": {}}}), "spec.strategy", false);
    let found = problems(json!({"strategy": {}}));
    assert!(found.iter().any(|p| p.path == "spec.strategy" && p.reason.contains("no strategy")), "{found:#?}");
}

#[test]
fn steps_that_fall_or_say_two_things_are_refused() {
    refused(
        canary(json!([{"weight": "50%"}, {"weight": "20%"}, {"weight": "100%"}])),
        "spec.strategy.canary.steps[1].weight",
        false,
    );
    refused(canary(json!([{"weight": "50%", "pause": {}}])), "spec.strategy.canary.steps[0]", false);
    refused(
        canary(json!([{"weight": "50%"}, {"pause": {}, "duration": "1m"}])),
        "spec.strategy.canary.steps[1].duration",
        false,
    );
    refused(canary(json!([{"weight": "0%"}, {"weight": "50%"}])), "spec.strategy.canary.steps[0].weight", false);
    refused(canary(json!([{"analysis": {}}, {"weight": "50%"}])), "spec.strategy.canary.steps[0]", false);
    refused(canary(json!([{"weight": "50%", "duration": "5s"}])), "spec.strategy.canary.steps[0].duration", false);
    refused(
        canary(json!([{"weight": "50%"}, {"gate": {"name": "a"}}, {"gate": {"name": "a"}}])),
        "spec.strategy",
        false,
    );
    refused(
        canary(json!([{"weight": "50%"}, {"gate": {"name": "a", "onTimeout": "proceed"}}])),
        "spec.strategy.canary.steps[1].gate.onTimeout",
        false,
    );
}

#[test]
fn skipping_a_stage_can_be_forced_with_a_reason_and_stands_in_the_plan() {
    let jumps = canary(json!([{"weight": "1%"}, {"weight": "100%"}]));
    refused(jumps.clone(), "spec.strategy.canary.steps[1].weight", true);
    refused(canary(json!([{"weight": "100%"}])), "spec.strategy.canary.steps[0].weight", true);
    refused(
        json!({"strategy": {"shadow": {"steps": [{"weight": "100%"}]}}}),
        "spec.strategy.shadow.steps[0].weight",
        true,
    );
    refused(json!({"strategy": {"blueGreen": {}}}), "spec.strategy.blueGreen.readiness", true);
    refused(
        json!({"strategy": {"blueGreen": {"readiness": [{"url": "http://x/"}], "observe": "0"}}}),
        "spec.strategy.blueGreen.observe",
        true,
    );
    let force = |reason: &str| Force { actor: "ana".to_owned(), reason: reason.to_owned() };
    let plan = check_forced(&rollout(jumps.clone()), &force("hotfix")).unwrap();
    assert!(plan.forced[0].contains("skips stages") && plan.forced_because == "ana: hotfix", "{plan:#?}");
    assert!(check_forced(&rollout(jumps), &force(" ")).unwrap_err()[0].reason.contains("reason"));
    assert!(check_forced(&rollout(json!({"strategy": {}})), &force("hotfix")).is_err());
}

#[test]
fn a_cap_keeps_the_steps_below_it_and_asks_before_all_users_follow() {
    let plan = plan(json!({"strategy": {"canary": {"maxWeight": "25%"}}}));
    let steps: Vec<(&str, u32)> = plan.steps.iter().map(|s| (s.name.as_str(), s.weights.canary)).collect();
    assert_eq!(steps, [("1%", 100), ("5%", 500), ("25%", 2_500), ("scale-up", 2_500), ("100%", 10_000)]);
    assert!(matches!(plan.steps[3].kind, StepKind::Gate(_)));
    let above = json!({"strategy": {"canary": {"maxWeight": "25%", "steps": [{"weight": "20%"}, {"weight": "30%"}]}}});
    refused(above, "spec.strategy.canary.steps[1].weight", false);
}

#[test]
fn criteria_have_one_bound_in_their_own_unit() {
    let at = "spec.analysis.criteria[0]";
    let mut unbounded = with_criterion(json!({"metric": "success", "provider": "truth"}));
    unbounded["providers"] = json!({"truth": {"outcomes": {"file": "x"}}});
    refused(unbounded, at, false);
    refused(with_criterion(json!({"metric": "errorRate", "max": "2%", "versusBaseline": "2x"})), at, false);
    for (criterion, field) in [
        (json!({"metric": "errorRate", "max": "20ms"}), "max"),
        (json!({"metric": "errorRate", "max": "200%"}), "max"),
        (json!({"metric": "latencyP95", "max": "2%"}), "max"),
        (json!({"metric": "latencyP95", "max": 150}), "max"),
        (json!({"metric": "latencyP95", "maxRise": "fast"}), "maxRise"),
        (json!({"metric": "errorRate", "versusBaseline": "0.5x"}), "versusBaseline"),
        (json!({"metric": "errorRate", "versusBaseline": "2x", "floor": "10ms"}), "floor"),
        (json!({"metric": "errorRate", "max": "2%", "floor": "1 point"}), "floor"),
        (json!({"metric": "cpu", "max": 3}), "provider"),
        (json!({"metric": "errorRate", "max": "2%", "provider": "nobody"}), "provider"),
        (json!({"metric": "errorRate", "max": "2%", "query": "up"}), "query"),
        (json!({"metric": "errorRate", "max": "2%", "failureLimit": {}}), "failureLimit"),
        (
            json!({"metric": "errorRate", "max": "2%", "importance": "ordinary", "failureLimit": {"total": 0}}),
            "failureLimit",
        ),
        (json!({"metric": "success", "provider": "truth", "versusBaseline": "2x"}), "versusBaseline"),
        (json!({"metric": "latencyP50", "min": "2ms"}), "min"),
    ] {
        let mut spec = with_criterion(criterion);
        spec["providers"] = json!({"truth": {"outcomes": {"file": "x"}}});
        refused(spec, &format!("{at}.{field}"), false);
    }
}

#[test]
fn a_step_that_nothing_judges_is_refused_unless_forced() {
    let spec = json!({"strategy": {"canary": {"steps": [{"weight": "50%"}]}}, "analysis": {"criteria": []}, "monitoring": {"duration": "0"}});
    let found = problems(spec);
    assert!(found.iter().all(|p| p.forcible && p.reason.contains("nothing judges")), "{found:#?}");
}

#[test]
fn a_step_has_criteria_of_its_own_beside_the_rollouts() {
    let plan = plan(canary(json!([
        {"weight": "10%", "criteria": [
            {"metric": "errorRate", "max": "1%"}, {"name": "slow", "metric": "latencyP99", "max": "1s"}
        ]},
        {"weight": "50%"}
    ])));
    let names = |at: usize| plan.steps[at].criteria.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(0), ["timeoutRate", "unfinishedRate", "latencyP50", "latencyP95", "errorRate", "slow"]);
    assert_eq!(plan.steps[0].criteria[4].bound, Bound::Max { value: 0.01 });
    assert_eq!(names(1).len(), 5);
}

#[test]
fn shadow_steps_judge_what_copies_show_and_providers() {
    let spec = |criterion: Value| {
        json!({
            "strategy": {"shadow": {"criteria": [criterion]}},
            "providers": {"agreement": {"webhook": {"url": "http://127.0.0.1:1/"}}}
        })
    };
    let plan = plan(spec(json!({"name": "agreement", "metric": "custom", "provider": "agreement", "min": 0.85})));
    let names: Vec<_> = plan.steps[0].criteria.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["errorRate", "timeoutRate", "latencyP50", "latencyP95", "agreement"]);
    assert_eq!((plan.steps[0].weights.canary, plan.steps[0].weights.mirror), (0, 1_000));
    refused(spec(json!({"metric": "unfinishedRate", "max": "1%"})), "spec.strategy.shadow.criteria", false);
}

#[test]
fn providers_webhooks_and_bearers_are_looked_at() {
    for (provider, path) in [
        (json!({}), "spec.providers.p"),
        (json!({"prometheus": {"address": "prometheus:9090"}}), "spec.providers.p.prometheus.address"),
        (json!({"prometheus": {"address": "http://p", "preset": "linkerd"}}), "spec.providers.p.prometheus.preset"),
        (json!({"prometheus": {"address": "http://p", "bearer": {}}}), "spec.providers.p.prometheus.bearer"),
        (json!({"webhook": {"url": "http://x", "pointer": "value"}}), "spec.providers.p.webhook.pointer"),
        (json!({"webhook": {"url": "http://x", "timeout": "soon"}}), "spec.providers.p.webhook.timeout"),
        (json!({"outcomes": {}}), "spec.providers.p.outcomes"),
    ] {
        refused(json!({"strategy": {"canary": {}}, "providers": {"p": provider}}), path, false);
    }
    let spec = json!({
        "strategy": {"canary": {}}, "providers": {"p": {"prometheus": {"address": "http://p"}}},
        "analysis": {"criteria": [{"metric": "custom", "provider": "p", "max": 1}]}
    });
    refused(spec, "spec.analysis.criteria[0].query", false);
}

#[test]
fn a_plan_survives_json() {
    let plan = plan(json!({"strategy": {"shadow": {"steps": [
        {"weight": "0.01%"}, {"gate": {"name": "ok", "webhook": {"url": "http://x"}}}, {"weight": "50%", "segments": {"premium": "1%"}}
    ]}}}));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<headgate_rollout::Plan>(&text).unwrap(), plan);
    assert_eq!(plan.steps[1].weights.canary, 1, "0.01 %");
}

#[test]
fn a_criterion_without_a_bound_gets_its_metrics_default() {
    let mut spec = with_criterion(json!({"metric": "cpu", "provider": "prom"}));
    spec["providers"] = json!({"prom": {"prometheus": {"address": "http://127.0.0.1:9090"}}});
    assert_eq!(plan(spec).steps[0].criteria[0].bound, Bound::Ratio { factor: 1.5, floor: 0.0 });
    let spec = with_criterion(json!({"metric": "headersP50", "floor": "5ms"}));
    assert_eq!(plan(spec).steps[0].criteria[0].bound, Bound::Ratio { factor: 1.2, floor: 5_000.0 });
}

#[test]
fn goals_are_named_where_they_are_judged() {
    let goals = json!([{"name": "purchase", "match": {"path": {"exact": "/checkout"}, "methods": ["POST"]}}]);
    let judged = |criterion: Value| {
        let mut spec = with_criterion(criterion);
        spec["goals"] = goals.clone();
        spec
    };
    let planned = plan(judged(json!({"metric": "goal", "goal": "purchase", "maxDrop": "0.5 points"})));
    assert_eq!(planned.goals[0].name, "purchase");
    assert_eq!(planned.replicates.iter().copied().collect::<Vec<_>>(), [Replicate::Requests]);
    let criterion = &planned.steps[0].criteria[0];
    assert_eq!((criterion.goal.as_deref(), criterion.bound), (Some("purchase"), Bound::Drop { by: 0.005 }));
    let at = "spec.analysis.criteria[0]";
    refused(judged(json!({"metric": "goal", "maxDrop": "1 points"})), &format!("{at}.goal"), false);
    refused(judged(json!({"metric": "goal", "goal": "sale", "min": "1%"})), &format!("{at}.goal"), false);
    refused(judged(json!({"metric": "errorRate", "goal": "purchase"})), &format!("{at}.goal"), false);
    refused(judged(json!({"metric": "goal", "goal": "purchase"})), at, false);
    refused(
        judged(json!({"metric": "goal", "goal": "purchase", "versusBaseline": "2x"})),
        &format!("{at}.versusBaseline"),
        false,
    );
    let mut twice = judged(json!({"metric": "errorRate"}));
    twice["goals"] = json!([{"name": "a"}, {"name": "a"}]);
    refused(twice, "spec.goals[1].name", false);
}
