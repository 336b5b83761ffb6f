//! What `compile` checks by, and where it notes what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_contract::limits::{NAME_BYTES, REGEX_BYTES, REGEX_COMPILED_BYTES, REGEX_NEST, REGEXES};
use headgate_contract::{PathMatch, Problems, check_header_name, check_name};
use regex_lite::{Regex, RegexBuilder};

use crate::mirror::SHARE;

/// Headers that a filter must not write: they frame a message, name its way, or carry somebody else's data.
const NOT_OURS: [&str; 20] = [
    "host",
    "cookie",
    "set-cookie",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
    "authorization",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-headgate-copy",
    "cache-control",
    "expect",
    "grpc-timeout",
];

/// Headers of responses that mean something else.
const RESPONSES: [&str; 9] =
    ["location", "date", "server", "vary", "etag", "age", "content-encoding", "grpc-status", "grpc-message"];

/// Problems so far, and what is counted over the whole configuration.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(crate) problems: Problems,
    regexes: usize,
    /// Headers that the filter writes or takes away, spelled with dashes: what for, and where that is said.
    own: BTreeMap<String, (&'static str, String)>,
    shared: BTreeSet<Arc<str>>,
}

impl Checks {
    pub(crate) fn push(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(path, reason);
    }

    /// A text that many routes have in common is kept once: what one request touched is then still in the processor's cache for
    /// the next, whatever its route.
    pub(crate) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.shared.get(text) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = text.into();
        self.shared.insert(Arc::clone(&shared));
        shared
    }

    pub(crate) fn name(&mut self, path: &str, name: &str) {
        if let Err(reason) = check_name(name) {
            self.push(path, reason);
        }
    }

    /// A text that is hashed: 1 to 100 bytes without NUL.
    pub(crate) fn hashed(&mut self, path: &str, text: &str) {
        if text.is_empty() || text.len() > NAME_BYTES || text.contains('\0') {
            self.push(path, format!("must have 1 to {NAME_BYTES} bytes and no NUL character"));
        }
    }

    /// The name of an environment variable.
    pub(crate) fn variable(&mut self, path: &str, name: &str) {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.push(
                path,
                format!("`{name}` is no environment variable's name: letters, digits and `_`, as `HEADGATE_KEY_K1`"),
            );
        }
    }

    /// The name of a cluster of Envoy's.
    pub(crate) fn cluster(&mut self, path: &str, name: &str) {
        if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
            self.push(path, "a cluster's name has 1 to 256 bytes and no control characters");
        }
    }

    /// A share of requests.
    pub(crate) fn share_of_requests(&mut self, path: &str, share: u32) {
        if u64::from(share) > SHARE {
            self.push(path, format!("{share} of {SHARE}: 0 to {SHARE}, which is every request"));
        }
    }

    pub(crate) fn at_most(&mut self, path: &str, what: &str, count: usize, limit: usize) {
        if count > limit {
            self.push(path, format!("{count} {what}, at most {limit} are taken: leave some out or split them up"));
        }
    }

    /// Names that must differ. `at` makes the path of an index.
    pub(crate) fn unique<'a>(&mut self, names: impl Iterator<Item = &'a str>, at: impl Fn(usize) -> String) {
        let mut seen = BTreeMap::new();
        for (i, name) in names.enumerate() {
            if let Some(first) = seen.insert(name, i) {
                self.push(at(i), format!("`{name}` is already the name of {}: names must differ", at(first)));
                seen.insert(name, first);
            }
        }
    }

    /// Exactly one of the fields is given.
    pub(crate) fn exactly_one(&mut self, path: &str, fields: &[(&str, bool)]) {
        let given: Vec<&str> = fields.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        let all: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        match given.as_slice() {
            [_] => {}
            [] => self.push(path, format!("needs exactly one of {}", all.join(", "))),
            several => self.push(path, format!("has {}: keep one of them", several.join(" and "))),
        }
    }

    /// The index of `name` among `names`, with a suggestion when it is not there.
    pub(crate) fn find(&mut self, path: &str, what: &str, name: &str, names: &[&str]) -> Option<usize> {
        let found = names.iter().position(|other| *other == name);
        if found.is_none() {
            let close = names.iter().map(|other| (strsim::osa_distance(name, other), *other)).min();
            self.push(
                path,
                match close {
                    Some((distance, other)) if distance <= 2.max(name.len() / 4) => {
                        format!("there is no {what} `{name}`: did you mean `{other}`?")
                    }
                    _ => format!("there is no {what} `{name}`: there are {}", names.join(", ")),
                },
            );
        }
        found
    }

    /// A header that the filter writes or takes away, for one purpose alone.
    pub(crate) fn own_header(&mut self, path: &str, name: &str, purpose: &'static str) {
        if let Err(reason) = check_header_name(name) {
            return self.push(path, reason);
        }
        if NOT_OURS.contains(&name) || name.starts_with("x-envoy-") {
            return self
                .push(path, format!("`{name}` has a meaning of its own: choose another header, as `x-headgate-…`"));
        }
        let taken = self.own.entry(spelled(name)).or_insert_with(|| (purpose, path.to_owned())).clone();
        if taken.0 != purpose {
            self.push(path, format!("`{name}` is already used for {} at {}: choose another header", taken.0, taken.1));
        }
    }

    /// A header that is added to responses.
    pub(crate) fn response_header(&mut self, path: &str, name: &str) {
        match check_header_name(name) {
            Err(reason) => self.push(path, reason),
            Ok(()) if NOT_OURS.contains(&name) || name.starts_with("x-envoy-") || RESPONSES.contains(&name) => {
                self.push(path, format!("`{name}` has a meaning of its own: choose another header, as `x-served-by`"));
            }
            Ok(()) => {}
        }
    }

    /// A header that a rule reads. Those of our own are removed before any rule could see them.
    pub(crate) fn read_header(&mut self, path: &str, name: &str) {
        if name.starts_with(':') || name == "host" {
            return self.push(path, format!("`{name}` is not read as a header: use `hosts`, `path` or `methods`"));
        }
        if let Err(reason) = check_header_name(name) {
            return self.push(path, reason);
        }
        if let Some((purpose, at)) = self.own.get(&spelled(name)).cloned() {
            self.push(
                path,
                format!("`{name}` is the header for {purpose} ({at}), which no client may send: read another one"),
            );
        }
    }

    /// A regular expression for a whole value.
    pub(crate) fn regex(&mut self, path: &str, text: &str) -> Option<Regex> {
        self.regexes += 1;
        if self.regexes == REGEXES + 1 {
            self.push(path, format!("more than {REGEXES} regular expressions: use `prefix` or `oneOf` where they do"));
        }
        if self.regexes > REGEXES {
            return None;
        }
        if text.len() > REGEX_BYTES {
            self.push(
                path,
                format!("a regular expression has at most {REGEX_BYTES} bytes, this one has {}", text.len()),
            );
            return None;
        }
        let build =
            |text: &str| RegexBuilder::new(text).size_limit(REGEX_COMPILED_BYTES).nest_limit(REGEX_NEST).build();
        // Alone first: `a)|(b` must not become sound by what is put around it.
        match build(text).and_then(|_| build(&format!("^(?:{text})$"))) {
            Ok(regex) => Some(regex),
            Err(e) => {
                self.push(path, format!("not a regular expression that can be taken here: {e}"));
                None
            }
        }
    }
}

/// The first of `exact`, `prefix` and `regex`, checked, for a path.
pub(crate) fn path_match(checks: &mut Checks, at: &str, path: &PathMatch) {
    checks.exactly_one(
        at,
        &[("exact", path.exact.is_some()), ("prefix", path.prefix.is_some()), ("regex", path.regex.is_some())],
    );
    for (field, text) in [("exact", &path.exact), ("prefix", &path.prefix)] {
        let Some(text) = text else { continue };
        if !text.starts_with('/') {
            checks.push(format!("{at}.{field}"), format!("`{text}` must start with `/`, as every path does"));
        }
        if text.contains(['?', '#']) {
            checks.push(
                format!("{at}.{field}"),
                format!("`{text}`: the path ends before `?`; use `query` for what follows"),
            );
        }
    }
}

/// The spelling under which upstreams (CGI, WSGI) take `x_a` and `x-a` for one header.
fn spelled(name: &str) -> String {
    name.replace('_', "-")
}

/// Values that are there twice, by index of the second.
pub(crate) fn twice<T: Ord>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    values.enumerate().filter_map(|(i, value)| (!seen.insert(value)).then_some(i)).collect()
}
