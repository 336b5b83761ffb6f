//! A bootstrap that users copy, with the few things replaced that cannot be the same in a test.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::fault::fault;
use crate::{Result, repository};

/// One of `envoy/*.yaml`, as a JSON document.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    document: Value,
}

impl Bootstrap {
    /// `envoy/envoy.yaml`: routing by filter state.
    pub fn filter_state() -> Result<Self> {
        Self::read(&repository().join("envoy/envoy.yaml"))
    }

    /// `envoy/envoy-header.yaml`: routing by header.
    pub fn header() -> Result<Self> {
        Self::read(&repository().join("envoy/envoy-header.yaml"))
    }

    /// Any bootstrap in YAML.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| fault(format!("{}: {e}", path.display())))?;
        let document = serde_saphyr::from_str(&text).map_err(|e| fault(format!("{}: {e}", path.display())))?;
        Ok(Self { document })
    }

    /// The document, to change what a test is about (a timeout, a filter in front, another route).
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.document);
        self
    }

    /// The value at a JSON pointer.
    pub fn at(&mut self, pointer: &str) -> Result<&mut Value> {
        let missing = || fault(format!("the bootstrap has nothing at {pointer}"));
        self.document.pointer_mut(pointer).ok_or_else(missing)
    }

    /// The `http_connection_manager` of a listener.
    pub fn manager(&mut self, listener: &str) -> Result<&mut Value> {
        let listener = named(self.at("/static_resources/listeners")?, listener)?;
        listener
            .pointer_mut("/filter_chains/0/filters/0/typed_config")
            .ok_or_else(|| fault("the listener has no http_connection_manager"))
    }

    /// A route of the listener `ingress`.
    pub fn route(&mut self, name: &str) -> Result<&mut Value> {
        let routes = self.manager("ingress")?.pointer_mut("/route_config/virtual_hosts/0/routes");
        named(routes.ok_or_else(|| fault("the listener has no routes"))?, name)
    }

    /// The HTTP filters of the listener `ingress`, the router last.
    pub fn filters(&mut self) -> Result<&mut Vec<Value>> {
        let filters = self.manager("ingress")?.pointer_mut("/http_filters").and_then(Value::as_array_mut);
        filters.ok_or_else(|| fault("the listener has no HTTP filters"))
    }

    /// Points a cluster at one address.
    pub fn endpoint(&mut self, cluster: &str, addr: SocketAddr) -> Result<()> {
        let cluster = named(self.at("/static_resources/clusters")?, cluster)?;
        let address = cluster
            .pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address")
            .ok_or_else(|| fault("the cluster has no endpoint"))?;
        *address = json!({"address": addr.ip().to_string(), "port_value": addr.port()});
        if let Some(kind) = cluster.get_mut("type") {
            *kind = json!("STATIC");
        }
        Ok(())
    }

    /// Adds a cluster like another one, by another name and at another address.
    pub fn add_cluster(&mut self, like: &str, name: &str, addr: SocketAddr) -> Result<()> {
        let clusters = self.at("/static_resources/clusters")?;
        let mut cluster = named(clusters, like)?.clone();
        cluster["name"] = json!(name);
        cluster["load_assignment"]["cluster_name"] = json!(name);
        clusters.as_array_mut().ok_or_else(|| fault("`clusters` is no list"))?.push(cluster);
        self.endpoint(name, addr)
    }

    /// What every test replaces: ports by 0, addresses by loopback, the file and folder that are watched, and how long
    /// metrics wait until they are shown.
    pub(crate) fn localise(&mut self, ecds: &Path, admin: SocketAddr) -> Result<()> {
        let loopback = json!({"address": "127.0.0.1", "port_value": 0});
        *self.at("/admin/address/socket_address")? = loopback.clone();
        for listener in self.at("/static_resources/listeners")?.as_array_mut().into_iter().flatten() {
            if let Some(address) = listener.pointer_mut("/address/socket_address") {
                *address = loopback.clone();
            }
        }
        for filter in self.filters()? {
            if let Some(source) = filter.pointer_mut("/config_discovery/config_source/path_config_source") {
                *source = json!({"path": ecds, "watched_directory": {"path": ecds.parent()}});
            }
        }
        if self.document.get("stats_flush_interval").is_none() {
            self.document["stats_flush_interval"] = json!("0.1s");
        }
        self.endpoint("admin", admin)
    }

    /// The document as text that Envoy reads.
    pub fn to_json(&self) -> String {
        self.document.to_string()
    }
}

fn named<'v>(list: &'v mut Value, name: &str) -> Result<&'v mut Value> {
    let found = list.as_array_mut().into_iter().flatten().find(|item| item["name"] == name);
    found.ok_or_else(|| fault(format!("the bootstrap has nothing of the name `{name}` there")))
}
