//! A copy: the request as it goes to another version.
//!
//! It carries what the upstream would get, but for what frames a message or speaks to one hop (RFC 9110, section 7.6.1), what speaks to Envoy's own
//! router (`x-envoy-*`: its retries and timeouts are the user's, not the copy's), what only the filter writes, and
//! what the configuration drops or replaces. It is marked, so that nobody copies it again.

use headgate_contract::{PluginConfig, Route, Shadow};
use headgate_routing::MARK;

/// Not carried over. `te` is, when it says `trailers`: gRPC needs it.
const FRAMING: [&[u8]; 8] = [
    b"content-length",
    b"transfer-encoding",
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"upgrade",
    b"expect",
    b"host",
];

/// Request headers that only the filter writes, on requests of a route.
pub(crate) fn own<'c>(config: &'c PluginConfig, route: &'c Route) -> [Option<&'c str>; 2] {
    [
        route.output.request_header.as_ref().map(|header| header.name.as_str()),
        config.decisions.as_ref().map(|decisions| decisions.header.as_str()),
    ]
}

/// The headers of a copy. `request` are those that the upstream would get; `own` see [`own`]; `replaced` the names and values of
/// `replaceHeaders`, `None` for a value that this process does not have; `body` whether the request has one, be it empty.
pub(crate) fn headers<'r>(
    request: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    shadow: &'r Shadow,
    own: [Option<&str>; 2],
    replaced: &'r [(String, Option<Vec<u8>>)],
) -> Vec<(&'r [u8], &'r [u8])> {
    let mut out = Vec::with_capacity(24);
    for (name, value) in request {
        let is = |other: &str| name == other.as_bytes();
        let left_out = FRAMING.contains(&name)
            || (name == b"te" && value != b"trailers")
            || name.starts_with(b"x-envoy-")
            || is(MARK)
            || own.iter().flatten().any(|own| is(own))
            || shadow.drop_headers.iter().any(|dropped| is(dropped))
            || replaced.iter().any(|(replaced, _)| is(replaced));
        if left_out {
            continue;
        }
        match &shadow.host {
            Some(host) if name == b":authority" => out.push((name, host.as_bytes())),
            _ => out.push((name, value)),
        }
    }
    out.push((MARK.as_bytes(), b"1"));
    for (name, value) in replaced {
        if let Some(value) = value {
            out.push((name.as_bytes(), value));
        }
    }
    out
}

/// Pairs in the ABI's serialization: see the module `headers`.
pub(crate) fn serialize(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let len = 4 + pairs.iter().map(|(name, value)| 8 + name.len() + value.len() + 2).sum::<usize>();
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&size(pairs.len()));
    for (name, value) in pairs {
        out.extend_from_slice(&size(name.len()));
        out.extend_from_slice(&size(value.len()));
    }
    for (name, value) in pairs {
        for text in [name, value] {
            out.extend_from_slice(text);
            out.push(0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::HeaderMap;

    fn copied(shadow: &Shadow, replaced: &[(String, Option<Vec<u8>>)], request: &[(&str, &str)]) -> Vec<String> {
        let pairs = request.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let headers = headers(pairs, shadow, [Some("x-variant"), None], replaced);
        let map = HeaderMap::new(serialize(&headers));
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
