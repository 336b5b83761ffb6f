//! The compiled configuration.

use headgate_contract::{PluginConfig, Route};

use crate::{Env, Outcome, View};

/// A configuration that was checked and made ready for [`RoutingTable::decide`].
#[derive(Debug)]
pub struct RoutingTable {
    config: PluginConfig,
}

/// The HMAC keys that a process could load, by key id.
#[derive(Debug, Default)]
pub struct Keyring {}

impl Keyring {
    /// Asks `secret` for the value of each environment variable that the table names. One that is unset or shorter than
    /// 32 bytes is left out: what it signed is then not believed.
    pub fn load(_table: &RoutingTable, _secret: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        Self {}
    }
}

impl RoutingTable {
    pub(crate) fn new(config: PluginConfig) -> Self {
        Self { config }
    }

    /// The table of a configuration of which only the kill switch was understood: no routes, everything stable, and
    /// the given headers (see `headgate_contract::salvage_headers`) are removed from every request.
    pub fn killed(revision: u64, _headers: Vec<String>) -> Self {
        Self {
            config: PluginConfig {
                contract: headgate_contract::CONTRACT,
                revision,
                kill_switch: true,
                target: "default".to_owned(),
                stage: String::new(),
                requires: Vec::new(),
                tokens: None,
                decisions: None,
                client_address: headgate_contract::ClientAddress::default(),
                metrics: headgate_contract::Metrics::default(),
                routes: Vec::new(),
            },
        }
    }

    /// Number of the configuration.
    pub fn revision(&self) -> u64 {
        self.config.revision
    }

    /// The configuration it was compiled from (names of routes, variants, segments, clusters), without its key lists.
    pub fn config(&self) -> &PluginConfig {
        &self.config
    }

    /// The route of a decision.
    pub fn route(&self, index: usize) -> Option<&Route> {
        self.config.routes.get(index)
    }

    /// How many response-phase facts are needed: whether any route may set a response header or a cookie.
    pub fn touches_responses(&self) -> bool {
        false
    }

    /// What this request gets. Never panics, never fails: whatever is wrong with the request is the stable variant.
    pub fn decide<'t>(&'t self, _view: &dyn View, _env: &Env<'_>) -> Outcome<'t> {
        Outcome::default()
    }
}
