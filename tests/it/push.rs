//! The program `headgate` against a real Envoy: push, set, kill, revive, status.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use headgate_tests::{Client, Envoy, Fault, Result, headgate_binary, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Versions, route};

/// A folder with a target file, and the program.
struct Control {
    home: TempDir,
}

/// How a run ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    json: Value,
}

impl Control {
    /// A target `shop` of one Envoy.
    fn of(envoy: &Envoy) -> Result<Self> {
        let control = Self { home: tempfile::tempdir()? };
        control.target(envoy, json!([]))?;
        Ok(control)
    }

    /// Writes the target file anew, with more proxies than the Envoy.
    fn target(&self, envoy: &Envoy, more: Value) -> Result<()> {
        let mut proxies = vec![json!({"name": "edge", "admin": format!("http://{}", envoy.admin().addr())})];
        proxies.extend(more.as_array().cloned().unwrap_or_default());
        let target = json!({"name": "shop", "publisher": {"file": {"path": envoy.ecds_path()}}, "proxies": proxies});
        Ok(std::fs::write(self.path("target.json"), target.to_string())?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a plugin configuration with these routes.
    fn plugin(&self, name: &str, routes: Value) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, json!({"routes": routes}).to_string())?;
        Ok(path)
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let mut arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        arguments.insert(1, self.path("target.json").display().to_string());
        arguments.push("--json".to_owned());
        let binary = headgate_binary()?;
        let run = move || std::process::Command::new(binary).args(arguments).stdin(Stdio::null()).output();
        let output = tokio::task::spawn_blocking(run).await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let json = serde_json::from_str(&text)
            .map_err(|_| Fault::msg(format!("no JSON: {text}{}", String::from_utf8_lossy(&output.stderr))))?;
        Ok(Ran { code: output.status.code().unwrap_or(-1), json })
    }

    async fn push(&self, file: &Path) -> Result<Ran> {
        self.run(&["push", "-f", &file.display().to_string()]).await
    }
}

/// The plugin configuration in the published file.
fn published(envoy: &Envoy) -> Result<Value> {
    let document: Value = serde_json::from_str(&std::fs::read_to_string(envoy.ecds_path())?)?;
    let text = document["resources"][0]["typed_config"]["config"]["configuration"]["value"].clone();
    Ok(serde_json::from_str(text.as_str().unwrap_or_default())?)
}

async fn served(client: &mut Client, user: &str) -> Result<String> {
    Ok(client.get("/", &[("x-user-id", user)]).await?.upstream())
}

