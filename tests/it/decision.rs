//! Who gets what: the hash, lists, segments, overrides, the kill.

use headgate_tests::{Envoy, Result};
use serde_json::json;

use crate::fixture::{Versions, config, route};
use crate::signing::{KEY, OTHER_KEY, jws, now, token};
use crate::split::{listed, split};

/// The name of who answered a user.
async fn user(client: &mut headgate_tests::Client, key: &str) -> Result<String> {
    Ok(client.get("/", &[("x-user-id", key)]).await?.upstream())
}

async fn reasons(envoy: &Envoy) -> Result<std::collections::BTreeMap<String, u64>> {
    let mut all = envoy.metrics().await?.by("headgate_requests", "reason", &[]);
    all.retain(|_, count| *count > 0);
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn sticky_percentages_are_the_defined_split_for_each_key() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&config(1, route(70, 30))).start().await?;
    let mut clients = [envoy.http1().await?, envoy.http2().await?];
    for n in 0..300 {
        let key = format!("user-{n}");
        let expected = split("model", &[("stable", 70), ("canary", 30)], &key);
        for client in &mut clients {
            assert_eq!(user(client, &key).await?, expected, "{key}");
        }
    }
    assert_eq!(versions.stable.count() + versions.canary.count(), 600);
    assert_eq!(reasons(&envoy).await?, [("hash".to_owned(), 600)].into());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weight_that_grows_moves_users_only_to_its_variant() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(90, 10))).start().await?;
    let mut client = envoy.http1().await?;
    let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let mut before = Vec::new();
    for key in &keys {
        before.push(user(&mut client, key).await?);
    }
    envoy.push(&config(2, route(90, 60))).await?;
    let mut moved = 0;
    for (key, old) in keys.iter().zip(&before) {
        let new = user(&mut client, key).await?;
        assert_eq!(new, split("model", &[("stable", 90), ("canary", 60)], key));
        if new != *old {
            assert_eq!((old.as_str(), new.as_str()), ("stable", "canary"), "{key}");
            moved += 1;
        }
    }
    assert!(moved > 0);
    Ok(())
}

