//! What tests of rollouts begin with: two versions behind an Envoy, users who ask all the time, and `headgate` with a state folder
//! of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headgate_tests::{Bootstrap, Client, Envoy, Fault, Result, headgate_binary, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::fixture::{Versions, route};

/// The rollout's name in these tests.
pub(super) const NAME: &str = "model-v2";
/// How many different users ask.
const USERS: u64 = 400;
/// Connections that are open at once, and what each rests after a request.
const CONNECTIONS: u64 = 4;
const REST: Duration = Duration::from_millis(3);

/// Two versions, an Envoy, and where `headgate` keeps its things.
pub(super) struct World {
    pub(super) versions: Versions,
    pub(super) envoy: Envoy,
    home: TempDir,
}

impl World {
    /// Everybody on the stable version; what is counted is there five times a second.
    pub(super) async fn start() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// The same with a bootstrap that a test changed.
    pub(super) async fn with(change: impl FnOnce(&mut Value)) -> Result<Self> {
        let versions = Versions::start().await?;
        let bootstrap = Bootstrap::filter_state()?.edit(|bootstrap| {
            bootstrap["stats_flush_interval"] = json!("0.2s");
            change(bootstrap);
        });
        let envoy = versions.behind(bootstrap).concurrency(2).start().await?;
        let world = Self { versions, envoy, home: tempfile::tempdir()? };
        let proxy = json!({"name": "edge", "admin": format!("http://{}", world.envoy.admin().addr())});
        let target =
            json!({"name": "model", "publisher": {"file": {"path": world.envoy.ecds_path()}}, "proxies": [proxy]});
        std::fs::write(world.path("target.json"), target.to_string())?;
        std::fs::write(world.path("plugin.json"), json!({"routes": [route(1, 0)]}).to_string())?;
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
        let child = self.command(&arguments)?.spawn()?;
        Ok(Running { child })
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

    /// The canary's share of the weights in the published file, in 1/10,000.
    pub(super) fn published(&self) -> Result<u64> {
        let document: Value = serde_json::from_str(&std::fs::read_to_string(self.envoy.ecds_path())?)?;
        let text = document["resources"][0]["typed_config"]["config"]["configuration"]["value"].clone();
        let config: Value = serde_json::from_str(text.as_str().unwrap_or_default())?;
        let route = config["routes"].as_array().into_iter().flatten().find(|r| r["name"] == "model");
        let variants = route.and_then(|r| r["variants"].as_array()).cloned().unwrap_or_default();
        let weight = |name: Option<&str>| -> u64 {
            let of = variants.iter().filter(|v| name.is_none_or(|name| v["name"] == name));
            of.filter_map(|v| v["weight"].as_u64()).sum()
        };
        Ok(weight(Some("canary")) * 10_000 / weight(None).max(1))
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

/// A `headgate run` that goes on.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Kills it as `kill -9` does, and gives what it had printed.
    pub(super) async fn killed(mut self) -> Result<Ran> {
        self.child.start_kill()?;
        Ok(Ran::of(&self.child.wait_with_output().await?))
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Result<Ran> {
        let patience = Duration::from_secs(90);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let reads = async {
            use tokio::io::AsyncReadExt as _;
            if let (Some(mut stdout), Some(mut stderr)) = (stdout, stderr) {
                tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err))?;
            }
            self.child.wait().await
        };
        let status = tokio::time::timeout(patience, reads).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&out), text(&err));
        match status {
            Ok(status) => Ok(Ran { code: status?.code().unwrap_or(-1), out, err }),
            Err(_) => Err(Fault::msg(format!("`headgate run` did not end in {patience:?}: {out}{err}"))),
        }
    }
}

/// What came of the users' requests.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests that were answered, or failed.
    pub(super) sent: AtomicU64,
    /// Those with a status of 500 or more, and those without an answer, by what happened.
    pub(super) failed: Mutex<BTreeMap<String, u64>>,
    /// Requests that the canary answered, failures too.
    pub(super) canary: AtomicU64,
}

impl Seen {
    pub(super) fn failed(&self) -> BTreeMap<String, u64> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Users who ask.
pub(super) struct Load {
    pub(super) seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(envoy: &Envoy) -> Result<Self> {
        let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let (seen, stop, addr) = (Arc::clone(&seen), Arc::clone(&stop), envoy.ingress());
            let mut client = Some(Client::http1(addr).await?);
            tasks.push(tokio::spawn(async move {
                let mut n = connection;
                while !stop.load(Ordering::Relaxed) {
                    let user = format!("user-{}", n % USERS);
                    n += CONNECTIONS;
                    let answer = match &mut client {
                        Some(open) => open.get("/", &[("x-user-id", &user)]).await,
                        none => match Client::http1(addr).await {
                            Ok(open) => none.insert(open).get("/", &[("x-user-id", &user)]).await,
                            Err(fault) => Err(fault),
                        },
                    };
                    seen.sent.fetch_add(1, Ordering::Relaxed);
                    let failed = match &answer {
                        Ok(answer) => {
                            seen.canary.fetch_add(u64::from(answer.upstream() == "canary"), Ordering::Relaxed);
                            (answer.status >= 500).then(|| answer.status.to_string())
                        }
                        Err(_) => {
                            client = None;
                            Some("none".to_owned())
                        }
                    };
                    if let Some(what) = failed {
                        *seen.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_insert(0) += 1;
                    }
                    tokio::time::sleep(REST).await;
                }
            }));
        }
        Ok(Self { seen, stop, tasks })
    }

    /// Waits until so many more requests were answered.
    pub(super) async fn more(&self, count: u64) -> Result<()> {
        let end = self.seen.sent.load(Ordering::Relaxed) + count;
        let patience = Instant::now() + Duration::from_secs(60);
        while self.seen.sent.load(Ordering::Relaxed) < end {
            if Instant::now() > patience {
                return Err(Fault::msg(format!("no {count} requests were answered")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Nobody asks any more; what was asked is waited for.
    pub(super) async fn stop(self) -> Result<Arc<Seen>> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            // A request that a hanging version never answers is not waited for.
            if let Ok(ended) = tokio::time::timeout(Duration::from_secs(20), task).await {
                ended?;
            }
        }
        Ok(self.seen)
    }
}
