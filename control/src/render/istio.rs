//! The Istio objects that carry a plugin configuration: `WasmPlugin`, and `TrafficExtension` (Istio 1.30 and newer).
//!
//! Istio turns `pluginConfig` into a protobuf `Struct`, so every number arrives as a double: the contract keeps integers
//! below 2^53. etcd bounds the object's size.

use headgate_contract::limits::KUBERNETES_BYTES;
use serde_json::{Map, Value, json};

use crate::target::{Filter, Istio, Target};

/// Which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `extensions.istio.io/v1alpha1 WasmPlugin`.
    WasmPlugin,
    /// `extensions.istio.io/v1alpha1 TrafficExtension`.
    TrafficExtension,
}

/// The object for a plugin configuration.
///
/// # Errors
/// In words: when the target lacks `istio` or `filter.url`, or the object is too large.
pub(crate) fn object(kind: Kind, target: &Target, config: &Value) -> Result<Value, String> {
    let Some(istio) = &target.istio else {
        return Err(format!("target {} has no `istio`: add at least `istio: {{namespace: …}}`", target.name));
    };
    let filter = target.filter.as_ref();
    let Some((filter, url)) = filter.and_then(|f| Some((f, f.url.as_ref()?))) else {
        return Err(format!(
            "target {} has no `filter.url`: add where Istio fetches the .wasm, oci:// or https://",
            target.name
        ));
    };
    if url.starts_with("file://") {
        return Err(
            "`filter.url` is file://: with it each change may build a new VM; use oci:// or https://".to_owned()
        );
    }
    let mut spec = wasm(filter, url, istio, config)?;
    let (kind, spec) = match kind {
        Kind::WasmPlugin => {
            attach(&mut spec, istio)?;
            ("WasmPlugin", spec)
        }
        Kind::TrafficExtension => {
            let mut outer = Map::new();
            outer.insert("wasm".to_owned(), Value::Object(spec));
            attach(&mut outer, istio)?;
            ("TrafficExtension", outer)
        }
    };
    let name =
        istio.name.clone().unwrap_or_else(|| format!("headgate-{}", target.name.to_lowercase().replace('_', "-")));
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": istio.namespace},
        "spec": spec,
    });
    let bytes = object.to_string().len();
    if bytes > KUBERNETES_BYTES {
        return Err(format!(
            "the {kind} would have {bytes} bytes, a Kubernetes object may have {KUBERNETES_BYTES}: write long key lists as `hashes`, or divide the target"
        ));
    }
    Ok(object)
}

fn wasm(filter: &Filter, url: &str, istio: &Istio, config: &Value) -> Result<Map<String, Value>, String> {
    let mut spec = Map::new();
    spec.insert("url".to_owned(), json!(url));
    if let Some(sha256) = &filter.sha256 {
        if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err("`filter.sha256` must be 64 lower-case hexadecimal digits (sha256sum prints them)".to_owned());
        }
        spec.insert("sha256".to_owned(), json!(sha256));
    }
    spec.insert("imagePullPolicy".to_owned(), json!("IfNotPresent"));
    spec.insert("pluginName".to_owned(), json!("headgate"));
    spec.insert("failStrategy".to_owned(), to_value(istio.fail_strategy)?);
    if !filter.env.is_empty() {
        let env: Vec<Value> = filter.env.iter().map(|name| json!({"name": name, "valueFrom": "HOST"})).collect();
        spec.insert("vmConfig".to_owned(), json!({"env": env}));
    }
    spec.insert("pluginConfig".to_owned(), config.clone());
    Ok(spec)
}

fn attach(spec: &mut Map<String, Value>, istio: &Istio) -> Result<(), String> {
    if !istio.selector.is_empty() {
        spec.insert("selector".to_owned(), json!({"matchLabels": istio.selector}));
    }
    if !istio.target_refs.is_empty() {
        spec.insert("targetRefs".to_owned(), to_value(&istio.target_refs)?);
    }
    spec.insert("phase".to_owned(), to_value(istio.phase)?);
    spec.insert("match".to_owned(), json!([{"mode": to_value(istio.mode)?}]));
    Ok(())
}

