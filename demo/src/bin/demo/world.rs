//! What the demo runs against: model servers and an Envoy in front of them, of its own or in containers. Everything that is
//! started here ends with [`World`], by its own id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow};
use headgate_demo::{Counts, Fault, Version};
use headgate_tests::{Admin, Bootstrap, Client, Envoy, Metrics, empty};
use serde_json::json;

use crate::compose::Compose;
use crate::plan::{self, KEY_ENV, TARGET, Variant};

/// The key that signs the demo's override tokens. Known to everybody who reads this: a real one comes from a secret store.
pub(crate) const SECRET: &str = "a key for the demo, known to everyone";

/// The running parts.
#[derive(Debug)]
pub(crate) struct World {
    /// Where users ask.
    pub(crate) ingress: SocketAddr,
    /// Where Envoy's metrics are read: the read-only listener.
    stats: SocketAddr,
    /// The versions, stable first.
    pub(crate) variants: Vec<Variant>,
    /// Where each of them listens.
    servers: Vec<SocketAddr>,
    /// What is wrong with the version that should not be released; none where there is no such version.
    pub(crate) fault: Option<Fault>,
    /// Where the published file is.
    pub(crate) published: PathBuf,
    /// The demo's own files.
    folder: tempfile::TempDir,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Own { envoy: Box<Envoy>, _servers: Vec<Server> },
    Containers(Compose),
}

impl World {
    /// Model servers and an Envoy as processes of this one.
    pub(crate) async fn own(fault: Fault) -> Result<Self> {
        let variants = plan::variants(3);
        let mut servers = variants.iter().map(|v| Server::start(v.version, None)).collect::<Result<Vec<_>>>()?;
        // Histograms are counted up five times as often as Envoy does by itself, as the rollouts' steps are short.
        let mut bootstrap = Bootstrap::filter_state()?.edit(|b| b["stats_flush_interval"] = json!("1s"));
        let faulty = Server::start(plan::FAULTY.version, Some(fault))?;
        third(&mut bootstrap, &plan::FAULTY, faulty.addr)?;
        let mut builder_clusters = Vec::new();
        for (variant, server) in variants.iter().zip(&servers) {
            if variant.cluster == "model-v3" {
                third(&mut bootstrap, variant, server.addr)?;
            } else {
                builder_clusters.push((variant.cluster, server.addr));
            }
        }
        let mut builder = Envoy::builder(bootstrap)
            .concurrency(2)
            .env(KEY_ENV, SECRET)
            .configuration(&json!({"contract": 1, "revision": 1, "target": TARGET}));
        for (cluster, addr) in builder_clusters {
            builder = builder.cluster(cluster, addr);
        }
        let envoy = builder.start().await?;
        let world = Self {
            ingress: envoy.ingress(),
            stats: envoy.listener("stats")?,
            variants,
            servers: servers.iter().map(|server| server.addr).collect(),
            fault: Some(fault),
            published: envoy.ecds_path(),
            folder: tempfile::Builder::new().prefix("headgate-demo-").tempdir()?,
            parts: Parts::Own {
                envoy: Box::new(envoy),
                _servers: {
                    servers.push(faulty);
                    servers
                },
            },
        };
        world.write_target()?;
        Ok(world)
    }

