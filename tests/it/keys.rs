//! Where a key comes from: cookies, queries, claims, addresses, and the cookie that is issued.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_tests::{Bootstrap, Client, Envoy, Result};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, OTHER_KEY, jws, now};
use crate::split::split;

const HALVES: [(&str, u32); 2] = [("stable", 1), ("canary", 1)];

/// A route in halves with these sources.
fn by(sources: Value) -> Value {
    let mut route = route(1, 1);
    route["key"] = json!({ "sources": sources });
    route
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_asked_in_order_and_the_first_value_counts() -> Result<()> {
    let versions = Versions::start().await?;
    let sources = json!([{"header": "x-user-id"}, {"cookie": "sid"}, {"query": "user"}]);
    let envoy = versions.envoy()?.configuration(&config(1, by(sources))).start().await?;
    let (mut client, mut crumbs) = (envoy.http1().await?, envoy.http2().await?);
    for n in 0..20 {
        let key = format!("user-{n}");
        let expected = split("model", &HALVES, &key);
        let quoted = format!("a=b; sid=\"{key}\"; sid=other; c=d");
        let last = format!("theme=dark; sid={key}");
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("/", &[("x-user-id", &key), ("cookie", "sid=other")]),
            ("/?user=other", &[("x-user-id", ""), ("cookie", &quoted)]),
            ("/", &[("cookie", &last)]),
            (&format!("/?a=b&user={key}&user=other"), &[]),
            (&format!("/?user=user%2D{n}"), &[("cookie", "sid=")]),
            ("/", &[("x-user-id", &key), ("x-user-id", "other")]),
        ];
        for (path, headers) in cases {
            assert_eq!(client.get(path, headers).await?.upstream(), expected, "{key} {path} {headers:?}");
        }
        // HTTP/2 may send each cookie in a field of its own.
        let crumb = format!("sid={key}");
        let split_up = [("cookie", "a=b"), ("cookie", crumb.as_str()), ("cookie", "c=d")];
        assert_eq!(crumbs.get("/", &split_up).await?.upstream(), expected, "{key}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_a_key_too() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(1, 1))).start().await?;
    let mut client = envoy.http1().await?;
    for n in 0x80..=0xff_u8 {
        let key = [0xff, n, 0xfe];
        let mut request = client.build(hyper::Method::GET, "/", &[], headgate_tests::empty())?;
        request.headers_mut().insert("x-user-id", hyper::header::HeaderValue::from_bytes(&key)?);
        assert_eq!(client.send(request).await?.upstream(), split("model", &HALVES, key), "{key:?}");
    }
    Ok(())
}

/// Which users the upstreams of these `x-forwarded-for` headers are.
async fn forwarded(client: &mut Client, values: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for value in values {
        all.push(client.get("/", &[("x-forwarded-for", value)]).await?.upstream());
    }
    Ok(all)
}

fn both(names: &[String]) -> bool {
    names.iter().any(|name| name == "stable") && names.iter().any(|name| name == "canary")
}

/// 40 values of `x-forwarded-for`.
fn list(one: impl Fn(u32) -> String) -> Vec<String> {
    (1..=40).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_chooses_their_address_where_no_hop_is_trusted() -> Result<()> {
    let versions = Versions::start().await?;
    let direct = config(1, by(json!([{"clientAddress": {}}])));
    let envoy = versions.envoy()?.configuration(&direct).start().await?;
    let said = forwarded(&mut envoy.http1().await?, &list(|n| format!("203.0.113.{n}"))).await?;
    let expected = split("model", &HALVES, "127.0.0.1");
    assert!(said.iter().all(|name| name == expected), "{said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_address_is_taken_behind_the_trusted_hops_and_cut_to_its_network() -> Result<()> {
    let versions = Versions::start().await?;
    let mut behind_one = config(1, by(json!([{"clientAddress": {}}])));
    behind_one["clientAddress"] = json!({"trustedHops": 1});
    // Envoy appends its own address where a client comes over loopback, as here alone: the test appends what a real
    // connection's would be.
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.manager("ingress")?["use_remote_address"] = json!(false);
    let envoy = versions.behind(bootstrap).configuration(&behind_one).start().await?;
    let mut client = envoy.http1().await?;

    let plain = forwarded(&mut client, &list(|n| format!("203.0.113.{n}, 127.0.0.1"))).await?;
    let expected = list(|n| split("model", &HALVES, format!("203.0.113.{n}")).to_owned());
    assert_eq!(plain, expected);
    assert!(both(&plain), "{plain:?}");
    // Without an entry of this proxy's own.
    assert_eq!(forwarded(&mut client, &list(|n| format!("203.0.113.{n}"))).await?, plain);
    // What stands before the entry of the trusted hop is hearsay.
    let hearsay = list(|n| format!("198.51.100.{}, 203.0.113.{n}, 127.0.0.1", n * 3));
    assert_eq!(forwarded(&mut client, &hearsay).await?, plain);
    // An IPv4-mapped address is the IPv4 address.
    assert_eq!(forwarded(&mut client, &list(|n| format!("::ffff:203.0.113.{n}"))).await?, plain);
    // Two hosts of one IPv6 network of 64 bits are one user.
    let one = forwarded(&mut client, &list(|n| format!("2001:db8:0:{n:x}::1"))).await?;
    let other = forwarded(&mut client, &list(|n| format!("2001:db8:0:{n:x}:ffff:{n:x}:3:4"))).await?;
    assert_eq!(one, other);
    assert!(both(&one), "{one:?}");
    // What is no address is no client's choice: the connection's counts.
    for nonsense in ["", "unknown", "1.2.3.4.5", "203.0.113.7,", "999.1.1.1"] {
        let answer = client.get("/", &[("x-forwarded-for", nonsense)]).await?;
        assert_eq!(answer.upstream(), split("model", &HALVES, "127.0.0.1"), "{nonsense}");
    }
    Ok(())
}

/// Over loopback Envoy appends an address of its own host instead of the connection's: the filter cannot tell it from a
/// client's, so that everybody has the same one, which is what the contract's documentation says. (A host that has no
/// other address than loopback appends that, which is the connection's.)
#[tokio::test(flavor = "multi_thread")]
async fn over_loopback_a_trusted_hop_is_taken_for_the_client_where_envoy_appends_its_own_address() -> Result<()> {
    let versions = Versions::start().await?;
    let mut behind_one = config(1, by(json!([{"clientAddress": {}}])));
    behind_one["clientAddress"] = json!({"trustedHops": 1});
    let envoy = versions.envoy()?.configuration(&behind_one).start().await?;
    let mut client = envoy.http1().await?;
    for said in list(|n| format!("203.0.113.{n}")) {
        let upstream = client.get("/", &[("x-forwarded-for", &said)]).await?.upstream();
        let served = if upstream == "stable" { &versions.stable } else { &versions.canary };
        let seen = served.last()?;
        let entries: Vec<&str> = seen.header("x-forwarded-for").unwrap_or_default().split(',').collect();
        assert_eq!((entries.len(), entries[0]), (2, said.as_str()));
        let taken = if entries[1] == "127.0.0.1" { entries[0] } else { entries[1] };
        assert_eq!(upstream, split("model", &HALVES, taken), "{entries:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hops_that_envoy_itself_trusts_need_nothing_in_the_plugin_configuration() -> Result<()> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.manager("ingress")?["xff_num_trusted_hops"] = json!(1);
    let direct = config(1, by(json!([{"clientAddress": {}}])));
    let envoy = versions.behind(bootstrap).configuration(&direct).start().await?;
    let mut client = envoy.http1().await?;
    let said = forwarded(&mut client, &list(|n| format!("198.51.100.{}, 203.0.113.{n}", n * 3))).await?;
    assert_eq!(said, list(|n| split("model", &HALVES, format!("203.0.113.{n}")).to_owned()));
    Ok(())
}

/// A bootstrap with `jwt_authn` in front of the filter: a token is not demanded, but only a good one leaves its claims.
fn with_jwt() -> Result<Bootstrap> {
    let secret = URL_SAFE_NO_PAD.encode(KEY);
    let jwks = json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "idp", "k": secret}]}).to_string();
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.filters()?.insert(
        0,
        json!({"name": "jwt", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"idp": {
                "issuer": "https://idp.example",
                "local_jwks": {"inline_string": jwks},
                "payload_in_metadata": "payload",
                "forward": true
            }},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [{"provider_name": "idp"}, {"allow_missing_or_failed": {}}]}}
            }]
        }}),
    );
    Ok(bootstrap)
}

