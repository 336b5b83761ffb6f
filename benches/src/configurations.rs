//! The plugin configurations that are measured.

use serde_json::{Value, json};

use crate::traffic::HOSTS;

/// Listed keys of each route of the large configuration: 100,000 in all.
const LISTED: usize = 100_000 / HOSTS;

/// The variable of Envoy's environment that holds the token key, and a key.
pub(crate) const TOKEN_KEY: (&str, &str) = ("HEADGATE_KEY_K1", "a key of the benchmark, of thirty-two bytes");

/// A route with a sticky key and two overrides; Envoy's own route leads to the stable version.
fn route(name: &str, weights: [u32; 2]) -> Value {
    let [stable, canary] = weights;
    json!({
        "name": name,
        "variants": [
            {"name": "stable", "weight": stable, "cluster": "model-v1"},
            {"name": "canary", "weight": canary, "cluster": "model-v2"}
        ],
        "stable": "stable",
        "key": {"sources": [{"header": "x-user-id"}]},
        "overrides": [
            {"header": "x-canary", "exact": "always", "variant": "canary", "openToAnyone": true},
            {"header": "x-canary", "exact": "never", "variant": "stable", "openToAnyone": true}
        ],
        "output": {"defaultRoute": "stable"}
    })
}

fn document(routes: &[Value]) -> Value {
    json!({
        "contract": 1,
        "revision": 1,
        "tokens": {"audience": "bench", "keys": [{"id": "k1", "env": TOKEN_KEY.0}]},
        "routes": routes
    })
}

/// One route; the header that is stripped from every request is the token's.
pub(crate) fn one_route() -> Value {
    document(&[route("model", [90, 10])])
}

/// The same with every decision told, also those that Envoy's own route would follow anyhow.
pub(crate) fn told() -> Value {
    let mut route = route("model", [90, 10]);
    route["output"] = json!({});
    document(&[route])
}

/// The same with the decision told by a header; forged ones of it are stripped too.
pub(crate) fn header() -> Value {
    let mut route = route("model", [90, 10]);
    route["output"] = json!({"filterState": null, "requestHeader": {"name": "x-headgate-variant", "nonce": "6f1d2c9ab4e87350"}, "defaultRoute": "stable"});
    document(&[route])
}

/// A route for each host, with a list of keys each.
pub(crate) fn thousand_routes() -> Value {
    let routes: Vec<Value> = (0..HOSTS)
        .map(|host| {
            let mut route = route(&format!("model-{host:03}"), [90, 10]);
            let keys: Vec<String> = (0..LISTED).map(|key| format!("member-{host:03}-{key:03}")).collect();
            route["match"] = json!({"hosts": [crate::traffic::host(host)]});
            route["include"] = json!([{"variant": "canary", "keys": keys}]);
            route
        })
        .collect();
    document(&routes)
}

/// One route that everybody takes by the hash, all on stable: a rollout's beginning.
pub(crate) fn plain() -> Value {
    let mut route = route("model", [100, 0]);
    route["overrides"] = json!([]);
    route["output"] = json!({});
    json!({"contract": 1, "revision": 1, "target": "bench", "routes": [route]})
}

/// A route of three versions and everything counted by replicate bucket: what a controller reads. Without `contract` and `revision`, which publishing
/// gives it.
pub(crate) fn three(canary: u32) -> Value {
    let mut route = route("model", [60, 20]);
    route["overrides"] = json!([]);
    route["output"] = json!({});
    route["variants"] = json!([
        {"name": "stable", "weight": 60, "cluster": "model-v1"},
        {"name": "canary", "weight": canary, "cluster": "model-v2"},
        {"name": "third", "weight": 20, "cluster": "model-v2"}
    ]);
    let replicates = ["requests", "finished", "failures", "timeouts", "latency"];
    json!({"metrics": {"replicates": replicates}, "routes": [route]})
}

/// What is pushed under load: two different divisions of the users, and the kill.
pub(crate) fn pushed(revision: u64, step: Step) -> Value {
    let mut route = route("model", [50, 50]);
    route["salt"] = json!(if step == Step::Second { "second" } else { "first" });
    let mut document = document(&[route]);
    document["revision"] = json!(revision);
    document["killSwitch"] = json!(step == Step::Kill);
    document
}

/// The configurations that take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Users divided by one salt.
    First,
    /// Users divided by another one.
    Second,
    /// Everybody on stable.
    Kill,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_configuration_that_headgate_takes() {
        let pushed = [Step::First, Step::Second, Step::Kill].map(|step| pushed(2, step));
        for document in [one_route(), told(), header(), thousand_routes()].into_iter().chain(pushed) {
            let config = headgate_contract::read_strict(document.to_string().as_bytes()).unwrap();
            headgate_routing::compile(config).unwrap();
        }
    }

    #[test]
    fn the_large_configuration_is_as_large_as_it_says() {
        let document = thousand_routes();
        let routes = document["routes"].as_array().unwrap();
        let keys: usize = routes.iter().map(|route| route["include"][0]["keys"].as_array().unwrap().len()).sum();
        assert_eq!((routes.len(), keys), (1_000, 100_000));
    }
}
