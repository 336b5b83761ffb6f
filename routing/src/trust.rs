//! What no client may send: the filter's own headers and the tokens meant for it alone are taken off every request, on
//! every path through the filter.
//!
//! Each header is known by its name and by its spelling with underscores, which CGI-like upstreams take for the same. Odd case, doubled values
//! and values that are not UTF-8 make no difference: the name decides, and a removal takes every value.

use headgate_contract::PluginConfig;

use crate::reads::Reads;
use crate::{Event, HeaderOp, Outcome, cookie};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Written by the filter alone: one from a client is forged.
    Written,
    /// Sent by clients to the filter alone.
    Token,
    /// Sent by earlier hops; what becomes of it is decided pair by pair.
    Decisions,
}

#[derive(Debug)]
struct Own {
    name: String,
    /// Spelling with underscores, where it differs.
    underscored: Option<String>,
    used: Use,
}

/// All headers of the filter's own, in every route.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    own: Vec<Own>,
    token_cookie: Option<String>,
}

impl Trust {
    pub(crate) fn new(config: &PluginConfig) -> Self {
        let mut out = Self { own: Vec::new(), token_cookie: config.tokens.as_ref().and_then(|t| t.cookie.clone()) };
        if let Some(tokens) = &config.tokens {
            out.add(&tokens.header, Use::Token);
        }
        if let Some(decisions) = &config.decisions {
            out.add(&decisions.header, Use::Decisions);
        }
        let mut seen = std::collections::BTreeSet::new();
        for route in &config.routes {
            let mirror = route.mirror.as_ref().and_then(|mirror| mirror.request_header.as_ref());
            for header in route.output.request_header.iter().chain(mirror) {
                if seen.insert(&header.name) {
                    out.add(&header.name, Use::Written);
                }
            }
        }
        out
    }

    /// For a configuration of which only the headers' names are known: the usual names of the others go too.
    pub(crate) fn salvaged(headers: Vec<String>) -> Self {
        let mut out = Self::default();
        let usual = ["x-headgate-token", "x-headgate-decisions"].map(str::to_owned);
        let usual: Vec<String> = usual.into_iter().filter(|name| !headers.contains(name)).collect();
        headers.iter().for_each(|name| out.add(name, Use::Written));
        usual.iter().for_each(|name| out.add(name, Use::Token));
        out
    }

    fn add(&mut self, name: &str, used: Use) {
        let underscored = name.contains('-').then(|| name.replace('-', "_"));
        self.own.push(Own { name: name.to_owned(), underscored, used });
    }

    /// The names that are looked for on every request.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        let cookie = self.token_cookie.as_ref().map(|_| "cookie");
        self.own.iter().flat_map(|own| [Some(own.name.as_str()), own.underscored.as_deref()]).flatten().chain(cookie)
    }

    /// Removals of what the request brought, and their events. Decisions are left to the caller.
    pub(crate) fn strip<'t>(&'t self, reads: &Reads<'t, '_>, out: &mut Outcome<'t>) {
        for own in &self.own {
            match own.used {
                Use::Written if reads.peek(&own.name) => forged(&own.name, out),
                Use::Token if reads.has(&own.name) => out.headers.push(HeaderOp::Remove(&own.name)),
                _ => {}
            }
            if let Some(name) = own.underscored.as_deref().filter(|name| reads.peek(name)) {
                forged(name, out);
            }
        }
        let Some(name) = &self.token_cookie else { return };
        match reads.header("cookie").and_then(|header| cookie::without(&header, name)) {
            None => {}
            Some(kept) if kept.is_empty() => out.headers.push(HeaderOp::Remove("cookie")),
            Some(kept) => out.headers.push(HeaderOp::SetBytes("cookie", kept)),
        }
    }
}

fn forged<'t>(name: &'t str, out: &mut Outcome<'t>) {
    out.headers.push(HeaderOp::Remove(name));
    out.events.push(Event::Forged(name));
}