fn bearer(key: &str, claims: &Value) -> String {
    format!("Bearer {}", jws(key, "idp", claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_claim_is_a_key_and_a_segment_and_an_unverified_one_is_neither() -> Result<()> {
    let versions = Versions::start().await?;
    let mut claims = by(json!([{"claim": {"provider": "payload", "claim": ["sub"]}}]));
    claims["segments"] = json!([{
        "name": "gold",
        "match": {"claims": [{"provider": "payload", "claim": ["realm", "tier"], "exact": "gold"}]},
        "weights": {"canary": 1}
    }]);
    let envoy = versions.behind(with_jwt()?).configuration(&config(1, claims)).start().await?;
    let mut client = envoy.http1().await?;
    let said = |user: &str, tier: &str| json!({"iss": "https://idp.example", "sub": user, "exp": now() + 60, "realm": {"tier": tier}});
    for n in 0..20 {
        let user = format!("user-{n}");
        let basic = bearer(KEY, &said(&user, "basic"));
        assert_eq!(client.get("/", &[("authorization", &basic)]).await?.upstream(), split("model", &HALVES, &user));
        let gold = bearer(KEY, &said(&user, "gold"));
        assert_eq!(client.get("/", &[("authorization", &gold)]).await?.upstream(), "canary");
        let forged = bearer(OTHER_KEY, &said(&user, "gold"));
        assert_eq!(client.get("/", &[("authorization", &forged)]).await?.upstream(), "stable");
    }
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_requests", &[("reason", "hash"), ("segment", "gold")]), 20);
    assert_eq!(metrics.sum("headgate_requests", &[("reason", "hash"), ("segment", "default")]), 20);
    assert_eq!(metrics.sum("headgate_requests", &[("reason", "no_key")]), 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_an_unverified_token_is_a_key_where_the_configuration_says_so() -> Result<()> {
    let versions = Versions::start().await?;
    let claims = by(json!([
        {"claim": {"claim": ["sub"], "unverified": true}},
        {"claim": {"claim": ["uid"], "unverified": true, "type": "number"}}
    ]));
    let envoy = versions.envoy()?.configuration(&config(1, claims)).start().await?;
    let mut client = envoy.http1().await?;
    for n in 0..20 {
        let user = format!("user-{n}");
        let sub = bearer(OTHER_KEY, &json!({"sub": user}));
        assert_eq!(client.get("/", &[("authorization", &sub)]).await?.upstream(), split("model", &HALVES, &user));
        let uid = bearer(OTHER_KEY, &json!({"uid": n}));
        assert_eq!(
            client.get("/", &[("authorization", &uid)]).await?.upstream(),
            split("model", &HALVES, n.to_string())
        );
    }
    assert_eq!(client.get("/", &[("authorization", "Bearer x.y.z")]).await?.upstream(), "stable");
    Ok(())
}

async fn issuing() -> Result<(Versions, Envoy)> {
    let versions = Versions::start().await?;
    let mut issuing = route(1, 1);
    issuing["key"]["absent"] = json!("issueCookie");
    let envoy = versions.envoy()?.configuration(&config(1, issuing)).start().await?;
    Ok((versions, envoy))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_is_issued_already_decides_the_request_it_is_issued_with() -> Result<()> {
    let (_versions, envoy) = issuing().await?;
    let mut client = envoy.http1().await?;
    let mut values = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = client.get("/", &[]).await?;
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        let (pair, attributes) = cookie.split_once(';').expect("attributes");
        let value = pair.strip_prefix("headgate_key=").expect("the name");
        assert!(
            value.len() == 32 && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
            "{value}"
        );
        let attributes: Vec<String> = attributes.split(';').map(|part| part.trim().to_ascii_lowercase()).collect();
        for wanted in ["secure", "httponly", "samesite=lax", "path=/", "max-age=2592000"] {
            assert!(attributes.iter().any(|part| part == wanted), "{wanted} in {cookie}");
        }
        assert_eq!(answer.header("cache-control"), Some("private"));
        assert_eq!(answer.upstream(), split("model", &HALVES, value));
        // Whoever brings it back stays where they are, and gets no other.
        let again = client.get("/", &[("cookie", pair)]).await?;
        assert_eq!((again.upstream(), again.header("set-cookie")), (answer.upstream(), None));
        values.insert(value.to_owned());
    }
    assert_eq!(values.len(), 40, "each cookie is a random one of its own");
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_requests", &[("reason", "issued"), ("assigned", "hash")]), 40);
    assert_eq!(metrics.sum("headgate_requests", &[("reason", "hash")]), 40);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_cookie_has_the_name_and_attributes_that_the_configuration_gives_it() -> Result<()> {
    let versions = Versions::start().await?;
    let mut issuing = route(1, 1);
    issuing["key"]["absent"] = json!("issueCookie");
    let mut revision = 1;
    let envoy = versions.envoy()?.configuration(&config(revision, issuing.clone())).start().await?;
    let mut client = envoy.http1().await?;
    for (cookie, pair, attributes) in [
        (
            json!({"name": "who", "path": "/shop", "domain": "model.example", "maxAge": 60, "sameSite": "strict"}),
            "who",
            &["secure", "httponly", "samesite=strict", "path=/shop", "domain=model.example", "max-age=60"][..],
        ),
        (
            json!({"sameSite": "none"}),
            "headgate_key",
            &["secure", "httponly", "samesite=none", "path=/", "max-age=2592000"],
        ),
        (json!({"secure": false, "httpOnly": false}), "headgate_key", &["samesite=lax", "path=/", "max-age=2592000"]),
    ] {
        issuing["key"]["cookie"] = cookie;
        revision += 1;
        envoy.push(&config(revision, issuing.clone())).await?;
        let answer = client.get("/", &[]).await?;
        let mut parts = answer.header("set-cookie").expect("a cookie").split("; ");
        let name = parts.next().and_then(|first| first.split_once('=')).map(|(name, _)| name);
        assert_eq!(name, Some(pair));
        let mut seen: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let mut wanted: Vec<&str> = attributes.to_vec();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
    }
    // A response that says nothing of caching is left as it is, and gets none, where the configuration wants that.
    issuing["key"]["cookie"] = json!({"makePrivate": false});
    envoy.push(&config(revision + 1, issuing)).await?;
    let answer = client.get("/", &[]).await?;
    assert_eq!((answer.header("set-cookie"), answer.header("cache-control")), (None, None));
    let answer = client.get("/", &[("x-respond-cache-control", "no-store")]).await?;
    assert!(answer.header("set-cookie").is_some());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cookie_is_issued_with_a_response_that_shared_caches_may_store() -> Result<()> {
    let (_versions, envoy) = issuing().await?;
    let mut client = envoy.http1().await?;
    for cacheable in ["public, max-age=60", "max-age=60", "s-maxage=5", "public"] {
        let answer = client.get("/", &[("x-respond-cache-control", cacheable)]).await?;
        assert_eq!((answer.header("set-cookie"), answer.header("cache-control")), (None, Some(cacheable)));
    }
    for personal in ["private", "no-store", "max-age=60, PRIVATE"] {
        let answer = client.get("/", &[("x-respond-cache-control", personal)]).await?;
        assert!(answer.header("set-cookie").is_some(), "{personal}");
        assert_eq!(answer.header("cache-control"), Some(personal));
    }
    // The application's own cookies stay.
    let answer = client.get("/", &[("x-respond-set-cookie", "own=1")]).await?;
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    Ok(())
}
