//! What tests of rollouts begin with: two versions behind an Envoy, users who ask all the time, and `headgate` with a state folder
//! of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headgate_tests::{Bootstrap, Envoy, Fault, Result, headgate_binary, shadow_wasm, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt as _;
use tokio::process::{Child, Command};

use super::load::{Load, USERS};
use crate::fixture::{Versions, route};

/// The rollout's name in these tests.
pub(super) const NAME: &str = "model-v2";

/// Two versions, an Envoy, and where `headgate` keeps its things.
pub(super) struct World {
    pub(super) versions: Versions,
    pub(super) envoy: Envoy,
    home: TempDir,
}

/// What is counted is shown five times a second.
fn quick() -> Result<Bootstrap> {
    Ok(Bootstrap::filter_state()?.edit(|bootstrap| bootstrap["stats_flush_interval"] = json!("0.2s")))
}

impl World {
    /// Everybody on the stable version; what is counted is there five times a second.
    pub(super) async fn start() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// The same with a bootstrap that a test changed.
    pub(super) async fn with(change: impl FnOnce(&mut Value)) -> Result<Self> {
        let bootstrap = quick()?.edit(change);
        Self::of(bootstrap, json!({"routes": [route(1, 0)]}), None).await
    }

    /// With the filter that compares, and a route with this shadow.
    pub(super) async fn comparing(shadow: Value) -> Result<Self> {
        let mut route = route(1, 0);
        route["shadow"] = shadow;
        Self::of(quick()?, json!({"routes": [route]}), Some(shadow_wasm()?)).await
    }

    /// The same, with records of all pairs posted to this address.
    pub(super) async fn recording(shadow: Value, records: std::net::SocketAddr) -> Result<Self> {
        let mut route = route(1, 0);
        route["shadow"] = shadow;
        let mut bootstrap = quick()?;
        bootstrap.add_cluster("model-v1", "records", records)?;
        let shadowing = json!({"records": {"cluster": "records", "everyMs": 50, "perSecond": 100_000}});
        Self::of(bootstrap, json!({"routes": [route], "shadowing": shadowing}), Some(shadow_wasm()?)).await
    }

    /// With the filter that reads predictions, on so many workers.
    pub(super) async fn reading(workers: u32) -> Result<Self> {
        let versions = Versions::start().await?;
        let envoy = versions.behind(quick()?).concurrency(workers).wasm(&shadow_wasm()?).start().await?;
        Self::on(versions, envoy, json!({"routes": [route(1, 0)]})).await
    }

    /// With a third version, `long`, in the cluster `model-v3` at this address.
    pub(super) async fn of_three(third: std::net::SocketAddr) -> Result<Self> {
        let mut route = route(1, 0);
        if let Some(variants) = route["variants"].as_array_mut() {
            variants.push(json!({"name": "long", "weight": 0, "cluster": "model-v3"}));
        }
        let mut bootstrap = quick()?;
        bootstrap.add_cluster("model-v2", "model-v3", third)?;
        let bootstrap = bootstrap.edit(|bootstrap| {
            let listener = &mut bootstrap["static_resources"]["listeners"][0];
            let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            if let Some(routes) = manager["route_config"]["virtual_hosts"][0]["routes"].as_array_mut() {
                let canary = routes.iter().find(|route| route["name"] == "canary").map(Value::to_string);
                let long = canary.unwrap_or_default().replace("canary", "long").replace("model-v2", "model-v3");
                routes.insert(0, serde_json::from_str(&long).unwrap_or_default());
            }
        });
        Self::of(bootstrap, json!({"routes": [route]}), None).await
    }

    async fn of(bootstrap: Bootstrap, plugin: Value, filter: Option<PathBuf>) -> Result<Self> {
        let versions = Versions::start().await?;
        let envoy = versions.behind(bootstrap).concurrency(2);
        let envoy = if let Some(filter) = filter { envoy.wasm(&filter) } else { envoy }.start().await?;
        Self::on(versions, envoy, plugin).await
    }

