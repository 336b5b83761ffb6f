//! The answer of a call outlives the user's stream and its order, on one worker and on several: what this rests on is that
//! Envoy answers the root context that `proxy_set_effective_context` chose before `proxy_http_call`.

use headgate_tests::{Result, wait_until};
use hyper::Method;
use serde_json::json;

use super::world::{World, quiet};

const USER: [(&str, &str); 1] = [("x-user-id", "alice")];

#[tokio::test(flavor = "multi_thread")]
async fn either_answer_may_come_first() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({}))?.concurrency(workers).start().await?;
        // The user's first: its stream is over and gone before the shadow answers.
        let mut client = envoy.http1().await?;
        world.stable.release();
        assert_eq!(client.get("/hold", &USER).await?.upstream(), "model");
        wait_until("Envoy is done with the user", || async {
            Ok(envoy.admin().metrics().await?.sum("headgate_responses", &[]) == 1)
        })
        .await?;
        assert_eq!(envoy.metrics().await?.sum("headgate_shadow_compared", &[]), 0);
        world.shadow.release();
        let (account, metrics) = quiet(&envoy, 1).await?;
        assert_eq!((account.compared, metrics.sum("headgate_shadow_compared", &[("verdict", "matched")])), (1, 1));
        // The shadow's first.
        let held = tokio::spawn(async move { client.get("/hold", &USER).await });
        wait_until("both have the request", || async { Ok((world.stable.count(), world.shadow.count()) == (2, 2)) })
            .await?;
        let done = "cluster.model-v2.upstream_rq_completed";
        world.shadow.release();
        wait_until("the shadow has answered", || async {
            Ok(envoy.admin().get(&format!("/stats?filter={done}")).await?.trim() == format!("{done}: 2"))
        })
        .await?;
        assert_eq!(envoy.metrics().await?.sum("headgate_shadow_compared", &[]), 1);
        world.stable.release();
        assert_eq!(held.await??.upstream(), "model");
        assert_eq!(quiet(&envoy, 2).await?.0.compared, 2, "{workers} workers");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_goes_away_is_counted_and_the_late_answer_harms_nothing() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({}))?.concurrency(workers).start().await?;
        for n in 1..=3 {
            let mut client = envoy.http1().await?;
            let held = tokio::spawn(async move { client.get("/hold", &USER).await });
            wait_until("both have it", || async { Ok((world.stable.count(), world.shadow.count()) == (n, n)) }).await?;
            held.abort();
        }
        wait_until("all have gone away", || async {
            Ok(envoy.admin().metrics().await?.sum("headgate_responses", &[]) == 3)
        })
        .await?;
        for _ in 0..3 {
            world.shadow.release();
        }
        let (account, metrics) = quiet(&envoy, 3).await?;
        assert_eq!((account.failed, metrics.sum("headgate_shadow_failed", &[("reason", "aborted")])), (3, 3));
        // Those who stay are served, and compared.
        let mut client = envoy.http1().await?;
        assert_eq!(client.get("/", &USER).await?.upstream(), "model");
        assert_eq!(quiet(&envoy, 4).await?.0.compared, 1, "{workers} workers");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_compare_what_many_clients_send() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let envoy = world.envoy(json!({"methods": ["GET", "POST"]}))?.concurrency(workers).start().await?;
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (mut one, mut two) = (envoy.http1().await?, envoy.http2().await?);
            clients.spawn(async move {
                for round in 0..10 {
                    let user = format!("user-{n}-{round}");
                    let user = [("x-user-id", user.as_str())];
                    let client = if round % 2 == 0 { &mut one } else { &mut two };
                    let (method, body) = match round % 3 {
                        0 => (Method::POST, headgate_tests::body(vec![round; 5_000])),
                        _ => (Method::GET, headgate_tests::empty()),
                    };
                    let answer = client.request(method, "/score", &user, body).await?;
                    assert_eq!(answer.upstream(), "model");
                }
                Ok::<(), headgate_tests::Fault>(())
            });
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        let (account, metrics) = quiet(&envoy, 80).await?;
        assert_eq!(account.compared, 80, "{workers} workers: {account:?}");
        assert_eq!(metrics.sum("headgate_shadow_compared", &[("verdict", "matched")]), 80);
        for name in ["pairs", "compared"] {
            assert_eq!(metrics.sum(&format!("headgate_shadow_replicate_{name}"), &[]), 80, "{name}");
        }
        assert_eq!((world.stable.count(), world.shadow.count()), (80, 80));
        assert!(world.shadow.seen().iter().all(headgate_tests::Seen::is_copy));
        assert!(world.stable.seen().iter().all(|seen| !seen.is_copy()));
    }
    Ok(())
}
