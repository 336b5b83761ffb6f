//! What the demo asks for: its versions, and the plugin configuration that divides users between them.

use headgate_demo::Version;
use serde_json::{Value, json};

/// The target's name.
pub(crate) const TARGET: &str = "demo";
/// The route's name.
pub(crate) const ROUTE: &str = "digits";
/// The name of the environment variable that holds the key of override tokens.
pub(crate) const KEY_ENV: &str = "HEADGATE_KEY_K1";
/// The variant that serves when anything is in doubt.
pub(crate) const STABLE: &str = "stable";
/// The variant whose share changes.
pub(crate) const CANARY: &str = "canary";
/// Share of users whose requests are copied, in 1/10,000.
const MIRROR: u32 = 2_000;

/// What serves before any release.
const STABLE_VARIANT: Variant = Variant { name: STABLE, version: Version::V1, cluster: "model-v1", weight: 80 };

/// One version in the release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    /// Its name.
    pub(crate) name: &'static str,
    /// The model behind it.
    pub(crate) version: Version,
    /// The Envoy cluster.
    pub(crate) cluster: &'static str,
    /// Its weight at the beginning.
    pub(crate) weight: u32,
}

/// A version that should not be released: the model of the canary, with a fault. Where the demo starts Envoy itself.
pub(crate) const FAULTY: Variant = Variant { name: "faulty", version: Version::V2, cluster: "model-faulty", weight: 0 };

/// The plugin configuration that a rollout begins with: everybody on stable, nobody on the other.
pub(crate) fn before(canary: &Variant) -> Value {
    let mut configuration = configuration(&[Variant { weight: 1, ..STABLE_VARIANT }, Variant { weight: 0, ..*canary }]);
    if let Some(route) = configuration["routes"][0].as_object_mut() {
        route.remove("overrides");
        route.remove("mirror");
    }
    configuration
}

/// The rollout of a version over the real data: the steps of a release on an accelerated clock.
pub(crate) fn rollout(name: &str, canary: &Variant) -> Value {
    let steps: Vec<Value> =
        ["1%", "5%", "25%", "50%", "100%"].iter().map(|w| json!({"weight": w, "duration": "6s"})).collect();
    json!({
        "apiVersion": "headgate.dev/v1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {
            "target": "target.yaml", "route": ROUTE,
            "variants": {"stable": STABLE, "canary": canary.name},
            "strategy": {"canary": {"steps": steps}},
            "analysis": {"interval": "500ms", "minRequests": 30, "criteria": [
                {"metric": "errorRate", "versusBaseline": "2x"},
                {"metric": "latencyP50", "versusBaseline": "1.2x"},
                {"metric": "latencyP95", "versusBaseline": "1.5x"},
                {"name": "accuracy", "metric": "success", "provider": "truth", "min": "80%"}
            ]},
            // A dozen users are 1 %: what they cannot show, the next step can.
            "onInconclusive": "proceed",
            "providers": {"truth": {"outcomes": {"file": format!("{name}.jsonl")}}},
            "monitoring": {"duration": "3s"},
            // The demo's Envoy has a bootstrap that nobody changes.
            "finalising": {"verify": false}
        }
    })
}

/// The versions, stable first: two are in `envoy/compose.yaml`, a third one is added where the demo starts Envoy itself.
pub(crate) fn variants(count: usize) -> Vec<Variant> {
    let all = [
        STABLE_VARIANT,
        Variant { name: CANARY, version: Version::V2, cluster: "model-v2", weight: 15 },
        Variant { name: "challenger", version: Version::V3, cluster: "model-v3", weight: 5 },
    ];
    all.into_iter().take(count).collect()
}

/// The plugin configuration with these weights.
pub(crate) fn configuration(variants: &[Variant]) -> Value {
    let arms: Vec<Value> = variants
        .iter()
        .map(|variant| json!({"name": variant.name, "weight": variant.weight, "cluster": variant.cluster}))
        .collect();
    json!({
        "contract": 1, "revision": 1, "target": TARGET,
        "tokens": {"audience": TARGET, "keys": [{"id": "k1", "env": KEY_ENV}]},
        "routes": [{
            "name": ROUTE,
            "match": {"path": {"exact": "/predict"}},
            "variants": arms,
            "stable": STABLE,
            "key": {"sources": [{"header": "x-user-id"}]},
            "salt": "digits-1",
            "overrides": [
                {"query": "version", "exact": STABLE, "variant": STABLE, "openToAnyone": true},
                {"variant": CANARY}
            ],
            "mirror": {"share": MIRROR},
            "output": {"filterState": "variant", "requestHeader": {"name": "x-headgate-variant"}}
        }]
    })
}

/// A configuration with three mistakes.
pub(crate) fn broken(variants: &[Variant]) -> Value {
    let mut broken = configuration(variants);
    let route = &mut broken["routes"][0];
    route["stable"] = json!("stabel");
    route["variants"][1]["weight"] = json!(2_000_000);
    route["key"]["sources"][0] = json!({"hedaer": "x-user-id"});
    broken
}
