//! The program `headgate`, in a folder of its own, and what the system counted of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use headgate_tests::headgate_binary;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with targets, rollouts and the state of a controller.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a document and tells where it is.
    pub(crate) fn write(&self, name: &str, document: &Value) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, document.to_string())?;
        Ok(path)
    }

    /// Publishes a plugin configuration for the first time.
    pub(crate) fn push(&self, target: &Path, plugin: &Path) -> Result<()> {
        let output = Command::new(headgate_binary()?).arg("push").arg(target).arg("-f").arg(plugin).output()?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "headgate push: {out}{err}");
        Ok(())
    }

    /// Starts `headgate run`.
    pub(crate) fn run(&self, rollouts: &[PathBuf]) -> Result<Program> {
        let log = std::fs::File::create(self.path("run.log"))?;
        let child = Command::new(headgate_binary()?)
            .args(["run", "--json", "--state"])
            .arg(self.path("state"))
            .args(rollouts)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Program { child, log: self.path("run.log") })
    }
}

/// A rollout of the route `model` in `target`.
pub(crate) fn rollout(name: &str, target: &Path, steps: &Value, analysis: &Value) -> Value {
    json!({
        "apiVersion": "headgate.dev/v1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "target": target,
            "route": "model",
            "variants": {"stable": "stable", "canary": "canary"},
            "strategy": {"canary": {"steps": steps}},
            "analysis": analysis
        }
    })
}

/// `headgate run`, ended with its life.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Its exit code, when it ends by itself in time.
    pub(crate) fn end(&mut self, patience: Duration) -> Result<Option<i32>> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if start.elapsed() > patience {
                bail!("headgate run did not end: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it runs still; what it said, when not.
    pub(crate) fn lives(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("headgate run ended ({status}): {}", self.said()),
        }
    }

    /// Seconds of CPU that it has used, in steps of 10 ms (`/proc/<pid>/stat`, fields 14 and 15).
    pub(crate) fn cpu(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no CPU time");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// The most memory that it had, in MB (10^6 bytes).
    pub(crate) fn memory(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// The end of what it said.
    pub(crate) fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// How many events of a kind it has told.
    pub(crate) fn told(&self, kind: &str) -> usize {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.matches(&format!(r#""kind":"{kind}""#)).count()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