    /// `envoy/compose.yaml`.
    pub(crate) async fn containers() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("headgate-demo-").tempdir()?;
        let compose = Compose::up(folder.path()).await?;
        let world = Self {
            ingress: compose.ingress,
            stats: compose.stats,
            variants: plan::variants(2),
            servers: compose.servers.clone(),
            fault: None,
            published: compose.published.clone(),
            folder,
            parts: Parts::Containers(compose),
        };
        world.write_target()?;
        Ok(world)
    }

    /// Ends Envoy and starts it again with the same files.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        match &mut self.parts {
            Parts::Own { envoy, .. } => {
                envoy.restart().await?;
                self.ingress = envoy.ingress();
                self.stats = envoy.listener("stats")?;
            }
            Parts::Containers(compose) => compose.restart().await?,
        }
        self.write_target()
    }

    /// Takes down what does not end by being dropped.
    pub(crate) async fn end(self) -> Result<()> {
        match self.parts {
            Parts::Own { .. } => Ok(()),
            Parts::Containers(compose) => compose.down().await,
        }
    }

    /// Envoy's metrics, at rest.
    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        Admin::new(self.stats).metrics_at_rest().await
    }

    /// What the server of a variant was asked so far.
    pub(crate) async fn counts(&self, variant: &str) -> Result<Counts> {
        let at = self.variants.iter().position(|v| v.name == variant);
        let addr = at.and_then(|at| self.servers.get(at)).ok_or_else(|| anyhow!("there is no variant {variant}"))?;
        let mut client = Client::http1(*addr).await?;
        let answer = client.request("GET".parse()?, "/counts", &[], empty()).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The target file for `headgate`.
    pub(crate) fn target(&self) -> PathBuf {
        self.folder.path().join("target.yaml")
    }

    /// A file in the demo's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the demo's own folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }

    /// One line on each part.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .variants
            .iter()
            .zip(&self.servers)
            .map(|(v, addr)| format!("{:<10} {} on {addr}, weight {}", v.name, v.version.as_str(), v.weight))
            .collect();
        lines.push(match &self.parts {
            Parts::Own { envoy, .. } => {
                format!("Envoy      process {} on {}, {} workers", envoy.pid(), self.ingress, envoy.concurrency())
            }
            Parts::Containers(_) => format!("Envoy      the official image, on {}", self.ingress),
        });
        lines
    }

    fn write_target(&self) -> Result<()> {
        let proxy = match &self.parts {
            Parts::Own { envoy, .. } => json!({"name": "edge", "admin": format!("http://{}", envoy.admin().addr())}),
            Parts::Containers(_) => json!({"name": "edge", "stats": format!("http://{}", self.stats)}),
        };
        let target = json!({"name": TARGET, "publisher": {"file": {"path": self.published}}, "proxies": [proxy]});
        self.write("target.yaml", &format!("{target:#}\n")).map(drop)
    }
}

/// Adds one more version to the bootstrap that users copy: a cluster, and a route like the canary's.
fn third(bootstrap: &mut Bootstrap, variant: &Variant, addr: SocketAddr) -> Result<()> {
    bootstrap.add_cluster("model-v2", variant.cluster, addr)?;
    let mut route = bootstrap.route("canary")?.clone();
    route["name"] = json!(variant.name);
    route["match"]["filter_state"][0]["string_match"]["exact"] = json!(variant.name);
    route["route"]["cluster"] = json!(variant.cluster);
    let routes = bootstrap.manager("ingress")?.pointer_mut("/route_config/virtual_hosts/0/routes");
    let routes = routes.and_then(serde_json::Value::as_array_mut).ok_or_else(|| anyhow!("envoy.yaml has no routes"))?;
    routes.insert(0, route);
    Ok(())
}

/// A model server, ended by its own id when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    pub(crate) fn start(version: Version, fault: Option<Fault>) -> Result<Self> {
        let exe = std::env::current_exe()?;
        let binary = exe.parent().unwrap_or(Path::new("")).join("model-server");
        let mut child = Command::new(&binary)
            .args(["--model", version.as_str(), "--listen", "127.0.0.1:0"])
            .args(fault.iter().flat_map(|fault| ["--fault", fault.as_str()]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run: `cargo build -p headgate-demo` makes it", binary.display()))?;
        let stdout = child.stdout.take();
        // From here on it is ended whatever happens.
        let mut server = Self { child, addr: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let addr = line.trim().rsplit(' ').next().and_then(|addr| addr.parse().ok());
        server.addr = addr.ok_or_else(|| anyhow!("{} did not say where it listens", binary.display()))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has already ended has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
