//! A client's routing header is never believed and never passed on, on any path through the filter.

use headgate_tests::{Bootstrap, Envoy, Result, raw};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};

const NONCE: &str = "6f1d2c9ab4e87350";

/// Every header that is the filter's own, configured.
fn guarded(revision: u64) -> Value {
    let mut guarded = config(revision, route(1, 0));
    guarded["tokens"] = json!({"audience": "model", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    guarded["decisions"] = json!({"audience": "mesh", "keys": [{"id": "d1", "env": "HEADGATE_KEY_D1"}]});
    let route = &mut guarded["routes"][0];
    route["output"] = json!({"filterState": null, "requestHeader": {"name": "x-headgate-variant", "nonce": NONCE}});
    route["mirror"] =
        json!({"share": 0, "filterState": null, "requestHeader": {"name": "x-headgate-mirror", "nonce": NONCE}});
    guarded
}

/// Ways to write a header that is not the client's to send.
fn forgeries() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for name in ["x-headgate-variant", "x-headgate-mirror", "x-headgate-token", "x-headgate-decisions"] {
        let odd: String =
            name.chars().enumerate().map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect();
        let mixed = [name.replacen('-', "_", 1), name.to_ascii_uppercase().replace("-HEADGATE-", "-HEADGATE_")];
        let whole = [name.to_owned(), odd, name.to_ascii_uppercase(), name.replace('-', "_")];
        for spelling in whole.into_iter().chain(mixed) {
            for value in
                ["canary", "canary.6f1d2c9ab4e87350", "6f1d2c9ab4e87350", "1", "stable, canary", "", " canary "]
            {
                all.push(format!("{spelling}: {value}\r\n").into_bytes());
            }
            all.push(format!("{spelling}: stable\r\n{spelling}: canary\r\n").into_bytes());
            all.push([spelling.as_bytes(), b": \xff\xfecanary\x80\r\n"].concat());
        }
    }
    all
}

/// Sends each forgery, and checks that stable answers and sees none of it. `may_see_own`: the filter's own header is there.
async fn refuse_all(versions: &Versions, envoy: &Envoy) -> Result<usize> {
    let forgeries = forgeries();
    for forged in &forgeries {
        versions.stable.forget();
        let head = [b"GET / HTTP/1.1\r\nhost: model.example\r\nconnection: close\r\n", &forged[..], b"\r\n"].concat();
        let answer = raw(envoy.ingress(), &head).await?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let said = String::from_utf8_lossy(forged).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("x-upstream: stable"), "{said}: {text}");
        for (name, value) in &versions.stable.last()?.headers {
            let name = name.as_str().replace('_', "-");
            let own = name == "x-headgate-variant" && value == &format!("stable.{NONCE}");
            assert!(own || !name.starts_with("x-headgate"), "{said} arrived as {name}: {value:?}");
        }
    }
    assert_eq!(versions.canary.count(), 0);
    Ok(forgeries.len())
}

