//! Records of pairs: in batches to a collector or one by one to Envoy's log, never more than allowed, and none unaccounted for.

use std::collections::BTreeMap;

use headgate_tests::{Bootstrap, Conduct, Envoy, Hook, Result, Upstream, body, wait_until};
use hyper::Method;
use serde_json::{Value, json};

use super::script::{Script, Two};
use super::world::{World, quiet, shadowed};

/// A configuration whose records go where `to` says.
fn recorded(revision: u64, to: Value, more: Value) -> Value {
    let mut config = shadowed(revision, more);
    config["shadowing"] = json!({ "records": to });
    config
}

/// An Envoy that knows a collector.
async fn envoy(world: &World, collector: std::net::SocketAddr, workers: u32, configuration: &Value) -> Result<Envoy> {
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.add_cluster("model-v1", "collector", collector)?;
    world.behind(bootstrap, json!({}))?.concurrency(workers).configuration(configuration).start().await
}

fn lines(hook: &Hook) -> Vec<Value> {
    let flat = |value: Value| match value {
        Value::Array(lines) => lines,
        one => vec![one],
    };
    hook.seen().into_iter().flat_map(flat).collect()
}

/// Records counted, by result.
async fn counted(envoy: &Envoy) -> Result<BTreeMap<String, u64>> {
    Ok(envoy.metrics().await?.by("headgate_shadow_records", "result", &[("target", "default")]))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pair_is_told_once_and_no_more_of_it_than_is_allowed() -> Result<()> {
    for workers in [1, 2] {
        let (world, hook) = (World::start().await?, Hook::start()?);
        let to = json!({"cluster": "collector", "everyMs": 50});
        let envoy = envoy(&world, hook.addr(), workers, &recorded(1, to, json!({}))).await?;
        for n in 0..10 {
            let mut client = envoy.http1().await?;
            let user = format!("user-{n}");
            let headers = [("x-user-id", user.as_str()), ("x-request-id", &format!("request-{n}"))];
            assert_eq!(client.get("/score?secret=1", &headers).await?.status, 200);
        }
        world.shadow.behave(Conduct { resetting: 1, ..Conduct::default() });
        assert_eq!(envoy.http1().await?.get("/", &[("x-user-id", "alice")]).await?.status, 200);
        let (account, _) = quiet(&envoy, 11).await?;
        assert_eq!((account.compared, account.failed), (10, 1));
        wait_until("all records have arrived", || async { Ok(counted(&envoy).await?.get("sent") == Some(&11)) })
            .await?;
        let lines = lines(&hook);
        assert_eq!(lines.len(), 11);
        let users: std::collections::BTreeSet<_> = lines.iter().map(|line| line["key"].to_string()).collect();
        assert_eq!(users.len(), 11);
        for line in &lines {
            let told =
                (&line["record"], &line["route"], &line["variant"], &line["segment"], &line["primary"]["status"]);
            assert_eq!(told, (&json!(1), &json!("model"), &json!("canary"), &json!("default"), &json!(200)), "{line}");
            assert!(line["bucket"].as_u64().is_some_and(|bucket| bucket < 32), "{line}");
            assert!(line.get("input").is_none() && !line.to_string().contains("secret"), "{line}");
            match line["shadow"]["error"].as_str() {
                None => assert_eq!((&line["agrees"], &line["shadow"]["status"]), (&json!(true), &json!(200)), "{line}"),
                Some(error) => assert_eq!((error, line.get("agrees")), ("unreachable", None), "{line}"),
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_told_where_the_user_allows_them() -> Result<()> {
    for workers in [1, 2] {
        let (world, hook) = (World::start().await?, Hook::start()?);
        let record = json!({"path": true, "query": ["model"], "headers": ["x-tier"], "bodyBytes": 4});
        let more = json!({"methods": ["POST"], "record": record});
        let to = json!({"cluster": "collector", "everyMs": 50});
        let envoy = envoy(&world, hook.addr(), workers, &recorded(1, to, more)).await?;
        let headers = [("x-user-id", "alice"), ("x-tier", "beta"), ("authorization", "Bearer mine")];
        let mut client = envoy.http1().await?;
        client.request(Method::POST, "/score?model=m1&secret=1", &headers, body("input")).await?;
        wait_until("the record has arrived", || async { Ok(!hook.seen().is_empty()) }).await?;
        let input = json!({"method": "POST", "path": "/score", "query": {"model": "m1"}, "headers": {"x-tier": "beta"}, "body": "inpu"});
        assert_eq!(lines(&hook)[0]["input"], input);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_told_where_the_user_allows_them_and_no_record_is_longer_than_it_may() -> Result<()> {
    const MOST: usize = 2_048;
    for workers in [1, 2] {
        let (two, hook) = (Two::start().await?, Hook::start()?);
        let configuration = |revision: u64, values: bool| {
            let to = json!({"cluster": "collector", "everyMs": 20, "recordBytes": MOST});
            recorded(revision, to, json!({"compare": {"body": "json"}, "record": {"values": values}}))
        };
        let mut bootstrap = Bootstrap::filter_state()?;
        bootstrap.add_cluster("model-v1", "collector", hook.addr())?;
        let envoy = two.behind(bootstrap, &configuration(1, false))?.concurrency(workers).start().await?;
        let mut client = envoy.http1().await?;
        two.stable.say(Script::ok(r#"{"name":"secret","score":0.25,"same":1}"#));
        two.shadow.say(Script::ok(r#"{"name":"hidden","score":0.5,"same":1}"#));
        client.get("/", &[("x-user-id", "alice")]).await?;
        wait_until("the first has arrived", || async { Ok(lines(&hook).len() == 1) }).await?;
        let first = lines(&hook).remove(0);
        let places = json!([{"path": "/name", "kind": "value"}, {"path": "/score", "kind": "value"}]);
        assert_eq!(
            (&first["differences"], &first["kinds"], &first["agrees"]),
            (&places, &json!(["json"]), &json!(false))
        );
        assert!(!first.to_string().contains("secret") && !first.to_string().contains("hidden"), "{first}");
        envoy.push(&configuration(2, true)).await?;
        client.get("/", &[("x-user-id", "alice")]).await?;
        wait_until("the second has arrived", || async { Ok(lines(&hook).len() == 2) }).await?;
        let second = lines(&hook).remove(1);
        let places = json!([
            {"path": "/name", "kind": "value", "primary": "secret", "shadow": "hidden"},
            {"path": "/score", "kind": "value", "primary": 0.25, "shadow": 0.5}
        ]);
        assert_eq!((&second["differences"], second.get("cut")), (&places, None), "{second}");
        // Sixteen long values on either side are more than a record may have.
        let long = |letter: &str| {
            let fields: Vec<String> = (0..40).map(|n| format!(r#""field-{n}":"{}""#, letter.repeat(500))).collect();
            Script::ok(format!("{{{}}}", fields.join(",")))
        };
        two.stable.say(long("a"));
        two.shadow.say(long("b"));
        client.get("/", &[("x-user-id", "alice")]).await?;
        wait_until("the third has arrived", || async { Ok(lines(&hook).len() == 3) }).await?;
        let third = lines(&hook).remove(2);
        assert!(third.to_string().len() < MOST, "{} bytes", third.to_string().len());
        assert_eq!((&third["cut"], &third["agrees"]), (&json!(true), &json!(false)), "{third}");
        assert!(third["differences"].as_array().is_some_and(|places| !places.is_empty()), "{third}");
        assert_eq!(quiet(&envoy, 3).await?.0.compared, 3);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn to_the_log_goes_one_line_each() -> Result<()> {
    for workers in [1, 2] {
        let world = World::start().await?;
        let configuration = recorded(1, json!({"log": true}), json!({"record": {"matches": 5_000}}));
        let envoy = envoy(&world, world.stable.addr(), workers, &configuration).await?;
        let mut client = envoy.http1().await?;
        for _ in 0..10 {
            client.get("/", &[("x-user-id", "alice")]).await?;
        }
        assert_eq!(quiet(&envoy, 10).await?.0.compared, 10);
        assert_eq!(counted(&envoy).await?, BTreeMap::from([("sent".to_owned(), 5)]));
        wait_until("Envoy has written its log", || async {
            Ok(envoy.log()?.matches("headgate-shadow {").count() == 5)
        })
        .await?;
        let log = envoy.log()?;
        let (_, line) = log.lines().find_map(|line| line.split_once("headgate-shadow ")).unwrap();
        let record: Value = serde_json::from_str(line)?;
        assert_eq!((&record["agrees"], &record["share"]), (&json!(true), &json!(0.5)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_beyond_the_rate_or_nobody_takes_are_counted_and_hold_nobody_up() -> Result<()> {
    for workers in [1, 2] {
        let (world, hook) = (World::start().await?, Hook::start()?);
        hook.answers(503, json!({}));
        let to = json!({"cluster": "collector", "everyMs": 20});
        let envoy = envoy(&world, hook.addr(), workers, &recorded(1, to, json!({}))).await?;
        let mut client = envoy.http1().await?;
        for _ in 0..5 {
            client.get("/", &[("x-user-id", "alice")]).await?;
        }
        wait_until("all are lost", || async { Ok(counted(&envoy).await?.get("lost") == Some(&5)) }).await?;
        hook.answers(204, json!({}));
        envoy.push(&recorded(2, json!({"cluster": "collector", "everyMs": 20, "perSecond": 1}), json!({}))).await?;
        for _ in 0..20 {
            client.get("/", &[("x-user-id", "alice")]).await?;
        }
        assert_eq!(quiet(&envoy, 25).await?.0.compared, 25);
        wait_until("each is accounted for", || async { Ok(counted(&envoy).await?.values().sum::<u64>() == 25) })
            .await?;
        assert!(
            counted(&envoy).await?.get("rate").is_some_and(|left_out| *left_out > 0),
            "{:?}",
            counted(&envoy).await?
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_makes_records_wait_and_then_drop() -> Result<()> {
    for workers in [1, 2] {
        let (world, collector) = (World::start().await?, Upstream::start("collector").await?);
        collector.behave(Conduct { hanging: 1, ..Conduct::default() });
        let to = json!({"cluster": "collector", "everyMs": 10, "recordBytes": 2_048, "batchBytes": 2_048, "perSecond": 100_000});
        let envoy = envoy(&world, collector.addr(), workers, &recorded(1, to, json!({}))).await?;
        let mut client = envoy.http1().await?;
        for _ in 0..100 {
            assert_eq!(client.get("/", &[("x-user-id", "alice")]).await?.status, 200);
        }
        assert_eq!(quiet(&envoy, 100).await?.0.compared, 100);
        let counted = counted(&envoy).await?;
        assert!(counted.get("full").is_some_and(|full| *full > 0) && !counted.contains_key("sent"), "{counted:?}");
        assert_eq!(collector.count(), 2);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_go_where_the_next_configuration_says_and_none_is_lost() -> Result<()> {
    for workers in [1, 2] {
        let (world, one, other) = (World::start().await?, Hook::start()?, Hook::start()?);
        let mut bootstrap = Bootstrap::filter_state()?;
        bootstrap.add_cluster("model-v1", "collector", one.addr())?;
        bootstrap.add_cluster("model-v1", "other", other.addr())?;
        // A batch goes after a minute, so all wait.
        let slowly = json!({"cluster": "collector", "everyMs": 60_000});
        let envoy = world.behind(bootstrap, json!({}))?.concurrency(workers);
        let envoy = envoy.configuration(&recorded(1, slowly, json!({}))).start().await?;
        let mut clients = Vec::new();
        for _ in 0..2 * workers {
            clients.push(envoy.http1().await?);
        }
        let mut ask = async |until: u64| {
            for client in &mut clients {
                client.get("/", &[("x-user-id", "alice")]).await?;
            }
            quiet(&envoy, until).await
        };
        let each = u64::from(2 * workers);
        ask(each).await?;
        assert_eq!(counted(&envoy).await?, BTreeMap::new(), "all wait");
        // To the log at once, then elsewhere, and in the end nowhere: what was made before that still arrives.
        envoy.push(&recorded(2, json!({"log": true}), json!({}))).await?;
        ask(2 * each).await?;
        let sent = |count: u64| BTreeMap::from([("sent".to_owned(), count)]);
        wait_until("all are told", || async { Ok(counted(&envoy).await? == sent(2 * each)) }).await?;
        wait_until("Envoy has written its log", || async {
            Ok(envoy.log()?.matches("headgate-shadow {").count() as u64 == 2 * each)
        })
        .await?;
        envoy.push(&recorded(3, json!({"cluster": "other", "everyMs": 500}), json!({}))).await?;
        ask(3 * each).await?;
        envoy.push(&shadowed(4, json!({}))).await?;
        wait_until("the last ones are counted", || async { Ok(counted(&envoy).await? == sent(3 * each)) }).await?;
        assert_eq!(lines(&other).len() as u64, each);
        assert!(lines(&one).is_empty());
    }
    Ok(())
}
