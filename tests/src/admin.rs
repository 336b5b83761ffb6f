//! Envoy's admin interface.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::fault::fault;
use crate::{Client, Metrics, Result, empty};

/// Between two readings of counts at rest: longer than the filter waits before it hands counts over.
const BETWEEN: Duration = Duration::from_millis(150);
/// So many readings are compared at most.
const READINGS: usize = 8;

/// A client of one admin interface. Each question is a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Admin {
    addr: SocketAddr,
}

impl Admin {
    /// The interface at an address.
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The text at a path. An answer other than 200 is a fault.
    pub async fn get(&self, path: &str) -> Result<String> {
        self.ask(Method::GET, path).await
    }

    /// Sends a command.
    pub async fn post(&self, path: &str) -> Result<String> {
        self.ask(Method::POST, path).await
    }

    /// The JSON at a path.
    pub async fn json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.get(path).await?)?)
    }

    /// Sets one runtime key.
    pub async fn runtime(&self, key: &str, value: &str) -> Result<()> {
        self.post(&format!("/runtime_modify?{key}={value}")).await.map(drop)
    }

    /// The whole configuration in force.
    pub async fn config_dump(&self) -> Result<Value> {
        self.json("/config_dump").await
    }

    /// Everything that is counted.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::parse(&self.get("/stats/prometheus").await?)
    }

    /// What it counts, once that is at rest: the filter hands its counts over every tenth of a second, so two readings that are further
    /// apart must agree. What never comes to rest, because requests go on, is read as it is after a while.
    pub async fn metrics_at_rest(&self) -> Result<Metrics> {
        let mut before = self.metrics().await?;
        for _ in 0..READINGS {
            tokio::time::sleep(BETWEEN).await;
            let now = self.metrics().await?;
            if now.of("headgate_").eq(before.of("headgate_")) {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    /// Names and addresses of the listeners.
    pub async fn listeners(&self) -> Result<Vec<(String, SocketAddr)>> {
        let answer = self.json("/listeners?format=json").await?;
        let listeners = answer["listener_statuses"].as_array().cloned().unwrap_or_default();
        let one = |listener: &Value| {
            let name = listener["name"].as_str()?;
            let address = &listener["local_address"]["socket_address"];
            let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
            Some((name.to_owned(), SocketAddr::new(address["address"].as_str()?.parse().ok()?, port)))
        };
        Ok(listeners.iter().filter_map(one).collect())
    }

    async fn ask(&self, method: Method, path: &str) -> Result<String> {
        let mut client = Client::http1(self.addr).await?;
        let request = hyper::Request::builder().method(method).uri(path).header("host", "admin").body(empty())?;
        let answer = client.send(request).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status != 200 {
            return Err(fault(format!("the admin interface answered {} to {path}: {text}", answer.status)));
        }
        Ok(text)
    }
}
