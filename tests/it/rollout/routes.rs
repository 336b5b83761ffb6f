//! Routes that Envoy reads from a file, so that a test can change them while it runs (RDS).

use std::path::Path;

use headgate_tests::Result;
use serde_json::{Value, json};

/// The ingress's routes by a file that can be changed while Envoy runs. Gives what it holds.
pub(super) fn routes_by_file(bootstrap: &mut Value, path: &Path) -> Value {
    let manager =
        bootstrap.pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config").unwrap();
    let mut routes = manager.as_object_mut().unwrap().remove("route_config").unwrap();
    routes["@type"] = json!("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    manager["rds"] = json!({
        "route_config_name": routes["name"],
        "config_source": {"path_config_source": {"path": path}, "resource_api_version": "V3"},
    });
    routes
}

/// Renames a file with these routes into its place.
pub(super) fn write_routes(path: &Path, routes: &Value) -> Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, json!({"version_info": "1", "resources": [routes]}).to_string())?;
    Ok(std::fs::rename(next, path)?)
}
