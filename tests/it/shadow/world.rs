//! A version that answers users, a shadow of it, and an Envoy with the filter that compares the two.

use headgate_tests::{Bootstrap, Builder, Envoy, Metrics, Result, Upstream, shadow_wasm, wait_until};
use serde_json::{Value, json};

use crate::fixture::{config, route};

/// Two servers of one name: their answers are the same.
pub(super) struct World {
    pub(super) stable: Upstream,
    pub(super) shadow: Upstream,
}

/// What became of the sampled requests.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(super) struct Account {
    pub(super) sampled: u64,
    pub(super) compared: u64,
    pub(super) refused: u64,
    pub(super) dropped: u64,
    pub(super) failed: u64,
}

impl World {
    pub(super) async fn start() -> Result<Self> {
        Ok(Self { stable: Upstream::start("model").await?, shadow: Upstream::start("model").await? })
    }

    /// An Envoy in front of them, which copies everything that stable serves, but for what `more` says.
    pub(super) fn envoy(&self, more: Value) -> Result<Builder> {
        self.behind(Bootstrap::filter_state()?, more)
    }

    /// Likewise, with a changed bootstrap.
    pub(super) fn behind(&self, bootstrap: Bootstrap, more: Value) -> Result<Builder> {
        let envoy = Envoy::builder(bootstrap).cluster("model-v1", self.stable.addr());
        let envoy = envoy.cluster("model-v2", self.shadow.addr()).wasm(&shadow_wasm()?);
        Ok(envoy.configuration(&shadowed(1, more)))
    }
}

/// A configuration whose one route has a shadow of everything, changed by `more`.
pub(super) fn shadowed(revision: u64, more: Value) -> Value {
    let mut route = route(1, 0);
    route["shadow"] = json!({"cluster": "model-v2", "share": 10_000, "timeoutMs": 10_000});
    if let (Some(shadow), Value::Object(more)) = (route["shadow"].as_object_mut(), more) {
        shadow.extend(more);
    }
    let mut config = config(revision, route);
    config["requires"] = json!(["shadow"]);
    config
}

/// What became of the sampled requests so far.
pub(super) fn account(metrics: &Metrics) -> Account {
    let sum = |what: &str| metrics.sum(&format!("headgate_shadow_{what}"), &[]);
    Account {
        sampled: sum("sampled"),
        compared: sum("compared"),
        refused: sum("refused"),
        dropped: sum("dropped"),
        failed: sum("failed"),
    }
}

/// Waits until so many requests were sampled and each is accounted for.
pub(super) async fn quiet(envoy: &Envoy, sampled: u64) -> Result<(Account, Metrics)> {
    let what = format!("{sampled} sampled requests are accounted for");
    let last = std::sync::Mutex::new(Account::default());
    let waited = wait_until(&what, || async {
        let now = account(&envoy.admin().metrics().await?);
        *last.lock().unwrap() = now;
        Ok(now.sampled == sampled && now.compared + now.refused + now.dropped + now.failed == sampled)
    });
    if let Err(e) = waited.await {
        return Err(e.context(format!("{:?}", last.lock().unwrap())));
    }
    let metrics = envoy.metrics().await?;
    Ok((account(&metrics), metrics))
}
