//! What most tests begin with: two versions behind one Envoy.

use headgate_tests::{Bootstrap, Builder, Envoy, Result, Upstream};
use serde_json::{Value, json};

/// Two versions, `stable` and `canary`.
pub(crate) struct Versions {
    pub(crate) stable: Upstream,
    pub(crate) canary: Upstream,
}

impl Versions {
    pub(crate) async fn start() -> Result<Self> {
        Ok(Self { stable: Upstream::start("stable").await?, canary: Upstream::start("canary").await? })
    }

    /// An Envoy in front of them, with filter-state routing.
    pub(crate) fn envoy(&self) -> Result<Builder> {
        Ok(self.behind(Bootstrap::filter_state()?))
    }

    /// An Envoy in front of them.
    pub(crate) fn behind(&self, bootstrap: Bootstrap) -> Builder {
        Envoy::builder(bootstrap).cluster("model-v1", self.stable.addr()).cluster("model-v2", self.canary.addr())
    }
}

/// A route of the name `model` with these weights, whose key is `x-user-id`.
pub(crate) fn route(stable: u32, canary: u32) -> Value {
    json!({
        "name": "model",
        "variants": [
            {"name": "stable", "weight": stable, "cluster": "model-v1"},
            {"name": "canary", "weight": canary, "cluster": "model-v2"}
        ],
        "stable": "stable",
        "key": {"sources": [{"header": "x-user-id"}]}
    })
}

/// A configuration of one route.
pub(crate) fn config(revision: u64, route: Value) -> Value {
    json!({"contract": 1, "revision": revision, "routes": [route]})
}
