//! Kinds of badness that do not look like failures: gRPC's under a 200, 4xx that nobody or somebody asked about, and time to the headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headgate_tests::{Conduct, Result, body};
use hyper::Method;
use serde_json::{Value, json};

use super::load::USERS;
use super::world::{Ran, World};

/// What it was taken back for.
fn why(ran: &Ran) -> String {
    let events = ran.events();
    let back = events.iter().find(|e| e["kind"] == "rollingBack").unwrap_or_else(|| panic!("{}{}", ran.out, ran.err));
    back["text"].as_str().unwrap_or_default().to_owned()
}

/// Runs a rollout with users who ask all the time; its canary behaves so from its first request on.
async fn ran(conduct: Conduct, change: impl FnOnce(&mut Value)) -> Result<Ran> {
    let world = World::start().await?;
    world.versions.canary.behave(conduct);
    let load = world.load().await?;
    load.more(100).await?;
    let file = world.rollout(change)?;
    let ran = world.run(&file, &[])?.ended().await?;
    load.stop().await?;
    Ok(ran)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_whose_grpc_calls_fail_under_status_200_is_taken_back() -> Result<()> {
    let world = World::start().await?;
    world.versions.canary.behave(Conduct { failing: 2, ..Conduct::default() });
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, mut client) = (Arc::clone(&stop), world.envoy.http2().await?);
    let calls = tokio::spawn(async move {
        let mut unavailable = 0_u64;
        for n in 0_u64.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let user = format!("user-{}", n % USERS);
            let headers = [("x-user-id", user.as_str()), ("content-type", "application/grpc"), ("te", "trailers")];
            let message = body(&b"\0\0\0\0\x02hi"[..]);
            let answer = client.request(Method::POST, "/model.Scores/Score", &headers, message).await?;
            assert_eq!(answer.status, 200);
            unavailable += u64::from(answer.trailers.get("grpc-status").is_some_and(|status| status == "14"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok::<_, headgate_tests::Fault>(unavailable)
    });
    let file = world.rollout(|_| {})?;
    let ran = world.run(&file, &[])?.ended().await?;
    stop.store(true, Ordering::Relaxed);
    assert!(calls.await?? > 0);
    assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
    assert!(why(&ran).contains("errorRate is"), "{}", why(&ran));
    assert_eq!(world.published()?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_answers_4xx_is_taken_back_only_where_that_was_asked() -> Result<()> {
    let refusing = Conduct { refusing: 2, ..Conduct::default() };
    let by_default = ran(refusing, |_| {}).await?;
    assert_eq!(by_default.code, 0, "{}{}", by_default.out, by_default.err);
    let asked = ran(refusing, |file| {
        file["spec"]["analysis"]["criteria"] = json!([{"metric": "clientErrorRate", "versusBaseline": "2x"}]);
    });
    let asked = asked.await?;
    assert_eq!(asked.code, 10, "{}{}", asked.out, asked.err);
    assert!(why(&asked).contains("clientErrorRate is"), "{}", why(&asked));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn time_to_the_headers_and_the_slowest_of_a_hundred_take_it_back_by_bounds_of_their_own() -> Result<()> {
    let late = Conduct { late: Duration::from_millis(80), ..Conduct::default() };
    for metric in ["headersP50", "latencyP99"] {
        let ran = ran(late, |file| {
            file["spec"]["strategy"]["canary"]["steps"][0]["duration"] = json!("8s");
            file["spec"]["analysis"]["criteria"] = json!([{"metric": metric, "max": "40ms"}]);
        });
        let ran = ran.await?;
        assert_eq!(ran.code, 10, "{}{}", ran.out, ran.err);
        let why = why(&ran);
        assert!(why.contains(&format!("{metric} is")) && why.contains("40 ms"), "{why}");
    }
    Ok(())
}
