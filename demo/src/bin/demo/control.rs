//! The real `headgate`, run as users run it: one function for each verb the demo uses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use headgate_tests::headgate_binary;

use crate::plan::{CANARY, KEY_ENV, ROUTE, TARGET};
use crate::show::Show;

/// How long a rollout of the demo may take; its steps make about 40 s.
const PATIENCE: Duration = Duration::from_secs(90);

/// What one run of it said.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// What is killed and revived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The one route, by the configuration alone.
    Route,
    /// The whole target, by Envoy's runtime where its admin interface can be reached, and by the configuration.
    Target,
}

impl What {
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Route => &["--route", ROUTE],
            Self::Target => &[],
        }
    }
}

/// `headgate` for one target file.
#[derive(Debug)]
pub(crate) struct Headgate {
    binary: PathBuf,
    target: PathBuf,
}

impl Headgate {
    pub(crate) fn new(target: PathBuf) -> Result<Self> {
        Ok(Self { binary: headgate_binary()?, target })
    }

    pub(crate) async fn push(&self, show: &Show, plugin: &Path) -> Result<Ran> {
        let plugin = plugin.display().to_string();
        self.shown(show, "push", &["--file", &plugin]).await
    }

    /// Takes the file for the whole configuration.
    pub(crate) async fn push_whole(&self, show: &Show, plugin: &Path) -> Result<Ran> {
        let plugin = plugin.display().to_string();
        self.shown(show, "push", &["--whole", "--file", &plugin]).await
    }

    /// A rollout to its end, its events as JSON lines.
    pub(crate) async fn rollout(&self, show: &Show, file: &Path, state: &Path) -> Result<Ran> {
        let (name, state) = (file.display().to_string(), state.display().to_string());
        show.say(&format!("$ headgate run {}", short(&name)));
        let arguments = ["run", &name, "--json", "--state", &state];
        let ended = self.run(&arguments, None);
        // It holds when it cannot decide; here nobody is there who would.
        tokio::time::timeout(PATIENCE, ended).await.with_context(|| {
            format!("`headgate run` did not come to its end in {PATIENCE:?}: `headgate status` says what it waits for")
        })?
    }

    /// The report of a rollout.
    pub(crate) async fn report(&self, show: &Show, rollout: &str, output: &Path, state: &Path) -> Result<Ran> {
        let (to, state) = (output.display().to_string(), state.display().to_string());
        show.say(&format!("$ headgate report {rollout} --output {}", short(&to)));
        self.run(&["report", rollout, "--output", &to, "--state", &state], None).await
    }

    pub(crate) async fn set(&self, show: &Show, weight: u32) -> Result<Ran> {
        self.shown(show, "set", &["--route", ROUTE, &format!("{CANARY}={weight}")]).await
    }

    pub(crate) async fn kill(&self, show: &Show, what: What) -> Result<Ran> {
        self.shown(show, "kill", what.arguments()).await
    }

    pub(crate) async fn revive(&self, show: &Show, what: What) -> Result<Ran> {
        self.shown(show, "revive", what.arguments()).await
    }

    /// A token for the canary, signed with `secret`.
    pub(crate) async fn token(&self, secret: &str) -> Result<String> {
        let arguments = ["token", "--audience", TARGET, "--variant", CANARY, "--key-id", "k1", "--key-env", KEY_ENV];
        let ran = self.run(&arguments, Some(secret)).await?;
        anyhow::ensure!(ran.code == 0, "`headgate token` ended with {}: {}", ran.code, ran.stderr);
        Ok(ran.stdout.trim().to_owned())
    }

    async fn shown(&self, show: &Show, verb: &str, arguments: &[&str]) -> Result<Ran> {
        let target = self.target.display().to_string();
        let mut all = vec![verb, target.as_str()];
        all.extend(arguments);
        let ran = self.run(&all, None).await?;
        let words: Vec<String> = all.iter().map(|word| short(word)).collect();
        show.say(&format!("$ headgate {}", words.join(" ")));
        show.quote(&ran.stdout);
        show.quote(&ran.stderr);
        Ok(ran)
    }

    async fn run(&self, arguments: &[&str], secret: Option<&str>) -> Result<Ran> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
        if let Some(secret) = secret {
            command.env(KEY_ENV, secret);
        }
        let output = command.output().await.with_context(|| format!("{} cannot be run", self.binary.display()))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) })
    }
}

/// A path's last part; a word as it is.
fn short(path: &str) -> String {
    Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
