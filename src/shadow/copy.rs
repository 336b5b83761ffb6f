//! A copy: the request as it goes to another version.
//!
//! It carries what the upstream would get, but for what frames a message or speaks to one hop (RFC 9110, section 7.6.1), what speaks to Envoy's own
//! router (`x-envoy-*`: its retries and timeouts are the user's, not the copy's), what only the filter writes, and
//! what the configuration drops or replaces. It is marked, so that nobody copies it again.

use headgate_contract::{PluginConfig, Route, Shadow};
use headgate_routing::MARK;

use crate::headers::HeaderMap;

/// Not carried over. `te` is, when it says `trailers`: gRPC needs it.
const FRAMING: [&str; 8] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "expect",
    "host",
];

/// Request headers that only the filter writes, on requests of a route.
pub(crate) fn own<'c>(config: &'c PluginConfig, route: &'c Route) -> [Option<&'c str>; 2] {
    [
        route.output.request_header.as_ref().map(|header| header.name.as_str()),
        config.decisions.as_ref().map(|decisions| decisions.header.as_str()),
    ]
}

/// The headers of a route's copies: what they do not carry over, and what they have instead.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    left_out: Vec<String>,
    /// Which of them may be a name, by [`sign`]: most names are none.
    signs: u64,
    more: Vec<(String, Vec<u8>)>,
}

impl Copied {
    /// `own` see [`own`]; `replaced` the names and values of `replaceHeaders`, `None` for a value that this process does not have.
    pub(crate) fn new(shadow: &Shadow, own: [Option<&str>; 2], replaced: Vec<(String, Option<Vec<u8>>)>) -> Self {
        let mut left_out: Vec<String> =
            FRAMING.into_iter().chain([MARK]).chain(own.into_iter().flatten()).map(str::to_owned).collect();
        left_out.extend(shadow.drop_headers.iter().cloned());
        left_out.extend(replaced.iter().map(|(name, _)| name.clone()));
        let mut more = Vec::new();
        if let Some(host) = &shadow.host {
            left_out.push(":authority".to_owned());
            more.push((":authority".to_owned(), host.clone().into_bytes()));
        }
        more.push((MARK.to_owned(), b"1".to_vec()));
        more.extend(replaced.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let signs = left_out.iter().fold(0, |signs, name| signs | sign(name.as_bytes()));
        Self { left_out, signs, more }
    }

    /// Of one copy, serialized. `request` are those that the upstream would get.
    pub(crate) fn headers(&self, request: &HeaderMap) -> Vec<u8> {
        let left_out = |name: &[u8], value: &[u8]| {
            (self.signs & sign(name) != 0 && self.left_out.iter().any(|left_out| left_out.as_bytes() == name))
                || (name == b"te" && value != b"trailers")
                || name.starts_with(b"x-envoy-")
        };
        request.edited(left_out, self.more.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
    }
}

/// One of 64 bits, by a name's length and first letter.
fn sign(name: &[u8]) -> u64 {
    1 << ((name.len() * 11 + usize::from(name.first().copied().unwrap_or_default())) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(shadow: &Shadow, replaced: &[(String, Option<Vec<u8>>)], request: &[(&str, &str)]) -> Vec<String> {
        let pairs = request.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let request = HeaderMap::new(HeaderMap::default().edited(|_, _| false, pairs));
        let copied = Copied::new(shadow, [Some("x-variant"), None], replaced.to_vec());
        let map = HeaderMap::new(copied.headers(&request));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        map.pairs().map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
    }

    #[test]
    fn a_copy_carries_what_the_upstream_would_get_and_its_mark() {
        let request = [
            (":method", "POST"),
            (":path", "/a?b"),
            (":authority", "shop"),
            ("te", "trailers"),
            ("content-length", "7"),
            ("connection", "close"),
            ("x-envoy-retry-on", "5xx"),
            ("x-variant", "stable.0123"),
            ("x-headgate-copy", "0"),
            ("x-request-id", "r"),
        ];
        let expect =
            [":method=POST", ":path=/a?b", ":authority=shop", "te=trailers", "x-request-id=r", "x-headgate-copy=1"];
        assert_eq!(copied(&Shadow::default(), &[], &request), expect);
        assert_eq!(copied(&Shadow::default(), &[], &[("te", "gzip")]), ["x-headgate-copy=1"]);
    }

    #[test]
    fn credentials_are_dropped_or_replaced() {
        let shadow = Shadow {
            host: Some("shadow.svc".to_owned()),
            drop_headers: vec!["cookie".to_owned()],
            ..Shadow::default()
        };
        let replaced = [("authorization".to_owned(), Some(b"Bearer s".to_vec())), ("x-api-key".to_owned(), None)];
        let request =
            [(":authority", "shop"), ("cookie", "a=b"), ("authorization", "mine"), ("x-api-key", "k"), ("cookie", "c")];
        let expect = [":authority=shadow.svc", "x-headgate-copy=1", "authorization=Bearer s"];
        assert_eq!(copied(&shadow, &replaced, &request), expect);
    }
}
