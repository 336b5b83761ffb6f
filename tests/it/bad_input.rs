//! Any bytes in any field of a request: it is answered, twice the same way, and the filter is still there.

use headgate_tests::{Client, Envoy, Result};
use hyper::Method;
use hyper::header::HeaderValue;
use serde_json::json;

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, decision, token};

/// Numbers that look random and are the same in every run (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("small")
    }

    /// Up to 64 bytes that HTTP allows in a field's value; half of them from `favourites`.
    fn value(&mut self, favourites: &[u8]) -> Vec<u8> {
        let length = self.below(64);
        let mut value = Vec::with_capacity(length);
        while value.len() < length {
            let byte = match self.next() % 2 {
                0 => favourites[self.below(favourites.len())],
                _ => u8::try_from(self.below(256)).expect("a byte"),
            };
            if HeaderValue::from_bytes(&[byte]).is_ok() {
                value.push(byte);
            }
        }
        value
    }

    /// `good`, with a few bytes changed, cut or doubled.
    fn mutate(&mut self, good: &str) -> Vec<u8> {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len().max(1));
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(at..),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = u8::try_from(0x21 + self.below(0x5e)).expect("printable");
                    }
                }
            }
        }
        bytes
    }
}

async fn everything(versions: &Versions) -> Result<Envoy> {
    let mut all = route(1, 1);
    all["key"] = json!({"sources": [
        {"header": "x-user-id"}, {"cookie": "sid"}, {"query": "user"},
        {"claim": {"claim": ["sub"], "unverified": true}}, {"clientAddress": {}}
    ]});
    all["overrides"] = json!([
        {"header": "x-canary", "regex": "(a|b)*c", "variant": "canary", "openToAnyone": true},
        {"cookie": "canary", "prefix": "y", "variant": "canary"},
        {"query": "v", "oneOf": ["2"], "variant": "canary", "openToAnyone": true},
        {"variant": "canary"}
    ]);
    all["segments"] = json!([{
        "name": "odd",
        "match": {"headers": [{"name": "x-tier", "contains": "odd"}], "query": [{"name": "t", "present": true}]},
        "weights": {"canary": 1}
    }]);
    all["inbound"] = json!({"accept": true, "emit": true});
    all["mirror"] = json!({"share": 100});
    let mut all = config(1, all);
    all["clientAddress"] = json!({"trustedHops": 1});
    all["tokens"] = json!({"audience": "model", "cookie": "tok", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    all["decisions"] = json!({"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_D1"}]});
    versions.envoy()?.env("HEADGATE_KEY_K1", KEY).env("HEADGATE_KEY_D1", KEY).configuration(&all).start().await
}

async fn ask(client: &mut Client, path: &str, headers: &[(&'static str, Vec<u8>)]) -> Result<String> {
    let mut request = client.build(Method::GET, path, &[], headgate_tests::empty())?;
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value)?);
    }
    let answer = client.send(request).await?;
    assert_eq!(answer.status, 200, "{path} {headers:?}: {}", answer.upstream());
    Ok(answer.upstream())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_in_headers_cookies_queries_and_tokens_fail_no_request() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = everything(&versions).await?;
    let mut random = Seeded(2026);
    let (good_token, good_decision) = (token("canary"), decision(KEY, "d1", "mesh", "model", "canary"));
    let mut sent = 0;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        for _ in 0..1_500 {
            let mut headers: Vec<(&'static str, Vec<u8>)> = Vec::new();
            for name in ["x-user-id", "x-canary", "x-tier", "authorization", "x-headgate-token", "x-forwarded-for"] {
                if random.next().is_multiple_of(3) {
                    headers.push((name, random.value(b"abc.=:, \t\"1eyJ0")));
                }
            }
            match random.below(8) {
                0 => headers.push(("cookie", random.value(b"sid=;\"\\ canary=tok="))),
                1 => headers.push(("cookie", [b"sid=\"", &random.value(b"\"\\;=")[..]].concat())),
                2 => headers.push(("cookie", [b"a; tok=", &random.mutate(&good_token)[..], b"; b"].concat())),
                3 => headers.push(("x-headgate-token", random.mutate(&good_token))),
                4 => headers.push(("x-headgate-decisions", random.mutate(&good_decision))),
                5 => headers.push(("authorization", [b"Bearer ", &random.mutate(&good_token)[..]].concat())),
                _ => {}
            }
            let letters = b"&=%+;user=v2t?/%%%00ff#"; // `#` ends what is sent of a path
            let query: String = (0..random.below(40))
                .map(|_| char::from(letters[random.below(letters.len())]))
                .filter(|c| *c != '#')
                .collect();
            let path = format!("/p?user={query}");
            let first = ask(&mut client, &path, &headers).await?;
            assert_eq!(ask(&mut client, &path, &headers).await?, first, "{path} {headers:?}");
            sent += 2;
        }
    }
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_requests", &[]), sent);
    assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    assert!(metrics.sum("headgate_bad_tokens", &[]) > 0);
    for name in metrics.names("envoy_wasm_headgate_vm_reload") {
        assert_eq!(metrics.sum(name, &[]), 0, "the filter crashed: {name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_as_a_configuration_change_nothing_that_is_served() -> Result<()> {
    let versions = Versions::start().await?;
    let good = config(1, route(0, 1));
    let envoy = versions.envoy()?.configuration(&good).start().await?;
    let mut client = envoy.http1().await?;
    let mut random = Seeded(7);
    for n in 0..40 {
        // Cut short, so that it is never JSON; numbered, because Envoy passes over what it has just refused.
        let text = good.to_string();
        let mut bytes = random.mutate(&text);
        bytes.truncate(text.len() / 2);
        bytes.extend(format!("é\"{{[{n}").bytes());
        let bad = String::from_utf8_lossy(&bytes);
        envoy.push_refused(&bad).await.map_err(|e| e.context(bad.into_owned()))?;
        assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    }
    Ok(())
}
