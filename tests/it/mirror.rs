//! Copies: how many, of whom, and never of what.

use bytes::Bytes;
use headgate_tests::{Envoy, Result, WebSocket, body, streamed, wait_until};
use hyper::Method;
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::split::bucket;

fn copied(share: u32, more: Value) -> Value {
    let mut route = route(1, 0);
    route["mirror"] = json!({"share": share});
    if let (Some(mirror), Value::Object(more)) = (route["mirror"].as_object_mut(), more) {
        mirror.extend(more);
    }
    config(1, route)
}

/// Waits until all copies that Envoy was told to send have arrived, and returns how many it was told.
async fn settled(versions: &Versions, envoy: &Envoy) -> Result<usize> {
    let told = usize::try_from(envoy.metrics().await?.sum("headgate_mirrored", &[]))?;
    wait_until(&format!("{told} copies have arrived"), || async { Ok(versions.canary.count() >= told) }).await?;
    assert_eq!(versions.canary.count(), told);
    assert!(versions.canary.seen().iter().all(headgate_tests::Seen::is_copy));
    assert!(versions.stable.seen().iter().all(|seen| !seen.is_copy()));
    Ok(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_by_hash_copies_exactly_the_same_users_each_time() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&copied(3_000, json!({}))).start().await?;
    let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let mut chosen: Vec<&str> =
        keys.iter().map(String::as_str).filter(|key| bucket("model", "mirror", key, 10_000) < 3_000).collect();
    chosen.sort_unstable();
    for round in 1..=2 {
        let mut client = envoy.http1().await?;
        for key in &keys {
            assert_eq!(client.get("/", &[("x-user-id", key)]).await?.upstream(), "stable");
        }
        assert_eq!(settled(&versions, &envoy).await?, chosen.len() * round);
    }
    let seen = versions.canary.seen();
    let mut users: Vec<&str> = seen.iter().filter_map(|seen| seen.header("x-user-id")).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users, chosen);
    assert_eq!(envoy.metrics().await?.sum("headgate_mirror_refused", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_carries_the_same_body() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&copied(10_000, json!({}))).start().await?;
    let mut client = envoy.http1().await?;
    let answer = client.request(Method::POST, "/score", &[("x-user-id", "alice")], body(vec![7_u8; 100_000])).await?;
    assert_eq!(answer.upstream(), "stable");
    settled(&versions, &envoy).await?;
    wait_until("the copy's body has arrived", || async { Ok(versions.canary.last()?.body_bytes == 100_000) }).await?;
    assert_eq!(versions.canary.last()?.body_hash, versions.stable.last()?.body_hash);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn marked_copies_are_never_copied() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&copied(10_000, json!({}))).start().await?;
    let mut client = envoy.http1().await?;
    client.get("/", &[("x-user-id", "alice"), ("x-headgate-copy", "1")]).await?;
    let mut shadow = client.build(Method::GET, "/", &[("x-user-id", "alice")], headgate_tests::empty())?;
    shadow.headers_mut().insert("host", "model.example-shadow".parse()?);
    client.send(shadow).await?;
    client.get("/", &[("x-user-id", "alice")]).await?;
    let told = envoy.metrics().await?;
    assert_eq!(told.sum("headgate_mirrored", &[]), 1);
    assert_eq!(told.sum("headgate_mirror_refused", &[("reason", "marked")]), 2);
    wait_until("the one copy has arrived", || async { Ok(versions.canary.count() == 1) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_and_bodies_that_are_large_or_of_unknown_length_are_not_copied() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&copied(10_000, json!({"maxBodyBytes": 1_000}))).start().await?;
    let user = [("x-user-id", "alice")];
    let mut client = envoy.http1().await?;
    client.request(Method::POST, "/", &user, body(vec![1_u8; 1_001])).await?;
    client.request(Method::POST, "/", &user, body(vec![1_u8; 1_000])).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move { sender.send(Frame::data(Bytes::from_static(b"some"))).await });
    client.request(Method::POST, "/", &user, streamed(receiver)).await?;
    let mut socket = WebSocket::open(envoy.ingress(), &user).await?;
    assert_eq!(socket.upstream(), "stable");
    assert_eq!(socket.say("hello").await?, "hello");
    socket.close().await?;
    let told = envoy.metrics().await?;
    for (reason, count) in [("too_large", 1), ("unknown_length", 1), ("upgrade", 1), ("marked", 0)] {
        assert_eq!(told.sum("headgate_mirror_refused", &[("reason", reason)]), count, "{reason}");
    }
    assert_eq!(settled(&versions, &envoy).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_request_is_not_copied() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&copied(10_000, json!({}))).start().await?;
    let head = b"CONNECT model.example:443 HTTP/1.1\r\nhost: model.example:443\r\nx-user-id: alice\r\nconnection: close\r\n\r\n";
    // The bootstrap has no route for it, as it serves no tunnels; the filter sees it before that is found out.
    let answer = headgate_tests::raw(envoy.ingress(), head).await?;
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    let told = envoy.metrics().await?;
    assert_eq!(told.sum("headgate_mirror_refused", &[("reason", "upgrade")]), 1);
    assert_eq!((told.sum("headgate_mirrored", &[]), versions.canary.count()), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_share_copies_some_and_not_all() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&copied(5_000, json!({"by": "random"}))).start().await?;
    let mut client = envoy.http1().await?;
    // 200 fair draws that all fall on one side: once in 2^199.
    for _ in 0..200 {
        client.get("/", &[("x-user-id", "alice")]).await?;
    }
    let told = settled(&versions, &envoy).await?;
    assert!(told > 0 && told < 200, "{told}");
    Ok(())
}
