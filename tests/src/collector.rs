//! `headgate shadow collect` as a process of its own, on a port that it chooses.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Fault, Result, headgate_binary};

/// Takes in records, and writes them to a file. Ended by its own id when dropped.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    addr: SocketAddr,
}

impl Collector {
    /// Starts it. `token`: what senders must show; none: anybody may send.
    ///
    /// # Errors
    /// When `headgate` cannot be run, or says no address.
    pub fn start(out: &Path, token: Option<&str>) -> Result<Self> {
        let mut command = Command::new(headgate_binary()?);
        command.args(["shadow", "collect", "--listen", "127.0.0.1:0", "--json", "--out"]).arg(out);
        command.env_remove("HEADGATE_RECORDS_TOKEN").envs(token.map(|token| ("HEADGATE_RECORDS_TOKEN", token)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let mut collector = Self { child, addr: (Ipv4Addr::LOCALHOST, 0).into() };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let said: serde_json::Value = serde_json::from_str(&line).map_err(|e| Fault::msg(format!("{e}: {line:?}")))?;
        let addr = said["listening"].as_str().and_then(|addr| addr.parse().ok());
        collector.addr = addr.ok_or_else(|| Fault::msg(format!("it says no address: {line}")))?;
        Ok(collector)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // One that has already ended has nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
