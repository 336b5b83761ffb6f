//! The plugin configuration that gives a step's shares to a route. Pure: from the one in force to the next, on JSON values.
//!
//! Only the route's weights (those of its segments too), its mirror's or shadow's share and the list of replicate metrics change; everything else that somebody
//! wrote stays. At the very end the route keeps one variant, the new one, which is also what a kill goes to then.

use headgate_rollout::file::WHOLE;
use headgate_rollout::plan::{Plan, Weights};
use serde_json::{Map, Value, json};

use crate::merge;

/// The configuration with these shares.
///
/// # Errors
/// In words, when the route or its variants are not there, or do not fit the shares.
pub(crate) fn apply(in_force: &Value, plan: &Plan, shares: &Weights) -> Result<Value, String> {
    let mut next = in_force.clone();
    let names: Vec<String> = merge::routes(in_force).iter().map(|r| merge::name(r).to_owned()).collect();
    let routes = next.get_mut("routes").and_then(Value::as_array_mut);
    let found = routes.into_iter().flatten().find(|r| merge::name(r) == plan.route);
    let route = found.and_then(Value::as_object_mut).ok_or_else(|| merge::no_route(&plan.route, &names))?;
    if shares.only_canary {
        let winner = shares.arms.iter().find(|(_, parts)| **parts == WHOLE);
        keep_only(route, winner.map_or(&plan.canary, |(name, _)| name), plan.verify_failsafe)?;
    } else {
        divide(route, plan, shares)?;
    }
    if shares.mirror > 0 || (copies(plan) && route.contains_key("mirror")) {
        let mirror = route.entry("mirror").or_insert_with(|| json!({}));
        if let Some(fields) = mirror.as_object_mut() {
            fields.insert("share".to_owned(), json!(shares.mirror));
        }
    }
    shadow(route, plan, shares)?;
    count(&mut next, plan);
    Ok(next)
}

/// Whether any step copies requests: then the mirror's share is the rollout's.
fn copies(plan: &Plan) -> bool {
    plan.steps.iter().any(|s| s.weights.mirror > 0)
}

/// Whether any step has copies compared: then the shadow's share is the rollout's.
fn compares(plan: &Plan) -> bool {
    plan.steps.iter().any(|s| s.weights.shadow > 0)
}

