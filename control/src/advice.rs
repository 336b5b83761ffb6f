//! What a configuration may say and hardly means: told, never refused.
//!
//! A note is for people who look at a push or a rendered object and wonder why nothing happens. What is wrong in itself is `compile`'s.

use std::collections::BTreeSet;

use headgate_contract::{Match, PluginConfig, Route};
use serde_json::Value;

use crate::structure::list;

/// Routes that no request reaches, because one before them takes every request.
pub(crate) fn unreachable(config: &PluginConfig) -> Option<String> {
    let all = config.routes.iter().position(|route| route.matches.as_ref().is_none_or(takes_all))?;
    let (first, behind) = config.routes.get(all..)?.split_first()?;
    let behind: Vec<&str> = behind.iter().map(|route| route.name.as_str()).collect();
    (!behind.is_empty()).then(|| {
        format!(
            "no request reaches {}: route `{}` stands before and takes every one (the first that matches decides)",
            list(&behind),
            first.name
        )
    })
}

/// Whether a match without any other condition begins with `/`, as every path does.
fn takes_all(of: &Match) -> bool {
    let path = of.path.as_ref().is_none_or(|path| path.prefix.as_deref() == Some("/") && !path.invert);
    path && Match { path: None, ..of.clone() } == Match::default()
}

/// Environment variables that a configuration names and the published VM is not given. `document` is the published file.
pub(crate) fn environment(config: &PluginConfig, document: &Value) -> Option<String> {
    let mut given = BTreeSet::new();
    for resource in document.get("resources").and_then(Value::as_array).into_iter().flatten() {
        let Some(env) = resource.pointer("/typed_config/config/vm_config/environment_variables") else { continue };
        let keys = env.get("host_env_keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        given.extend(keys);
        let values = env.get("key_values").and_then(Value::as_object).into_iter().flatten();
        given.extend(values.map(|(name, _)| name.as_str()));
    }
    let keys = config.tokens.iter().map(|of| &of.keys).chain(config.decisions.iter().map(|of| &of.keys));
    let shadows = config.routes.iter().filter_map(|route| route.shadow.as_ref());
    let replaced = shadows.flat_map(|shadow| &shadow.replace_headers).filter_map(|header| header.env.as_ref());
    let records = config.shadowing.records.iter().filter_map(|records| records.token_env.as_ref());
    let named = keys.flatten().map(|key| &key.env).chain(replaced).chain(records).map(String::as_str);
    let missing: Vec<&str> = named.collect::<BTreeSet<_>>().difference(&given).copied().collect();
    (!missing.is_empty()).then(|| {
        format!(
            "the filter's VM is not given {}, so what it is for is as if it were not set: name it in the target's filter.env, and push with --replace-vm",
            list(&missing)
        )
    })
}

/// Routes whose variant Istio cannot see.
pub(crate) fn istio(config: &PluginConfig) -> Option<String> {
    let silent = config.routes.iter().filter(|route| route.output.request_header.is_none());
    let silent: Vec<&str> = silent.map(|route| route.name.as_str()).collect();
    (!silent.is_empty()).then(|| {
        format!(
            "{} says its variant by filter state alone, which no VirtualService can match: set output.requestHeader, with a nonce",
            list(&silent)
        )
    })
}

/// Routes whose variant travels in a header that anybody who gets past the filter could write.
pub(crate) fn nonce(config: &PluginConfig) -> Option<String> {
    let bare = |route: &&Route| route.output.request_header.as_ref().is_some_and(|header| header.nonce.is_none());
    let bare: Vec<&str> = config.routes.iter().filter(bare).map(|route| route.name.as_str()).collect();
    (!bare.is_empty()).then(|| {
        format!(
            "{} says its variant in a header without a nonce, so where the filter is bypassed a client's header chooses: set output.requestHeader.nonce, as from `openssl rand -hex 16`",
            list(&bare)
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(routes: &[Value]) -> PluginConfig {
        let tokens = json!({"audience": "a", "keys": [{"id": "k1", "env": "K1"}, {"id": "k2", "env": "K2"}]});
        let document = json!({"contract": 1, "revision": 1, "tokens": tokens, "routes": routes});
        serde_json::from_value(document).unwrap()
    }

    fn route(name: &str, matches: Value) -> Value {
        json!({"name": name, "stable": "a", "variants": [{"name": "a", "weight": 1}], "match": matches})
    }

    #[test]
    fn routes_behind_one_that_takes_everything_are_named() {
        let all = json!({"path": {"prefix": "/"}});
        let some = [
            json!({"hosts": ["a.example"]}),
            json!({"path": {"prefix": "/", "invert": true}}),
            json!({"path": {"prefix": "/a"}}),
        ];
        for matches in &some {
            assert_eq!(unreachable(&config(&[route("first", matches.clone()), route("second", all.clone())])), None);
        }
        for matches in [all, json!({}), Value::Null] {
            let note = unreachable(&config(&[
                route("x", some[0].clone()),
                route("first", matches),
                route("second", json!({})),
            ]));
            assert!(note.is_some_and(|note| note.contains("reaches `second`: route `first`")));
        }
    }

    #[test]
    fn variables_that_the_vm_is_not_given_are_named() {
        let with = |env: Value| json!({"resources": [{"typed_config": {"config": {"vm_config": {"environment_variables": env}}}}]});
        let config = config(&[]);
        assert_eq!(environment(&config, &with(json!({"host_env_keys": ["K1"], "key_values": {"K2": "v"}}))), None);
        let note = environment(&config, &with(json!({"host_env_keys": ["K2"]}))).unwrap();
        assert!(note.contains("not given `K1`, so"), "{note}");
        assert!(environment(&config, &json!({})).unwrap().contains("`K1`, `K2`"));
    }

    #[test]
    fn what_istio_cannot_see_is_named() {
        let mut told = route("told", Value::Null);
        told["output"] = json!({"requestHeader": {"name": "x-v"}});
        let of = config(std::slice::from_ref(&told));
        assert_eq!(istio(&of), None);
        assert!(nonce(&of).unwrap().starts_with("`told` says"));
        told["output"]["requestHeader"]["nonce"] = json!("6f1d2c9ab4e87350");
        assert_eq!(nonce(&config(std::slice::from_ref(&told))), None);
        assert!(istio(&config(&[told, route("silent", Value::Null)])).unwrap().starts_with("`silent` says"));
    }
}
