//! Bytes to types: the frozen envelope first, then the rest.

use serde::{Deserialize, Serialize};

use crate::de::from_node;
use crate::limits::CONFIG_BYTES;
use crate::node::Node;
use crate::whole::whole;
use crate::{CONTRACT, PluginConfig, Problem, Problems};

/// What a filter of this build can be asked for by `requires`.
pub const FEATURES: &[&str] =
    &["overrides", "tokens", "lists", "segments", "decisions", "mirror", "issueCookie", "replicates", "claims"];

/// The part of a configuration that never changes, so that a kill reaches every filter ever built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Version of the contract.
    #[serde(deserialize_with = "whole")]
    pub contract: u64,
    /// Number of the configuration, below 2^53.
    #[serde(deserialize_with = "whole")]
    pub revision: u64,
    /// All requests to stable.
    #[serde(default)]
    pub kill_switch: bool,
}

/// A configuration as read by a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The configuration.
    pub config: PluginConfig,
    /// Paths of fields that this build does not know and left out, sorted.
    pub unknown: Vec<String>,
}

/// Reads the envelope alone.
///
/// # Errors
/// When the bytes are too many, are not JSON, or lack a field of the envelope.
pub fn envelope(bytes: &[u8]) -> Result<Envelope, Problem> {
    from_node(&parse(bytes)?).map(|(envelope, _)| envelope)
}

fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    if bytes.len() > CONFIG_BYTES {
        return Err(Problem::new(
            "",
            format!("the configuration has {} bytes, at most {CONFIG_BYTES} are taken", bytes.len()),
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| Problem::new("", e.to_string()))
}

/// Reads a configuration as a filter does: unknown fields are ignored and reported, unless `requires` names a feature
/// that this build lacks.
///
/// # Errors
/// The first thing that is not as the types say, a contract that is newer, or a required feature that is missing.
pub fn read(bytes: &[u8]) -> Result<Read, Problem> {
    let node = parse(bytes)?;
    let (envelope, _) = from_node::<Envelope>(&node)?;
    if envelope.contract != CONTRACT {
        return Err(Problem::new(
            "contract",
            format!(
                "this build speaks contract {CONTRACT}, not {}: use a headgate of the same release",
                envelope.contract
            ),
        ));
    }
    let (config, mut unknown) = from_node::<PluginConfig>(&node)?;
    unknown.sort_unstable();
    for (i, feature) in config.requires.iter().enumerate() {
        if !FEATURES.contains(&feature.as_str()) {
            return Err(Problem::new(
                format!("requires[{i}]"),
                format!("this build lacks the feature `{feature}`: it has {}", FEATURES.join(", ")),
            ));
        }
    }
    Ok(Read { config, unknown })
}

/// Reads a configuration as `headgate` does: an unknown field is an error.
///
/// # Errors
/// As [`read`], and one problem for each unknown field.
pub fn read_strict(bytes: &[u8]) -> Result<PluginConfig, Problems> {
    let read = read(bytes).map_err(|problem| Problems(vec![problem]))?;
    let mut problems = Problems::default();
    for path in read.unknown {
        problems.push(path, "unknown field: remove it, or check its spelling against the schema");
    }
    problems.into_result(read.config)
}

/// The names of routing headers in a configuration that cannot be read, so that a filter that only understood its kill
/// switch still removes forged ones.
pub fn salvage_headers(bytes: &[u8]) -> Vec<String> {
    let Ok(node) = parse(bytes) else { return Vec::new() };
    // Both have a default name, which a configuration need not write out.
    let mut names: Vec<String> = [("tokens", "x-headgate-token"), ("decisions", "x-headgate-decisions")]
        .iter()
        .filter_map(|(field, default)| Some(node.get(field)?.text(&["header"]).unwrap_or(default).to_owned()))
        .collect();
    for route in node.get("routes").map(Node::items).unwrap_or_default() {
        for part in ["output", "mirror"] {
            names.extend(route.text(&[part, "requestHeader", "name"]).map(str::to_owned));
        }
    }
    names.retain(|name| crate::check_header_name(name).is_ok());
    names.sort_unstable();
    names.dedup();
    names
}

/// The target's name in a configuration that cannot be read, so that a filter that only understood its kill switch
/// acknowledges it under the name that the publisher waits for.
pub fn salvage_target(bytes: &[u8]) -> Option<String> {
    let node = parse(bytes).ok()?;
    let target = node.text(&["target"])?;
    crate::check_name(target).is_ok().then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"contract":1,"revision":5.0,"routes":[{"name":"shop","stable":"a",
        "variants":[{"name":"a","weight":95.0},{"name":"b","weight":5}]}]}"#;

    #[test]
    fn whole_numbers_may_come_as_doubles() {
        let read = read(MINIMAL.as_bytes()).unwrap();
        assert_eq!(read.config.revision, 5);
        assert_eq!(read.config.routes[0].variants[0].weight, 95);
        assert_eq!(read.config.routes[0].output.filter_state.as_deref(), Some("variant"));
        for bad in ["5.5", "-1", "9007199254740992", "1e300", "\"5\""] {
            let text = MINIMAL.replace("5.0,\"routes", &format!("{bad},\"routes"));
            let problem = super::read(text.as_bytes()).unwrap_err();
            assert_eq!(problem.path, "revision", "{bad}: {problem}");
        }
    }

    #[test]
    fn unknown_fields_are_reported_with_their_path_and_refused_when_strict() {
        let text = MINIMAL
            .replace(r#""stable":"a","#, r#""stable":"a","shiny":1,"key":{"sources":[{"header":"h","hedaer":"x"}]},"#);
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.unknown, ["routes[0].key.sources[0].hedaer", "routes[0].shiny"]);
        let problems = read_strict(text.as_bytes()).unwrap_err();
        assert_eq!(problems.0.len(), 2);
    }

    #[test]
    fn a_type_error_names_its_path() {
        let problem = read(MINIMAL.replace("\"weight\":5}", "\"weight\":\"5\"}").as_bytes()).unwrap_err();
        assert_eq!(problem.path, "routes[0].variants[1].weight");
        assert_eq!(problem.reason, "the string \"5\", expected a whole number from 0 to 4294967295");
    }

    #[test]
    fn a_kill_is_read_from_what_cannot_be_compiled() {
        let text = br#"{"contract":9,"revision":8,"killSwitch":true,"routes":[{"output":{"requestHeader":{"name":"x-v"}}, "new": 1}]}"#;
        assert_eq!(envelope(text).unwrap(), Envelope { contract: 9, revision: 8, kill_switch: true });
        assert!(read(text).is_err());
        assert_eq!(salvage_headers(text), ["x-v"]);
        assert_eq!(salvage_target(text), None);
        assert_eq!(salvage_target(br#"{"target":"shop","routes":7}"#).as_deref(), Some("shop"));
    }

    #[test]
    fn a_missing_feature_is_refused() {
        let problem =
            read(MINIMAL.replace("\"routes\"", "\"requires\":[\"mirror\",\"teleport\"],\"routes\"").as_bytes())
                .unwrap_err();
        assert_eq!(problem.path, "requires[1]");
    }
}
