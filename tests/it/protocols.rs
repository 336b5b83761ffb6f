//! What passes must pass unharmed and as it comes.

use core::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use headgate_tests::{Answer, Bootstrap, Client, Envoy, Result, WebSocket, body, empty, streamed, wait_until};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Frame, Incoming};
use serde_json::json;
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;

use crate::fixture::{Versions, config, route};

/// Everybody is on the canary, so that what passes has been decided.
async fn deciding(versions: &Versions) -> Result<Envoy> {
    versions.envoy()?.configuration(&config(1, route(0, 1))).start().await
}

const USER: (&str, &str) = ("x-user-id", "alice");

/// The next piece of a body.
async fn next(incoming: &mut Incoming) -> Result<Bytes> {
    let frame = incoming.frame().await.ok_or_else(|| anyhow::anyhow!("the body has ended"))??;
    frame.into_data().map_err(|_| anyhow::anyhow!("trailers instead of a message"))
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_and_http2_requests_keep_their_method_path_headers_and_body() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            let sent = [USER, ("x-own", "a, b"), ("cookie", "a=b; c=\"d\"")];
            let answer = client.request(method.clone(), "/p%20q?x=1&y=%ff", &sent, body("content")).await?;
            assert_eq!((answer.status, answer.upstream().as_str(), &answer.body[..]), (200, "canary", &b"canary"[..]));
            let seen = versions.canary.last()?;
            assert_eq!((seen.method.as_str(), seen.path.as_str()), (method.as_str(), "/p%20q?x=1&y=%ff"));
            assert_eq!((seen.host.as_str(), seen.body_bytes), ("model.example", 7));
            for (name, value) in sent {
                assert_eq!(seen.header(name), Some(value));
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_without_a_body() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        let answer = client.request(Method::HEAD, "/", &[USER], empty()).await?;
        assert_eq!((answer.status, answer.upstream().as_str(), answer.body.len()), (200, "canary", 0));
        assert_eq!(versions.canary.last()?.method, "HEAD");
        assert_eq!(client.get("/", &[USER]).await?.upstream(), "canary");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_headers_pass() -> Result<()> {
    let versions = Versions::start().await?;
    let mut bootstrap = Bootstrap::filter_state()?;
    // Envoy's own limit is 100.
    bootstrap.manager("ingress")?["common_http_protocol_options"] = json!({"max_headers_count": 300});
    let envoy = versions.behind(bootstrap).configuration(&config(1, route(0, 1))).start().await?;
    let names: Vec<String> = (0..200).map(|n| format!("x-header-{n}")).collect();
    let mut headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "value")).collect();
    headers.push(USER);
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        assert_eq!(client.get("/", &headers).await?.upstream(), "canary");
        let seen = versions.canary.last()?;
        assert!(names.iter().all(|name| seen.header(name) == Some("value")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_unary_calls_pass_with_their_trailers_and_are_counted_by_status() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    let mut client = envoy.http2().await?;
    for (status, times) in [("0", 3), ("5", 2), ("14", 1), ("77", 1)] {
        for _ in 0..times {
            let headers = [USER, ("content-type", "application/grpc"), ("te", "trailers"), ("x-grpc-status", status)];
            let message = body(&b"\0\0\0\0\x02hi"[..]);
            let answer = client.request(Method::POST, "/model.Scores/Score", &headers, message).await?;
            assert_eq!((answer.status, &answer.body[..]), (200, &b"\0\0\0\0\x05hello"[..]));
            assert_eq!(answer.trailers.get("grpc-status").map(|s| s.as_bytes()), Some(status.as_bytes()));
            assert_eq!(answer.trailers.get("x-served-by-upstream").map(|s| s.as_bytes()), Some(&b"canary"[..]));
        }
    }
    assert_eq!(versions.canary.last()?.header("te"), Some("trailers"));
    let wanted = [("0", 3), ("5", 2), ("14", 1), ("other", 1)].map(|(status, n)| (status.to_owned(), n)).into();
    wait_until("every call is counted", || async { Ok(envoy.admin().metrics().await?.sum("headgate_grpc", &[]) == 7) })
        .await?;
    assert_eq!(envoy.metrics().await?.by("headgate_grpc", "status", &[]), wanted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_streams_pass_message_by_message_in_both_directions() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    let mut client = envoy.http2().await?;
    let headers = [USER, ("content-type", "application/grpc"), ("te", "trailers")];
    let (sender, receiver) = mpsc::channel(1);
    let mut response =
        client.open(client.build(Method::POST, "/model.Scores/Stream", &headers, streamed(receiver))?).await?;
    assert_eq!(response.headers()["x-upstream"], "canary");
    for n in 0..5_u8 {
        let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 1, n]);
        sender.send(Frame::data(message.clone())).await?;
        // The answer to each is here before the next one is sent.
        assert_eq!(next(response.body_mut()).await?, message);
    }
    drop(sender);
    let trailers = response.into_body().collect().await?.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers["grpc-status"], "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_stays_on_its_version_while_weights_change() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    let mut socket = WebSocket::open(envoy.ingress(), &[USER]).await?;
    assert_eq!(socket.upstream(), "canary");
    assert_eq!(socket.say("one").await?, "one");
    envoy.push(&config(2, route(1, 0))).await?;
    assert_eq!(socket.say("two").await?, "two");
    let mut later = WebSocket::open(envoy.ingress(), &[USER]).await?;
    assert_eq!(later.upstream(), "stable");
    assert_eq!(later.say("three").await?, "three");
    socket.close().await?;
    later.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_pass_one_by_one() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        let mut response = client.open(client.build(Method::GET, "/sse", &[USER], empty())?).await?;
        for n in 0..5 {
            // An event is sent only after the one before it has arrived here.
            assert_eq!(next(response.body_mut()).await?, format!("data: {n}\n\n"));
            versions.canary.release();
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_reaches_the_upstream_while_it_is_sent() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        let before = versions.canary.count();
        let (sender, receiver) = mpsc::channel(1);
        let request = client.build(Method::POST, "/", &[USER], streamed(receiver))?;
        let answer = tokio::spawn(async move { client.send(request).await });
        for sent in 1..=5_u64 {
            sender.send(Frame::data(Bytes::from_static(&[1; 10]))).await?;
            wait_until("the upstream has what was sent", || async {
                Ok(versions.canary.count() > before && versions.canary.last()?.body_bytes == sent * 10)
            })
            .await?;
        }
        drop(sender);
        assert_eq!(answer.await??.upstream(), "canary");
    }
    Ok(())
}

const MEGABYTE: usize = 1 << 20;
const MEGABYTES: u64 = 100;

/// The nth megabyte of an upload.
fn megabyte(n: u64) -> Bytes {
    Bytes::from(vec![u8::try_from(n).expect("below 256"); MEGABYTE])
}

fn hash_of_all() -> u64 {
    let mut hash = fnv::FnvHasher::default();
    (0..MEGABYTES).for_each(|n| hash.write(&megabyte(n)));
    hash.finish()
}

/// An upload of 100 MB that has begun, and where to put them.
async fn upload(mut client: Client, path: &str) -> Result<(Sender<Frame<Bytes>>, JoinHandle<Result<Answer>>)> {
    let (sender, receiver) = mpsc::channel(1);
    let length = (MEGABYTES * MEGABYTE as u64).to_string();
    let request = client.build(Method::POST, path, &[USER, ("content-length", &length)], streamed(receiver))?;
    Ok((sender, tokio::spawn(async move { client.send(request).await })))
}

/// Never are more than five of its megabytes on their way: were the body held anywhere until it is whole, the second
/// would not arrive; were it kept while it passes, memory would grow by it.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_100_megabytes_passes_as_it_is_sent_and_leaves_nothing_in_memory() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    let before = envoy.peak_bytes()?;
    for client in [envoy.http1().await?, envoy.http2().await?] {
        let already = versions.canary.count();
        let (sender, answer) = upload(client, "/").await?;
        for n in 0..MEGABYTES {
            sender.send(Frame::data(megabyte(n))).await?;
            let wanted = n.saturating_sub(3) * MEGABYTE as u64;
            wait_until("the upstream has all but the last megabytes", || async {
                Ok(versions.canary.count() > already && versions.canary.last()?.body_bytes >= wanted)
            })
            .await?;
        }
        drop(sender);
        assert_eq!(answer.await??.upstream(), "canary");
        let seen = versions.canary.last()?;
        assert_eq!((seen.body_bytes, seen.body_hash), (MEGABYTES * MEGABYTE as u64, hash_of_all()));
    }
    let grown = envoy.peak_bytes()? - before;
    assert!(grown < 24 * MEGABYTE as u64, "Envoy's memory grew by {grown} bytes");
    Ok(())
}

