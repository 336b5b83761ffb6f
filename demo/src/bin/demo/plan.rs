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

/// The versions, stable first: two are in `envoy/compose.yaml`, a third one is added where the demo starts Envoy itself.
pub(crate) fn variants(count: usize) -> Vec<Variant> {
    let all = [
        Variant { name: STABLE, version: Version::V1, cluster: "model-v1", weight: 80 },
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
