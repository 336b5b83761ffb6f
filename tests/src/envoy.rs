//! One running Envoy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::fault::fault;
use crate::process::{Process, Settings};
use crate::relay::Relay;
use crate::{Admin, Bootstrap, Client, Ecds, Metrics, Permit, Result, envoy_binary, permits, wait_until, wasm};

/// How to start an Envoy. The defaults: `envoy/envoy.yaml`, one worker, and a configuration without routes.
#[derive(Debug)]
pub struct Builder {
    bootstrap: Bootstrap,
    clusters: Vec<(String, SocketAddr)>,
    configuration: String,
    plugin: Option<Value>,
    wasm: Option<PathBuf>,
    concurrency: u32,
    environment: Vec<(String, String)>,
    permit: Option<Permit>,
    needs_permit: bool,
    log_level: String,
    awaits_filter: bool,
    prefix: Vec<String>,
}

impl Builder {
    /// Points a cluster of the bootstrap at an address.
    pub fn cluster(mut self, name: &str, addr: SocketAddr) -> Self {
        self.clusters.push((name.to_owned(), addr));
        self
    }

    /// The plugin configuration at the start.
    pub fn configuration(mut self, configuration: &Value) -> Self {
        self.configuration = configuration.to_string();
        self
    }

    /// The plugin configuration at the start, as bytes that may be anything.
    pub fn configuration_text(mut self, configuration: &str) -> Self {
        configuration.clone_into(&mut self.configuration);
        self
    }

    /// Another filter than the one that `make wasm` builds.
    pub fn wasm(mut self, path: &Path) -> Self {
        self.wasm = Some(path.to_owned());
        self
    }

    /// Replaces Envoy's whole wasm `PluginConfig` of the ECDS file but for its `configuration`.
    pub fn plugin(mut self, plugin: Value) -> Self {
        self.plugin = Some(plugin);
        self
    }

    /// Worker threads.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// A variable of Envoy's environment (a token key).
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A permit that the test already holds; without it `start` waits for one.
    pub fn permit(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Needs no permit, because the test holds one for two Envoys and has given it to the first.
    pub fn without_permit(mut self) -> Self {
        self.needs_permit = false;
        self
    }

    /// Envoy's `--log-level`; default `info`.
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// Does not wait for the filter at the start: its configuration will be refused, or is not Envoy's first concern.
    pub fn without_waiting_for_filter(mut self) -> Self {
        self.awaits_filter = false;
        self
    }

    /// A command that runs Envoy, as `["taskset", "-c", "0"]`.
    pub fn run_with(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Starts it and waits until it is ready and, unless told otherwise, serves with the filter.
    pub async fn start(mut self) -> Result<Envoy> {
        let permit = match self.permit.take() {
            None if self.needs_permit => Some(permits(1).await?),
            given => given,
        };
        let home = tempfile::Builder::new().prefix("headgate-envoy-").tempdir()?;
        // A folder of its own, as `watched_directory` reports every file that is moved into it.
        std::fs::create_dir(home.path().join("ecds"))?;
        let wasm = match self.wasm.take() {
            Some(path) => path,
            None => wasm()?,
        };
        let mut ecds = Ecds::new(home.path().join("ecds/ecds.yaml"), &wasm)?;
        if let Some(mut plugin) = self.plugin.take() {
            plugin["configuration"] = ecds.plugin()?["configuration"].clone();
            *ecds.plugin()? = plugin;
        }
        ecds.write(&self.configuration)?;
        let relay = Relay::start().await?;
        for (cluster, addr) in &self.clusters {
            self.bootstrap.endpoint(cluster, *addr)?;
        }
        self.bootstrap.localise(ecds.path(), relay.addr)?;
        let settings = Settings {
            binary: envoy_binary()?,
            concurrency: self.concurrency,
            environment: self.environment,
            log_level: self.log_level,
            prefix: self.prefix,
        };
        std::fs::write(home.path().join("envoy.json"), self.bootstrap.to_json())?;
        let process = Process::spawn(home.path(), &settings)?;
        let mut envoy = Envoy {
            process,
            relay,
            admin: Admin::new(SocketAddr::from(([127, 0, 0, 1], 0))),
            ecds: Mutex::new(ecds),
            settings,
            home: Some(home),
            listeners: Vec::new(),
            _permit: permit,
        };
        envoy.become_ready(self.awaits_filter).await?;
        Ok(envoy)
    }
}

/// A running Envoy. It is ended, by its process id, when this is dropped; its folder is kept, and its path
/// printed, when the test panics or `HEADGATE_KEEP` is set.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    relay: Relay,
    admin: Admin,
    ecds: Mutex<Ecds>,
    settings: Settings,
    home: Option<TempDir>,
    listeners: Vec<(String, SocketAddr)>,
    _permit: Option<Permit>,
}

impl Envoy {
    /// An Envoy from a bootstrap.
    pub fn builder(bootstrap: Bootstrap) -> Builder {
        Builder {
            bootstrap,
            clusters: Vec::new(),
            configuration: r#"{"contract": 1, "revision": 0}"#.to_owned(),
            plugin: None,
            wasm: None,
            concurrency: 1,
            environment: Vec::new(),
            permit: None,
            needs_permit: true,
            log_level: "info".to_owned(),
            awaits_filter: true,
            prefix: Vec::new(),
        }
    }

    /// Where the listener of this name listens.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let found = self.listeners.iter().find(|(listener, _)| listener == name);
        found.map(|(_, addr)| *addr).ok_or_else(|| fault(format!("Envoy has no listener `{name}`")))
    }

