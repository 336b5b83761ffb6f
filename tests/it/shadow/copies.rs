//! What a copy carries, and of whom.

use headgate_tests::{Bootstrap, Result, body, wait_until};
use hyper::Method;
use serde_json::json;

use super::world::{World, quiet, shadowed};
use crate::signing::{KEY, token};
use crate::split::bucket;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_the_request_but_for_its_mark_and_credentials() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let more = json!({
            "methods": ["POST"], "host": "shadow.example", "dropHeaders": ["cookie"],
            "replaceHeaders": [{"name": "authorization", "value": "Bearer shadow"}, {"name": "x-key", "env": "HEADGATE_SHADOW_KEY"}, {"name": "x-known", "env": "HEADGATE_KEY_D1"}]
        });
        let envoy = world.envoy(more)?.env("HEADGATE_SHADOW_KEY", "of-nobody").env("HEADGATE_KEY_D1", "of-the-shadow");
        let envoy = envoy.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let headers =
            [("x-user-id", "alice"), ("cookie", "sid=1"), ("authorization", "Bearer mine"), ("x-other", "stays")];
        let answer = client.request(Method::POST, "/score?a=b", &headers, body(vec![7_u8; 50_000])).await?;
        assert_eq!(answer.status, 200);
        assert_eq!(quiet(&envoy, 1).await?.0.compared, 1);
        wait_until("both bodies have come", || async {
            Ok(world.shadow.last()?.body_bytes == 50_000 && world.stable.last()?.body_bytes == 50_000)
        })
        .await?;
        let (copy, original) = (world.shadow.last()?, world.stable.last()?);
        assert_eq!((&copy.method, &copy.path, copy.body_hash), (&original.method, &original.path, original.body_hash));
        assert_eq!((copy.host.as_str(), original.host.as_str()), ("shadow.example", "model.example"));
        let told = |name| (copy.header(name), original.header(name));
        assert_eq!(told("cookie"), (None, Some("sid=1")));
        assert_eq!(told("authorization"), (Some("Bearer shadow"), Some("Bearer mine")));
        assert_eq!(told("x-other"), (Some("stays"), Some("stays")));
        assert_eq!(told("x-headgate-copy"), (Some("1"), None));
        assert_eq!(copy.header("x-request-id"), original.header("x-request-id"));
        // Envoy hands a VM only the variables that its `vm_config` names.
        assert_eq!((told("x-key"), told("x-known")), ((None, None), (Some("of-the-shadow"), None)));
    }
    Ok(())
}

