//! A real Prometheus that scrapes what clusters show of a version: CPU and memory by cAdvisor's series, requests by Istio's.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use headgate_tests::{Prometheus, Result};
use serde_json::{Value, json};

use super::world::World;

/// What one version uses and answers, a second.
#[derive(Debug, Clone, Copy)]
struct Usage {
    cores: f64,
    bytes: f64,
    /// Share of requests that Istio saw answered with 503.
    failing: f64,
    /// Share of requests that took less than 100 ms; the others less than a second.
    fast: f64,
}

const USUAL: Usage = Usage { cores: 0.4, bytes: 3e8, failing: 0.0, fast: 0.99 };

/// A page of two versions that goes on counting; it is served until the process ends.
fn exporter(canary: Usage) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let versions = Arc::new(BTreeMap::from([("v1", USUAL), ("v2", canary)]));
    let began = Instant::now();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let versions = Arc::clone(&versions);
            std::thread::spawn(move || -> Result<()> {
                let mut reader = BufReader::new(stream.try_clone()?);
                let mut line = String::new();
                while reader.read_line(&mut line)? > 2 {
                    line.clear();
                }
                let body = page(&versions, 1_000.0 + began.elapsed().as_secs_f64());
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n";
                Ok(write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())?)
            });
        }
    });
    Ok(addr)
}

fn page(versions: &BTreeMap<&str, Usage>, seconds: f64) -> String {
    let mut out = String::new();
    let mut line = |name: &str, labels: String, value: f64| out.push_str(&format!("{name}{{{labels}}} {value}\n"));
    for (version, usage) in versions {
        for pod in 0..2 {
            let of = |container: &str| format!("pod=\"{version}-{pod}\",container=\"{container}\"");
            line("container_cpu_usage_seconds_total", of("app"), seconds * usage.cores);
            line("container_memory_working_set_bytes", of("app"), usage.bytes);
            // The pause container and the sum over a pod are not counted twice.
            line("container_cpu_usage_seconds_total", of(""), seconds * 100.0);
            line("container_memory_working_set_bytes", of("POD"), 1e12);
        }
        let requests = seconds * 100.0;
        for reporter in ["source", "destination"] {
            let who = format!(
                "reporter=\"{reporter}\",destination_service_name=\"model\",destination_version=\"{version}\",response_flags=\"-\""
            );
            line("istio_requests_total", format!("{who},response_code=\"200\""), requests * (1.0 - usage.failing));
            line("istio_requests_total", format!("{who},response_code=\"503\""), requests * usage.failing);
            for (le, share) in [("100", usage.fast), ("1000", 1.0), ("+Inf", 1.0)] {
                line("istio_request_duration_milliseconds_bucket", format!("{who},le=\"{le}\""), requests * share);
            }
        }
    }
    out
}

/// A rollout that is judged by that Prometheus alone.
async fn judged(world: &World, canary: Usage) -> Result<super::world::Ran> {
    let prometheus = Prometheus::of(exporter(canary)?).await?;
    prometheus.has("it has scraped twice", "count_over_time(istio_requests_total[1m]) >= 2").await?;
    let file = world.rollout(|file: &mut Value| {
        let names = json!({"stable": "v1", "canary": "v2"});
        file["spec"]["providers"] = json!({"prom": {"prometheus": {
            "address": prometheus.url(), "preset": "istio", "reporter": "destination", "names": names}}});
        file["spec"]["analysis"]["interval"] = json!("500ms");
        // A handful of readings is enough then for numbers, which come without a variance.
        file["spec"]["analysis"]["alpha"] = json!(0.5);
        file["spec"]["analysis"]["criteria"] = json!([
            {"metric": "cpu", "provider": "prom"},
            {"metric": "memory", "provider": "prom"},
            {"metric": "errorRate", "provider": "prom", "max": "5%"},
            {"metric": "latencyP95", "provider": "prom", "versusBaseline": "2x"},
        ]);
        file["spec"]["strategy"]["canary"]["steps"] =
            json!([{"weight": "50%", "duration": "5s"}, {"weight": "100%", "duration": "3s"}]);
        file["spec"]["monitoring"] = json!({"duration": "0s"});
    })?;
    world.run(&file, &[])?.ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_memory_and_istio_s_standard_metrics_let_a_good_version_climb() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let ran = judged(&world, USUAL).await?;
    assert_eq!((ran.code, world.published()?), (0, 10_000), "{}{}", ran.out, ran.err);
    let events = ran.events();
    let passed = events.iter().find(|e| e["kind"] == "verdict" && e["step"] == "50%");
    let figures = passed.map(|e| e["look"]["figures"].clone()).unwrap_or_default();
    let measured = |name: &str| {
        let figure = figures.as_array().into_iter().flatten().find(|f| f["name"] == name);
        figure.and_then(|f| f["measured"].as_f64()).unwrap_or_else(|| panic!("{name}: {figures:#}"))
    };
    assert!((0.3..0.5).contains(&measured("cpu")), "cores of one pod: {figures:#}");
    assert!((measured("memory") - 3e8).abs() < 1.0, "bytes of one pod: {figures:#}");
    assert!((50_000.0..=100_000.0).contains(&measured("latencyP95")), "microseconds: {figures:#}");
    load.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_memory_and_istio_s_standard_metrics_take_a_bad_version_back() -> Result<()> {
    let world = World::start().await?;
    let load = world.load().await?;
    load.more(100).await?;
    let wasteful = Usage { cores: 1.2, bytes: 9e8, failing: 0.0, fast: 0.0 };
    let ran = judged(&world, wasteful).await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let figures = |ran: &super::world::Ran| {
        let back = ran.events().into_iter().find(|e| e["kind"] == "rollingBack").unwrap_or_default();
        back["look"]["figures"].as_array().cloned().unwrap_or_default()
    };
    let seen = figures(&ran);
    for name in ["cpu", "memory", "latencyP95"] {
        let figure = seen.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name}: {}", ran.out));
        assert!(figure["beyond"].as_u64() >= Some(5) && figure["beyond"] == figure["readings"], "{figure}");
    }
    assert!(seen.iter().any(|f| f["plain"] == true && f["verdict"] == "fail"), "{seen:?}");

    let failing = Usage { failing: 0.5, ..USUAL };
    let ran = judged(&world, failing).await?;
    assert_eq!((ran.code, world.published()?), (10, 0), "{}{}", ran.out, ran.err);
    let failed: Vec<Value> = figures(&ran).into_iter().filter(|f| f["verdict"] == "fail").collect();
    assert_eq!(failed.first().map(|f| f["name"].clone()), Some(json!("errorRate")), "{}", ran.out);
    load.stop().await?;
    Ok(())
}