    /// On an Envoy that a test has started itself, with this configuration in force.
    pub(super) async fn on(versions: Versions, envoy: Envoy, plugin: Value) -> Result<Self> {
        let world = Self { versions, envoy, home: tempfile::tempdir()? };
        let proxy = json!({"name": "edge", "admin": format!("http://{}", world.envoy.admin().addr())});
        let target =
            json!({"name": "model", "publisher": {"file": {"path": world.envoy.ecds_path()}}, "proxies": [proxy]});
        std::fs::write(world.path("target.json"), target.to_string())?;
        std::fs::write(world.path("plugin.json"), plugin.to_string())?;
        let ran = world.headgate(&["push", &world.text("target.json"), "-f", &world.text("plugin.json")]).await?;
        assert_eq!(ran.code, 0, "{ran:?}");
        Ok(world)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A rollout file with short steps, changed by a test.
    pub(super) fn rollout(&self, change: impl FnOnce(&mut Value)) -> Result<PathBuf> {
        let mut file = json!({
            "apiVersion": "headgate.dev/v1",
            "kind": "Rollout",
            "metadata": {"name": NAME},
            "spec": {
                "target": "target.json",
                "route": "model",
                "strategy": {"canary": {"steps": [
                    {"weight": "20%", "duration": "3s"},
                    {"weight": "50%", "duration": "2s"},
                    {"weight": "100%", "duration": "2s"},
                ]}},
                "analysis": {"interval": "250ms", "minRequests": 50},
                "monitoring": {"duration": "1s"},
                // The bootstrap's default route is not this test's to change.
                "finalising": {"verify": false},
            }
        });
        change(&mut file);
        let path = self.path("rollout.json");
        std::fs::write(&path, file.to_string())?;
        Ok(path)
    }

    /// Begins `headgate run`.
    pub(super) fn run(&self, file: &Path, more: &[&str]) -> Result<Running> {
        let file = file.display().to_string();
        let mut arguments = vec!["run", file.as_str(), "--json"];
        arguments.extend(more);
        Ok(Running::of(self.command(&arguments)?.spawn()?))
    }

    /// Begins `headgate run` behind other words (`unshare …`), in an environment with these variables beside the usual.
    pub(super) fn run_behind(&self, prefix: &[&str], variables: &[(&str, &Path)], file: &Path) -> Result<Running> {
        let mut plain = self.command(&["run", &file.display().to_string(), "--json"])?;
        plain.envs(variables.iter().copied());
        let Some((program, words)) = prefix.split_first() else { return Ok(Running::of(plain.spawn()?)) };
        let inner = plain.as_std();
        let mut command = Command::new(program);
        command.args(words).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(Running::of(command.spawn()?))
    }

    /// Runs a verb to its end; the state folder is named to those that have one.
    pub(super) async fn headgate(&self, arguments: &[&str]) -> Result<Ran> {
        let output = self.command(arguments)?.output().await?;
        Ok(Ran::of(&output))
    }

    /// `headgate VERB NAME --json` with the state folder.
    pub(super) async fn verb(&self, verb: &str, more: &[&str]) -> Result<Ran> {
        let mut arguments = vec![verb, NAME, "--json"];
        arguments.extend(more);
        self.headgate(&arguments).await
    }

    /// The address on loopback at which a process listens, as the system tells (`/proc`).
    pub(super) async fn listening(&self, pid: u32) -> Result<std::net::SocketAddr> {
        let found = Mutex::new(None);
        wait_until("it listens", || async {
            let mine: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))?
                .flatten()
                .filter_map(|fd| std::fs::read_link(fd.path()).ok())
                .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
                .collect();
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
            let port = table.lines().skip(1).find_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                // State 0A listens.
                (words.get(3) == Some(&"0A") && mine.iter().any(|inode| words.get(9) == Some(&inode.as_str())))
                    .then(|| u16::from_str_radix(words.get(1)?.rsplit(':').next()?, 16).ok())?
            });
            *found.lock().unwrap_or_else(PoisonError::into_inner) = port;
            Ok(port.is_some())
        })
        .await?;
        let port = found.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(0);
        Ok(std::net::SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// The environment of every `headgate` here: its state folder is this test's own.
    pub(super) fn state(&self) -> (&'static str, PathBuf) {
        ("XDG_STATE_HOME", self.path("state"))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let (name, folder) = self.state();
        let mut command = Command::new(headgate_binary()?);
        command.args(arguments).env(name, folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        Ok(command)
    }

    /// The plugin configuration in the published file.
    pub(super) fn plugin(&self) -> Result<Value> {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(self.envoy.ecds_path())?)?;
        let text = document["resources"][0]["typed_config"]["config"]["configuration"]["value"].clone();
        Ok(serde_json::from_str(text.as_str().unwrap_or_default())?)
    }

    /// The canary's share of the weights in the published file, in 1/10,000.
    pub(super) fn published(&self) -> Result<u64> {
        let config = self.plugin()?;
        let route = config["routes"].as_array().into_iter().flatten().find(|r| r["name"] == "model");
        let variants = route.and_then(|r| r["variants"].as_array()).cloned().unwrap_or_default();
        let weight = |name: Option<&str>| -> u64 {
            let of = variants.iter().filter(|v| name.is_none_or(|name| v["name"] == name));
            of.filter_map(|v| v["weight"].as_u64()).sum()
        };
        Ok(weight(Some("canary")) * 10_000 / weight(None).max(1))
    }

    /// What `headgate status` tells of the rollout.
    pub(super) async fn status(&self) -> Result<Value> {
        self.verb("status", &[]).await?.json()
    }

    /// Waits until the rollout's state, as it is written, is like this.
    pub(super) async fn is(&self, what: &str, like: impl Fn(&Value) -> bool) -> Result<Value> {
        let last = Mutex::new(Value::Null);
        let seen = |value: Value| *last.lock().unwrap_or_else(PoisonError::into_inner) = value;
        let waited = wait_until(what, || async {
            let status = self.status().await?;
            let is = like(&status);
            seen(status);
            Ok(is)
        });
        let waited = waited.await;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        waited.map(|()| last.clone()).map_err(|e| Fault::msg(format!("{e}; it is {last}")))
    }

    /// Waits until the rollout is in this phase.
    pub(super) async fn phase(&self, phase: &str) -> Result<Value> {
        self.is(&format!("the phase is {phase}"), |status| status["phase"] == phase).await
    }

    /// The audit.
    pub(super) async fn history(&self) -> Result<Vec<Value>> {
        let told = self.verb("history", &[]).await?.json()?;
        Ok(told["history"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until the proxy shows what is published.
    pub(super) async fn applied(&self) -> Result<()> {
        wait_until("the proxy shows the published revision", || async {
            let shown = self.envoy.admin().metrics().await?;
            let shown: Vec<f64> = shown.select("headgate_revision", &[]).map(|(_, revision)| revision).collect();
            Ok(shown.iter().any(|revision| Some(*revision) == self.plugin().ok().and_then(|c| c["revision"].as_f64())))
        })
        .await
    }

    /// Who is answered by the canary: each user asks once, through the proxy.
    pub(super) async fn canary_users(&self) -> Result<BTreeSet<u64>> {
        let mut client = self.envoy.http1().await?;
        let mut users = BTreeSet::new();
        for user in 0..USERS {
            let answer = client.get("/", &[("x-user-id", &format!("user-{user}"))]).await?;
            if answer.upstream() == "canary" {
                users.insert(user);
            }
        }
        Ok(users)
    }

    /// Waits until so much of the traffic is published for the canary.
    pub(super) async fn reaches(&self, share: u64) -> Result<()> {
        wait_until(&format!("the canary is given {share}/10,000"), || async { Ok(self.published()? == share) }).await
    }

    /// Users who ask until they are told to stop.
    pub(super) async fn load(&self) -> Result<Load> {
        Load::start(&self.envoy).await
    }
}

/// How a run of `headgate` ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The one JSON document that it printed.
    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).map_err(|e| Fault::msg(format!("{e}: {}{}", self.out, self.err)))
    }

    /// The JSON lines that it printed.
    pub(super) fn events(&self) -> Vec<Value> {
        self.out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A `headgate run` that goes on. It is killed by its id when this is dropped.
pub(super) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    fn of(mut child: Child) -> Self {
        let (out, err) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(tokio::spawn(read(pipe, Arc::clone(&out))));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(tokio::spawn(read(pipe, Arc::clone(&err))));
        }
        Self { child, out, err, readers }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Ends it as `kill -9` does; gives what it had said.
    pub(super) async fn killed(mut self) -> Result<Ran> {
        self.child.start_kill()?;
        self.ended().await
    }

    /// Waits until it has told an event like this.
    pub(super) async fn tells(&self, what: &str, like: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut found = Value::Null;
        let find = || {
            let said = self.out.lock().unwrap_or_else(PoisonError::into_inner).clone();
            said.lines().filter_map(|line| serde_json::from_str(line).ok()).find(|event| like(event))
        };
        let waited = wait_until(&format!("{what} is told"), || async { Ok(find().is_some()) }).await;
        if let Some(event) = find() {
            found = event;
        }
        let said = self.out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        waited.map(|()| found).map_err(|e| Fault::msg(format!("{e}; it said {said}")))
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Result<Ran> {
        let patience = Duration::from_secs(90);
        let status = match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                let said = self.out.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return Err(Fault::msg(format!("`headgate run` did not end in {patience:?}; it said {said}")));
            }
        };
        for reader in self.readers {
            reader.await?;
        }
        let text = |said: &Mutex<String>| said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ran { code: status.code().unwrap_or(-1), out: text(&self.out), err: text(&self.err) })
    }
}

/// Keeps what a process says, line by line.
async fn read(pipe: impl tokio::io::AsyncRead + Unpin, said: Arc<Mutex<String>>) {
    let mut lines = tokio::io::BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&line);
        said.push('\n');
    }
}