/// What is cut off, removed or written by the filter reaches neither version.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_carries_no_token_and_nothing_that_only_the_filter_writes() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let mut configuration = shadowed(1, json!({}));
        configuration["tokens"] =
            json!({"audience": "model", "cookie": "tok", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
        configuration["routes"][0]["output"] = json!({"requestHeader": {"name": "x-decided"}});
        let envoy = world.envoy(json!({}))?.configuration(&configuration).env("HEADGATE_KEY_K1", KEY);
        let envoy = envoy.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let (token, user) = (token("canary"), ("x-user-id", "alice"));
        let cookie = format!("a=b; tok={token}; c=d");
        let requests: [&[(&str, &str)]; 4] = [
            &[user, ("cookie", "a=b; c=d")],
            &[user, ("cookie", &cookie)],
            &[user, ("cookie", "a=b; c=d"), ("x-headgate-token", &token)],
            &[user, ("cookie", "a=b; c=d"), ("x-decided", "forged"), ("x-headgate-copy", "0")],
        ];
        for (n, headers) in (1..).zip(requests) {
            assert_eq!(client.get("/", headers).await?.status, 200);
            let (account, _) = quiet(&envoy, n).await?;
            // A copy's mark is believed of anybody: marked requests are not copied.
            assert_eq!((account.compared, account.refused), (n.min(3), u64::from(n > 3)), "{headers:?}");
            let original = world.stable.last()?;
            assert_eq!((original.header("cookie"), original.header("x-headgate-token")), (Some("a=b; c=d"), None));
            let copy = world.shadow.last()?;
            let told = ["cookie", "x-headgate-token", "x-decided", "x-headgate-copy"].map(|name| copy.header(name));
            assert_eq!(told, [Some("a=b; c=d"), None, None, Some("1")], "{headers:?}, {workers} workers");
        }
        assert_eq!((world.stable.count(), world.shadow.count()), (4, 3));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_by_hash_copies_exactly_the_same_users_each_time() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({"share": 3_000}))?.concurrency(workers).start().await?;
        let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
        let mut chosen: Vec<&str> =
            keys.iter().map(String::as_str).filter(|key| bucket("model", "shadow", key, 10_000) < 3_000).collect();
        chosen.sort_unstable();
        for round in 1..=2 {
            let mut client = envoy.http1().await?;
            for key in &keys {
                assert_eq!(client.get("/", &[("x-user-id", key)]).await?.status, 200);
            }
            let account = quiet(&envoy, (chosen.len() * round) as u64).await?.0;
            assert_eq!(account.compared, account.sampled);
        }
        let seen = world.shadow.seen();
        let mut users: Vec<&str> = seen.iter().filter_map(|seen| seen.header("x-user-id")).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!(users, chosen);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundredth_of_a_percent_decides_over_a_user_and_at_random_over_a_request() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({"share": 0}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        let share = bucket("model", "shadow", "alice", 10_000);
        for (revision, share, copies) in [(2, share, 0), (3, share + 1, 5), (4, share, 5)] {
            envoy.push(&shadowed(revision, json!({"share": share}))).await?;
            for _ in 0..5 {
                client.get("/", &[("x-user-id", "alice")]).await?;
            }
            assert_eq!(quiet(&envoy, copies).await?.0.compared, copies, "{share}, {workers} workers");
        }
        // Of one user's requests some, and not all but with a probability of two in 2^200.
        envoy.push(&shadowed(5, json!({"share": 5_000, "by": "random"}))).await?;
        for _ in 0..200 {
            client.get("/", &[("x-user-id", "alice")]).await?;
        }
        let sampled = envoy.metrics().await?.sum("headgate_shadow_sampled", &[]);
        assert!((6..205).contains(&sampled), "{sampled}");
        assert_eq!(quiet(&envoy, sampled).await?.0.compared, sampled);
        assert_eq!(world.shadow.count() as u64, sampled);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_have_shares_of_their_own_and_are_counted_apart() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let mut configuration = shadowed(1, json!({"segments": {"premium": 0, "beta": 10_000}, "share": 10_000}));
        let segment = |name: &str| json!({"name": name, "match": {"headers": [{"name": "x-tier", "exact": name}]}, "weights": {"stable": 1}});
        configuration["routes"][0]["segments"] = json!([segment("premium"), segment("beta")]);
        let envoy = world.envoy(json!({}))?.configuration(&configuration).concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        for (tier, times) in [("premium", 3), ("beta", 2), ("none", 4)] {
            for _ in 0..times {
                client.get("/", &[("x-user-id", "alice"), ("x-tier", tier)]).await?;
            }
        }
        let (_, metrics) = quiet(&envoy, 6).await?;
        let by = metrics.by("headgate_shadow_compared", "segment", &[]);
        assert_eq!(by.into_iter().collect::<Vec<_>>(), [("beta".to_owned(), 2), ("default".to_owned(), 4)]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_goes_to_stable_for_its_share() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world
            .envoy(json!({"noise": {"cluster": "model-v1", "share": 5_000}}))?
            .concurrency(workers)
            .start()
            .await?;
        let mut client = envoy.http1().await?;
        for _ in 0..10 {
            client.get("/", &[("x-user-id", "alice")]).await?;
        }
        let (account, metrics) = quiet(&envoy, 10).await?;
        assert_eq!((account.compared, metrics.sum("headgate_shadow_noise", &[("result", "same")])), (10, 5));
        assert_eq!(world.stable.seen().iter().filter(|seen| seen.is_copy()).count(), 5);
        assert_eq!((world.stable.count(), world.shadow.count()), (15, 10));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_without_shadows_refuses_to_be_required_to() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world
            .envoy(json!({}))?
            .wasm(&headgate_tests::wasm()?)
            .configuration(&json!({"contract": 1, "revision": 0}));
        let envoy = envoy.concurrency(workers).start().await?;
        envoy.push_refused(&shadowed(1, json!({})).to_string()).await?;
        assert!(envoy.log()?.contains("this build lacks the feature `shadow`"));
        // Without being required it passes over it, and says so.
        let mut configuration = shadowed(2, json!({}));
        configuration["requires"] = json!([]);
        envoy.push(&configuration).await?;
        assert_eq!(envoy.metrics().await?.sum("headgate_unknown_fields", &[]), 1);
        let mut client = envoy.http1().await?;
        assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.status, 200);
        assert_eq!((world.shadow.count(), envoy.metrics().await?.names("headgate_shadow").len()), (0, 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_grpc_goes_over_http2_where_its_cluster_always_does() -> Result<()> {
    for workers in [1, 2] {
        // A gRPC message of five bytes, and no content-length.
        let message = || headgate_tests::body(&b"\0\0\0\0\x05hello"[..]);
        let headers = [("x-user-id", "alice"), ("te", "trailers"), ("content-type", "application/grpc")];
        let protocols = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        // Over HTTP/1.1 Envoy passes no trailers on, and with them goes the status.
        for (explicit, protocol, verdict) in [(false, "http1", "mismatched"), (true, "http2", "matched")] {
            let world = World::start().await?;
            let bootstrap = Bootstrap::filter_state()?.edit(|document| {
                for cluster in document["static_resources"]["clusters"].as_array_mut().unwrap() {
                    if cluster["name"] == "model-v2" && explicit {
                        cluster["typed_extension_protocol_options"][protocols] = json!({
                            "@type": format!("type.googleapis.com/{protocols}"),
                            "explicit_http_config": {"http2_protocol_options": {}}
                        });
                    }
                }
            });
            let envoy = world.behind(bootstrap, json!({"methods": ["POST"]}))?.concurrency(workers).start().await?;
            let mut client = envoy.http2().await?;
            let answer = client.request(Method::POST, "/model.Model/Score", &headers, message()).await?;
            assert_eq!(answer.trailers["grpc-status"], "0");
            let (account, metrics) = quiet(&envoy, 1).await?;
            assert_eq!((account.compared, metrics.sum("headgate_shadow_compared", &[("verdict", verdict)])), (1, 1));
            let name = format!("cluster.model-v2.upstream_cx_{protocol}_total");
            assert_eq!(envoy.admin().get(&format!("/stats?filter={name}")).await?.trim(), format!("{name}: 1"));
            assert_eq!(world.shadow.last()?.header("te"), Some("trailers"));
        }
    }
    Ok(())
}