/// A route of another name, for another path.
fn other(name: &str) -> Value {
    let mut other = route(1, 0);
    other["name"] = json!(name);
    other["match"] = json!({"path": {"prefix": format!("/{name}/")}});
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_applied_when_every_thread_acknowledged_it() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.concurrency(2).start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    let ran = control.push(&plugin).await?;
    assert_eq!((ran.code, &ran.json["revision"]), (0, &json!(1)), "{}", ran.json);
    assert_eq!(ran.json["proxies"][0]["state"], "applied");
    assert_eq!(ran.json["proxies"][0]["why"], "acknowledged by 2 workers and the main thread");
    let metrics = envoy.metrics().await?;
    assert_eq!(metrics.sum("headgate_revision", &[("target", "shop")]), 1);
    assert_eq!(metrics.sum("headgate_acknowledgements", &[("target", "shop")]), 3);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");

    let ran = control.run(&["set", "--route", "model", "canary=0", "stable=3"]).await?;
    assert_eq!((ran.code, &ran.json["revision"]), (0, &json!(2)), "{}", ran.json);
    assert_eq!(ran.json["old"], json!({"stable": 0, "canary": 1}));
    assert_eq!(ran.json["new"], json!({"stable": 3, "canary": 0}));
    assert_eq!(ran.json["movedShare"], 1.0);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");

    let ran = control.run(&["status"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.json);
    let proxy = &ran.json["proxies"][0];
    assert_eq!((&proxy["inForce"], &proxy["runtimeKill"]), (&json!(true), &json!("off")));
    assert_eq!(proxy["reading"]["acknowledgements"], 6);
    assert_eq!(proxy["reading"]["version"], env!("CARGO_PKG_VERSION"));

    let stale = control.run(&["push", "-f", &plugin.display().to_string(), "--if-revision", "1"]).await?;
    assert_eq!((stale.code, &stale.json["exit"]), (6, &json!("conflict")));
    let dry = control.run(&["push", "-f", &plugin.display().to_string(), "--dry-run"]).await?;
    assert_eq!(
        (dry.code, &dry.json["written"], &dry.json["changes"]),
        (0, &json!(false), &json!(["route model is replaced"]))
    );
    assert_eq!(published(&envoy)?["revision"], 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_keeps_what_was_in_force() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let good = control.plugin("good.json", json!([route(0, 1)]))?;
    assert_eq!(control.push(&good).await?.code, 0);

    // Refused here: nothing is written, and every problem is told.
    let mut wrong = route(1, 1);
    wrong["stable"] = json!("nobody");
    wrong["variants"][0]["weigth"] = json!(1);
    let bad = control.plugin("bad.json", json!([wrong]))?;
    let before = std::fs::read(envoy.ecds_path())?;
    let ran = control.push(&bad).await?;
    assert_eq!((ran.code, &ran.json["exit"]), (3, &json!("refused")));
    assert_eq!(ran.json["problems"][0]["path"], "routes[0].variants[0].weigth");
    assert_eq!(std::fs::read(envoy.ecds_path())?, before);

    // Refused by Envoy: another VM, whose code is not there.
    let mut target: Value = serde_json::from_str(&std::fs::read_to_string(control.path("target.json"))?)?;
    target["filter"] = json!({"file": control.path("missing.wasm")});
    std::fs::write(control.path("target.json"), target.to_string())?;
    let next = control.plugin("next.json", json!([route(1, 0)]))?;
    let ran = control.push(&next).await?;
    assert_eq!((ran.code, &ran.json["exit"]), (7, &json!("unfit")), "{}", ran.json);
    assert_eq!(std::fs::read(envoy.ecds_path())?, before);
    let ran = control.run(&["push", "-f", &next.display().to_string(), "--replace-vm"]).await?;
    assert_eq!((ran.code, &ran.json["proxies"][0]["state"]), (5, &json!("rejected")), "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");
    // The record is what is in force again, under a number of its own.
    let record = published(&envoy)?;
    assert_eq!((&record["revision"], &record["routes"][0]["variants"][1]["weight"]), (&json!(3), &json!(1)));
    assert_eq!(envoy.metrics().await?.sum("headgate_revision", &[("target", "shop")]), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_holds_over_a_restart_and_a_push_until_it_is_revived() -> Result<()> {
    let versions = Versions::start().await?;
    let mut envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    assert_eq!(control.push(&plugin).await?.code, 0);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");

    let ran = control.run(&["kill"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert_eq!((&ran.json["proxies"][0]["killedByRuntime"], &ran.json["notKilled"]), (&json!(true), &json!([])));
    assert_eq!(ran.json["proxies"][0]["configuration"]["state"], "applied");
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");

    // Envoy forgets its runtime; the configuration does not forget.
    envoy.restart().await?;
    control.target(&envoy, json!([]))?;
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");
    let ran = control.push(&plugin).await?;
    assert_eq!((ran.code, &ran.json["killSwitch"]), (0, &json!(true)), "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");

    let ran = control.run(&["revive"]).await?;
    assert_eq!((ran.code, &ran.json["killSwitch"]), (0, &json!(false)), "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");

    // One route alone.
    let ran = control.run(&["kill", "--route", "model"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");
    let ran = control.run(&["revive", "--route", "model"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_kill_that_is_found_is_adopted() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    envoy.admin().runtime("headgate.enabled", "0").await?;
    let ran = control.push(&plugin).await?;
    assert_eq!((ran.code, &ran.json["killSwitch"]), (0, &json!(true)), "{}", ran.json);
    assert_eq!(published(&envoy)?["killSwitch"], true);
    let ran = control.run(&["revive"]).await?;
    assert_eq!((ran.code, &ran.json["runtimeCleared"]), (0, &json!(["edge"])), "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "canary");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_goes_out_even_if_the_published_file_cannot_be_read() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    assert_eq!(control.push(&plugin).await?.code, 0);
    // Written in place, which Envoy does not notice: it goes on with what it has.
    std::fs::write(envoy.ecds_path(), "{ nonsense")?;
    let ran = control.run(&["kill"]).await?;
    assert_ne!(ran.code, 0, "{}", ran.json);
    assert_eq!((&ran.json["written"], &ran.json["proxies"][0]["killedByRuntime"]), (&json!(false), &json!(true)));
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_tells_the_requests_that_are_still_open_on_the_killed_version() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    assert_eq!(control.push(&plugin).await?.code, 0);
    let mut client = envoy.http1().await?;
    let held = tokio::spawn(async move { client.get("/hold", &[("x-user-id", "7")]).await });
    wait_until("the canary holds a request", || async { Ok(!versions.canary.seen().is_empty()) }).await?;
    let ran = control.run(&["kill"]).await?;
    assert_eq!(ran.json["openStreams"], json!([{"proxy": "edge", "cluster": "model-v2", "open": 1}]), "{}", ran.json);
    versions.canary.release();
    assert_eq!(held.await??.upstream(), "canary", "what was in flight is answered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_that_push_at_the_same_time_keep_each_other_s_routes() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let names = ["one", "two", "three", "four"];
    let files: Vec<PathBuf> = names
        .iter()
        .map(|name| control.plugin(&format!("{name}.json"), json!([other(name)])))
        .collect::<Result<_>>()?;
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| control.push(&files[i]));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let mut revisions = Vec::new();
    for ran in [a?, b?, c?, d?] {
        assert_eq!(ran.code, 0, "{}", ran.json);
        revisions.push(ran.json["revision"].as_u64().unwrap_or_default());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, [1, 2, 3, 4], "one sequence");
    let record = published(&envoy)?;
    let mut routes: Vec<&str> =
        record["routes"].as_array().unwrap().iter().filter_map(|r| r["name"].as_str()).collect();
    routes.sort_unstable();
    assert_eq!(routes, ["four", "one", "three", "two"]);
    // And a kill of one stays when another one is pushed.
    assert_eq!(control.run(&["kill", "--route", "two"]).await?.code, 0);
    assert_eq!(control.push(&files[0]).await?.code, 0);
    assert_eq!(control.push(&files[1]).await?.code, 0);
    let record = published(&envoy)?;
    let killed: Vec<&Value> = record["routes"].as_array().unwrap().iter().filter(|r| r["killSwitch"] == true).collect();
    assert_eq!((killed.len(), &killed[0]["name"]), (1, &json!("two")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_is_named_and_the_others_apply() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    // A port that was ours a moment ago, and that nobody listens on.
    let dead = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    control.target(&envoy, json!([{"name": "gone", "admin": format!("http://{dead}")}]))?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    let ran = control.run(&["push", "-f", &plugin.display().to_string(), "--timeout", "5s"]).await?;
    assert_eq!((ran.code, &ran.json["exit"]), (4, &json!("pending")), "{}", ran.json);
    let state = |i: usize| (ran.json["proxies"][i]["proxy"].clone(), ran.json["proxies"][i]["state"].clone());
    assert_eq!(state(0), (json!("edge"), json!("applied")));
    assert_eq!(state(1), (json!("gone"), json!("pending")));
    let ran = control.run(&["kill", "--timeout", "1s"]).await?;
    assert_eq!((ran.code, &ran.json["notKilled"]), (4, &json!(["gone"])), "{}", ran.json);
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");
    let ran = control.run(&["status"]).await?;
    assert_eq!((ran.code, &ran.json["proxies"][1]["reachable"]), (4, &json!(false)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_only_listener_is_enough_to_verify_a_push_in_both_forms_of_statistics() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let stats = envoy.listener("stats")?;
    let proxies = json!([{"name": "json", "stats": format!("http://{stats}")},
        {"name": "prometheus", "stats": format!("http://{stats}/stats/prometheus")}]);
    control.target(&envoy, proxies)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    let ran = control.push(&plugin).await?;
    assert_eq!(ran.code, 0, "{}", ran.json);
    let states: Vec<&Value> = (0..3).map(|i| &ran.json["proxies"][i]["state"]).collect();
    assert_eq!(states, ["applied", "applied", "applied"]);
    envoy.push_refused("no configuration at all").await?;
    let ran = control.run(&["status"]).await?;
    for (i, name) in ["edge", "json", "prometheus"].iter().enumerate() {
        let proxy = &ran.json["proxies"][i];
        assert_eq!(proxy["proxy"], *name);
        assert_eq!(proxy["reading"]["rejected"], 1, "{proxy}");
        assert_eq!(proxy["reading"]["revision"], 1, "{proxy}");
        assert_eq!(proxy["reading"]["workers"], 1, "{proxy}");
    }
    assert_eq!(ran.json["proxies"][0]["reading"]["active"]["model-v2"], 0);
    assert_eq!(ran.json["proxies"][2]["reading"]["active"]["model-v2"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_among_many_pushes_stands() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.start().await?;
    let control = Control::of(&envoy)?;
    let plugin = control.plugin("a.json", json!([route(0, 1)]))?;
    assert_eq!(control.push(&plugin).await?.code, 0);
    let pushes = async {
        for _ in 0..5 {
            let ran = control.push(&plugin).await?;
            assert_eq!(ran.code, 0, "{}", ran.json);
        }
        Ok::<(), Fault>(())
    };
    let (first, second, kill) = tokio::join!(pushes, control.push(&plugin), control.run(&["kill"]));
    first?;
    assert_eq!((second?.code, kill?.code), (0, 0));
    let record = published(&envoy)?;
    assert_eq!((&record["killSwitch"], &record["revision"]), (&json!(true), &json!(8)), "seven pushes and a kill");
    // Not by the runtime alone.
    envoy.admin().runtime("headgate.enabled", "").await?;
    assert_eq!(served(&mut envoy.http1().await?, "7").await?, "stable");
    Ok(())
}