/// How often Envoy stopped reading from clients because a version did not read.
const BACKED_UP: &str = "envoy_cluster_upstream_flow_control_backed_up_total";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_waits_with_its_client_while_the_version_does_not_read_it() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = deciding(&versions).await?;
    for client in [envoy.http1().await?, envoy.http2().await?] {
        let before = envoy.peak_bytes()?;
        let already = envoy.metrics().await?.sum(BACKED_UP, &[("envoy_cluster_name", "model-v2")]);
        let (sender, answer) = upload(client, "/later").await?;
        let sent = Arc::new(AtomicU64::new(0));
        let sending = Arc::clone(&sent);
        tokio::spawn(async move {
            for n in 0..MEGABYTES {
                if sender.send(Frame::data(megabyte(n))).await.is_err() {
                    break;
                }
                sending.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (last, times) = (AtomicU64::new(0), AtomicU64::new(0));
        wait_until("Envoy has stopped reading and the client can send no more", || async {
            let sent = sent.load(Ordering::Relaxed);
            if last.swap(sent, Ordering::Relaxed) != sent {
                times.store(0, Ordering::Relaxed);
            }
            let stopped = envoy.metrics().await?.sum(BACKED_UP, &[("envoy_cluster_name", "model-v2")]) > already;
            Ok(stopped && times.fetch_add(1, Ordering::Relaxed) == 20)
        })
        .await?;
        let (sent, grown) = (sent.load(Ordering::Relaxed), envoy.peak_bytes()? - before);
        assert!(sent < MEGABYTES / 2, "{sent} MB were taken that nobody reads");
        assert!(grown < 32 * MEGABYTE as u64, "Envoy's memory grew by {grown} bytes");
        versions.canary.release();
        assert_eq!(answer.await??.upstream(), "canary");
        let seen = versions.canary.last()?;
        assert_eq!((seen.body_bytes, seen.body_hash), (MEGABYTES * MEGABYTE as u64, hash_of_all()));
    }
    Ok(())
}
