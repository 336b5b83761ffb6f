//! What a rollout that is judged by a real Prometheus must not believe: the past, and answers that are none.

use std::time::{SystemTime, UNIX_EPOCH};

use headgate_tests::{Prometheus, Result};
use serde_json::{Value, json};

use super::world::World;

/// Judged by Prometheus alone.
fn judged_by(prometheus: &Prometheus, file: &mut Value) {
    file["spec"]["providers"] = json!({"prom": {"prometheus": {"address": prometheus.url()}}});
    file["spec"]["analysis"]["criteria"] = json!([
        {"metric": "errorRate", "provider": "prom", "versusBaseline": "2x"},
        {"metric": "timeoutRate", "provider": "prom", "versusBaseline": "2x"},
        {"metric": "latencyP95", "provider": "prom", "versusBaseline": "3x", "floor": "300ms"},
        {
            "name": "canary-share", "metric": "custom", "provider": "prom", "max": 1,
            "query": "sum(increase(headgate_requests{route=\"{{route}}\",variant=\"{{variant}}\"}[{{window}}])) / sum(increase(headgate_requests{route=\"{{route}}\"}[{{window}}]))",
        },
    ]);
    file["spec"]["strategy"]["canary"]["steps"] =
        json!([{"weight": "50%", "duration": "3s"}, {"weight": "100%", "duration": "2s"}]);
    file["spec"]["monitoring"]["duration"] = json!("0s");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Of two hours until half an hour ago, in which every request of this canary failed, whoever sent it.
fn bad_past() -> String {
    let mut text = String::new();
    for metric in ["headgate_replicate_finished", "headgate_replicate_failures"] {
        text.push_str(&format!("# TYPE {metric} unknown\n"));
        for bucket in 0..32 {
            let labels = format!("route=\"model\",variant=\"canary\",segment=\"default\",bucket=\"{bucket}\"");
            for n in 0..360 {
                let at = 7_200 - n * 15;
                text.push_str(&format!("{metric}{{{labels}}} {} {}\n", (7_200 - at) * 3, now() - at));
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_canary_is_promoted_by_what_prometheus_says_of_this_step_and_of_no_time_before() -> Result<()> {
    let world = World::start().await?;
    let prometheus = Prometheus::with_history(world.envoy.admin().addr(), Some(&bad_past())).await?;
    prometheus
        .has("the bad past is there", "sum(max_over_time(headgate_replicate_failures{variant=\"canary\"}[3h])) > 1000")
        .await?;
    let load = world.load().await?;
    load.more(200).await?;
    let file = world.rollout(|file| judged_by(&prometheus, file))?;
    let ran = world.run(&file, &[])?.ended().await?;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let events = ran.events();
    let passed =
        events.iter().find(|e| e["kind"] == "verdict" && e["step"] == "50%").unwrap_or_else(|| panic!("{}", ran.out));
    let figures = passed["look"]["figures"].as_array().cloned().unwrap_or_default();
    let measured = |name: &str| {
        let figure = figures.iter().find(|f| f["name"] == name);
        figure.and_then(|f| f["measured"].as_f64()).unwrap_or_else(|| panic!("{name}: {figures:#?}"))
    };
    assert!(measured("errorRate") == 0.0 && measured("latencyP95") > 0.0, "{figures:#?}");
    assert!((0.2..0.8).contains(&measured("canary-share")), "{figures:#?}");
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_a_wrong_query_and_a_dead_prometheus_are_no_success() -> Result<()> {
    let world = World::start().await?;
    let prometheus = Prometheus::of(world.envoy.admin().addr()).await?;
    let dead = {
        let once = std::net::TcpListener::bind("127.0.0.1:0")?;
        format!("http://{}", once.local_addr()?)
    };
    let load = world.load().await?;
    load.more(200).await?;
    let alive = prometheus.url();
    prometheus.has("it has scraped twice", "count_over_time(headgate_revision[1m]) >= 2").await?;
    for (name, address, query, reason) in [
        ("empty", &alive, "sum(increase(no_such_series[{{window}}]))", "no values"),
        ("wrong", &alive, "sum(((", "parse error"),
        // Of a minute, for a scrape that fails on a busy machine makes its series stale.
        ("several", &alive, "last_over_time(headgate_requests[1m])", "series"),
        ("nan", &alive, "0 / 0 * sum(headgate_revision)", "no values"),
        ("dead", &dead, "1", "the provider failed"),
    ] {
        let file = world.rollout(|file| {
            judged_by(&prometheus, file);
            file["metadata"]["name"] = json!(name);
            file["spec"]["providers"]["prom"]["prometheus"]["address"] = json!(address);
            file["spec"]["analysis"]["criteria"] =
                json!([{"name": "quality", "metric": "custom", "provider": "prom", "max": 1e9, "query": query}]);
            file["spec"]["strategy"]["canary"]["steps"][0]["duration"] =
                json!(if name == "dead" { "3s" } else { "1s" });
            file["spec"]["holdLimit"] = json!("500ms");
        })?;
        let ran = world.run(&file, &[])?.ended().await?;
        assert_eq!(ran.code, 11, "{name}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(reason), "{name}: {}", ran.out);
        assert_eq!(world.published()?, 5_000, "{name}");
        let back = world.headgate(&["rollback", name, "--json"]).await?;
        assert_eq!(back.code, 0, "{name}: {back:?}");
        assert_eq!(world.run(&file, &[])?.ended().await?.code, 10, "{name}");
    }
    let seen = load.stop().await?;
    assert!(seen.failed().is_empty(), "{:?}", seen.failed());
    Ok(())
}
