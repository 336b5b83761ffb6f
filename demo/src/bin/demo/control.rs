//! The real `headgate`, run as users run it: one function for each verb the demo uses.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use headgate_tests::headgate_binary;

use crate::plan::{CANARY, KEY_ENV, ROUTE, TARGET};
use crate::show::Show;

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
        let name =
            |path: &&str| Path::new(path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let words: Vec<String> = all.iter().map(name).collect();
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