/// Gives the route's shadow its share. How answers are compared, and what may be copied, is the route's own to say.
fn shadow(route: &mut Map<String, Value>, plan: &Plan, shares: &Weights) -> Result<(), String> {
    if shares.shadow == 0 {
        if let Some(fields) = route.get_mut("shadow").filter(|_| compares(plan)).and_then(Value::as_object_mut) {
            fields.insert("share".to_owned(), json!(0));
        }
        return Ok(());
    }
    let variants = route.get("variants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let canary = variants.iter().find(|v| merge::name(v) == plan.canary);
    let cluster = canary.and_then(|v| v.get("cluster")).cloned();
    if !route.contains_key("shadow") {
        let cluster = cluster.ok_or_else(|| {
            format!(
                "route {} says nothing of where its copies go: give it a `shadow` with a `cluster`, or the variant `{}` its `cluster`",
                plan.route, plan.canary
            )
        })?;
        route.insert("shadow".to_owned(), json!({"cluster": cluster}));
    }
    let Some(fields) = route.get_mut("shadow").and_then(Value::as_object_mut) else {
        return Err(format!("the `shadow` of route {} is no object", plan.route));
    };
    if fields.get("segments").and_then(Value::as_object).is_some_and(|s| !s.is_empty()) {
        return Err(format!(
            "the `shadow` of route {} has shares of its segments, which would outlive the rollout's: remove `shadow.segments`",
            plan.route
        ));
    }
    fields.insert("share".to_owned(), json!(shares.shadow));
    Ok(())
}

fn divide(route: &mut Map<String, Value>, plan: &Plan, shares: &Weights) -> Result<(), String> {
    let variants = route.get_mut("variants").and_then(Value::as_array_mut).ok_or("the route has no variants")?;
    let known: Vec<String> = variants.iter().map(|v| merge::name(v).to_owned()).collect();
    for wanted in plan.variants() {
        if !known.iter().any(|name| name == wanted) {
            let known = crate::structure::list(&known);
            return Err(format!("route {} has no variant `{wanted}`: it has {known}", plan.route));
        }
    }
    let weight = |name: &str, canary: u32| match name {
        _ if !shares.arms.is_empty() => shares.arms.get(name).copied().unwrap_or(0),
        _ if name == plan.canary => canary,
        _ if name == plan.stable => WHOLE.saturating_sub(canary),
        _ => 0,
    };
    for variant in variants {
        let weight = weight(merge::name(variant), shares.canary);
        if let Some(fields) = variant.as_object_mut() {
            fields.insert("weight".to_owned(), json!(weight));
        }
    }
    let segments = route.get_mut("segments").and_then(Value::as_array_mut);
    let mut seen = Vec::new();
    for segment in segments.into_iter().flatten() {
        let name = merge::name(segment).to_owned();
        let canary = shares.in_segment(&name);
        let weights: Map<String, Value> = known.iter().map(|v| (v.clone(), json!(weight(v, canary)))).collect();
        if let Some(fields) = segment.as_object_mut() {
            fields.insert("weights".to_owned(), Value::Object(weights));
        }
        seen.push(name);
    }
    match shares.segments.keys().find(|name| !seen.contains(name)) {
        Some(missing) => {
            Err(format!("route {} has no segment `{missing}`: it has {}", plan.route, crate::structure::list(&seen)))
        }
        None => Ok(()),
    }
}

/// Leaves one variant; rules that name another one have lost their meaning and go with it.
fn keep_only(route: &mut Map<String, Value>, canary: &str, failsafe_seen: bool) -> Result<(), String> {
    let variants = route.get("variants").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kept = variants
        .into_iter()
        .find(|v| merge::name(v) == canary)
        .ok_or_else(|| format!("the route has no variant `{canary}`"))?;
    if let Some(fields) = kept.as_object_mut() {
        fields.insert("weight".to_owned(), json!(WHOLE));
    }
    route.insert("variants".to_owned(), json!([kept]));
    route.insert("stable".to_owned(), json!(canary));
    route.remove("mirror");
    route.remove("shadow");
    if let Some(output) = route.get_mut("output").and_then(Value::as_object_mut)
        && output.remove("defaultRoute").is_some()
        && failsafe_seen
    {
        // Envoy's default route was seen to reach the new version; not seen, every decision is told.
        output.insert("defaultRoute".to_owned(), json!(canary));
    }
    let names = |rule: &Value| rule.get("variant").and_then(Value::as_str) == Some(canary);
    for (field, keeps) in [("overrides", true), ("include", true), ("exclude", false)] {
        if let Some(rules) = route.get_mut(field).and_then(Value::as_array_mut) {
            rules.retain(|rule| keeps && names(rule));
        }
    }
    for segment in route.get_mut("segments").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = segment.as_object_mut() {
            fields.insert("weights".to_owned(), json!({canary: WHOLE}));
        }
    }
    Ok(())
}

/// The configuration that also counts what a plan judges and watches: goals, predictions, and buckets of users.
pub(crate) fn counted(in_force: &Value, plan: &Plan) -> Value {
    let mut next = in_force.clone();
    count(&mut next, plan);
    next
}

/// Sees to it that what is judged is counted: the plan's goals in the place of those of the same name, its predictions in the place of the
/// route's, and in buckets of users.
fn count(config: &mut Value, plan: &Plan) {
    count_replicates(config, plan);
    let routes = config.get_mut("routes").and_then(Value::as_array_mut);
    let route = routes.into_iter().flatten().find(|r| merge::name(r) == plan.route).and_then(Value::as_object_mut);
    let Some(route) = route else { return };
    if let Some(predictions) = plan.drift.as_ref().and_then(|of| serde_json::to_value(of.predictions.as_ref()?).ok()) {
        route.insert("predictions".to_owned(), predictions);
    }
    if plan.goals.is_empty() {
        return;
    }
    let goals = route.entry("goals").or_insert_with(|| json!([]));
    let Some(goals) = goals.as_array_mut() else { return };
    for wanted in plan.goals.iter().filter_map(|goal| serde_json::to_value(goal).ok()) {
        match goals.iter_mut().find(|goal| merge::name(goal) == merge::name(&wanted)) {
            Some(there) => *there = wanted,
            None => goals.push(wanted),
        }
    }
}

/// Sees to it that what is judged is counted in buckets of users too.
fn count_replicates(config: &mut Value, plan: &Plan) {
    if plan.replicates.is_empty() {
        return;
    }
    let wanted = plan.replicates.iter().filter_map(|r| serde_json::to_value(r).ok());
    let Some(fields) = config.as_object_mut() else { return };
    let metrics = fields.entry("metrics").or_insert_with(|| json!({}));
    let Some(metrics) = metrics.as_object_mut() else { return };
    let list = metrics.entry("replicates").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        for one in wanted {
            if !list.contains(&one) {
                list.push(one);
            }
        }
    }
}

