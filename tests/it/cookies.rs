//! Cookies in more than one line: HTTP/1 clients and proxies may send several `cookie` headers, HTTP/2 one for each cookie.

use headgate_tests::{Client, Envoy, Result, Seen};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, OTHER_KEY, jws, now, token};
use crate::split::split;

const HALVES: [(&str, u32); 2] = [("stable", 1), ("canary", 1)];

/// A request's `cookie` headers, in lines as given.
fn lines<'h>(lines: &[&'h str]) -> Vec<(&'static str, &'h str)> {
    lines.iter().map(|line| ("cookie", *line)).collect()
}

/// What arrived, cookie by cookie.
fn arrived(seen: &Seen) -> Vec<String> {
    let all = seen.headers.get_all("cookie").iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    all.flat_map(|line| line.split("; ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The filter reads a request's headers one by one, or, for a configuration that needs many of them, as a whole.
fn read_both_ways(route: &Value) -> [Value; 2] {
    let mut wide = route.clone();
    wide["match"] = json!({"hosts": ["model.example"], "path": {"prefix": "/"}, "headers": [
        {"name": "user-agent", "exact": "none", "invert": true}, {"name": "accept", "exact": "none", "invert": true}
    ]});
    [route.clone(), wide]
}

async fn both_protocols(envoy: &Envoy) -> Result<[Client; 2]> {
    Ok([envoy.http1().await?, envoy.http2().await?])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_in_whichever_line_of_cookies_it_stands() -> Result<()> {
    let versions = Versions::start().await?;
    let mut by_cookie = route(1, 1);
    by_cookie["key"] = json!({"sources": [{"cookie": "sid"}]});
    for route in read_both_ways(&by_cookie) {
        let envoy = versions.envoy()?.configuration(&config(1, route)).start().await?;
        for mut client in both_protocols(&envoy).await? {
            for n in 0..20 {
                let key = format!("user-{n}");
                let (pair, quoted) = (format!("sid={key}"), format!("x=y; sid=\"{key}\"; z"));
                let comma = format!("sid={key},{key}");
                let cases: [(&[&str], &str); 8] = [
                    (&[&pair], &key),
                    (&["a=b", &pair], &key),
                    (&["a=b; c=d", "", &quoted, "e=f"], &key),
                    (&[&pair, "sid=other"], &key),
                    // A comma belongs to a cookie's value: what follows it is no cookie.
                    (&["theme=dark, sid=other", &pair], &key),
                    (&["theme=dark,sid=other; a=b", "c=d", &pair], &key),
                    (&[&comma], &format!("{key},{key}")),
                    (&["a=1,2,3", &comma, &pair], &format!("{key},{key}")),
                ];
                for (cookies, expected) in cases {
                    let answer = client.get("/", &lines(cookies)).await?;
                    assert_eq!(answer.upstream(), split("model", &HALVES, expected), "{cookies:?}");
                }
            }
            // No cookie of the name: stable.
            for cookies in [&[][..], &["a=b", "xsid=user-1"], &["theme=dark, sid=user-1", "c=d"]] {
                assert_eq!(client.get("/", &lines(cookies)).await?.upstream(), "stable", "{cookies:?}");
            }
        }
        assert_eq!(envoy.metrics().await?.sum("headgate_requests", &[("reason", "no_key")]), 6);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_found_in_whichever_line_of_cookies_it_stands() -> Result<()> {
    let versions = Versions::start().await?;
    let mut open = route(1, 0);
    open["overrides"] = json!([{"cookie": "canary", "exact": "yes", "variant": "canary", "openToAnyone": true}]);
    for route in read_both_ways(&open) {
        let envoy = versions.envoy()?.configuration(&config(1, route)).start().await?;
        for mut client in both_protocols(&envoy).await? {
            for (cookies, expected) in [
                (&["a=b", "canary=yes"][..], "canary"),
                (&["a=b,c", "d=e", "f=g; canary=\"yes\""], "canary"),
                (&["a=b", "canary=no", "canary=yes"], "stable"),
                (&["a=b, canary=yes", "c=d"], "stable"),
            ] {
                assert_eq!(client.get("/", &lines(cookies)).await?.upstream(), expected, "{cookies:?}");
            }
        }
    }
    Ok(())
}

/// A route to stable with an override for holders of a token that may come in the cookie `tok`.
fn guarded(route: Value) -> Value {
    let mut guarded = config(1, route);
    guarded["tokens"] = json!({"audience": "model", "cookie": "tok", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    guarded
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_cookie_is_believed_and_removed_wherever_it_stands_and_no_other_cookie_is_lost() -> Result<()> {
    let versions = Versions::start().await?;
    let mut testers = route(1, 0);
    testers["overrides"] = json!([{"variant": "canary"}]);
    let good = format!("tok={}", token("canary"));
    let forged = jws(OTHER_KEY, "k1", &json!({"aud": "model", "variant": "canary", "exp": now() + 60}));
    let forged = format!("tok={forged}");
    let among = format!("a=1; {good}; b=2,3");
    for route in read_both_ways(&testers) {
        let envoy = versions.envoy()?.env("HEADGATE_KEY_K1", KEY).configuration(&guarded(route)).start().await?;
        for mut client in both_protocols(&envoy).await? {
            let cases: [(&[&str], &str, &[&str]); 7] = [
                (&[&good], "canary", &[]),
                (&["a=1", &good, "b=2"], "canary", &["a=1", "b=2"]),
                (&["x=\"7,8\"", &among, "y=z; q"], "canary", &["x=\"7,8\"", "a=1", "b=2,3", "y=z", "q"]),
                (&["a=1", "b=2", &good, &good], "canary", &["a=1", "b=2"]),
                (&["a=1", &forged, "b=2"], "stable", &["a=1", "b=2"]),
                // The first of two counts, and both are removed.
                (&["a=1", &forged, &good], "stable", &["a=1"]),
                (&["a=1", "xtok=1", "tok2=1, tok=1"], "stable", &["a=1", "xtok=1", "tok2=1, tok=1"]),
            ];
            for (cookies, expected, kept) in cases {
                assert_eq!(client.get("/", &lines(cookies)).await?.upstream(), expected, "{cookies:?}");
                let version = if expected == "canary" { &versions.canary } else { &versions.stable };
                assert_eq!(arrived(&version.last()?), kept, "{cookies:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_cookie_is_removed_from_every_line_also_where_nothing_is_decided() -> Result<()> {
    let versions = Versions::start().await?;
    let mut elsewhere = guarded(route(1, 0));
    elsewhere["routes"][0]["match"] = json!({"hosts": ["other.example"]});
    let mut killed = guarded(route(1, 0));
    killed["killSwitch"] = json!(true);
    for configuration in [elsewhere, killed] {
        let envoy = versions.envoy()?.env("HEADGATE_KEY_K1", KEY).configuration(&configuration).start().await?;
        for mut client in both_protocols(&envoy).await? {
            let cookies = ["a=1; tok=secret", "tok=secret", "b=\u{7f51}", "tok=\"s,e\"; c=3"];
            let mut request = client.build(hyper::Method::GET, "/", &[], headgate_tests::empty())?;
            for line in cookies {
                request.headers_mut().append("cookie", hyper::header::HeaderValue::from_bytes(line.as_bytes())?);
            }
            assert_eq!(client.send(request).await?.upstream(), "stable");
            assert_eq!(arrived(&versions.stable.last()?), ["a=1", "b=\u{7f51}", "c=3"]);
        }
    }
    Ok(())
}
