//! How a request's headers are read: one by one, or all at once.
//!
//! A header that is there costs the host about five times one that is not (its value needs memory in the VM), and the
//! whole map a little more than two that are there. So the table says beforehand which is cheaper. It does not say
//! which headers are read: that is `decide`'s, which asks for nothing twice.

use headgate_contract::{Match, PluginConfig, Route};

/// Costs in hundredths of a microsecond, as measured in Envoy 1.40: only their ratios matter.
const FOUND: usize = 57;
const MISSING: usize = 10;
const WHOLE: usize = 125;

/// Above so many headers a request's map is not fetched whole: its cost grows with them, and a client chooses how many.
pub(crate) const MANY: usize = 48;

/// After so many headers that were there, a request whose table did not want the map fetches it after all.
pub(crate) const SINGLE_READS: usize = 3;

/// Whether a request of this configuration is cheaper read as a whole, by its dearest route.
pub(crate) fn prefers_map(config: &PluginConfig) -> bool {
    let mut own = 0;
    own += usize::from(config.tokens.is_some()) + 2 * usize::from(config.decisions.is_some());
    let mut names: Vec<&str> = config
        .routes
        .iter()
        .flat_map(|r| [r.output.request_header.as_ref(), r.mirror.as_ref().and_then(|m| m.request_header.as_ref())])
        .flatten()
        .map(|header| header.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    own += 2 * names.len();
    config.routes.iter().map(|route| cost(route, own)).max().is_some_and(|cost| cost > WHOLE)
}

fn cost(route: &Route, own: usize) -> usize {
    let matches = || route.matches.iter().chain(route.segments.iter().map(|segment| &segment.matches));
    let sources = || route.key.iter().flat_map(|key| key.sources.iter());
    let any = |f: fn(&Match) -> bool| matches().any(f);
    let mut found = 0;
    found += usize::from(any(|m| !m.hosts.is_empty() || !m.not_hosts.is_empty()));
    found += usize::from(any(|m| !m.methods.is_empty() || !m.not_methods.is_empty()));
    found += usize::from(
        any(|m| m.path.is_some() || !m.query.is_empty())
            || sources().any(|s| s.query.is_some())
            || route.overrides.iter().any(|o| o.query.is_some()),
    );
    found += usize::from(sources().any(|s| s.cookie.is_some()) || route.overrides.iter().any(|o| o.cookie.is_some()));
    found += usize::from(sources().any(|s| s.header.is_some() || s.claim.as_ref().is_some_and(|c| c.unverified)));
    let missing = own
        + matches().map(|m| m.headers.len()).sum::<usize>()
        + route.overrides.iter().filter(|o| o.header.is_some()).count()
        + 4 * usize::from(route.mirror.is_some())
        + 1;
    FOUND * found + MISSING * missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(route: &str, expect: bool) {
        let text =
            format!(r#"{{"contract":1,"revision":1,"routes":[{{"name":"r","stable":"a","variants":[],{route}}}]}}"#);
        let config = headgate_contract::read(text.as_bytes()).unwrap().config;
        assert_eq!(prefers_map(&config), expect, "{route}");
    }

    #[test]
    fn few_reads_are_made_one_by_one_and_many_at_once() {
        check(r#""output":{}"#, false);
        check(
            r#""key":{"sources":[{"header":"x-user"}]},"overrides":[{"header":"a","variant":"a"},{"header":"b","variant":"a"}]"#,
            false,
        );
        check(r#""match":{"hosts":["h"],"path":{"prefix":"/"}},"key":{"sources":[{"cookie":"sid"}]}"#, true);
    }
}
