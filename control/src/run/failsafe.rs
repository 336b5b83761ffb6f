//! Where users go when nothing of Headgate's is there: Envoy's route that asks for no variant. Pure: a config dump in, an answer out.
//!
//! (`/config_dump` of the admin interface; `envoy.admin.v3.RoutesConfigDump`.) A rollout is finished only once that route reaches the new version; Headgate
//! cannot change it, so what is to be changed is said exactly: on plain Envoy the route, in Istio the VirtualService that the proxy's route was made from
//! (istiod writes its name into the route's metadata). What the proxy has in force is looked at, not what somebody applied. A kill by runtime leads to the
//! same route: routes that ask for a runtime fraction are passed over then.

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
            if !routes.iter().flat_map(goals).any(|c| clusters.contains(&c) || c == wanted) {
                continue;
            }
            let Some(failsafe) = routes.iter().find(|r| is_failsafe(r)) else { continue };
            found = true;
            let elsewhere: Vec<&str> = goals(failsafe).into_iter().filter(|goal| *goal != wanted).collect();
            if !elsewhere.is_empty() {
                let route =
                    Some(text(failsafe, "name")).filter(|n| !n.is_empty()).unwrap_or("the route without a name");
                wrong.push(format!(
                    "in route configuration `{name}`, virtual host `{}`, the route `{route}` goes to `{}`: {}",
                    text(host, "name"),
                    elsewhere.join("` and `"),
                    way_out(failsafe, wanted)
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
        && !goals(route).is_empty()
}

/// The clusters that a route leads to; those of weight 0 are none.
fn goals(route: &Value) -> Vec<&str> {
    let Some(action) = route.get("route") else { return Vec::new() };
    if let Some(cluster) = action.get("cluster").and_then(Value::as_str) {
        return vec![cluster];
    }
    let weighted = action.get("weighted_clusters").map(|w| list(w, "clusters")).unwrap_or_default();
    let has_weight = |c: &&Value| c.get("weight").and_then(Value::as_f64).is_some_and(|weight| weight > 0.0);
    weighted.iter().filter(has_weight).filter_map(|c| c.get("name")?.as_str()).collect()
}

/// What somebody has to change for a route to lead to a cluster.
fn way_out(route: &Value, wanted: &str) -> String {
    // `/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/model`
    let made_from = route.pointer("/metadata/filter_metadata/istio/config").and_then(Value::as_str).unwrap_or_default();
    let object = made_from.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once("/virtual-service/"));
    let (Some((namespace, name)), Some((host, subset))) = (object, istio(wanted)) else {
        return format!("set its `cluster` to `{wanted}`");
    };
    let subset = if subset.is_empty() { "without a `subset`".to_owned() } else { format!("`subset: {subset}`") };
    format!(
        "in VirtualService `{name}` of namespace `{namespace}`, give that route the one destination `host: {host}`, {subset}"
    )
}

/// Host and subset of a cluster as istiod names it: `outbound|80|v2|model.shop.svc.cluster.local`.
fn istio(cluster: &str) -> Option<(&str, &str)> {
    let mut parts = cluster.split('|');
    let (direction, _port, subset, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (direction == "outbound" && parts.next().is_none()).then_some((host, subset))
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
        let mut divided = dump("v1");
        let routes =
            &mut divided["configs"][1]["static_route_configs"][1]["route_config"]["virtual_hosts"][0]["routes"];
        routes[2]["route"] =
            json!({"weighted_clusters": {"clusters": [{"name": "v1", "weight": 0}, {"name": "v2", "weight": 100}]}});
        assert_eq!(look(&divided, &["v1", "v2"], "v2"), Seen::Reached);
        assert_eq!(look(&json!({"configs": []}), &["v1"], "v2"), Seen::NotFound);
        assert_eq!(look(&dump("v1"), &["other"], "another"), Seen::NotFound);
    }

    /// As a sidecar shows it (Istio 1.30), shortened: the VirtualService has a route for the header and a default one.
    #[test]
    fn in_istio_the_virtual_service_that_is_to_be_changed_is_named() {
        let cluster = |subset: &str| format!("outbound|80|{subset}|model.shop.svc.cluster.local");
        let made_from = json!({"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/model"}}});
        let dump = |default: Value| {
            json!({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [
                {"route_config": {"name": "80", "virtual_hosts": [
                    {"name": "allow_any", "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "PassthroughCluster"}}]},
                    {"name": "model.shop.svc.cluster.local:80", "routes": [
                        {"match": {"prefix": "/", "headers": [{"name": "x-headgate-variant"}]}, "route": {"cluster": cluster("v2")}, "metadata": made_from},
                        {"name": "default", "match": {"prefix": "/"}, "route": default, "metadata": made_from}]}]}}]}]})
        };
        let (v1, v2) = (cluster("v1"), cluster("v2"));
        let known = [v1.as_str(), v2.as_str()];
        assert_eq!(look(&dump(json!({"cluster": v2})), &known, &v2), Seen::Reached);
        let half = json!({"weighted_clusters": {"clusters": [{"name": v1, "weight": 1}, {"name": v2, "weight": 99}]}});
        for default in [json!({"cluster": v1}), half] {
            let Seen::Elsewhere(what) = look(&dump(default), &known, &v2) else { panic!("it goes to v1") };
            assert_eq!(what.len(), 1);
            assert!(
                what[0].contains(
                    "virtual host `model.shop.svc.cluster.local:80`, the route `default` goes to `outbound|80|v1|"
                ),
                "{what:?}"
            );
            assert!(what[0].ends_with("in VirtualService `model` of namespace `shop`, give that route the one destination `host: model.shop.svc.cluster.local`, `subset: v2`"), "{what:?}");
        }
    }
}