    /// Where requests go in: the listener `ingress`.
    pub fn ingress(&self) -> SocketAddr {
        self.listener("ingress").unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A new HTTP/1.1 connection to the listener `ingress`.
    pub async fn http1(&self) -> Result<Client> {
        Client::http1(self.ingress()).await
    }

    /// A new HTTP/2 connection to the listener `ingress`.
    pub async fn http2(&self) -> Result<Client> {
        Client::http2(self.ingress()).await
    }

    /// The admin interface.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What it counts, once that is at rest.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.admin.metrics_at_rest().await
    }

    /// Worker threads.
    pub fn concurrency(&self) -> u32 {
        self.settings.concurrency
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory of the process, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most that its resident memory ever was, in bytes.
    pub fn peak_bytes(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|number| number.trim().parse().ok());
        kib.map(|kib: u64| kib * 1024).ok_or_else(|| fault("the kernel does not say how much memory Envoy has"))
    }

    /// The published file.
    pub fn ecds_path(&self) -> PathBuf {
        self.ecds.lock().unwrap_or_else(PoisonError::into_inner).path().to_owned()
    }

    /// Publishes a configuration and returns at once, with its version.
    pub fn publish(&self, configuration: &str) -> Result<String> {
        self.ecds.lock().unwrap_or_else(PoisonError::into_inner).write(configuration)
    }

    /// Publishes a configuration and waits until every worker acknowledged it: acknowledgements grew by workers + 1 and
    /// Envoy has the version. `target` is the configuration's.
    pub async fn push(&self, configuration: &Value) -> Result<()> {
        let target = configuration["target"].as_str().unwrap_or("default").to_owned();
        let tags = [("target", target.as_str())];
        let wanted =
            self.admin.metrics().await?.sum("headgate_acknowledgements", &tags) + u64::from(self.concurrency()) + 1;
        let version = self.publish(&configuration.to_string())?;
        let what = format!("version {version} is acknowledged by all workers");
        wait_until(&what, || async {
            Ok(self.version().await? == version
                && self.admin.metrics().await?.sum("headgate_acknowledgements", &tags) >= wanted)
        })
        .await
    }

    /// Publishes a configuration and waits until Envoy refused it.
    pub async fn push_refused(&self, configuration: &str) -> Result<()> {
        let before = self.rejected().await?;
        self.publish(configuration)?;
        wait_until("Envoy refuses the configuration", || async { Ok(self.rejected().await? > before) }).await
    }

    /// How many configurations Envoy has refused.
    pub async fn rejected(&self) -> Result<u64> {
        let text = self.admin.get("/stats?filter=extension_config_discovery.*(update_rejected|config_fail)").await?;
        Ok(text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum())
    }

    /// The version of the filter's configuration that Envoy took last.
    pub async fn version(&self) -> Result<String> {
        let text = self.admin.get("/stats?filter=extension_config_discovery.*version_text").await?;
        let line = text.lines().find(|line| line.contains(".version_text: ")).unwrap_or_default();
        Ok(line.rsplit_once(": ").map(|(_, version)| version.trim_matches('"').to_owned()).unwrap_or_default())
    }

    /// An address of the admin interface that stays the same when Envoy is started again.
    pub fn steady_admin(&self) -> SocketAddr {
        self.relay.addr
    }

    /// What Envoy logged since its first start.
    pub fn log(&self) -> Result<String> {
        let home = self.home.as_ref().ok_or_else(|| fault("Envoy is gone"))?;
        Ok(std::fs::read_to_string(home.path().join("envoy.log"))?)
    }

    /// Ends it and starts it again with the same bootstrap and published file. Its ports are new ones.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.end();
        let home = self.home.as_ref().ok_or_else(|| fault("Envoy is gone"))?;
        self.process = Process::spawn(home.path(), &self.settings)?;
        self.become_ready(true).await
    }

    async fn become_ready(&mut self, awaits_filter: bool) -> Result<()> {
        let started = self.await_ready(awaits_filter).await;
        started.map_err(|cause| {
            let log = self.log().unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            fault(format!("Envoy did not start: {cause}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
        })
    }

    async fn await_ready(&mut self, awaits_filter: bool) -> Result<()> {
        let home = self.home.as_ref().ok_or_else(|| fault("Envoy is gone"))?.path().to_owned();
        let process = Mutex::new(&mut self.process);
        let found: Mutex<Option<Result<SocketAddr>>> = Mutex::new(None);
        wait_until("the admin interface answers", || async {
            let ended = process.lock().unwrap_or_else(PoisonError::into_inner).ended()?;
            let outcome = if let Some(status) = ended {
                Err(fault(format!("it ended by itself ({status})")))
            } else {
                let text = std::fs::read_to_string(home.join("admin")).unwrap_or_default();
                let Ok(addr) = text.trim().parse() else { return Ok(false) };
                if Admin::new(addr).get("/ready").await?.trim() != "LIVE" {
                    return Ok(false);
                }
                Ok(addr)
            };
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            Ok(true)
        })
        .await?;
        let addr = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let addr = addr.unwrap_or_else(|| Err(fault("the admin interface has no address")))?;
        self.relay.pass_to(addr);
        self.admin = Admin::new(addr);
        self.listeners = self.admin.listeners().await?;
        if awaits_filter {
            wait_until("the filter has taken its first configuration", || async {
                let wanted = u64::from(self.concurrency()) + 1;
                Ok(self.admin.metrics().await?.sum("headgate_acknowledgements", &[]) >= wanted)
            })
            .await?;
        }
        Ok(())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.process.end();
        if (std::thread::panicking() || std::env::var_os("HEADGATE_KEEP").is_some())
            && let Some(home) = self.home.take()
        {
            eprintln!("Envoy's bootstrap, published file and log are kept in {}", home.keep().display());
        }
    }
}