/// The configuration with all users of a route on one variant, and no copies. It needs no plan: the way back works with the route's name alone.
///
/// # Errors
/// In words, when the route or the variant is not there.
pub(crate) fn all_stable(in_force: &Value, route: &str, stable: &str) -> Result<Value, String> {
    let mut next = in_force.clone();
    let names: Vec<String> = merge::routes(in_force).iter().map(|r| merge::name(r).to_owned()).collect();
    let routes = next.get_mut("routes").and_then(Value::as_array_mut);
    let found = routes.into_iter().flatten().find(|r| merge::name(r) == route);
    let found = found.and_then(Value::as_object_mut).ok_or_else(|| merge::no_route(route, &names))?;
    let variants = found.get_mut("variants").and_then(Value::as_array_mut).ok_or("the route has no variants")?;
    if !variants.iter().any(|v| merge::name(v) == stable) {
        return Err(format!(
            "route {route} has no variant `{stable}` any more: it was promoted, and goes back by a rollout of its own"
        ));
    }
    for variant in variants {
        let weight = if merge::name(variant) == stable { WHOLE } else { 0 };
        if let Some(fields) = variant.as_object_mut() {
            fields.insert("weight".to_owned(), json!(weight));
        }
    }
    for segment in found.get_mut("segments").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = segment.as_object_mut() {
            fields.insert("weights".to_owned(), json!({stable: WHOLE}));
        }
    }
    for copies in ["mirror", "shadow"] {
        if let Some(fields) = found.get_mut(copies).and_then(Value::as_object_mut) {
            fields.insert("share".to_owned(), json!(0));
        }
    }
    if let Some(fields) = found.get_mut("shadow").and_then(Value::as_object_mut) {
        fields.remove("segments");
    }
    Ok(next)
}

/// Whether a configuration has these shares already.
pub(crate) fn holds(config: &Value, plan: &Plan, shares: &Weights) -> bool {
    // What is counted is no matter of who gets what.
    let uncounted = |config: &Value| {
        let mut config = config.clone();
        if let Some(fields) = config.as_object_mut() {
            fields.remove("metrics");
        }
        let routes = config.get_mut("routes").and_then(Value::as_array_mut);
        for fields in routes.into_iter().flatten().filter_map(Value::as_object_mut) {
            fields.remove("goals");
            fields.remove("predictions");
        }
        config
    };
    apply(config, plan, shares).is_ok_and(|next| uncounted(&next) == uncounted(config))
}

/// What the configuration in force says of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whether everything, or the route, is killed.
    pub(crate) killed: bool,
    /// The shares; `None` when the route or a variant of the rollout is not there.
    pub(crate) weights: Option<Weights>,
    /// The cluster that the canary's requests should reach.
    pub(crate) canary_cluster: Option<String>,
    /// The clusters of all variants.
    pub(crate) clusters: Vec<String>,
}

/// Reads what is in force for a plan's route.
pub(crate) fn found(config: &Value, plan: &Plan) -> Found {
    let Some(route) = merge::routes(config).iter().find(|r| merge::name(r) == plan.route) else {
        return Found { killed: merge::killed(config), ..Found::default() };
    };
    let list = |field: &str| route.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let variants = list("variants");
    let named = |name: &str| variants.iter().find(|v| merge::name(v) == name);
    let number = |v: Option<&Value>| v.and_then(Value::as_f64).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of WHOLE")]
    let part = |mine: f64, all: f64| if all > 0.0 { (mine / all * f64::from(WHOLE)).round() as u32 } else { 0 };
    let total: f64 = variants.iter().map(|v| number(v.get("weight"))).sum();
    let canary = named(&plan.canary);
    let arms = plan.bandit.as_ref().and_then(|bandit| {
        // Segments of a route have the same shares while a bandit plays; what somebody else gave them is told by the variants'.
        let mut all = Vec::new();
        if let [only] = variants {
            // The winner, when all is over.
            let parts = |name: &String| if name == merge::name(only) { WHOLE } else { 0 };
            let arms = bandit.arms.iter().map(|name| (name.as_str(), parts(name)));
            return Some(Weights { only_canary: true, ..Weights::of_arms(&plan.stable, arms) });
        }
        for name in &bandit.arms {
            all.push((name.as_str(), part(number(named(name)?.get("weight")), total)));
        }
        Some(Weights::of_arms(&plan.stable, all))
    });
    let weights = canary.filter(|_| plan.bandit.is_none()).map(|canary| {
        let share = part(number(canary.get("weight")), total);
        let mut weights = Weights::canary(share);
        for segment in list("segments") {
            let given = segment.get("weights").and_then(Value::as_object);
            let all: f64 = given.into_iter().flat_map(|w| w.values()).map(|w| number(Some(w))).sum();
            let mine = part(number(given.and_then(|w| w.get(&plan.canary))), all);
            if mine != share {
                weights.segments.insert(merge::name(segment).to_owned(), mine);
            }
        }
        // Copies of a rollout that makes none are somebody else's matter.
        let mirror = route.get("mirror").filter(|_| copies(plan)).map(|m| number(m.get("share")));
        weights.mirror = mirror.map_or(0, |share| part(share, f64::from(WHOLE)));
        let shadow = route.get("shadow").filter(|_| compares(plan)).map(|s| number(s.get("share")));
        weights.shadow = shadow.map_or(0, |share| part(share, f64::from(WHOLE)));
        weights.only_canary = variants.len() == 1;
        weights
    });
    let weights = weights.or(arms);
    // Where the fail-safe route has to lead: to the canary, or to the arm of a bandit that has all users.
    let winner = variants.iter().find(|v| plan.bandit.is_some() && total > 0.0 && number(v.get("weight")) >= total);
    let new = winner.or(canary);
    Found {
        killed: merge::killed(config) || merge::killed(route),
        weights: weights.filter(|w| w.only_canary || named(&plan.stable).is_some()),
        canary_cluster: new.and_then(|v| v.get("cluster")).and_then(Value::as_str).map(str::to_owned),
        clusters: variants.iter().filter_map(|v| v.get("cluster")?.as_str().map(str::to_owned)).collect(),
    }
}

