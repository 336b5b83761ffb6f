//! Hosts: exact names and `*.suffix`, and the index that finds a request's routes among thousands by its host.

use std::borrow::Cow;
use std::collections::hash_map::Entry;

use fnv::FnvHashMap;

use crate::checks::Checks;

/// A host as it is compared: lower case, without port and without the dot at the end.
pub(crate) fn normal(authority: &[u8]) -> Cow<'_, [u8]> {
    let host = if authority.starts_with(b"[") {
        let end = authority.iter().position(|&b| b == b']').map_or(authority.len(), |i| i + 1);
        authority.get(..end).unwrap_or(authority)
    } else {
        authority.split(|&b| b == b':').next().unwrap_or_default()
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.iter().any(u8::is_ascii_uppercase) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
}

/// A list of hosts of one condition.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: Vec<Vec<u8>>,
    /// With the leading dot.
    suffixes: Vec<Vec<u8>>,
}

impl Hosts {
    pub(crate) fn compile(hosts: &[String], path: &str, checks: &mut Checks) -> Self {
        let mut out = Self::default();
        for (i, host) in hosts.iter().enumerate() {
            if let Some(reason) = fault(host) {
                checks.push(format!("{path}[{i}]"), reason);
            }
            let lower = host.to_ascii_lowercase();
            match lower.strip_prefix('*') {
                Some(suffix) => out.suffixes.push(suffix.as_bytes().to_vec()),
                None => out.exact.push(normal(lower.as_bytes()).into_owned()),
            }
        }
        out
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty()
    }

    pub(crate) fn contains(&self, host: &[u8]) -> bool {
        self.exact.iter().any(|exact| exact == host)
            || self.suffixes.iter().any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    }
}

fn fault(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if host == "*" {
        return Some("`*` takes every host: leave `hosts` out for that".to_owned());
    }
    if name.is_empty() || name.len() > 255 {
        return Some("a host has 1 to 255 characters".to_owned());
    }
    if name.contains('*') {
        return Some(format!("`{host}`: `*` may only stand at the beginning, as in `*.shop.example`"));
    }
    if !name.starts_with('[') && name.contains(':') {
        return Some(format!("`{host}`: write the host without its port, any port matches"));
    }
    name.chars()
        .find(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ',' | '@') || !c.is_ascii())
        .map(|c| format!("`{host}` has {c:?}, which no host has (write international names in their `xn--` form)"))
}

/// Routes in ascending order, mostly one.
#[derive(Debug)]
struct Routes {
    first: u32,
    more: Vec<u32>,
}

impl Routes {
    /// Adds a route that is not less than those there are.
    fn add(&mut self, route: u32) {
        if *self.more.last().unwrap_or(&self.first) != route {
            self.more.push(route);
        }
    }

    /// The least one after `after`.
    fn least(&self, after: Option<u32>) -> Option<u32> {
        match after {
            Some(after) if after >= self.first => {
                self.more.get(self.more.partition_point(|&route| route <= after)).copied()
            }
            _ => Some(self.first),
        }
    }
}

/// Which routes a host may match, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct HostIndex {
    exact: FnvHashMap<Vec<u8>, Routes>,
    suffixes: FnvHashMap<Vec<u8>, Routes>,
    /// Routes without hosts.
    any: Vec<u32>,
    /// Most dots of a suffix; a host's suffixes with more are not looked up.
    dots: usize,
}

impl HostIndex {
    /// Adds the next route.
    pub(crate) fn add(&mut self, route: u32, hosts: &Hosts) {
        if hosts.is_empty() {
            self.any.push(route);
        }
        for exact in &hosts.exact {
            push(self.exact.entry(exact.clone()), route);
        }
        for suffix in &hosts.suffixes {
            self.dots = self.dots.max(suffix.iter().filter(|&&b| b == b'.').count());
            push(self.suffixes.entry(suffix.clone()), route);
        }
    }

    /// Whether any route names hosts.
    pub(crate) fn has_hosts(&self) -> bool {
        !self.exact.is_empty() || !self.suffixes.is_empty()
    }

    /// The first route in order of which `matches` holds, among those that may match `host`.
    pub(crate) fn first(&self, host: Option<&[u8]>, matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut after = None;
        loop {
            let next = self.next(host, after)?;
            if matches(next as usize) {
                return Some(next as usize);
            }
            after = Some(next);
        }
    }

    /// The least route after `after` that may match.
    fn next(&self, host: Option<&[u8]>, after: Option<u32>) -> Option<u32> {
        let at = after.map_or(0, |after| self.any.partition_point(|&route| route <= after));
        let mut found = self.any.get(at).copied();
        let mut offer = |route: Option<u32>| found = [found, route].into_iter().flatten().min();
        if let Some(host) = host {
            offer(self.exact.get(host).and_then(|routes| routes.least(after)));
            if !self.suffixes.is_empty() {
                let dots = host.iter().enumerate().rev().filter(|&(i, &b)| b == b'.' && i > 0);
                for (at, _) in dots.take(self.dots) {
                    let routes = host.get(at..).and_then(|suffix| self.suffixes.get(suffix));
                    offer(routes.and_then(|routes| routes.least(after)));
                }
            }
        }
        found
    }
}

fn push(routes: Entry<'_, Vec<u8>, Routes>, route: u32) {
    routes.and_modify(|routes| routes.add(route)).or_insert_with(|| Routes { first: route, more: Vec::new() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(routes: &[&[&str]]) -> (HostIndex, Vec<Hosts>) {
        let mut index = HostIndex::default();
        let mut all = Vec::new();
        for (i, hosts) in routes.iter().enumerate() {
            let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
            let hosts = Hosts::compile(&hosts, "hosts", &mut Checks::default());
            index.add(u32::try_from(i).unwrap(), &hosts);
            all.push(hosts);
        }
        (index, all)
    }

    fn check(host: &str, expect: Option<usize>) {
        let (index, all) =
            index(&[&["b.example"], &["*.a.example", "x.a.example"], &["A.example"], &["*.example"], &["[::1]"]]);
        let host = normal(host.as_bytes());
        assert_eq!(index.first(Some(&host), |_| true), expect, "{host:?}");
        assert_eq!(all.iter().position(|hosts| hosts.contains(&host)), expect, "{host:?}");
    }

    #[test]
    fn hosts_match_exactly_or_below_a_suffix() {
        check("b.example", Some(0));
        check("B.EXAMPLE:8080", Some(0));
        check("b.example.", Some(0));
        check("x.a.example", Some(1));
        check("y.x.a.example", Some(1));
        check("a.example", Some(2));
        check("c.example", Some(3));
        check("example", None);
        check(".example", None);
        check("[::1]:80", Some(4));
        check("", None);
        check("bexample", None);
    }

    #[test]
    fn the_order_of_the_configuration_holds_between_kinds_of_hosts() {
        let (index, _) = index(&[&["*.example"], &[], &["a.example"]]);
        let seen = std::cell::RefCell::new(Vec::new());
        index.first(Some(b"a.example"), |i| {
            seen.borrow_mut().push(i);
            false
        });
        assert_eq!(*seen.borrow(), [0, 1, 2]);
        assert_eq!(index.first(None, |_| true), Some(1));
    }
}
