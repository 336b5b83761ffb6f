//! What a proxy's statistics say of one target. Pure: text in, numbers out.
//!
//! Read are Envoy's own forms: `/stats?format=json` from an admin interface or a read-only listener, and
//! `/stats/prometheus`, which is all that an Istio sidecar shows without its admin interface.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::exposition;

/// One reading of one proxy.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reading {
    /// Worker threads; `None` when the proxy does not show them.
    pub(crate) workers: Option<u64>,
    /// Acknowledgements since the proxy started: workers + 1 for each configuration taken.
    pub(crate) acknowledgements: u64,
    /// The revision in force; `None` before the first.
    pub(crate) revision: Option<u64>,
    /// Version of the filter.
    pub(crate) version: Option<String>,
    /// What the filter can be asked for.
    pub(crate) features: BTreeSet<String>,
    /// Fields of the configuration that the filter did not know and left out.
    pub(crate) unknown_fields: u64,
    /// Configurations that Envoy refused to take since it started.
    pub(crate) rejected: u64,
    /// Configurations that the filter refused, throw-away clones included.
    pub(crate) refused: u64,
    /// Open requests by cluster.
    pub(crate) active: BTreeMap<String, u64>,
}

/// The names that [`Reading`] needs, as the regular expression of Envoy's `filter` parameter.
pub(crate) const FILTER: &str = r"headgate_(acknowledgements|revision|build|unknown_fields|refused_configurations)$|^server\.concurrency$|extension_config_discovery\..*\.update_rejected$|^cluster\..*\.upstream_rq_active$";

/// Series of the filter's that say what it is and has in force, rather than what it did.
const IDENTITY: [&str; 5] = [
    "headgate_acknowledgements",
    "headgate_revision",
    "headgate_build",
    "headgate_unknown_fields",
    "headgate_refused_configurations",
];

/// What [`Reading`] is made of.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The last word of the name.
    name: String,
    labels: BTreeMap<String, String>,
    value: u64,
}

/// Reads `/stats?format=json`.
///
/// # Errors
/// In words, when the answer is not of that form.
pub(crate) fn from_json(text: &str, target: &str, resource: &str) -> Result<Reading, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("its statistics are no JSON: {e}"))?;
    let list = document.get("stats").and_then(Value::as_array).ok_or("its statistics have no list `stats`")?;
    let samples = list.iter().filter_map(|stat| {
        let name = stat.get("name")?.as_str()?;
        Some(envoy_sample(name, stat.get("value")?.as_u64()?))
    });
    Ok(reading(samples, target, resource))
}

/// `route=.=shop;.;variant=.=canary;.;headgate_requests`, or a name of Envoy's own.
fn envoy_sample(name: &str, value: u64) -> Sample {
    let mut labels = BTreeMap::new();
    let mut rest = name.strip_prefix("wasmcustom.").unwrap_or(name);
    while let Some((tag, after)) = rest.split_once(";.;") {
        if let Some((key, value)) = tag.split_once("=.=") {
            labels.insert(key.to_owned(), value.to_owned());
        }
        rest = after;
    }
    if let Some(cluster) = rest.strip_prefix("cluster.").and_then(|r| r.strip_suffix(".upstream_rq_active")) {
        labels.insert("cluster".to_owned(), cluster.to_owned());
        rest = "upstream_rq_active";
    }
    Sample { name: rest.to_owned(), labels, value }
}

/// Reads `/stats/prometheus`.
pub(crate) fn from_prometheus(text: &str, target: &str, resource: &str) -> Reading {
    reading(exposition::samples(text).filter_map(|s| standing(&s)), target, resource)
}

/// A sample of Prometheus' form, if [`Reading`] needs it.
pub(crate) fn standing(sample: &exposition::Sample<'_>) -> Option<Sample> {
    let name = match sample.name {
        // What the filter counted is most of a page.
        ours if ours.starts_with("headgate_") && !IDENTITY.contains(&ours) => return None,
        "envoy_server_concurrency" => "server.concurrency".to_owned(),
        "envoy_cluster_upstream_rq_active" => "upstream_rq_active".to_owned(),
        other => match other.split_once("extension_config_discovery_http_filter_") {
            Some((_, rest)) => {
                format!(
                    "extension_config_discovery.http_filter.{}",
                    rest.replace("_update_rejected", ".update_rejected")
                )
            }
            None => {
                let name = exposition::ours(other)?;
                if !IDENTITY.contains(&name) {
                    return None;
                }
                name.to_owned()
            }
        },
    };
    let mut labels: BTreeMap<String, String> =
        sample.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if let Some(cluster) = labels.remove("envoy_cluster_name").or_else(|| labels.remove("cluster_name")) {
        labels.insert("cluster".to_owned(), cluster);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters and gauges that are whole and not negative"
    )]
    let value = sample.value as u64;
    Some(Sample { name, labels, value })
}