fn to_value(value: impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        serde_json::from_value(json!({
            "name": "shop",
            "filter": {"url": "oci://registry.example/headgate:0.1.0", "sha256": "a".repeat(64), "env": ["HEADGATE_KEY_K1"]},
            "istio": {"namespace": "istio-system", "selector": {"istio": "ingressgateway"}},
        }))
        .unwrap()
    }

    #[test]
    fn the_two_objects_have_the_form_that_their_definitions_ask_for() {
        let config = json!({"contract":1,"revision":9_007_199_254_740_991_u64,"routes":[]});
        let wasm = json!({
            "url": "oci://registry.example/headgate:0.1.0", "sha256": "a".repeat(64), "imagePullPolicy": "IfNotPresent",
            "pluginName": "headgate", "failStrategy": "FAIL_RELOAD",
            "vmConfig": {"env": [{"name": "HEADGATE_KEY_K1", "valueFrom": "HOST"}]}, "pluginConfig": config,
        });
        let around = json!({"selector": {"matchLabels": {"istio": "ingressgateway"}}, "phase": "AUTHZ", "match": [{"mode": "CLIENT"}]});
        let mut flat = wasm.clone();
        flat.as_object_mut().unwrap().extend(around.as_object().unwrap().clone());
        let mut nested = json!({"wasm": wasm});
        nested.as_object_mut().unwrap().extend(around.as_object().unwrap().clone());
        for (kind, name, spec) in
            [(Kind::WasmPlugin, "WasmPlugin", flat), (Kind::TrafficExtension, "TrafficExtension", nested)]
        {
            let expected = json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": name,
                "metadata": {"name": "headgate-shop", "namespace": "istio-system"}, "spec": spec});
            assert_eq!(object(kind, &target(), &config).unwrap(), expected);
        }
    }

    #[test]
    fn what_a_struct_makes_of_numbers_is_read_as_the_same_configuration() {
        fn doubles(value: &Value) -> Value {
            match value {
                Value::Number(n) => json!(n.as_f64().unwrap()),
                Value::Array(items) => items.iter().map(doubles).collect(),
                Value::Object(fields) => Value::Object(fields.iter().map(|(k, v)| (k.clone(), doubles(v))).collect()),
                other => other.clone(),
            }
        }
        let config = json!({"contract":1,"revision":9_007_199_254_740_991_u64,"clientAddress":{"trustedHops":2},
            "routes":[{"name":"s","stable":"a","variants":[{"name":"a","weight":1_048_576}],"mirror":{"share":500,"maxBodyBytes":1000},
                "segments":[{"name":"p","match":{},"weights":{"a":3}}],"key":{"sources":[{"clientAddress":{"prefixV6":56}}],
                "absent":"issueCookie","cookie":{"maxAge":60}}}]});
        let plain = headgate_contract::read_strict(config.to_string().as_bytes()).unwrap();
        let carried = headgate_contract::read_strict(doubles(&config).to_string().as_bytes()).unwrap();
        assert_eq!(plain, carried);
    }

    #[test]
    fn too_large_an_object_and_file_urls_are_refused() {
        let large = json!({"routes": "x".repeat(KUBERNETES_BYTES)});
        assert!(object(Kind::WasmPlugin, &target(), &large).unwrap_err().contains("hashes"));
        let mut target = target();
        target.filter.as_mut().unwrap().url = Some("file:///x.wasm".to_owned());
        assert!(object(Kind::WasmPlugin, &target, &json!({})).unwrap_err().contains("oci://"));
        target.istio = None;
        assert!(object(Kind::WasmPlugin, &target, &json!({})).unwrap_err().contains("istio"));
    }
}
