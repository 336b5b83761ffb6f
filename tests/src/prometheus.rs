//! A real Prometheus that scrapes one Envoy.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::fault::fault;
use crate::{Client, Result, prometheus_binary, wait_until};

/// A running Prometheus. It is ended, by its process id, when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    addr: SocketAddr,
    _home: TempDir,
}

impl Prometheus {
    /// Starts one that reads `/stats/prometheus` of this address four times a second.
    pub async fn of(stats: SocketAddr) -> Result<Self> {
        Self::with_history(stats, None).await
    }

    /// The same, with these samples (OpenMetrics text) of before.
    pub async fn with_history(stats: SocketAddr, history: Option<&str>) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("headgate-prometheus-").tempdir()?;
        let config = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\n\
             scrape_configs: [{{job_name: envoy, metrics_path: /stats/prometheus, static_configs: [{{targets: ['{stats}']}}]}}]\n"
        );
        std::fs::write(home.path().join("prometheus.yml"), config)?;
        if let Some(history) = history {
            std::fs::write(home.path().join("history"), history)?;
            // It comes with Prometheus, in the same folder.
            let made = Command::new(prometheus_binary()?.canonicalize()?.with_file_name("promtool"))
                .args(["tsdb", "create-blocks-from", "openmetrics"])
                .args([home.path().join("history"), home.path().join("data")])
                .output()?;
            if !made.status.success() {
                return Err(fault(format!("promtool: {made:?}")));
            }
        }
        let log = std::fs::File::create(home.path().join("log"))?;
        let child = Command::new(prometheus_binary()?)
            .arg(format!("--config.file={}", home.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut prometheus = Self { child, addr: SocketAddr::from(([127, 0, 0, 1], 0)), _home: home };
        let found = Mutex::new(None);
        let log = prometheus._home.path().join("log");
        wait_until("Prometheus listens", || async {
            let text = std::fs::read_to_string(&log)?;
            // The line before it names the address that was asked for: port 0.
            let addr = text
                .lines()
                .filter(|line| line.contains("Listening on"))
                .find_map(|line| line.rsplit_once("address=")?.1.trim().parse().ok());
            *found.lock().unwrap_or_else(PoisonError::into_inner) = addr;
            Ok(addr.is_some())
        })
        .await?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        prometheus.addr = found.ok_or_else(|| fault("Prometheus names no address"))?;
        Ok(prometheus)
    }

    /// Waits until a query has a result.
    pub async fn has(&self, what: &str, query: &str) -> Result<()> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        wait_until(what, || async {
            let answer = Client::http1(self.addr).await?.get(&format!("/api/v1/query?query={encoded}"), &[]).await?;
            let answer: Value = serde_json::from_slice(&answer.body)?;
            Ok(answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty()))
        })
        .await
    }

    /// The base of its HTTP API.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
