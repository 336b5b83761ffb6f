//! What no client may send: the filter's own headers and the tokens meant for it alone are taken off every request, on
//! every path through the filter.
//!
//! Each header is known by its name and by every spelling with dashes and underscores in each other's place, which CGI-like upstreams
//! take for the same. Odd case, doubled values and values that are not UTF-8 make no difference: the name decides, and a removal takes every value.

use headgate_contract::PluginConfig;

use crate::reads::Reads;
use crate::{Event, HeaderOp, Outcome, cookie};

/// Dashes and underscores of a name up to which every spelling is looked for; of more, the one with underscores alone. Spellings double
/// with each.
const PLACES: u32 = 5;

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
    /// Its other spellings.
    others: Vec<String>,
    used: Use,
}

/// All headers of the filter's own, in every route.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    own: Vec<Own>,
    /// How long the names are whose other spellings all have an underscore: see [`crate::View::may_have_underscores`].
    lengths: u64,
    /// Whether there are names of which one has none.
    dashed: bool,
    token_cookie: Option<String>,
}

impl Trust {
    pub(crate) fn new(config: &PluginConfig) -> Self {
        let token_cookie = config.tokens.as_ref().and_then(|t| t.cookie.clone());
        let mut out = Self { token_cookie, ..Self::default() };
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
        let others = spellings(name);
        if !others.is_empty() {
            self.lengths |= 1 << (name.len() % 64);
        }
        self.dashed |= name.contains('_');
        self.own.push(Own { name: name.to_owned(), others, used });
    }

    /// The names that are looked for on every request.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        let cookie = self.token_cookie.as_ref().map(|_| "cookie");
        let names = self.own.iter().flat_map(|own| core::iter::once(&own.name).chain(&own.others));
        names.map(String::as_str).chain(cookie)
    }

    /// Removals of what the request brought, and their events. Decisions are left to the caller.
    pub(crate) fn strip<'t>(&'t self, reads: &Reads<'t, '_>, out: &mut Outcome<'t>) {
        let others = self.dashed || (self.lengths != 0 && reads.may_have_underscores(self.lengths));
        for own in &self.own {
            match own.used {
                Use::Written if reads.peek(&own.name) => forged(&own.name, out),
                Use::Token if reads.has(&own.name) => out.headers.push(HeaderOp::Remove(&own.name)),
                _ => {}
            }
            if others {
                own.others.iter().filter(|name| reads.peek(name)).for_each(|name| forged(name, out));
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

/// A name with dashes and underscores in each other's place, in every way.
fn spellings(name: &str) -> Vec<String> {
    let is_place = |c: char| c == '-' || c == '_';
    let places = name.matches(is_place).count();
    let mut all: Vec<String> = if places > PLACES as usize {
        vec![name.replace('-', "_")]
    } else {
        let spelled = |way: u32| {
            let mut nth = 0;
            let letter = |c| {
                if !is_place(c) {
                    return c;
                }
                nth += 1;
                if way >> (nth - 1) & 1 == 1 { '_' } else { '-' }
            };
            name.chars().map(letter).collect()
        };
        (0..1 << places).map(spelled).collect()
    };
    all.retain(|spelling| spelling != name);
    all
}

fn forged<'t>(name: &'t str, out: &mut Outcome<'t>) {
    out.headers.push(HeaderOp::Remove(name));
    out.events.push(Event::Forged(name));
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn a_name_has_every_spelling_but_its_own() {
        assert_eq!(spellings("variant"), [""; 0]);
        assert_eq!(spellings("x-v"), ["x_v"]);
        assert_eq!(spellings("x-headgate-variant"), ["x_headgate-variant", "x-headgate_variant", "x_headgate_variant"]);
        assert_eq!(spellings("x_own-v"), ["x-own-v", "x-own_v", "x_own_v"]);
        assert_eq!(spellings("a-b-c-d-e-f").len(), 31);
        assert_eq!(spellings("a-b-c-d-e-f-g"), ["a_b_c_d_e_f_g"]);
    }
}
