//! What `headgate shadow` says of pairs that a real proxy compared: from its records by way of the collector, from its log, and from its counters.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use headgate_tests::{Bootstrap, Client, Collector, Conduct, Envoy, Result, Upstream, headgate_binary, wait_until};
use serde_json::{Value, json};

use super::script::{Script, Two};
use super::world::{World, quiet, shadowed};

/// Runs `headgate shadow …` to its end, with this on its standard input.
fn shadow(arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new(headgate_binary()?);
    command.arg("shadow").args(arguments).env_remove("HEADGATE_RECORDS_TOKEN").env("USER", "ana");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The JSON that it says when all is well.
fn told(arguments: &[&str]) -> Result<Value> {
    let output = shadow(&[arguments, &["--json"]].concat(), "")?;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The configuration: users of the premium tier are a segment, and all that may be told is told to `records`.
fn configuration(revision: u64, records: Value) -> Value {
    let mut config = shadowed(revision, json!({"compare": {"body": "json"}, "record": {"values": true}}));
    config["routes"][0]["segments"] = json!([{
        "name": "premium", "match": {"headers": [{"name": "x-tier", "exact": "premium"}]}, "weights": {"canary": 0, "stable": 1}
    }]);
    config["shadowing"] = json!({ "records": records });
    config
}

/// Requests of users `from..to`, one after the other.
async fn ask(client: &mut Client, from: usize, to: usize, tier: &str) -> Result<()> {
    for n in from..to {
        let (user, id) = (format!("user-{n}"), format!("r-{n}"));
        client.get("/", &[("x-user-id", &user), ("x-request-id", &id), ("x-tier", tier)]).await?;
    }
    Ok(())
}

/// 40 pairs that agree, 8 of the premium tier in which a cat became a dog, and 2 without an answer of the shadow.
async fn pairs(two: &Two, envoy: &Envoy) -> Result<()> {
    let mut client = envoy.http1().await?;
    let cat = || Script::ok(r#"{"label":"cat","score":0.5}"#);
    two.stable.say(cat());
    two.shadow.say(cat());
    ask(&mut client, 0, 40, "basic").await?;
    quiet(envoy, 40).await?;
    two.shadow.say(Script::ok(r#"{"label":"dog","score":0.5}"#));
    ask(&mut client, 40, 48, "premium").await?;
    quiet(envoy, 48).await?;
    two.shadow.say(Script::breaks(""));
    ask(&mut client, 48, 50, "basic").await?;
    let (account, _) = quiet(envoy, 50).await?;
    assert_eq!((account.compared, account.failed), (48, 2));
    Ok(())
}

/// What all 50 pairs come to, wherever they are read.
fn whole(found: &Value) {
    assert_eq!((&found["records"], &found["compared"]), (&json!(50), &json!(48.0)), "{found}");
    assert_eq!(found["agreement"]["value"], json!(40.0 / 48.0), "{found}");
    assert_eq!(found["failed"], json!({"unreachable": 2.0}), "{found}");
    let change = json!({"path": "/label", "old": "\"cat\"", "new": "\"dog\"", "count": 8.0});
    assert_eq!(found["changes"], json!([change]), "{found}");
    let field = &found["fields"][0];
    assert_eq!((&field["path"], &field["pairs"], &field["counts"]), (&json!("/label"), &json!(8.0), &json!(true)));
    let segments: Vec<(&Value, &Value)> = found["segments"]
        .as_array()
        .map(|list| list.iter().map(|s| (&s["name"], &s["agreement"]["value"])).collect())
        .unwrap_or_default();
    assert_eq!(segments, [(&json!("default"), &json!(1.0)), (&json!("premium"), &json!(0.0))]);
    assert_eq!(found["largest"].as_array().map(Vec::len), Some(8), "{found}");
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_collected_analysed_and_labelled_and_the_report_reckons_with_labels() -> Result<()> {
    for workers in [1, 2] {
        let (two, folder) = (Two::start().await?, tempfile::tempdir()?);
        let (records, labels) = (path(folder.path(), "records.jsonl"), path(folder.path(), "labels.jsonl"));
        let collector = Collector::start(Path::new(&records), Some("of-the-proxies"))?;
        let mut bootstrap = Bootstrap::filter_state()?.edit(|b| b["stats_flush_interval"] = json!("0.2s"));
        bootstrap.add_cluster("model-v1", "collector", collector.addr())?;
        let to = json!({"cluster": "collector", "everyMs": 50, "tokenEnv": "HEADGATE_KEY_D1"});
        let envoy = two.behind(bootstrap, &configuration(1, to))?.env("HEADGATE_KEY_D1", "of-the-proxies");
        let envoy = envoy.concurrency(workers).start().await?;
        pairs(&two, &envoy).await?;
        let lines = || std::fs::read_to_string(&records).map(|text| text.lines().count());
        wait_until("all records are written", || async { Ok(lines()? == 50) }).await?;

        let found = told(&["analyze", &records])?;
        whole(&found);
        assert_eq!(found["skipped"], json!({}), "{found}");
        // A field that differs in a sixth of pairs counts, unless more is asked for.
        let found = told(&["analyze", &records, "--noise-absolute", "20%"])?;
        assert_eq!((&found["fields"][0]["path"], &found["fields"][0]["counts"]), (&json!("/label"), &json!(false)));
        // Some to look at: the same until they have labels.
        let sample = told(&["label", &records, "--labels", &labels, "--sample", "3"])?;
        assert_eq!(sample, told(&["label", &records, "--labels", &labels, "--sample", "3"])?);
        let ids: Vec<&str> =
            sample["disagreements"].as_array().into_iter().flatten().filter_map(|d| d["id"].as_str()).collect();
        assert_eq!(ids.len(), 3, "{sample}");
        let mut say = vec!["label", &records, "--labels", &labels, "--right", "shadow", "--note", "it is a dog"];
        ids.iter().for_each(|id| say.extend(["--id", id]));
        told(&say)?;
        let next = told(&["label", &records, "--labels", &labels, "--sample", "9"])?;
        assert_eq!(next["disagreements"].as_array().map(Vec::len), Some(5), "{next}");
        assert!(ids.iter().all(|id| !next.to_string().contains(&format!("\"{id}\""))), "{next}");
        // A name that no disagreement has is refused, and nothing is written.
        let before = std::fs::read_to_string(&labels)?;
        let refused = shadow(&["label", &records, "--labels", &labels, "--id", "r-1", "--right", "both"], "")?;
        assert_eq!((refused.status.code(), std::fs::read_to_string(&labels)?), (Some(3), before), "{}", text(&refused));

        let target = json!({"name": "default", "publisher": {"file": {"path": envoy.ecds_path()}},
            "proxies": [{"name": "edge", "admin": format!("http://{}", envoy.admin().addr())}]});
        let file = path(folder.path(), "target.json");
        std::fs::write(&file, target.to_string())?;
        let report = told(&["report", &file, "--route", "model", "--labels", &labels])?;
        for found in [told(&["analyze", &records, "--labels", &labels])?["labels"].clone(), report["labels"].clone()] {
            assert_eq!(
                (&found["found"], &found["shadow"], &found["primary"]),
                (&json!(3), &json!(3), &json!(0)),
                "{found}"
            );
        }
        let agreement = report["verdict"]["checks"][0].clone();
        assert_eq!(
            (&agreement["name"], &agreement["measured"]),
            (&json!("agreement"), &json!(40.0 / 48.0)),
            "{report}"
        );
        let said = agreement["sentence"].as_str().unwrap_or_default();
        assert!(said.contains("in 3 of the 3 disagreements they looked at") || ids.len() < 2, "{said}");
        assert_eq!(report["verdict"]["comparisons"], json!(48.0), "{report}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_log_is_read_like_a_file_of_records_and_a_line_that_is_cut_off_is_skipped_and_said() -> Result<()> {
    for workers in [1, 2] {
        let (two, folder) = (Two::start().await?, tempfile::tempdir()?);
        let to = json!({"log": true});
        let envoy = two.behind(Bootstrap::filter_state()?, &configuration(1, to))?.concurrency(workers).start().await?;
        pairs(&two, &envoy).await?;
        let count = || envoy.log().map(|log| log.matches("headgate-shadow {").count());
        wait_until("Envoy has written its log", || async { Ok(count()? == 50) }).await?;
        let (log, cut, page) =
            (path(folder.path(), "envoy.log"), path(folder.path(), "cut.log"), path(folder.path(), "page.html"));
        std::fs::write(&log, envoy.log()?)?;
        let found = told(&["analyze", &log])?;
        whole(&found);
        // Envoy's own lines are no records.
        assert!(found["skipped"]["cutOff"].is_null(), "{found}");

        let mut text_of_it = envoy.log()?;
        let last = text_of_it.rfind("headgate-shadow {").unwrap_or_default();
        text_of_it.truncate(last + 60);
        std::fs::write(&cut, &text_of_it)?;
        let found = told(&["analyze", &cut])?;
        assert_eq!((&found["records"], &found["skipped"]["cutOff"]), (&json!(49), &json!(1)), "{found}");
        let output = shadow(&["analyze", &cut, "--html", &page], "")?;
        let said = text(&output);
        assert!(output.status.success() && said.contains("1 cut off") && said.contains("Agreement: "), "{said}");
        let page = std::fs::read_to_string(&page)?;
        for words in ["1 cut off", "&quot;cat&quot;", "&quot;dog&quot;", "premium", "id=\"latency\""] {
            assert!(page.contains(words), "{words}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_recommended_to_be_mended_from_the_counters_alone() -> Result<()> {
    let (same, other) = (World::start().await?, Upstream::start("other").await?);
    let mut bootstrap = Bootstrap::filter_state()?.edit(|b| b["stats_flush_interval"] = json!("0.2s"));
    bootstrap.add_cluster("model-v1", "other", other.addr())?;
    let envoy = same.behind(bootstrap, json!({}))?.concurrency(2).start().await?;
    let folder = tempfile::tempdir()?;
    let target = path(folder.path(), "target.json");
    let proxy = json!({"name": "edge", "admin": format!("http://{}", envoy.admin().addr())});
    std::fs::write(
        &target,
        json!({"name": "default", "publisher": {"file": {"path": envoy.ecds_path()}}, "proxies": [proxy]}).to_string(),
    )?;
    let conduct = |late: u64, failing: u64| Conduct {
        late: std::time::Duration::from_millis(late),
        failing,
        ..Conduct::default()
    };
    let limits = ["--comparisons", "100", "--errors-floor", "10%"];
    // How long answers take on a busy machine says nothing but where one is late by more.
    let patient = [&limits[..], &["--latency-floor", "10s"]].concat();
    let cases: [(&str, Conduct, &str, &[&str], &str); 5] = [
        ("well", conduct(0, 0), "model-v2", &patient, "promote"),
        // Without an error in 300 pairs nobody knows that there is less than one in 200.
        ("few", conduct(0, 0), "model-v2", &["--comparisons", "100", "--latency-floor", "10s"], "needMore"),
        ("failing", conduct(0, 2), "model-v2", &patient, "fixErrors"),
        ("slow", conduct(400, 0), "model-v2", &limits, "fixLatency"),
        ("otherwise", conduct(0, 0), "other", &patient, "investigateDisagreement"),
    ];
    for ((name, conduct, cluster, limits, expected), revision) in cases.into_iter().zip(2..) {
        same.shadow.behave(conduct);
        let mut config = shadowed(revision, json!({"cluster": cluster, "compare": {"body": "digest"}}));
        config["routes"][0]["name"] = json!(name);
        config["routes"][0]["variants"] = json!([{"name": "stable", "weight": 1, "cluster": "model-v1"}]);
        config["shadowing"] = json!({"budget": {"inFlight": 1_000, "perSecond": 100_000}});
        envoy.push(&config).await?;
        let mut clients = tokio::task::JoinSet::new();
        for some in 0..6 {
            let mut client = envoy.http1().await?;
            clients.spawn(async move { ask(&mut client, some * 50, some * 50 + 50, "basic").await });
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        quiet(&envoy, 300 * (revision - 1)).await?;
        // Envoy shows its histograms with the next flush.
        let histogram = "headgate_shadow_latency_us_count";
        let side = if name == "failing" { "primary" } else { "shadow" };
        wait_until("the latencies are shown", || async {
            Ok(envoy.admin().metrics().await?.sum(histogram, &[("route", name), ("side", side)]) == 300)
        })
        .await?;
        let told = told(&[&["report", &target, "--route", name], limits].concat())?;
        assert_eq!(told["verdict"]["recommendation"], expected, "{name}: {told}");
        let because = told["verdict"]["because"].as_str().unwrap_or_default();
        assert!(!because.is_empty() && told["verdict"]["comparisons"].as_f64() > Some(0.0), "{told}");
    }
    // A route that nobody copies is said to have nothing.
    let none = shadow(&["report", &target, "--route", "nobody"], "")?;
    assert!(text(&none).contains("No comparison of route nobody was counted"), "{}", text(&none));
    Ok(())
}

#[test]
fn other_tools_logs_are_read_with_a_map() -> Result<()> {
    let lines: String = (0..200)
        .map(|n| {
            let off = if n % 10 == 0 { 0.5 } else { 0.001 };
            let x = f64::from(n % 50) / 10.0;
            format!(
                "{{\"champion\":{{\"score\":{x}}},\"challenger\":{{\"score\":{}}},\"user_id\":{},\"ms\":{},\"s\":20}}\n",
                x + off,
                n % 60,
                12 + n % 5
            )
        })
        .collect();
    let input = format!("{lines}{{\"level\":\"info\"}}\nnot json\n{{\"champion\":{{\"score\":1.0}},\"chal");
    let map = [
        "analyze",
        "-",
        "--map",
        "old=champion.score",
        "--map",
        "new=/challenger/score",
        "--map",
        "key=user_id",
        "--map",
        "new-latency=ms",
        "--map",
        "old-latency=s",
        "--tolerance",
        "0.01",
    ];
    let output = shadow(&[&map[..], &["--json"]].concat(), &input)?;
    assert!(output.status.success(), "{}", text(&output));
    let found: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&found["compared"], &found["agreement"]["value"]), (&json!(200.0), &json!(0.9)), "{found}");
    assert_eq!(found["skipped"], json!({"cutOff": 1, "malformed": 1, "withoutComparison": 1}), "{found}");
    assert_eq!(
        (&found["numbers"]["pairs"], &found["agreement"]["buckets"].as_u64().is_some_and(|b| b > 20)),
        (&json!(200.0), &true)
    );
    let near = |path: &str, expected: f64| {
        let value = found["numbers"][path].as_f64().unwrap_or(f64::NAN);
        assert!((value - expected).abs() < 1e-9, "{path}: {value}");
    };
    near("mean", 0.1 * 0.5 + 0.9 * 0.001);
    near("largest", 0.5);
    for (arguments, code, word) in [
        (&["analyze", "-", "--map", "older=a", "--map", "new=b"][..], 2, "there are old, new"),
        (&["analyze", "-", "--map", "old=a", "--map", "new=a"], 2, "mapped already"),
        (&["analyze", "-", "--tolerance", "0.1"], 2, "--map"),
        (&["analyze", "-", "--agreement", "120%"], 2, "--agreement"),
        (&["analyze", "-", "--alpha", "0%"], 2, "--alpha"),
        (&["analyze", "/does/not/exist.jsonl"], 1, "/does/not/exist.jsonl"),
        (&["analyze", "-"], 3, "no comparison in it"),
    ] {
        let refused = shadow(arguments, &lines)?;
        let said = text(&refused);
        assert!(
            refused.status.code() == Some(code) && said.contains(word),
            "{arguments:?}: {:?} {said}",
            refused.status
        );
    }
    Ok(())
}
