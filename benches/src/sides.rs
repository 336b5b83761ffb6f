//! What is compared: one listener for each side, all in one Envoy.
//!
//! One process rather than one for each side: all sides then run on the same worker thread, with the same memory layout, the
//! same upstream connections and the same moment's noise, so that a difference between two is theirs. Two
//! processes differ by more than a filter costs, by where the loader put things alone. What one process could blur is
//! a chance of its layout that favours one side; therefore the whole Envoy is started anew several times. Each filter
//! has a VM of its own (`vm_id`), so a large configuration does not share memory with a small one.

use std::path::Path;

use anyhow::{Context as _, Result};
use headgate_tests::{Bootstrap, Ecds};
use serde_json::{Value, json};

use crate::configurations;

/// A side of the comparison, which is also the name of its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// Name of the listener.
    pub(crate) name: &'static str,
    /// What it is, for the table.
    pub(crate) what: &'static str,
    /// Whether it gives the same user the same version each time.
    pub(crate) sticky: bool,
    /// Whether it heeds the override.
    pub(crate) overrides: bool,
}

const fn side(name: &'static str, what: &'static str, sticky: bool, overrides: bool) -> Side {
    Side { name, what, sticky, overrides }
}

/// The sides; the first one is the baseline.
pub(crate) const SIDES: [Side; 8] = [
    side("weighted", "Envoy's `weighted_clusters`, no filter", false, false),
    side("hash-policy", "the same with `use_hash_policy`: sticky", true, false),
    side("empty", "the same with an empty SDK filter", false, false),
    side("lua", "Lua filter: FNV hash of the user, one header set", true, false),
    side("ingress", "Headgate, filter-state routing, every decision told", true, true),
    side("header", "Headgate, header routing, `defaultRoute` named", true, true),
    side("one-route", "Headgate, filter state, `defaultRoute` named", true, true),
    side("thousand", "Headgate, 1,000 hosts and 100,000 listed keys", true, true),
];

const LUA: &str = r#"
function envoy_on_request(handle)
  local headers = handle:headers()
  local user = headers:get("x-user-id")
  local hash = -2128831035
  if user then
    for i = 1, #user do
      hash = bit.bxor(hash, string.byte(user, i))
      hash = bit.tobit(bit.lshift(hash, 24) + hash * 403)
    end
  end
  if (hash % 100) < 10 then
    headers:replace("x-variant", "canary")
  else
    headers:replace("x-variant", "stable")
  end
end
"#;

/// The bootstrap with a listener for each side. `ingress` stays as users copy it, with its filter by ECDS; the others are
/// copies of it in which only routes and filters differ.
pub(crate) fn bootstrap(headgate: &Path, empty: &Path) -> Result<Bootstrap> {
    let mut base = Bootstrap::filter_state()?;
    let by_state = base.manager("ingress")?.clone();
    let by_header = Bootstrap::header()?.manager("ingress")?.clone();
    let template = base.at("/static_resources/listeners/0")?.clone();
    let split = |more: Value| {
        let mut weighted =
            json!({"clusters": [{"name": "model-v1", "weight": 90}, {"name": "model-v2", "weight": 10}]});
        let mut action = json!({"timeout": "0s"});
        if !more.is_null() {
            weighted["use_hash_policy"] = json!(true);
            action["hash_policy"] = more;
        }
        action["weighted_clusters"] = weighted;
        json!([{"match": {"prefix": "/"}, "route": action}])
    };
    let by_user = json!([{"header": {"header_name": "x-user-id"}}]);
    let by_variant = json!([
        {"match": {"prefix": "/", "headers": [{"name": "x-variant", "string_match": {"exact": "canary"}}]},
         "route": {"cluster": "model-v2", "timeout": "0s"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "model-v1", "timeout": "0s"}}
    ]);
    let lua = json!({"name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": LUA}
    }});
    let filter = |name: &str, configuration: &Value| wasm(headgate, name, configuration);
    let plain = |routes: Value, filter: Option<Value>| -> Result<Value> {
        let mut manager = by_state.clone();
        manager["route_config"]["virtual_hosts"][0]["routes"] = routes;
        with_filter(manager, filter)
    };
    let managers = [
        ("weighted", plain(split(Value::Null), None)?),
        ("hash-policy", plain(split(by_user), None)?),
        ("empty", plain(split(Value::Null), Some(empty_filter(empty)))?),
        ("lua", plain(by_variant, Some(lua))?),
        ("header", with_filter(by_header, Some(filter("header", &configurations::header())?))?),
        ("one-route", with_filter(by_state.clone(), Some(filter("one-route", &configurations::one_route())?))?),
        ("thousand", with_filter(by_state.clone(), Some(filter("thousand", &configurations::thousand_routes())?))?),
    ];
    Ok(base.edit(|document| {
        for (name, mut manager) in managers {
            let mut listener = template.clone();
            listener["name"] = json!(name);
            manager["stat_prefix"] = json!(name);
            listener["filter_chains"][0]["filters"][0]["typed_config"] = manager;
            if let Some(listeners) = document["static_resources"]["listeners"].as_array_mut() {
                listeners.push(listener);
            }
        }
    }))
}

/// A listener's manager with this filter in Headgate's place.
pub(crate) fn with_filter(mut manager: Value, filter: Option<Value>) -> Result<Value> {
    let filters = manager["http_filters"].as_array_mut().context("the bootstrap has no HTTP filters")?;
    filters.retain(|known| known["name"] != "headgate");
    filters.splice(0..0, filter);
    Ok(manager)
}

/// Headgate as `envoy/ecds.yaml` has it, but in the bootstrap, and in a VM of its own.
pub(crate) fn wasm(code: &Path, name: &str, configuration: &Value) -> Result<Value> {
    let mut config = Ecds::new(std::path::PathBuf::new(), code)?.plugin()?.clone();
    config["name"] = json!(name);
    config["vm_config"]["vm_id"] = json!(name);
    config["configuration"]["value"] = json!(configuration.to_string());
    Ok(json!({"name": "headgate", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": config
    }}))
}

fn empty_filter(code: &Path) -> Value {
    json!({"name": "empty", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "empty", "root_id": "empty", "failure_policy": "FAIL_RELOAD",
            "vm_config": {"vm_id": "empty", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": code}}}
        }
    }})
}
