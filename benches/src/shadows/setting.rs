//! The Envoy in which shadows are measured: a listener for each side, all on one worker.

use std::time::Duration;

use anyhow::{Result, ensure};
use headgate_tests::{Bootstrap, Envoy, Metrics, shadow_wasm, wait_until, wasm};
use serde_json::{Value, json};

use super::server::Servers;
use crate::configurations;
use crate::sides::with_filter;

/// What stands between users and the version that answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Nothing.
    None,
    /// Envoy's own mirror.
    Mirror,
    /// Headgate, the filter without shadows.
    Headgate,
    /// Headgate, which copies to a cluster and compares by these rules.
    Shadow { cluster: &'static str, rules: Rules },
}

/// How answers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Byte by byte.
    Digest,
    /// As JSON, without the time.
    Json,
}

/// Budgets in which everything has room.
pub(super) fn roomy() -> Value {
    json!({"inFlight": 10_000, "perSecond": 1_000_000, "bytes": 1_073_741_824})
}

/// A configuration whose one route, all on stable, has a shadow of everything.
pub(super) fn shadowed(cluster: &str, rules: Rules, budget: &Value) -> Value {
    let mut document = configurations::plain();
    document["requires"] = json!(["shadow"]);
    document["shadowing"] = json!({"budget": budget});
    let compare = match rules {
        Rules::Digest => json!({}),
        Rules::Json => json!({"body": "json", "json": {"ignore": ["/at"]}}),
    };
    document["routes"][0]["shadow"] =
        json!({"cluster": cluster, "share": 10_000, "methods": ["GET", "POST"], "compare": compare});
    document
}

/// Starts it, with a listener of each name.
pub(super) async fn envoy(servers: Servers, sides: &[(&str, Filter)], budget: &Value) -> Result<Envoy> {
    let mut base = Bootstrap::filter_state()?;
    for (name, addr) in [("slow", servers.slow), ("hung", servers.hung), ("down", servers.down)] {
        base.add_cluster("model-v2", name, addr)?;
    }
    let manager = base.manager("ingress")?.clone();
    let template = base.at("/static_resources/listeners/0")?.clone();
    let mut listeners = Vec::new();
    for (name, filter) in sides {
        let mut manager = manager.clone();
        let mut action = json!({"cluster": "model-v1", "timeout": "0s"});
        let of = |code: &std::path::Path, configuration: &Value| crate::sides::wasm(code, name, configuration);
        let filter = match filter {
            Filter::None => None,
            Filter::Mirror => {
                action["request_mirror_policies"] = json!([{"cluster": "model-v2"}]);
                None
            }
            Filter::Headgate => Some(of(&wasm()?, &configurations::plain())?),
            Filter::Shadow { cluster, rules } => Some(of(&shadow_wasm()?, &shadowed(cluster, *rules, budget))?),
        };
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([{"match": {"prefix": "/"}, "route": action}]);
        let mut manager = with_filter(manager, filter)?;
        manager["stat_prefix"] = json!(name);
        let mut listener = template.clone();
        listener["name"] = json!(name);
        listener["filter_chains"][0]["filters"][0]["typed_config"] = manager;
        listeners.push(listener);
    }
    let bootstrap = base.edit(|document| {
        if let Some(all) = document["static_resources"]["listeners"].as_array_mut() {
            all.extend(listeners);
        }
    });
    let envoy = Envoy::builder(bootstrap).cluster("model-v1", servers.stable).cluster("model-v2", servers.well);
    envoy.configuration(&configurations::plain()).log_level("warning").start().await
}

/// Waits until every sampled request is accounted for, and gives the sums of `headgate_shadow_` and these names.
pub(super) async fn accounts<const N: usize>(envoy: &Envoy, names: [&str; N]) -> Result<[u64; N]> {
    let sum = |metrics: &Metrics, name: &str| metrics.sum(&format!("headgate_shadow_{name}"), &[]);
    wait_until("every copy is accounted for", || async {
        let metrics = envoy.metrics().await?;
        let ended: u64 = ["compared", "refused", "dropped", "failed"].iter().map(|name| sum(&metrics, name)).sum();
        Ok(sum(&metrics, "sampled") == ended)
    })
    .await?;
    let metrics = envoy.metrics().await?;
    Ok(names.map(|name| sum(&metrics, name)))
}

/// All `expected` pairs were compared and found the same.
pub(super) async fn all_matched(envoy: &Envoy, expected: usize) -> Result<()> {
    let [sampled] = accounts(envoy, ["sampled"]).await?;
    let matched = envoy.metrics().await?.sum("headgate_shadow_compared", &[("verdict", "matched")]);
    ensure!(matched == expected as u64, "of {expected} copied requests {sampled} were sampled and {matched} matched");
    Ok(())
}

/// The worker has nothing left to do: copies that were on their way have come back.
pub(super) fn rest() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Requests of some method and path, of many users.
pub(super) fn requests(method: &str, path: &str, body: usize) -> Vec<Vec<u8>> {
    let head = |user: usize| {
        let length = if body > 0 {
            format!("content-type: application/octet-stream\r\ncontent-length: {body}\r\n")
        } else {
            String::new()
        };
        format!(
            "{method} {path}?row={user} HTTP/1.1\r\nhost: model.example\r\nuser-agent: bench/1\r\naccept: application/json\r\n\
             accept-language: en-GB,en;q=0.8\r\ncookie: theme=dark; lang=en\r\nx-user-id: user-{user}\r\n{length}\r\n"
        )
    };
    (0..2_000).map(|user| [head(user).into_bytes(), vec![b'x'; body]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_configuration_that_headgate_takes() {
        for rules in [Rules::Digest, Rules::Json] {
            for budget in [roomy(), json!({})] {
                let document = shadowed("hung", rules, &budget);
                let config = headgate_contract::read_strict(document.to_string().as_bytes()).unwrap();
                headgate_routing::compile(config).unwrap();
            }
        }
    }
}
