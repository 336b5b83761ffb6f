//! The process of one Envoy: started in its folder, ended by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Result;
use crate::fault::fault;

/// What stays the same when an Envoy is started again.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) binary: PathBuf,
    pub(crate) concurrency: u32,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log_level: String,
    pub(crate) prefix: Vec<String>,
}

/// The child, ended by its own id when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts one in its folder, where its bootstrap is `envoy.json`; it tells its admin address in the file `admin`.
    pub(crate) fn spawn(home: &Path, settings: &Settings) -> Result<Self> {
        let log = File::options().create(true).append(true).open(home.join("envoy.log"))?;
        let admin = home.join("admin");
        // Of an earlier start.
        if admin.exists() {
            std::fs::remove_file(&admin)?;
        }
        let mut words = settings.prefix.iter().map(std::ffi::OsString::from);
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&settings.binary);
                command
            }
            None => Command::new(&settings.binary),
        };
        command
            .arg("--config-path")
            .arg(home.join("envoy.json"))
            .arg("--admin-address-path")
            .arg(&admin)
            .args(["--disable-hot-restart", "--log-level", &settings.log_level])
            .args(["--concurrency", &settings.concurrency.to_string()])
            .envs(settings.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self(command.spawn().map_err(|e| fault(format!("{}: {e}", settings.binary.display())))?))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        // One that has already ended has nothing left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
