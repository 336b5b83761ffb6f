//! Every file in `envoy/` that users copy, in a real Envoy.

use std::path::Path;
use std::process::Command;

use headgate_tests::{
    Bootstrap, Client, Envoy, Hook, Result, Upstream, empty, envoy_binary, repository, wait_until, wasm,
};
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::Versions;
use crate::signing::{KEY, token};
use crate::split::{bucket, split};

/// `envoy/plugin.yaml`.
fn plugin() -> Result<Value> {
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(repository().join("envoy/plugin.yaml"))?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_shadow_yaml_compares_and_its_records_arrive() -> Result<()> {
    let (stable, canary, hook) = (Upstream::start("model").await?, Upstream::start("model").await?, Hook::start()?);
    let example = std::fs::read_to_string(repository().join("envoy/plugin-shadow.yaml"))?;
    let mut plugin: Value = serde_saphyr::from_str(&example)?;
    // Sooner than after a second, and every match.
    plugin["shadowing"]["records"]["everyMs"] = json!(50);
    plugin["routes"][0]["shadow"]["record"]["matches"] = json!(10_000);
    let mut bootstrap = Bootstrap::filter_state()?;
    bootstrap.add_cluster("model-v1", "headgate", hook.addr())?;
    let envoy = Envoy::builder(bootstrap).cluster("model-v1", stable.addr()).cluster("model-v2", canary.addr());
    let envoy = envoy.wasm(&headgate_tests::shadow_wasm()?).configuration(&plugin).start().await?;
    let keys: Vec<String> = (0..200).map(|n| format!("user-{n}")).collect();
    let sampled = keys.iter().filter(|key| bucket("model-2026-11", "shadow", key, 10_000) < 1_000).count();
    assert!(sampled > 0, "no user of this test is in the share");
    let mut client = envoy.http1().await?;
    for key in &keys {
        assert_eq!(client.get("/", &[("x-user-id", key), ("cookie", "a=b")]).await?.status, 200, "{key}");
    }
    wait_until("all copies are compared, and told", || async {
        let metrics = envoy.admin().metrics().await?;
        let told = metrics.sum("headgate_shadow_records", &[("target", "model"), ("result", "sent")]);
        Ok((metrics.sum("headgate_shadow_compared", &[]), told) == (sampled as u64, sampled as u64))
    })
    .await?;
    assert!(canary.seen().iter().all(|seen| seen.is_copy() && seen.header("cookie").is_none()));
    assert_eq!(canary.count(), sampled);
    Ok(())
}

/// Sends users through the example configuration and holds every answer and copy against the definition.
async fn serves_the_example(versions: &Versions, envoy: &Envoy) -> Result<()> {
    let mirrored = |key: &str| bucket("model-2026-11", "mirror", key, 10_000) < 100;
    let division = [("stable", 95), ("canary", 5)];
    let unmirrored = (0..300)
        .map(|n| format!("user-{n}"))
        .find(|key| split("model-2026-11", &division, key) == "stable" && !mirrored(key))
        .expect("most users are on stable and not mirrored");
    let mut copied = 0;
    for mut client in [envoy.http1().await?, envoy.http2().await?] {
        for n in 0..300 {
            let key = format!("user-{n}");
            let expected = split("model-2026-11", &division, &key);
            assert_eq!(client.get("/", &[("x-user-id", &key)]).await?.upstream(), expected, "{key}");
            copied += usize::from(mirrored(&key) && expected == "stable");
        }
        assert_eq!(client.get("/", &[("x-user-id", "qa-1")]).await?.upstream(), "canary");
        assert_eq!(client.get("/", &[("x-user-id", "vip-7")]).await?.upstream(), "stable");
        assert_eq!(client.get("/?version=stable", &[("x-user-id", "user-1")]).await?.upstream(), "stable");
        let token = token("canary");
        let tester = [("x-canary", "always"), ("x-headgate-token", token.as_str())];
        assert_eq!(client.get("/", &tester).await?.upstream(), "canary");
        // With a key: without one it would be mirrored at random.
        let untrusted = [("x-canary", "always"), ("x-user-id", unmirrored.as_str())];
        assert_eq!(client.get("/", &untrusted).await?.upstream(), "stable");
    }
    assert!(copied > 0, "no user of this test is in the mirror's share");
    let copies = || versions.canary.seen().iter().filter(|seen| seen.is_copy()).count();
    wait_until("the copies have arrived", || async { Ok(copies() >= copied) }).await?;
    assert_eq!(copies(), copied);
    assert_eq!(envoy.metrics().await?.sum("headgate_misrouted", &[]), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_yaml_serves_the_example_configuration() -> Result<()> {
    let versions = Versions::start().await?;
    let envoy = versions.envoy()?.env("HEADGATE_KEY_K1", KEY).configuration(&plugin()?).start().await?;
    serves_the_example(&versions, &envoy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_header_yaml_serves_the_example_configuration() -> Result<()> {
    let versions = Versions::start().await?;
    let mut by_header = plugin()?;
    let nonce = "6f1d2c9ab4e87350";
    let route = &mut by_header["routes"][0];
    route["output"] = json!({"filterState": null, "requestHeader": {"name": "x-headgate-variant", "nonce": nonce}});
    route["mirror"]["filterState"] = Value::Null;
    route["mirror"]["requestHeader"] = json!({"name": "x-headgate-mirror", "nonce": nonce});
    let envoy =
        versions.behind(Bootstrap::header()?).env("HEADGATE_KEY_K1", KEY).configuration(&by_header).start().await?;
    serves_the_example(&versions, &envoy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_filter_every_bootstrap_serves_stable_at_once() -> Result<()> {
    for bootstrap in [Bootstrap::filter_state()?, Bootstrap::header()?] {
        let stable = Upstream::start("stable").await?;
        let envoy = Envoy::builder(bootstrap)
            .cluster("model-v1", stable.addr())
            .wasm("/nowhere/headgate.wasm".as_ref())
            .without_waiting_for_filter()
            .start()
            .await?;
        let mut client = envoy.http1().await?;
        for header in ["x-headgate-variant", "x-headgate-token", "x-headgate-decisions"] {
            assert_eq!(client.get("/", &[(header, "canary")]).await?.upstream(), "stable");
            assert_eq!(stable.last()?.header(header), None);
        }
        wait_until("Envoy refuses the missing filter", || async { Ok(envoy.rejected().await? > 0) }).await?;
        assert_eq!(client.get("/", &[]).await?.upstream(), "stable");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_only_listener_shows_metrics_and_nothing_else() -> Result<()> {
    for bootstrap in [Bootstrap::filter_state()?, Bootstrap::header()?] {
        let versions = Versions::start().await?;
        let envoy = versions.behind(bootstrap).start().await?;
        let mut client = Client::http1(envoy.listener("stats")?).await?;
        for path in ["/stats", "/stats?format=json", "/stats/prometheus", "/ready"] {
            assert_eq!(client.get(path, &[]).await?.status, 200, "{path}");
        }
        let shown = client.get("/stats/prometheus", &[]).await?;
        assert!(String::from_utf8_lossy(&shown.body).contains("headgate_acknowledgements{target=\"default\"} 2"));
        for path in
            ["/", "/quitquitquit", "/config_dump", "/runtime", "/server_info", "/stats/", "/stats/../quitquitquit"]
        {
            assert_eq!(client.get(path, &[]).await?.status, 404, "{path}");
        }
        for path in ["/stats", "/quitquitquit", "/runtime_modify?headgate.enabled=0", "/reset_counters", "/ready"] {
            assert_eq!(client.request(Method::POST, path, &[], empty()).await?.status, 404, "{path}");
        }
    }
    Ok(())
}

#[test]
fn the_admin_interface_is_on_loopback_in_every_bootstrap_that_is_shipped() -> Result<()> {
    for name in ["envoy.yaml", "envoy-header.yaml"] {
        let mut bootstrap = Bootstrap::read(&repository().join("envoy").join(name))?;
        assert_eq!(bootstrap.at("/admin/address/socket_address/address")?, "127.0.0.1", "{name}");
    }
    Ok(())
}

#[test]
fn ecds_yaml_carries_plugin_yaml() -> Result<()> {
    let text = std::fs::read_to_string(repository().join("envoy/ecds.yaml"))?;
    let file: Value = serde_saphyr::from_str(&text)?;
    let value = file.pointer("/resources/0/typed_config/config/configuration/value").and_then(Value::as_str);
    assert_eq!(serde_json::from_str::<Value>(value.expect("a configuration"))?, plugin()?);
    Ok(())
}

/// Writes a file of `envoy/` as it is, but for the folder that its paths are in.
fn copy(name: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let text = std::fs::read_to_string(repository().join("envoy").join(name))?;
    let there = folder.to_str().expect("a folder whose name is text");
    let path = folder.join(name);
    std::fs::write(&path, text.replace("/etc/headgate", there))?;
    Ok(path)
}

#[test]
fn envoy_itself_finds_no_fault_with_the_bootstraps_as_they_are_shipped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    copy("ecds.yaml", folder.path())?;
    std::fs::copy(wasm()?, folder.path().join("headgate.wasm"))?;
    for name in ["envoy.yaml", "envoy-header.yaml"] {
        let copied = copy(name, folder.path())?;
        let output = Command::new(envoy_binary()?).args(["--mode", "validate", "-c"]).arg(copied).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        for word in ["deprecated", "[error]", "[critical]"] {
            assert!(!said.to_lowercase().contains(word), "{name}: {said}");
        }
    }
    Ok(())
}
