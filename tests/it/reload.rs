//! A configuration that changes while requests come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headgate_tests::{Bootstrap, Client, Envoy, Result};
use serde_json::{Value, json};

use crate::fixture::{Versions, config, route};
use crate::split::split;

/// A configuration that tells the client what was decided.
fn telling(revision: u64, stable: u32, canary: u32) -> Value {
    let mut telling = config(revision, route(stable, canary));
    telling["routes"][0]["output"] = json!({"responseHeader": "x-decided"});
    telling
}

/// A client that sends until it is told to stop, and counts what was not as decided.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Result<(u64, u64)>>>,
}

impl Load {
    async fn start(envoy: &Envoy, clients: usize) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for client in 0..clients {
            let mut connection = if client % 2 == 0 { envoy.http1().await? } else { envoy.http2().await? };
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let (mut sent, mut wrong) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("user-{}", sent % 97);
                    let answer = connection.get("/", &[("x-user-id", &key)]).await?;
                    sent += 1;
                    wrong += u64::from(answer.status != 200 || answer.header("x-decided") != Some(&answer.upstream()));
                }
                Ok((sent, wrong))
            }));
        }
        Ok(Self { stop, tasks })
    }

    /// How many were sent, and how many of them failed or went elsewhere than decided.
    async fn stop(self) -> Result<(u64, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = (0, 0);
        for task in self.tasks {
            let (sent, wrong) = task.await??;
            total = (total.0 + sent, total.1 + wrong);
        }
        Ok(total)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_change_under_load_without_a_failed_or_misrouted_request() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&telling(1, 1, 1)).start().await?;
    let load = Load::start(&envoy, 4).await?;
    for revision in 2..52 {
        let (stable, canary) = [(1, 0), (0, 1), (1, 1)][usize::try_from(revision % 3)?];
        envoy.push(&telling(revision, stable, canary)).await?;
    }
    let (sent, wrong) = load.stop().await?;
    assert!(sent > 0);
    assert_eq!(wrong, 0, "of {sent}");
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_requests", &[]), sent);
    assert_eq!(metrics.sum("headgate_misrouted", &[]), 0);
    assert_eq!(metrics.sum("headgate_errors", &[]), 0);
    assert_eq!(metrics.sum("headgate_acknowledgements", &[("target", "default")]), 51 * 3);
    assert_eq!(metrics.sum("headgate_revision", &[("target", "default")]), 51);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn open_connections_see_a_new_configuration() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&telling(1, 1, 0)).start().await?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(envoy.http1().await?);
        clients.push(envoy.http2().await?);
    }
    for (revision, canary) in [(2, 1), (3, 0), (4, 1)] {
        envoy.push(&telling(revision, 1 - canary, canary)).await?;
        let expected = if canary == 1 { "canary" } else { "stable" };
        for client in &mut clients {
            assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), expected);
        }
    }
    Ok(())
}

