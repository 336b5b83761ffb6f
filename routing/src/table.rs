//! The compiled configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_contract::{PluginConfig, Route};

use crate::goals::Goal;
use crate::host::HostIndex;
use crate::key::Keys;
use crate::lists::Listed;
use crate::matcher::Matcher;
use crate::mirror::Mirroring;
use crate::output::Told;
use crate::overrides::Rule;
use crate::split::{Bucketer, Split};
use crate::trust::Trust;

/// A configuration that was checked and made ready for [`RoutingTable::decide`].
#[derive(Debug)]
pub struct RoutingTable {
    pub(crate) config: PluginConfig,
    pub(crate) ready: Vec<Ready>,
    pub(crate) hosts: HostIndex,
    pub(crate) goals: Vec<Goal>,
    pub(crate) trust: Trust,
}

/// A route, ready: all that a decision touches, so that the configuration's own text stays out of its way.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) matcher: Box<Matcher>,
    /// Whether it has no condition but hosts, which the index has looked at.
    pub(crate) hosts_only: bool,
    pub(crate) stable: usize,
    pub(crate) kill: bool,
    /// The filter state's key.
    pub(crate) state: Option<Arc<str>>,
    /// The variants' names.
    pub(crate) variants: Vec<Arc<str>>,
    pub(crate) key: Option<Arc<Keys>>,
    pub(crate) overrides: Arc<[Rule]>,
    /// Values are indices of variants.
    pub(crate) include: Listed,
    /// Values are sets of variants, as bits.
    pub(crate) exclude: Listed,
    pub(crate) split: Split,
    pub(crate) segments: Vec<(Matcher, Split)>,
    pub(crate) replicate: Option<Bucketer>,
    pub(crate) mirror: Option<Mirroring>,
    #[cfg(feature = "shadow")]
    pub(crate) shadow: Option<crate::shadow::Shadowed>,
    #[cfg(feature = "shadow")]
    pub(crate) predicting: Option<crate::Predicting>,
    pub(crate) told: Option<Told>,
    /// The variant that is told nothing.
    pub(crate) untold: Option<usize>,
}

/// How many headers a usual request costs a decision to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypicalReads {
    /// Headers that are usually there: pseudo-headers, cookies, the key.
    pub found: usize,
    /// Headers that usually are not: forged ones, overrides, tokens.
    pub missing: usize,
}

impl RoutingTable {
    pub(crate) fn new(config: PluginConfig, ready: Vec<Ready>, hosts: HostIndex, goals: Vec<Goal>) -> Self {
        let trust = Trust::new(&config);
        Self { config, ready, hosts, goals, trust }
    }

    /// The table of a configuration of which only the kill switch was understood: no routes, everything stable, and
    /// the given headers (see `headgate_contract::salvage_headers`) are removed from every request.
    pub fn killed(revision: u64, headers: Vec<String>) -> Self {
        let config = PluginConfig {
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
            #[cfg(feature = "shadow")]
            shadowing: headgate_contract::Shadowing::default(),
            routes: Vec::new(),
        };
        let trust = Trust::salvaged(headers);
        Self { config, ready: Vec::new(), hosts: HostIndex::default(), goals: Vec::new(), trust }
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

    /// The response header of a decision, as (name, value).
    pub fn response_header(&self, route: usize, variant: usize) -> Option<(&str, &str)> {
        let route = self.route(route)?;
        Some((route.output.response_header.as_deref()?, route.variants.get(variant)?.name.as_str()))
    }

    /// The rules by which a route's shadow is compared.
    #[cfg(feature = "shadow")]
    pub fn rules(&self, route: usize) -> Option<&headgate_compare::Rules> {
        Some(&self.ready.get(route)?.shadow.as_ref()?.rules)
    }

    /// Whether any route may set a response header or a cookie.
    pub fn touches_responses(&self) -> bool {
        let issues = |ready: &Ready| ready.key.as_ref().is_some_and(|key| key.issues());
        self.config.routes.iter().any(|route| route.output.response_header.is_some()) || self.ready.iter().any(issues)
    }

    /// Every header that some request may be asked for, pseudo-headers included.
    pub fn request_headers(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> = self.trust.headers().collect();
        names.extend(self.goals.iter().flat_map(|goal| goal.matcher.headers()));
        for ready in &self.ready {
            names.extend(ready.headers());
            names.extend(ready.key.iter().flat_map(|key| key.headers()));
            names.extend(ready.overrides.iter().filter_map(Rule::header));
            if ready.mirror.is_some() {
                names.extend([":authority", ":method", "upgrade", "content-length", crate::mirror::MARK]);
            }
            #[cfg(feature = "shadow")]
            if ready.shadow.is_some() {
                names.extend([
                    ":authority",
                    ":method",
                    "upgrade",
                    "content-length",
                    "content-type",
                    crate::mirror::MARK,
                ]);
            }
        }
        names
    }

    /// What a usual request of the most demanding route costs: without overrides, forged headers and tokens, and with the first
    /// source of its key. For a shell that chooses between single reads and one read of the whole map.
    pub fn typical_reads(&self) -> TypicalReads {
        let usual = |name: &str| name.starts_with(':') || name == "cookie";
        let always = distinct(self.trust.headers().chain(self.goals.iter().flat_map(|goal| goal.matcher.headers())));
        let always_found = always.iter().filter(|name| usual(name)).count();
        let cost = |ready: &Ready| {
            let key = ready.key.as_ref().and_then(|key| key.first_header());
            let host = self.hosts.has_hosts().then_some(":authority");
            let rules = ready.overrides.iter().filter_map(Rule::header);
            let names = ready.headers().chain(rules).chain(key).chain(host);
            #[cfg(feature = "shadow")]
            let names = names.chain(ready.shadow.iter().flat_map(|shadow| shadow.usual_headers().iter().copied()));
            let mut names = distinct(names);
            names.retain(|name| !always.contains(name));
            // A usual request has a path, its key, and, where cookies matter, cookies.
            let found = always_found + names.iter().filter(|name| usual(name) || key == Some(**name)).count();
            TypicalReads { found, missing: always.len() + names.len() - found }
        };
        let most = |reads: &TypicalReads| (reads.found, reads.missing);
        self.ready.iter().map(cost).max_by_key(most).unwrap_or(TypicalReads { found: 0, missing: always.len() })
    }
}

/// Each name once. A handful of names, so no set is worth its code in the filter.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out = Vec::new();
    for name in names {
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

impl Ready {
    fn headers(&self) -> impl Iterator<Item = &str> {
        self.matcher.headers().chain(self.segments.iter().flat_map(|(matcher, _)| matcher.headers()))
    }
}
