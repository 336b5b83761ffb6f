//! All conditions of a route or segment, ready.

use headgate_contract::Match;
use headgate_contract::limits::CONDITIONS;

use crate::checks::Checks;
use crate::condition::Condition;
use crate::host::Hosts;
use crate::key::claim_path;
use crate::query;
use crate::reads::Reads;

#[derive(Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) hosts: Hosts,
    not_hosts: Hosts,
    path: Option<Condition>,
    methods: Vec<Vec<u8>>,
    not_methods: Vec<Vec<u8>>,
    headers: Vec<(String, Condition)>,
    query: Vec<(String, Condition)>,
    claims: Vec<(Vec<String>, Condition)>,
}

/// The first condition that did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    Host,
    NotHost,
    Path,
    Method,
    NotMethod,
    Header(usize),
    Query(usize),
    Claim(usize),
}

impl Miss {
    /// Where in a `match` it stands.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Host => ".hosts".to_owned(),
            Self::NotHost => ".notHosts".to_owned(),
            Self::Path => ".path".to_owned(),
            Self::Method => ".methods".to_owned(),
            Self::NotMethod => ".notMethods".to_owned(),
            Self::Header(i) => format!(".headers[{i}]"),
            Self::Query(i) => format!(".query[{i}]"),
            Self::Claim(i) => format!(".claims[{i}]"),
        }
    }
}

impl Matcher {
    pub(crate) fn compile(of: &Match, path: &str, checks: &mut Checks) -> Self {
        let conditions = of.hosts.len()
            + of.not_hosts.len()
            + of.methods.len()
            + of.not_methods.len()
            + of.headers.len()
            + of.query.len()
            + of.claims.len();
        checks.at_most(path, "conditions", conditions, CONDITIONS);
        let named = |i: usize, kind: &str| format!("{path}.{kind}[{i}]");
        let headers = of.headers.iter().enumerate().map(|(i, field)| {
            let path = named(i, "headers");
            checks.read_header(&format!("{path}.name"), &field.name);
            (field.name.clone(), Condition::field(field, &path, checks))
        });
        let headers = headers.collect();
        let query = of.query.iter().enumerate().map(|(i, field)| {
            let path = named(i, "query");
            if field.name.is_empty() {
                checks.push(format!("{path}.name"), "a query parameter has a name");
            }
            (field.name.clone(), Condition::field(field, &path, checks))
        });
        let query = query.collect();
        let claims = of.claims.iter().enumerate().map(|(i, claim)| {
            let path = named(i, "claims");
            (claim_path(&claim.provider, &claim.claim, &path, checks), Condition::claim(claim, &path, checks))
        });
        let claims = claims.collect();
        Self {
            hosts: Hosts::compile(&of.hosts, &format!("{path}.hosts"), checks),
            not_hosts: Hosts::compile(&of.not_hosts, &format!("{path}.notHosts"), checks),
            path: of.path.as_ref().map(|p| Condition::path(p, &format!("{path}.path"), checks)),
            methods: methods(&of.methods, &format!("{path}.methods"), checks),
            not_methods: methods(&of.not_methods, &format!("{path}.notMethods"), checks),
            headers,
            query,
            claims,
        }
    }

    /// Whether `hosts` is all that it asks.
    pub(crate) fn has_hosts_only(&self) -> bool {
        self.not_hosts.is_empty()
            && self.path.is_none()
            && self.methods.is_empty()
            && self.not_methods.is_empty()
            && self.headers.is_empty()
            && self.query.is_empty()
            && self.claims.is_empty()
    }

    /// The first condition that does not hold. `hosts` is left to the host index when `hosts_known`.
    pub(crate) fn miss<'t>(&'t self, reads: &Reads<'t, '_>, hosts_known: bool) -> Option<Miss> {
        if !hosts_known && !self.hosts.is_empty() && !reads.host().is_some_and(|host| self.hosts.contains(&host)) {
            return Some(Miss::Host);
        }
        if !self.not_hosts.is_empty() && reads.host().is_some_and(|host| self.not_hosts.contains(&host)) {
            return Some(Miss::NotHost);
        }
        if let Some(condition) = &self.path {
            let path = reads.header(":path");
            if !condition.holds(path.as_deref().map(query::path_of)) {
                return Some(Miss::Path);
            }
        }
        if !self.methods.is_empty() && !has_method(reads, &self.methods) {
            return Some(Miss::Method);
        }
        if !self.not_methods.is_empty() && has_method(reads, &self.not_methods) {
            return Some(Miss::NotMethod);
        }
        let header = |(name, condition): &'t (String, Condition)| !condition.holds(reads.header(name).as_deref());
        if let Some(i) = self.headers.iter().position(header) {
            return Some(Miss::Header(i));
        }
        let parameter = |(name, condition): &'t (String, Condition)| !condition.holds(reads.query(name).as_deref());
        if let Some(i) = self.query.iter().position(parameter) {
            return Some(Miss::Query(i));
        }
        let claim = |(path, condition): &'t (Vec<String>, Condition)| !condition.holds(reads.property(path).as_deref());
        self.claims.iter().position(claim).map(Miss::Claim)
    }

    /// Names of the headers it reads.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        let authority = (!self.hosts.is_empty() || !self.not_hosts.is_empty()).then_some(":authority");
        let path = (self.path.is_some() || !self.query.is_empty()).then_some(":path");
        let method = (!self.methods.is_empty() || !self.not_methods.is_empty()).then_some(":method");
        let named = self.headers.iter().map(|(name, _)| name.as_str());
        [authority, path, method].into_iter().flatten().chain(named)
    }
}

fn has_method(reads: &Reads<'_, '_>, methods: &[Vec<u8>]) -> bool {
    reads.header(":method").is_some_and(|method| methods.iter().any(|m| **m == *method))
}

fn methods(list: &[String], path: &str, checks: &mut Checks) -> Vec<Vec<u8>> {
    for (i, method) in list.iter().enumerate() {
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            checks.push(format!("{path}[{i}]"), format!("`{method}` is no method (RFC 9110, section 9)"));
        } else if method.bytes().any(|b| b.is_ascii_lowercase()) {
            let upper = method.to_ascii_uppercase();
            checks.push(format!("{path}[{i}]"), format!("write `{upper}`: methods are case-sensitive"));
        }
    }
    list.iter().map(|method| method.as_bytes().to_vec()).collect()
}