/// Puts samples together.
pub(crate) fn reading(samples: impl IntoIterator<Item = Sample>, target: &str, resource: &str) -> Reading {
    let mut out = Reading::default();
    let rejected = [
        format!("extension_config_discovery.http_filter.{resource}.update_rejected"),
        format!("extension_config_discovery.http_filter.{}.update_rejected", resource.replace(['-', '.'], "_")),
    ];
    let mut best: Option<Vec<u64>> = None;
    for sample in samples {
        let ours = sample.labels.get("target").is_some_and(|t| t == target);
        match sample.name.as_str() {
            "server.concurrency" => out.workers = Some(sample.value),
            "headgate_acknowledgements" if ours => out.acknowledgements = sample.value,
            "headgate_revision" if ours => out.revision = Some(sample.value),
            "headgate_unknown_fields" if ours => out.unknown_fields = sample.value,
            "headgate_refused_configurations" => out.refused += sample.value,
            // Series outlive the filter that made them: of several the newest version counts.
            "headgate_build" if ours && sample.value > 0 => {
                let version = sample.labels.get("version").cloned().unwrap_or_default();
                let rank: Vec<u64> = version.split(['.', '-', '+']).map_while(|p| p.parse().ok()).collect();
                if best.as_ref().is_none_or(|b| *b < rank) {
                    let features = sample.labels.get("features").map(String::as_str).unwrap_or_default();
                    out.features = features.split('+').filter(|f| !f.is_empty()).map(str::to_owned).collect();
                    out.version = Some(version);
                    best = Some(rank);
                }
            }
            "upstream_rq_active" => {
                out.active.insert(sample.labels.get("cluster").cloned().unwrap_or_default(), sample.value);
            }
            name if rejected.iter().any(|r| name.ends_with(r)) => out.rejected += sample.value,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_statistics_say_the_same() {
        let json = r#"{"stats":[{"name":"server.concurrency","value":2},
            {"name":"wasmcustom.target=.=shop;.;headgate_acknowledgements","value":6},
            {"name":"wasmcustom.target=.=other;.;headgate_acknowledgements","value":60},
            {"name":"wasmcustom.target=.=shop;.;headgate_revision","value":17},
            {"name":"wasmcustom.target=.=shop;.;version=.=0.9.0;.;features=.=lists;.;headgate_build","value":1},
            {"name":"wasmcustom.target=.=shop;.;version=.=0.10.0;.;features=.=lists+mirror;.;headgate_build","value":1},
            {"name":"wasmcustom.target=.=shop;.;headgate_unknown_fields","value":1},
            {"name":"extension_config_discovery.http_filter.headgate.update_rejected","value":4},
            {"name":"extension_config_discovery.http_filter.other.update_rejected","value":9},
            {"name":"cluster.shop-v2.upstream_rq_active","value":3},{"histograms":{}}]}"#;
        let text = r#"# TYPE x counter
envoy_server_concurrency{} 2
headgate_acknowledgements{target="shop"} 6
headgate_acknowledgements{target="other"} 60
headgate_revision{target="shop"} 17
headgate_build{features="lists",target="shop",version="0.9.0"} 1
headgate_build{features="lists+mirror",target="shop",version="0.10.0"} 1
headgate_unknown_fields{target="shop"} 1
envoy_extension_config_discovery_http_filter_headgate_update_rejected{} 4
envoy_extension_config_discovery_http_filter_other_update_rejected{} 9
envoy_cluster_upstream_rq_active{envoy_cluster_name="shop-v2"} 3
"#;
        let read = from_json(json, "shop", "headgate").unwrap();
        assert_eq!((read.workers, read.acknowledgements, read.revision, read.rejected), (Some(2), 6, Some(17), 4));
        assert_eq!(read.features.iter().map(String::as_str).collect::<Vec<_>>(), ["lists", "mirror"]);
        assert_eq!(read.active.get("shop-v2"), Some(&3));
        assert_eq!(from_prometheus(text, "shop", "headgate"), read);
        assert!(from_json("<html>", "shop", "headgate").is_err());
    }
}
