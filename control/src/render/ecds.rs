//! The published file: an ECDS `DiscoveryResponse` with one Wasm filter in it.
//!
//! Between pushes only `version_info` and the filter's `configuration` may change: anything else is another VM, compiled
//! anew, or a filter that Envoy takes for another one. So a push edits the file that is there; [`differences`] says what
//! a target's `filter` would change beyond that.

use serde_json::{Value, json};

use crate::target::Filter;

const CONFIG: &str = "/typed_config/config";
const TEXT: &str = "/typed_config/config/configuration/value";

/// A new file's document for a plugin configuration.
///
/// # Errors
/// When the filter names no `file`.
pub(crate) fn new(resource: &str, filter: &Filter, config: &Value) -> Result<Value, String> {
    let Some(file) = &filter.file else {
        return Err("the target's `filter` names no `file`: add the path of the .wasm as Envoy finds it".to_owned());
    };
    let mut vm = json!({
        "vm_id": filter.vm_id,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": file}},
    });
    if !filter.env.is_empty()
        && let Some(fields) = vm.as_object_mut()
    {
        fields.insert("environment_variables".to_owned(), json!({"host_env_keys": filter.env}));
    }
    Ok(json!({
        "version_info": crate::merge::revision(config).to_string(),
        "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": resource,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": resource,
                    "root_id": "headgate",
                    // After a crash a new VM serves the first request that comes 20 ms later; at 1 ms Envoy 1.40 itself crashes.
                    "failure_policy": "FAIL_RELOAD",
                    "reload_config": {"backoff": {"base_interval": "0.02s"}},
                    "vm_config": vm,
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": config.to_string(),
                    },
                },
            },
        }],
    }))
}

fn resource_at(document: &Value, resource: &str) -> Result<usize, String> {
    let list = document.get("resources").and_then(Value::as_array);
    let found = list.into_iter().flatten().position(|r| r.get("name").and_then(Value::as_str) == Some(resource));
    found.ok_or_else(|| {
        format!("it has no resource named `{resource}`: name it in the target's publisher.file.resource")
    })
}

/// The plugin configuration that a published document carries.
///
/// # Errors
/// In words, when the document is not of that form.
pub(crate) fn configuration(document: &Value, resource: &str) -> Result<Value, String> {
    let i = resource_at(document, resource)?;
    let text = document.pointer(&format!("/resources/{i}{TEXT}")).and_then(Value::as_str);
    let text = text.ok_or("its filter has no `configuration` that is a StringValue")?;
    serde_json::from_str(text).map_err(|e| format!("its plugin configuration is no JSON: {e}"))
}

/// The document with another plugin configuration, and nothing else changed.
///
/// # Errors
/// In words, when the document is not of that form.
pub(crate) fn with_configuration(document: &Value, resource: &str, config: &Value) -> Result<Value, String> {
    let i = resource_at(document, resource)?;
    let mut next = document.clone();
    let slot = next.pointer_mut(&format!("/resources/{i}{CONFIG}")).and_then(Value::as_object_mut);
    let slot = slot.ok_or("its resource is no Wasm filter (typed_config.config)")?;
    slot.insert(
        "configuration".to_owned(),
        json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": config.to_string()}),
    );
    if let Some(fields) = next.as_object_mut() {
        fields.insert("version_info".to_owned(), json!(crate::merge::revision(config).to_string()));
    }
    Ok(next)
}

/// What differs between two published documents beside version and plugin configuration, as JSON paths.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare(old, new, "", &mut out);
    out
}

fn compare(old: &Value, new: &Value, path: &str, out: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                if (path.is_empty() && name == "version_info")
                    || (path.ends_with(".typed_config.config") && name == "configuration")
                {
                    continue;
                }
                let nothing = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&nothing), b.get(name).unwrap_or(&nothing));
                compare(a, b, &crate::document::join(path, name), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, &format!("{path}[{i}]"), out);
            }
        }
        _ if old == new || (seconds(old).is_some() && seconds(old) == seconds(new)) => {}
        _ => out.push(format!("{path}: {old} would become {new}")),
    }
}

/// A protobuf duration (`0.02s` and `0.020s` are one).
fn seconds(value: &Value) -> Option<f64> {
    value.as_str()?.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        serde_json::from_value(json!({"file": "/etc/headgate/headgate.wasm", "env": ["HEADGATE_KEY_K1"]})).unwrap()
    }

    #[test]
    fn a_file_carries_its_configuration_there_and_back() {
        let config = json!({"contract":1,"revision":3,"routes":[],"stage":"\"quoted\"\n"});
        let document = new("headgate", &filter(), &config).unwrap();
        assert_eq!(document["version_info"], "3");
        assert_eq!(configuration(&document, "headgate").unwrap(), config);
        assert!(configuration(&document, "other").unwrap_err().contains("resource"));
        let next = with_configuration(&document, "headgate", &json!({"contract":1,"revision":4})).unwrap();
        assert_eq!(next["version_info"], "4");
        assert_eq!(differences(&document, &next), Vec::<String>::new());
    }

    #[test]
    fn another_vm_is_a_difference_and_a_duration_s_spelling_is_none() {
        let document = new("headgate", &filter(), &json!({"revision":1})).unwrap();
        let mut other = document.clone();
        *other.pointer_mut("/resources/0/typed_config/config/reload_config/backoff/base_interval").unwrap() =
            json!("0.020s");
        assert_eq!(differences(&document, &other), Vec::<String>::new());
        *other.pointer_mut("/resources/0/typed_config/config/vm_config/vm_id").unwrap() = json!("two");
        assert_eq!(
            differences(&document, &other),
            ["resources[0].typed_config.config.vm_config.vm_id: \"headgate\" would become \"two\""]
        );
    }

    #[test]
    fn the_example_users_copy_is_of_the_form_that_push_edits() {
        let text = include_str!("../../../envoy/ecds.yaml");
        let document = crate::document::Document::parse("ecds.yaml", text).unwrap().value;
        let config = configuration(&document, "headgate").unwrap();
        assert_eq!(config["target"], "model");
        let mut filter = filter();
        filter.env.push("HEADGATE_KEY_D1".to_owned());
        assert_eq!(differences(&document, &new("headgate", &filter, &config).unwrap()), Vec::<String>::new());
    }
}
