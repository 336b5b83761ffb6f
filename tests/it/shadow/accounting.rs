//! Compared, refused, dropped and failed are together what was sampled, whatever the shadow, the user or the operator does.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use headgate_tests::{Bootstrap, Conduct, Result, WebSocket, body, streamed, wait_until};
use hyper::Method;
use hyper::body::Frame;
use serde_json::json;

use super::world::{Account, World, quiet, shadowed};

const USER: [(&str, &str); 1] = [("x-user-id", "alice")];

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_is_down_hung_or_resets_fails_nobody_else() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({"timeoutMs": 50}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        world.shadow.behave(Conduct { hanging: 1, ..Conduct::default() });
        for _ in 0..5 {
            assert_eq!(client.get("/", &USER).await?.status, 200);
        }
        let (_, metrics) = quiet(&envoy, 5).await?;
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "timeout")]), 5);
        world.shadow.behave(Conduct { resetting: 1, ..Conduct::default() });
        // One more in succession, and it would be left in peace.
        for _ in 0..4 {
            assert_eq!(client.get("/", &USER).await?.status, 200);
        }
        let (_, metrics) = quiet(&envoy, 9).await?;
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "unreachable")]), 4);
        // What it answers itself is an answer.
        world.shadow.behave(Conduct { failing: 1, ..Conduct::default() });
        for _ in 0..5 {
            assert_eq!(client.get("/", &USER).await?.status, 200);
        }
        let (account, metrics) = quiet(&envoy, 14).await?;
        assert_eq!((account.compared, account.failed), (5, 9));
        assert_eq!(metrics.sum("headgate_shadow_mismatches", &[("kind", "status")]), 5);
        assert_eq!(metrics.sum("headgate_shadow_replicate_failures", &[("side", "shadow")]), 14);
        assert_eq!(metrics.sum("headgate_shadow_replicate_failures", &[("side", "primary")]), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_is_not_there_is_unreachable_and_one_without_a_cluster_not_sent() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let envoy = world.envoy(json!({}))?.cluster("model-v2", closed).concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        assert_eq!(client.get("/", &USER).await?.status, 200);
        let (_, metrics) = quiet(&envoy, 1).await?;
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "unreachable")]), 1);
        envoy.push(&shadowed(2, json!({"cluster": "nowhere"}))).await?;
        assert_eq!(client.get("/", &USER).await?.status, 200);
        let (_, metrics) = quiet(&envoy, 2).await?;
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "not_sent")]), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_breaker_costs_a_copy_and_nothing_else() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let bootstrap = Bootstrap::filter_state()?.edit(|document| {
            for cluster in document["static_resources"]["clusters"].as_array_mut().unwrap() {
                if cluster["name"] == "model-v2" {
                    cluster["circuit_breakers"] = json!({"thresholds": [{"max_requests": 0}]});
                }
            }
        });
        let envoy = world.behind(bootstrap, json!({}))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        for _ in 0..3 {
            assert_eq!(client.get("/", &USER).await?.status, 200);
        }
        // Envoy refuses the call, or answers it with a 503 of its own where it opens a connection in spite of the breaker.
        let (account, metrics) = quiet(&envoy, 3).await?;
        assert_eq!((account.failed, world.shadow.count()), (3, 0));
        let reasons = ["not_sent", "unreachable"].map(|why| metrics.sum("headgate_shadow_failed", &[("reason", why)]));
        assert_eq!(reasons[0] + reasons[1], 3, "{reasons:?}");
        assert!(reasons[0] > 0, "{reasons:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_copied_is_refused_by_its_reason() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world
            .envoy(json!({"methods": ["GET", "POST"], "maxBodyBytes": 1_000}))?
            .concurrency(workers)
            .start()
            .await?;
        let mut client = envoy.http1().await?;
        client.request(Method::POST, "/", &USER, body(vec![1_u8; 1_001])).await?;
        client.request(Method::POST, "/", &USER, body(vec![1_u8; 1_000])).await?;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move { sender.send(Frame::data(Bytes::from_static(b"some"))).await });
        client.request(Method::POST, "/", &USER, streamed(receiver)).await?;
        // Of gRPC, whose requests seldom say how long they are, it shows while they come.
        let mut grpc = envoy.http2().await?;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let message = [b"\0\0\0\x04\0".as_slice(), &[7; 1_024]].concat();
        tokio::spawn(async move { sender.send(Frame::data(Bytes::from(message))).await });
        let headers = [USER[0], ("content-type", "application/grpc"), ("te", "trailers")];
        let answer = grpc.request(Method::POST, "/model.Score/Once", &headers, streamed(receiver)).await?;
        assert_eq!(answer.trailers["grpc-status"], "0");
        client.request(Method::PUT, "/", &USER, body("x")).await?;
        client.get("/", &[("x-user-id", "alice"), ("x-headgate-copy", "1")]).await?;
        let mut socket = WebSocket::open(envoy.ingress(), &USER).await?;
        assert_eq!(socket.say("hello").await?, "hello");
        socket.close().await?;
        let (account, metrics) = quiet(&envoy, 7).await?;
        assert_eq!(account, Account { sampled: 7, compared: 1, refused: 6, dropped: 0, failed: 0 });
        for (reason, times) in [("too_large", 2), ("unknown_length", 1), ("method", 1), ("marked", 1), ("upgrade", 1)] {
            assert_eq!(metrics.sum("headgate_shadow_refused", &[("reason", reason)]), times, "{reason}");
        }
        assert_eq!(world.shadow.count(), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_budget_nothing_is_copied() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let mut configuration = shadowed(1, json!({"methods": ["GET", "POST"]}));
        configuration["shadowing"] = json!({"budget": {"inFlight": 2}});
        let envoy = world.envoy(json!({}))?.configuration(&configuration).concurrency(workers).start().await?;
        // Two are open while the others come.
        let mut client = envoy.http1().await?;
        for _ in 0..5 {
            world.stable.release();
            assert_eq!(client.get("/hold", &USER).await?.status, 200);
        }
        let metrics = envoy.metrics().await?;
        assert_eq!(metrics.sum("headgate_shadow_dropped", &[("reason", "in_flight")]), 3);
        world.shadow.release();
        world.shadow.release();
        assert_eq!(quiet(&envoy, 5).await?.0, Account { sampled: 5, compared: 2, refused: 0, dropped: 3, failed: 0 });
        configuration["revision"] = json!(2);
        configuration["shadowing"] = json!({"budget": {"bytes": 65_536}});
        configuration["routes"][0]["shadow"]["maxBodyBytes"] = json!(65_536);
        envoy.push(&configuration).await?;
        let answer = client.request(Method::POST, "/", &USER, body(vec![0_u8; 65_400])).await?;
        assert_eq!(answer.status, 200);
        let (account, metrics) = quiet(&envoy, 6).await?;
        assert_eq!((account.dropped, metrics.sum("headgate_shadow_dropped", &[("reason", "bytes")])), (4, 1));
        configuration["revision"] = json!(3);
        configuration["shadowing"] = json!({"budget": {"perSecond": 1}});
        envoy.push(&configuration).await?;
        for _ in 0..20 {
            client.get("/", &USER).await?;
        }
        let (account, metrics) = quiet(&envoy, 26).await?;
        assert!(metrics.sum("headgate_shadow_dropped", &[("reason", "rate")]) > 0, "{account:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_replaces_another_leaves_no_copy_unaccounted() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({}))?.concurrency(workers).start().await?;
        // The user is served, the shadow has not answered when the configuration goes.
        let mut client = envoy.http1().await?;
        world.stable.release();
        client.get("/hold", &USER).await?;
        wait_until("the shadow has it", || async { Ok(world.shadow.count() == 1) }).await?;
        // This one is open on both sides.
        let mut other = envoy.http1().await?;
        let held = tokio::spawn(async move { other.get("/hold", &USER).await });
        wait_until("both have it", || async { Ok((world.stable.count(), world.shadow.count()) == (2, 2)) }).await?;
        envoy.push(&shadowed(2, json!({}))).await?;
        client.get("/", &USER).await?;
        world.stable.release();
        held.await??;
        world.shadow.release();
        world.shadow.release();
        let (account, metrics) = quiet(&envoy, 3).await?;
        assert_eq!(account.compared + account.failed, 3, "{account:?}");
        assert!(account.compared >= 1, "{account:?}");
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "reconfigured")]), account.failed);
        // What is in force compares on.
        client.get("/", &USER).await?;
        let (after, _) = quiet(&envoy, 4).await?;
        assert_eq!(after.compared, account.compared + 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_stops_copies_even_of_requests_that_are_still_coming() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let more = json!({"methods": ["GET", "POST"]});
        let envoy = world.envoy(more.clone())?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        // Of known length, but not all of it yet.
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let user = [("x-user-id", "alice"), ("content-length", "8")];
        let coming = tokio::spawn(async move { client.request(Method::POST, "/", &user, streamed(receiver)).await });
        sender.send(Frame::data(Bytes::from_static(b"half"))).await?;
        wait_until("it is sampled", || async {
            Ok(envoy.admin().metrics().await?.sum("headgate_shadow_sampled", &[]) == 1)
        })
        .await?;
        let mut killed = shadowed(2, more.clone());
        killed["routes"][0]["killSwitch"] = json!(true);
        envoy.push(&killed).await?;
        sender.send(Frame::data(Bytes::from_static(b"half"))).await?;
        drop(sender);
        assert_eq!(coming.await??.status, 200);
        let (_, metrics) = quiet(&envoy, 1).await?;
        assert_eq!(metrics.sum("headgate_shadow_failed", &[("reason", "killed")]), 1);
        let mut client = envoy.http1().await?;
        client.get("/", &USER).await?;
        let mut killed = shadowed(3, more);
        killed["killSwitch"] = json!(true);
        envoy.push(&killed).await?;
        client.get("/", &USER).await?;
        assert_eq!(quiet(&envoy, 1).await?.0.sampled, 1);
        assert_eq!((world.shadow.count(), world.stable.count()), (0, 3));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_shadow_is_waited_for_and_the_user_is_not() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({}))?.concurrency(workers).start().await?;
        world.shadow.behave(Conduct { late: Duration::from_millis(300), ..Conduct::default() });
        let mut client = envoy.http1().await?;
        for _ in 0..3 {
            assert_eq!(client.get("/", &USER).await?.status, 200);
        }
        assert_eq!(envoy.admin().metrics().await?.sum("headgate_shadow_compared", &[]), 0);
        let (account, metrics) = quiet(&envoy, 3).await?;
        assert_eq!(account.compared, 3);
        let latency = |side| metrics.sum("headgate_shadow_replicate_latency_us", &[("side", side)]);
        assert!(latency("shadow") >= 900_000 && latency("primary") > 0, "{} {}", latency("primary"), latency("shadow"));
        // Envoy shows a histogram after its next flush.
        wait_until("both sides' latencies are there", || async {
            let by = envoy.admin().metrics().await?.by("headgate_shadow_latency_us_count", "side", &[]);
            Ok(by.into_iter().eq([("primary".to_owned(), 3), ("shadow".to_owned(), 3)]))
        })
        .await?;
    }
    Ok(())
}