/// The bootstrap with header routing, with and without Envoy's own removal of the header.
fn unprotected() -> Result<Bootstrap> {
    let mut bootstrap = Bootstrap::header()?;
    let manager = bootstrap.manager("ingress")?.as_object_mut().expect("an object");
    assert!(manager.remove("early_header_mutation_extensions").is_some());
    Ok(bootstrap)
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_are_removed_when_a_route_matches() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.behind(unprotected()?).configuration(&guarded(1)).start().await?;
    let sent = refuse_all(&versions, &envoy).await?;
    let metrics = envoy.metrics().await?;
    let counted = metrics.by("headgate_forged_headers", "header", &[]);
    // Six spellings of each of four names, of which three have underscores; the others are one name to HTTP.
    let each = u64::try_from(sent / 24)?;
    for name in ["x-headgate-variant", "x-headgate-mirror"] {
        assert_eq!(counted[name], 3 * each, "{counted:?}");
    }
    for name in ["variant", "mirror", "token", "decisions"] {
        for prefix in ["x_headgate_", "x_headgate-", "x-headgate_"] {
            assert_eq!(counted[&format!("{prefix}{name}")], each, "{counted:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_are_removed_when_no_route_matches() -> Result<()> {
    let versions = Versions::start().await?;
    let mut elsewhere = guarded(1);
    elsewhere["routes"][0]["match"] = json!({"hosts": ["other.example"]});
    let envoy = versions.behind(unprotected()?).configuration(&elsewhere).start().await?;
    let sent = refuse_all(&versions, &envoy).await?;
    assert_eq!(envoy.metrics().await?.sum("headgate_unmatched", &[]), u64::try_from(sent)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_are_removed_while_the_kill_switch_is_on() -> Result<()> {
    let versions = Versions::start().await?;
    let mut killed = guarded(1);
    killed["killSwitch"] = json!(true);
    let envoy = versions.behind(unprotected()?).configuration(&killed).start().await?;
    refuse_all(&versions, &envoy).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_are_removed_when_only_a_newer_contracts_kill_is_understood() -> Result<()> {
    let versions = Versions::start().await?;
    let mut newer = guarded(7);
    newer["contract"] = json!(2);
    newer["killSwitch"] = json!(true);
    newer["routes"][0]["variants"] = json!("told another way");
    let envoy = versions.behind(unprotected()?).configuration(&newer).start().await?;
    refuse_all(&versions, &envoy).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_header_chooses_nothing_even_without_the_filter() -> Result<()> {
    let versions = Versions::start().await?;
    let bootstrap = Bootstrap::header()?;
    let envoy =
        versions.behind(bootstrap).wasm("/nowhere/headgate.wasm".as_ref()).without_waiting_for_filter().start().await?;
    let mut client = envoy.http1().await?;
    // Even who knows the nonce: Envoy itself removes the header first.
    for value in ["canary", "canary.6f1d2c9ab4e87350"] {
        assert_eq!(client.get("/", &[("x-headgate-variant", value)]).await?.upstream(), "stable");
    }
    assert_eq!(versions.stable.last()?.header("x-headgate-variant"), None);
    Ok(())
}

/// A backend that takes `_` for `-` must not be told another version than the filter's.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_with_underscores_of_a_routing_header_passes_the_bootstrap_for_headers() -> Result<()> {
    let versions = Versions::start().await?;
    for filtered in [true, false] {
        let mut builder = versions.behind(Bootstrap::header()?).configuration(&guarded(1));
        if !filtered {
            builder = builder.wasm("/nowhere/headgate.wasm".as_ref()).without_waiting_for_filter();
        }
        let envoy = builder.start().await?;
        for mut client in [envoy.http1().await?, envoy.http2().await?] {
            for prefix in ["x-headgate-", "x_headgate_", "x_headgate-", "x-headgate_"] {
                for forged in ["variant", "mirror"].map(|name| format!("{prefix}{name}")) {
                    assert_eq!(client.get("/", &[(&forged, &format!("canary.{NONCE}"))]).await?.upstream(), "stable");
                    let seen = versions.stable.last()?.headers;
                    let headers = seen.keys().map(|name| name.as_str().replace('_', "-"));
                    let left: Vec<_> = headers.filter(|name| name.starts_with("x-headgate")).collect();
                    assert_eq!(left, if filtered { vec!["x-headgate-variant"] } else { vec![] }, "{forged}: {seen:?}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_similar_names_are_not_touched() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.behind(unprotected()?).configuration(&guarded(1)).start().await?;
    let mut client = envoy.http1().await?;
    let near = ["x-headgate-variants", "x-headgate-varian", "headgate-variant", "x-headgate", "xx-headgate-variant"];
    let headers: Vec<(&str, &str)> = near.iter().map(|name| (*name, "canary")).collect();
    assert_eq!(client.get("/", &headers).await?.upstream(), "stable");
    let seen = versions.stable.last()?;
    for name in near {
        assert_eq!(seen.header(name), Some("canary"), "{name}");
    }
    assert_eq!(envoy.metrics().await?.sum("headgate_forged_headers", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_filter_state_no_header_of_a_client_chooses_the_version() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(1, 0))).start().await?;
    let mut client = envoy.http1().await?;
    for name in ["wasm.variant", "variant", "x-headgate-variant", "wasm-variant"] {
        assert_eq!(client.get("/", &[(name, "canary"), ("x-user-id", "alice")]).await?.upstream(), "stable", "{name}");
    }
    Ok(())
}

/// A header that is removed makes Envoy choose the route anew, so the filter does not ask for that once more: the
/// filter state that it set before still chooses.
#[tokio::test(flavor = "multi_thread")]
async fn filter_state_chooses_the_version_of_a_request_with_a_forged_header() -> Result<()> {
    let versions = Versions::start().await?;
    let mut both = config(1, route(0, 1));
    both["tokens"] = json!({"audience": "model", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    let envoy = versions.envoy()?.configuration(&both).start().await?;
    let mut client = envoy.http1().await?;
    for forged in [&[][..], &[("x-headgate-token", "stable")], &[("x_headgate_token", "stable")]] {
        let headers: Vec<(&str, &str)> = forged.iter().copied().chain([("x-user-id", "alice")]).collect();
        assert_eq!(client.get("/", &headers).await?.upstream(), "canary", "{forged:?}");
        let seen = versions.canary.last()?;
        assert!(!seen.headers.keys().any(|name| name.as_str().contains("headgate")), "{:?}", seen.headers);
    }
    assert_eq!((versions.stable.count(), versions.canary.count()), (0, 3));
    assert_eq!(envoy.metrics().await?.by("headgate_forged_headers", "header", &[])["x_headgate_token"], 1);
    Ok(())
}
