//! Where users go when nothing of Headgate's is there: Envoy's route that asks for no variant. Pure: a config dump in, an answer out.
//!
//! (`/config_dump` of the admin interface; `envoy.admin.v3.RoutesConfigDump`.) A rollout is finished only once that route reaches the new version; Headgate
//! cannot change it on plain Envoy, so what is to be changed is said exactly.

use serde_json::Value;

/// What one proxy's routes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Every fail-safe route beside routes of these versions reaches the wanted cluster.
    Reached,
    /// These do not: what is to be changed, in words.
    Elsewhere(Vec<String>),
    /// No virtual host has a route to either version.
    NotFound,
}

/// Looks for fail-safe routes: in each virtual host that routes to one of `clusters`, the first route that matches without filter state, headers or
/// runtime.
pub(crate) fn look(dump: &Value, clusters: &[&str], wanted: &str) -> Seen {
    let mut wrong = Vec::new();
    let mut found = false;
    for config in configs(dump) {
        let name = text(config, "name");
        for host in list(config, "virtual_hosts") {
            let routes = list(host, "routes");
            if !routes.iter().any(|r| cluster(r).is_some_and(|c| clusters.contains(&c) || c == wanted)) {
                continue;
            }
            let Some(failsafe) = routes.iter().find(|r| is_failsafe(r)) else { continue };
            found = true;
            let goes = cluster(failsafe).unwrap_or("no cluster");
            if goes != wanted {
                let route =
                    Some(text(failsafe, "name")).filter(|n| !n.is_empty()).unwrap_or("the route without a name");
                wrong.push(format!(
                    "in route configuration `{name}`, virtual host `{}`, the route `{route}` goes to `{goes}`: set its `cluster` to `{wanted}`",
                    text(host, "name")
                ));
            }
        }
    }
    match (found, wrong.is_empty()) {
        (false, _) => Seen::NotFound,
        (true, true) => Seen::Reached,
        (true, false) => Seen::Elsewhere(wrong),
    }
}

fn configs(dump: &Value) -> impl Iterator<Item = &Value> {
    list(dump, "configs").iter().flat_map(|c| {
        let of = |field: &'static str| list(c, field).iter().filter_map(|r| r.get("route_config"));
        of("static_route_configs").chain(of("dynamic_route_configs"))
    })
}

fn is_failsafe(route: &Value) -> bool {
    let Some(matches) = route.get("match") else { return false };
    let asks = |field: &str| matches.get(field).is_some_and(|v| v.as_array().is_none_or(|l| !l.is_empty()));
    !["filter_state", "headers", "runtime_fraction", "dynamic_metadata", "query_parameters"].iter().any(|f| asks(f))
        && cluster(route).is_some()
}

fn cluster(route: &Value) -> Option<&str> {
    route.get("route")?.get("cluster")?.as_str()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dump(default: &str) -> Value {
        json!({"configs": [{"bootstrap": {}}, {"static_route_configs": [
            {"route_config": {"name": "stats", "virtual_hosts": [
                {"name": "s", "routes": [{"match": {"path": "/stats"}, "route": {"cluster": "admin"}}]}]}},
            {"route_config": {"name": "ingress", "virtual_hosts": [{"name": "model", "routes": [
                {"name": "canary", "match": {"prefix": "/", "filter_state": [{"key": "wasm.variant"}]}, "route": {"cluster": "v2"}},
                {"name": "killable", "match": {"prefix": "/", "runtime_fraction": {}}, "route": {"cluster": "v3"}},
                {"name": "stable", "match": {"prefix": "/"}, "route": {"cluster": default}}]}]}}]}]})
    }

    #[test]
    fn the_route_that_asks_for_nothing_is_the_fail_safe_one() {
        assert_eq!(look(&dump("v2"), &["v1", "v2"], "v2"), Seen::Reached);
        let Seen::Elsewhere(what) = look(&dump("v1"), &["v1", "v2"], "v2") else { panic!("it goes to v1") };
        assert_eq!(
            what,
            [
                "in route configuration `ingress`, virtual host `model`, the route `stable` goes to `v1`: set its `cluster` to `v2`"
            ]
        );
        assert_eq!(look(&json!({"configs": []}), &["v1"], "v2"), Seen::NotFound);
        assert_eq!(look(&dump("v1"), &["other"], "another"), Seen::NotFound);
    }
}
