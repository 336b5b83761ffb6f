//! Bytes to types: the frozen envelope first, then the rest.

use serde::{Deserialize, Serialize};

use crate::de::from_node;
use crate::limits::CONFIG_BYTES;
use crate::node::Node;
use crate::whole::whole;
use crate::{CONTRACT, PluginConfig, Problem, Problems};

/// What a filter of this build can be asked for by `requires`.
pub const FEATURES: &[&str] = &[
    "overrides",
    "tokens",
    "lists",
    "segments",
    "decisions",
    "mirror",
    "issueCookie",
    "replicates",
    "claims",
    "defaultRoute",
    #[cfg(feature = "shadow")]
    "shadow",
    "goals",
    #[cfg(feature = "shadow")]
    "predictions",
    "clientErrors",
];

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
pub fn envelope(bytes: &[u8]) -> Result<Envelope, Problems> {
    from_node(&parse(bytes)?).map(|(envelope, _)| envelope)
}

fn parse(bytes: &[u8]) -> Result<Node, Problems> {
    let whole = |reason| Problems(vec![Problem::new("", reason)]);
    if bytes.len() > CONFIG_BYTES {
        return Err(whole(format!("the configuration has {} bytes, at most {CONFIG_BYTES} are taken", bytes.len())));
    }
    serde_json::from_slice(bytes).map_err(|e| whole(format!("the configuration is not JSON: {e}")))
}

/// Reads a configuration as a filter does: unknown fields are ignored and reported, unless `requires` names a feature
/// that this build lacks.
///
/// # Errors
/// A contract that is newer; else everything that is not as the types say, or every required feature that is missing.
pub fn read(bytes: &[u8]) -> Result<Read, Problems> {
    let node = parse(bytes)?;
    let mut problems = Problems::default();
    match from_node::<Envelope>(&node) {
        Ok((Envelope { contract, .. }, _)) if contract != CONTRACT => {
            let reason =
                format!("this build speaks contract {CONTRACT}, not {contract}: use a headgate of the same release");
            problems.push("contract", reason);
            return Err(problems);
        }
        // What is wrong with the envelope is so with the whole, and told there with the rest.
        _ => {}
    }
    let (config, mut unknown) = from_node::<PluginConfig>(&node)?;
    unknown.sort_unstable();
    for (i, feature) in config.requires.iter().enumerate() {
        if !FEATURES.contains(&feature.as_str()) {
            let reason = format!("this build lacks the feature `{feature}`: it has {}", FEATURES.join(", "));
            problems.push(format!("requires[{i}]"), reason);
        }
    }
    problems.into_result(Read { config, unknown })
}

/// Reads a configuration as `headgate` does: an unknown field is an error.
///
/// # Errors
/// As [`read`], and one problem for each unknown field.
pub fn read_strict(bytes: &[u8]) -> Result<PluginConfig, Problems> {
    let read = read(bytes)?;
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
            let problems = super::read(text.as_bytes()).unwrap_err();
            assert_eq!(problems.0.len(), 1, "{bad}: {problems}");
            assert_eq!(problems.0[0].path, "revision", "{bad}: {problems}");
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

    fn told(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn type_errors_are_all_told_with_their_paths() {
        let wrong = MINIMAL.replace("\"weight\":5}", "\"weight\":\"5\"}").replace("\"stable\":\"a\"", "\"mirror\":7");
        assert_eq!(
            told(&wrong),
            [
                "routes[0].variants[1].weight: the string \"5\", expected a whole number from 0 to 4294967295",
                "routes[0]: missing field `stable`",
                "routes[0].mirror: the number 7, expected an object",
            ]
        );
        assert_eq!(told("{\"contract\":1}"), ["missing field `revision`"]);
        let many = format!("{{\"contract\":1,\"revision\":1,\"routes\":[{}0]}}", "0,".repeat(1_000));
        assert_eq!(told(&many).len(), crate::limits::PROBLEMS);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        assert_eq!(told("{\"contract\":1,}"), ["the configuration is not JSON: trailing comma at line 1 column 15"]);
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
        let text = MINIMAL.replace("\"routes\"", "\"requires\":[\"mirror\",\"teleport\"],\"routes\"");
        assert_eq!(read(text.as_bytes()).unwrap_err().0[0].path, "requires[1]");
    }
}