/// A configuration's `stage`: the rollout and its step, as far as a name may be long.
pub(crate) fn stage(rollout: &str, step: &str) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let text = format!("{rollout}.{step}").replace('%', "pct");
    let name: String = text.chars().map(|c| if fit(c) { c } else { '-' }).collect();
    name.chars().take(headgate_contract::limits::NAME_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rollout whose first step has copies compared.
    fn plan() -> Plan {
        let file = serde_json::from_value(json!({
            "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": "shop"},
            "spec": {
                "target": "shop", "route": "shop", "variants": {"stable": "v1", "canary": "v2"},
                "strategy": {"shadow": {"mode": "compare", "share": "10%", "duration": "10m", "steps": [{"weight": "25%", "duration": "1m"}, {"weight": "100%", "duration": "1m"}]}}
            }
        }));
        headgate_rollout::file::check(&file.unwrap()).unwrap()
    }

    fn route(more: Value) -> Value {
        let mut route = json!({"name": "shop", "variants": [{"name": "v1", "weight": 1, "cluster": "one"}, {"name": "v2", "weight": 0, "cluster": "two"}]});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            route[name] = value;
        }
        json!({"routes": [route]})
    }

    #[test]
    fn a_shadow_gets_its_share_for_the_step_and_none_after_it() {
        let (plan, on) = (plan(), Weights { shadow: 1_000, ..Weights::canary(0) });
        // Without a block in the route it is made, for the canary's cluster; one that is there stays as it is.
        let made = apply(&route(json!({})), &plan, &on).unwrap();
        assert_eq!(made["routes"][0]["shadow"], json!({"cluster": "two", "share": 1_000}));
        let own = json!({"shadow": {"cluster": "three", "share": 5, "compare": {"body": "json"}}});
        let next = apply(&route(own), &plan, &on).unwrap();
        let expected = json!({"cluster": "three", "share": 1_000, "compare": {"body": "json"}});
        assert_eq!(next["routes"][0]["shadow"], expected);
        let after = apply(&next, &plan, &Weights::canary(10_000)).unwrap();
        assert_eq!(after["routes"][0]["shadow"]["share"], 0);
        assert_eq!(all_stable(&next, "shop", "v1").unwrap()["routes"][0]["shadow"]["share"], 0);
    }

    #[test]
    fn shares_of_segments_that_would_outlive_the_step_are_refused() {
        let (plan, on) = (plan(), Weights { shadow: 1_000, ..Weights::canary(0) });
        let own = route(json!({"shadow": {"cluster": "two", "share": 0, "segments": {"gold": 1}}}));
        let why = apply(&own, &plan, &on).unwrap_err();
        assert!(why.contains("remove `shadow.segments`"), "{why}");
        // The way back asks nobody.
        assert_eq!(
            all_stable(&own, "shop", "v1").unwrap()["routes"][0]["shadow"],
            json!({"cluster": "two", "share": 0})
        );
    }
}
