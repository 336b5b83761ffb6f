//! `envoy/compose.yaml`, brought up and taken down: Envoy's official image with the filter mounted, and two versions.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use headgate_tests::{Admin, repository, wait_until, wasm};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::plan::{KEY_ENV, TARGET};
use crate::world::SECRET;

/// The project's name for Docker: what this brings up is what this takes down.
const PROJECT: &str = "headgate-demo";

/// The containers. Taken down by [`Compose::down`], and when dropped before.
#[derive(Debug)]
pub(crate) struct Compose {
    pub(crate) ingress: SocketAddr,
    pub(crate) stats: SocketAddr,
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) published: PathBuf,
    folder: PathBuf,
    up: bool,
}

/// Whether there is a Docker engine, and Compose.
pub(crate) async fn engine() -> Result<(), String> {
    for arguments in [["info", "--format={{.ServerVersion}}"], ["compose", "version"]] {
        let run = Command::new("docker").args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = run.map_err(|e| format!("docker: {e}"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = text.lines().next().unwrap_or("no reason given");
            return Err(format!("`docker {}`: {line}", arguments.join(" ")));
        }
    }
    Ok(())
}

impl Compose {
    /// Puts the filter and a first configuration into `folder`, and starts the containers.
    pub(crate) async fn up(folder: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let etc = folder.join("etc");
        std::fs::create_dir(&etc)?;
        // Envoy runs as another user in its container.
        for path in [folder, etc.as_path()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        }
        std::fs::copy(wasm()?, etc.join("headgate.wasm"))?;
        let published = etc.join("ecds.yaml");
        std::fs::write(&published, first()?)?;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut compose = Self {
            ingress: local(10_000),
            stats: local(9_902),
            servers: vec![local(10_081), local(10_082)],
            published,
            folder: etc,
            up: true,
        };
        if let Err(e) = compose.started().await {
            compose.remove().await.context("after a failed start")?;
            return Err(e);
        }
        Ok(compose)
    }

    /// Starts Envoy again.
    pub(crate) async fn restart(&self) -> Result<()> {
        self.docker(&["restart", "envoy"]).await?;
        self.ready().await
    }

    /// Removes the containers and their network.
    pub(crate) async fn down(mut self) -> Result<()> {
        self.remove().await
    }

    async fn started(&self) -> Result<()> {
        self.docker(&["up", "--detach", "--build", "--wait"]).await?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        wait_until("Envoy serves with the filter", || async {
            let metrics = Admin::new(self.stats).metrics().await?;
            Ok(metrics.sum("headgate_acknowledgements", &[("target", TARGET)]) > 1)
        })
        .await
    }

    async fn remove(&mut self) -> Result<()> {
        self.up = false;
        self.docker(&["down", "--volumes", "--timeout", "5"]).await
    }

    async fn docker(&self, arguments: &[&str]) -> Result<()> {
        let output = self.command().args(arguments).stdin(Stdio::null()).output().await?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "`docker compose {}`: {text}", arguments.join(" "));
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", PROJECT, "--file"]).arg(file());
        command.env("HEADGATE_DIR", &self.folder).env(KEY_ENV, SECRET);
        command
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if self.up {
            // Interrupted: what was started is taken down all the same.
            let _ = self.command().as_std_mut().args(["down", "--volumes", "--timeout", "1"]).output();
        }
    }
}

fn file() -> PathBuf {
    repository().join("envoy/compose.yaml")
}

/// The published file to begin with: `envoy/ecds.yaml` with a configuration without routes.
fn first() -> Result<String> {
    let text = std::fs::read_to_string(repository().join("envoy/ecds.yaml"))?;
    let mut document: Value = serde_saphyr::from_str(&text)?;
    document["resources"][0]["typed_config"]["config"]["configuration"]["value"] =
        json!(json!({"contract": 1, "revision": 1, "target": TARGET}).to_string());
    Ok(format!("{document:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose() -> Value {
        serde_saphyr::from_str(&std::fs::read_to_string(file()).unwrap()).unwrap()
    }

    #[test]
    fn every_port_is_on_loopback_and_is_the_one_that_the_demo_asks() {
        let mut ports = Vec::new();
        for service in compose()["services"].as_object().unwrap().values() {
            for port in service["ports"].as_array().into_iter().flatten() {
                let text = port.as_str().unwrap();
                let (local, _) = text.rsplit_once(':').unwrap();
                ports.push(local.parse::<SocketAddr>().unwrap());
            }
        }
        ports.sort_unstable();
        assert!(ports.iter().all(|port| port.ip().is_loopback()), "{ports:?}");
        assert_eq!(ports.iter().map(SocketAddr::port).collect::<Vec<_>>(), [9_902, 10_000, 10_081, 10_082]);
    }

    #[test]
    fn what_it_mounts_and_builds_is_there_and_the_image_is_pinned() {
        let compose = compose();
        let envoy = &compose["services"]["envoy"];
        let image = envoy["image"].as_str().unwrap();
        assert!(image.starts_with("envoyproxy/envoy:v1.40."), "{image}");
        let folder = file().parent().unwrap().to_owned();
        let mounts: Vec<&str> = envoy["volumes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(mounts.iter().any(|mount| mount.starts_with("${HEADGATE_DIR") && mount.contains(":/etc/headgate:ro")));
        for mount in mounts.iter().filter(|mount| !mount.starts_with('$')) {
            assert!(folder.join(mount.split(':').next().unwrap()).exists(), "{mount}");
        }
        for name in ["model-v1", "model-v2"] {
            let build = &compose["services"][name]["build"];
            let context = folder.join(build["context"].as_str().unwrap());
            assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file(), "{build}");
        }
    }

    #[test]
    fn the_first_configuration_is_one_that_headgate_takes() {
        let document: Value = serde_json::from_str(&first().unwrap()).unwrap();
        let value = document["resources"][0]["typed_config"]["config"]["configuration"]["value"].as_str().unwrap();
        assert_eq!(headgate_contract::read_strict(value.as_bytes()).unwrap().target, TARGET);
    }
}