/// What the default route leads to is served by it, before and after a kill, and counted as served by the right cluster.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_route_serves_its_variant_untold() -> Result<()> {
    let versions = Versions::start().await?;
    let untold = |weights: [u32; 2]| {
        let mut route = route(weights[0], weights[1]);
        route["output"] = json!({"defaultRoute": "stable"});
        route
    };
    let envoy = versions.envoy()?.configuration(&config(1, untold([50, 50]))).start().await?;
    let mut client = envoy.http1().await?;
    let mut canaries = 0;
    for n in 0..200 {
        let key = format!("user-{n}");
        let expected = split("model", &[("stable", 50), ("canary", 50)], &key);
        assert_eq!(user(&mut client, &key).await?, expected, "{key}");
        canaries += u64::from(expected == "canary");
    }
    let mut killed = config(2, untold([50, 50]));
    killed["killSwitch"] = json!(true);
    envoy.push(&killed).await?;
    for n in 0..20 {
        assert_eq!(user(&mut client, &format!("user-{n}")).await?, "stable");
    }
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_requests", &[("variant", "stable")]), 220 - canaries);
    assert_eq!(metrics.sum("headgate_requests", &[("variant", "canary")]), canaries);
    assert_eq!(metrics.sum("headgate_misrouted", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_by_text_and_by_hash_win_over_the_weights() -> Result<()> {
    let versions = Versions::start().await?;
    let mut included = route(1, 0);
    included["include"] =
        json!([{"variant": "canary", "keys": ["alice"]}, {"variant": "canary", "hashes": [listed("bob")]}]);
    let envoy = versions.envoy()?.configuration(&config(1, included)).start().await?;
    let mut client = envoy.http1().await?;
    for (key, expected) in [("alice", "canary"), ("bob", "canary"), ("carol", "stable"), ("Alice", "stable")] {
        assert_eq!(user(&mut client, key).await?, expected, "{key}");
    }
    assert_eq!(reasons(&envoy).await?, [("include".to_owned(), 2), ("hash".to_owned(), 2)].into());
    let mut excluded = route(0, 1);
    excluded["exclude"] =
        json!([{"variant": "canary", "keys": ["alice"]}, {"variant": "canary", "hashes": [listed("bob")]}]);
    envoy.push(&config(2, excluded)).await?;
    for (key, expected) in [("alice", "stable"), ("bob", "stable"), ("carol", "canary")] {
        assert_eq!(user(&mut client, key).await?, expected, "{key}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_has_weights_of_its_own() -> Result<()> {
    let versions = Versions::start().await?;
    let mut segmented = route(1, 0);
    segmented["segments"] = json!([{
        "name": "premium",
        "match": {"headers": [{"name": "x-tier", "exact": "premium"}]},
        "weights": {"canary": 1}
    }]);
    let envoy = versions.envoy()?.configuration(&config(1, segmented)).start().await?;
    let mut client = envoy.http1().await?;
    for (tier, expected) in [("premium", "canary"), ("basic", "stable"), ("premium2", "stable")] {
        let answer = client.get("/", &[("x-user-id", "alice"), ("x-tier", tier)]).await?;
        assert_eq!(answer.upstream(), expected, "{tier}");
    }
    let segments = envoy.metrics().await?.by("headgate_requests", "segment", &[("reason", "hash")]);
    assert_eq!(segments, [("default".to_owned(), 2), ("premium".to_owned(), 1)].into());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_key_is_stable_or_random_as_configured() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&config(1, route(0, 1))).start().await?;
    let mut client = envoy.http1().await?;
    assert_eq!(client.get("/", &[]).await?.upstream(), "stable");
    assert_eq!(client.get("/", &[("x-user-id", "")]).await?.upstream(), "stable");
    let mut random = route(1, 1);
    random["key"]["absent"] = json!("random");
    envoy.push(&config(2, random)).await?;
    let (stable, canary) = (versions.stable.count(), versions.canary.count());
    // 200 fair draws that all fall on one side: once in 2^199.
    for _ in 0..200 {
        client.get("/", &[]).await?;
    }
    assert!(versions.stable.count() > stable && versions.canary.count() > canary);
    assert_eq!(reasons(&envoy).await?, [("no_key".to_owned(), 2), ("random".to_owned(), 200)].into());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_by_header_cookie_and_query_match_exactly_by_prefix_regex_and_set() -> Result<()> {
    let versions = Versions::start().await?;
    let mut overridden = route(1, 0);
    overridden["overrides"] = json!([
        {"header": "x-canary", "exact": "always", "variant": "canary", "openToAnyone": true},
        {"cookie": "canary", "prefix": "v2", "variant": "canary", "openToAnyone": true},
        {"query": "version", "regex": "v2\\.[0-9]+", "variant": "canary", "openToAnyone": true},
        {"query": "pick", "oneOf": ["a b", "c"], "variant": "canary", "openToAnyone": true}
    ]);
    let envoy = versions.envoy()?.configuration(&config(1, overridden)).start().await?;
    let mut client = envoy.http1().await?;
    let cases = [
        ("/", Some(("x-canary", "always")), "canary"),
        ("/", Some(("X-Canary", "always")), "canary"),
        ("/", Some(("x-canary", "Always")), "stable"),
        ("/", Some(("x-canary", "always2")), "stable"),
        ("/", Some(("cookie", "a=b; canary=v2.7; c=d")), "canary"),
        ("/", Some(("cookie", "canary=\"v2\"")), "canary"),
        ("/", Some(("cookie", "xcanary=v2")), "stable"),
        ("/?version=v2.31", None, "canary"),
        ("/?a=1&version=v2%2E3", None, "canary"),
        ("/?version=v2.", None, "stable"),
        ("/?version=xv2.3", None, "stable"),
        ("/?pick=a+b", None, "stable"),
        ("/?pick=a%20b", None, "canary"),
        ("/?pick=b", None, "stable"),
        ("/", None, "stable"),
    ];
    for (path, header, expected) in cases {
        let answer = client.get(path, header.as_slice()).await?;
        assert_eq!(answer.upstream(), expected, "{path} {header:?}");
    }
    assert_eq!(reasons(&envoy).await?, [("override".to_owned(), 7), ("no_key".to_owned(), 8)].into());
    assert_eq!(envoy.metrics().await?.sum("headgate_requests", &[("assigned", "hash")]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_override_needs_a_token_which_no_upstream_sees() -> Result<()> {
    let versions = Versions::start().await?;
    let mut closed = config(1, route(1, 0));
    closed["tokens"] =
        json!({"audience": "model", "cookie": "headgate_token", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    closed["routes"][0]["overrides"] =
        json!([{"header": "x-canary", "exact": "always", "variant": "canary"}, {"variant": "canary"}]);
    let envoy = versions.envoy()?.env("HEADGATE_KEY_K1", KEY).configuration(&closed).start().await?;
    let mut client = envoy.http1().await?;
    let good = token("canary");
    assert_eq!(client.get("/", &[("x-canary", "always")]).await?.upstream(), "stable");
    assert_eq!(client.get("/", &[("x-headgate-token", &good)]).await?.upstream(), "canary");
    assert_eq!(versions.canary.last()?.header("x-headgate-token"), None);
    let cookie = format!("a=b; headgate_token={good}; c=d");
    assert_eq!(client.get("/", &[("cookie", &cookie)]).await?.upstream(), "canary");
    let left = versions.canary.last()?.header("cookie").unwrap_or_default().to_owned();
    assert!(!left.contains("headgate_token") && left.contains("a=b") && left.contains("c=d"), "{left}");

    let claims = |aud: &str, variant: &str, exp: u64| json!({"aud": aud, "variant": variant, "exp": exp});
    let fine = claims("model", "canary", now() + 60);
    let refused = [
        ("malformed", "no.token".to_owned()),
        ("malformed", "é".to_owned()),
        ("unknown_key", jws(KEY, "k9", &fine)),
        ("signature", jws(OTHER_KEY, "k1", &fine)),
        ("audience", jws(KEY, "k1", &claims("shop", "canary", now() + 60))),
        ("expired", jws(KEY, "k1", &claims("model", "canary", now() - 60))),
        ("too_long", jws(KEY, "k1", &claims("model", "canary", now() + 90_000))),
        ("variant", jws(KEY, "k1", &claims("model", "gone", now() + 60))),
    ];
    for (reason, bad) in &refused {
        let faults = [("reason", *reason)];
        let before = envoy.metrics().await?.sum("headgate_bad_tokens", &faults);
        let answer = client.get("/", &[("x-headgate-token", bad)]).await?;
        assert_eq!(answer.upstream(), "stable", "{reason}: {bad}");
        assert_eq!(versions.stable.last()?.header("x-headgate-token"), None);
        assert_eq!(envoy.metrics().await?.sum("headgate_bad_tokens", &faults), before + 1, "{reason}: {bad}");
    }
    assert_eq!(envoy.metrics().await?.sum("headgate_bad_tokens", &[]), 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_wins_over_every_override_and_stops_copies() -> Result<()> {
    let versions = Versions::start().await?;
    let mut killed = config(1, route(0, 1));
    killed["routes"][0]["overrides"] =
        json!([{"header": "x-canary", "exact": "always", "variant": "canary", "openToAnyone": true}]);
    killed["routes"][0]["include"] = json!([{"variant": "canary", "keys": ["alice"]}]);
    killed["routes"][0]["mirror"] = json!({"share": 10_000});
    let alive = killed.clone();
    killed["killSwitch"] = json!(true);
    let envoy = versions.envoy()?.configuration(&killed).start().await?;
    let mut client = envoy.http1().await?;
    for headers in [&[("x-canary", "always")], &[("x-user-id", "alice")], &[("x-user-id", "bob")]] {
        assert_eq!(client.get("/", headers).await?.upstream(), "stable");
    }
    let mut route_killed = alive.clone();
    route_killed["revision"] = json!(2);
    route_killed["routes"][0]["killSwitch"] = json!(true);
    envoy.push(&route_killed).await?;
    assert_eq!(client.get("/", &[("x-canary", "always")]).await?.upstream(), "stable");
    assert_eq!(reasons(&envoy).await?, [("kill".to_owned(), 4)].into());
    assert_eq!(versions.canary.count(), 0);
    let mut revived = alive;
    revived["revision"] = json!(3);
    envoy.push(&revived).await?;
    assert_eq!(client.get("/", &[("x-canary", "always")]).await?.upstream(), "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_own_kill_works_without_the_filters_help() -> Result<()> {
    let versions = Versions::start().await?;
    let mut mirrored = route(0, 1);
    mirrored["mirror"] = json!({"share": 10_000});
    let envoy = versions.envoy()?.configuration(&config(1, mirrored)).start().await?;
    let mut client = envoy.http1().await?;
    assert_eq!(user(&mut client, "alice").await?, "canary");
    envoy.admin().runtime("headgate.enabled", "0").await?;
    headgate_tests::wait_until("the runtime's kill is in force", || async {
        Ok(user(&mut envoy.http1().await?, "alice").await? == "stable")
    })
    .await?;
    let before = versions.canary.count();
    for n in 0..50 {
        assert_eq!(user(&mut client, &format!("user-{n}")).await?, "stable");
    }
    assert_eq!(versions.canary.count(), before);
    envoy.admin().runtime("headgate.enabled", "100").await?;
    headgate_tests::wait_until("the runtime's kill is lifted", || async {
        Ok(user(&mut envoy.http1().await?, "alice").await? == "canary")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_routes_the_first_that_matches_decides() -> Result<()> {
    let versions = Versions::start().await?;
    let mut both = config(1, route(0, 1));
    let mut second = route(1, 0);
    both["routes"][0]["match"] = json!({"hosts": ["model.example"], "path": {"prefix": "/v1/"}, "methods": ["GET"]});
    second["name"] = json!("rest");
    second["match"] = json!({"path": {"regex": "/models/[a-z]+"}, "query": [{"name": "beta", "present": true}]});
    second["overrides"] = json!([{"query": "beta", "exact": "1", "variant": "canary", "openToAnyone": true}]);
    both["routes"].as_array_mut().expect("routes").push(second);
    let envoy = versions.envoy()?.configuration(&both).start().await?;
    let mut client = envoy.http1().await?;
    let key = [("x-user-id", "alice")];
    for (path, expected) in [
        ("/v1/predict", "canary"),
        ("/v2/predict", "stable"),
        ("/models/abc?beta=1", "canary"),
        ("/models/abc", "stable"),
    ] {
        assert_eq!(client.get(path, &key).await?.upstream(), expected, "{path}");
    }
    let post = client.request(hyper::Method::POST, "/v1/predict", &key, headgate_tests::empty()).await?;
    assert_eq!(post.upstream(), "stable");
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.by("headgate_requests", "route", &[]), [("model".to_owned(), 1), ("rest".to_owned(), 1)].into());
    assert_eq!(metrics.sum("headgate_unmatched", &[]), 3);
    Ok(())
}