/// What no filter takes.
fn unacceptable() -> Vec<String> {
    let mut all: Vec<String> = ["", "{", "null", "[]", "\"text\"", "{}", "{\"contract\": 1}", "\u{0}\u{1}\u{fffd}"]
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut push = |change: &dyn Fn(&mut Value)| {
        let mut bad = config(9, route(1, 1));
        change(&mut bad);
        all.push(bad.to_string());
    };
    push(&|bad| bad["contract"] = json!(2));
    push(&|bad| bad["requires"] = json!(["teleport"]));
    push(&|bad| bad["revision"] = json!(-1));
    push(&|bad| bad["routes"][0]["stable"] = json!("gone"));
    push(&|bad| bad["routes"][0]["variants"] = json!([]));
    push(&|bad| bad["routes"][0]["variants"][0]["weight"] = json!(0.5));
    push(&|bad| bad["routes"][0]["variants"][0]["weight"] = json!(1 << 30));
    push(&|bad| bad["routes"][0]["variants"][1]["name"] = json!("stable"));
    push(&|bad| bad["routes"][0]["match"] = json!({"path": {"regex": "("}}));
    push(&|bad| bad["routes"][0]["key"] = json!({"sources": [{}]}));
    push(&|bad| bad["routes"][0]["mirror"] = json!({"share": 20_000}));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_refused_leaves_the_old_one_in_force() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).configuration(&telling(1, 70, 30)).start().await?;
    let load = Load::start(&envoy, 2).await?;
    let unacceptable = unacceptable();
    for bad in &unacceptable {
        envoy.push_refused(bad).await.map_err(|e| e.context(bad.clone()))?;
    }
    let (sent, wrong) = load.stop().await?;
    assert!(sent > 0);
    assert_eq!(wrong, 0, "of {sent}");
    let mut client = envoy.http1().await?;
    for n in 0..100 {
        let key = format!("user-{n}");
        let expected = split("model", &[("stable", 70), ("canary", 30)], &key);
        assert_eq!(client.get("/", &[("x-user-id", &key)]).await?.upstream(), expected);
    }
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_revision", &[("target", "default")]), 1);
    assert_eq!(metrics.sum("headgate_refused_configurations", &[]), u64::try_from(unacceptable.len())?);
    // And a good one is taken afterwards.
    envoy.push(&telling(10, 0, 1)).await?;
    assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_logged_in_one_line_with_every_path_and_reason() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&telling(1, 1, 0)).start().await?;
    let (mut meant, mut typed) = (config(9, route(1, 1)), config(9, route(1, 1)));
    meant["routes"][0]["stable"] = json!("gone");
    meant["routes"][0]["match"] = json!({"path": {"prefix": "/a", "exact": "/b"}});
    typed["routes"][0]["variants"][1]["weight"] = json!("5");
    typed["routes"][0]["mirror"] = json!([]);
    let cases = [
        (meant.to_string(), vec!["routes[0].stable: ", "routes[0].match.path: "]),
        (
            typed.to_string(),
            vec!["routes[0].variants[1].weight: the string \"5\", ", "routes[0].mirror: a list, expected an object"],
        ),
        (
            "{\n \"contract\": 1,\n}".to_owned(),
            vec!["the configuration is not JSON: trailing comma at line 3 column 1"],
        ),
    ];
    for (bad, reasons) in cases {
        envoy.push_refused(&bad).await?;
        let what = format!("one line of the log has {reasons:?}");
        headgate_tests::wait_until(&what, || async {
            let log = envoy.log()?;
            let refusals = log.lines().filter(|line| line.contains("headgate: configuration refused"));
            Ok(refusals.clone().any(|line| reasons.iter().all(|reason| line.contains(reason))))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_of_a_newer_contract_is_understood() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.configuration(&telling(1, 0, 1)).start().await?;
    let mut client = envoy.http1().await?;
    assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    let newer = json!({"contract": 2, "revision": 2, "killSwitch": true, "routes": {"told": ["another", "way"]}});
    envoy.push(&newer).await?;
    for n in 0..20 {
        assert_eq!(client.get("/", &[("x-user-id", &format!("user-{n}"))]).await?.upstream(), "stable");
    }
    assert_eq!(envoy.metrics().await?.sum("headgate_revision", &[]), 2);
    envoy.push(&telling(3, 0, 1)).await?;
    assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    Ok(())
}

async fn everybody(client: &mut Client) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for n in 0..200 {
        all.push(client.get("/", &[("x-user-id", &format!("user-{n}"))]).await?.upstream());
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_envoy_leaves_every_user_where_they_were() -> Result<()> {
    let versions = Versions::start().await?;
    let mut envoy = versions.envoy()?.configuration(&telling(1, 60, 40)).start().await?;
    let before = everybody(&mut envoy.http1().await?).await?;
    assert!(before.iter().any(|name| name == "stable") && before.iter().any(|name| name == "canary"));
    envoy.restart().await?;
    assert_eq!(everybody(&mut envoy.http1().await?).await?, before);
    assert_eq!(envoy.metrics().await?.sum("headgate_requests", &[("reason", "hash")]), 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_comes_later_is_taken_without_a_restart() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = Envoy::builder(Bootstrap::filter_state()?)
        .cluster("model-v1", versions.stable.addr())
        .cluster("model-v2", versions.canary.addr())
        .configuration_text("not a configuration")
        .without_waiting_for_filter()
        .start()
        .await?;
    let mut client = envoy.http1().await?;
    assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "stable");
    envoy.push(&telling(1, 0, 1)).await?;
    assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.upstream(), "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_logged_for_a_request() -> Result<()> {
    let versions = Versions::start().await?;
    let mut tokens = telling(1, 1, 1);
    tokens["tokens"] = json!({"audience": "model", "keys": [{"id": "k1", "env": "HEADGATE_KEY_K1"}]});
    let envoy = versions.envoy()?.configuration(&tokens).start().await?;
    let mut client = envoy.http1().await?;
    client.get("/", &[("x-user-id", "alice")]).await?;
    let before = envoy.log()?;
    for n in 0..200 {
        let user = format!("user-{n}");
        client.get("/status/503", &[("x-user-id", &user), ("x-headgate-token", "forged")]).await?;
    }
    assert_eq!(envoy.log()?, before);
    Ok(())
}
