//! A proxy, asked over HTTP: its statistics, and the runtime of its admin interface. It knows nothing of files.

use std::cell::Cell;
use std::io::Read;
use std::time::Duration;

use serde_json::Value;

use crate::stats::{self, Reading};
use crate::target::Proxy;
use crate::web::encoded;

/// The largest answer that is read, bytes.
const LARGEST: u64 = 64 << 20;
/// The place that an answer gets to begin with, bytes.
const LEAST: usize = 16 << 10;
/// The largest place that a thread keeps, bytes.
const KEPT: usize = 1 << 20;

thread_local! {
    /// Where this thread reads to.
    static PLACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Asks proxies; each question has its own time limit.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
}

impl Client {
    /// A client whose every question ends after `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .user_agent(concat!("headgate/", env!("CARGO_PKG_VERSION")))
            // Admin interfaces are asked directly, whatever proxies the environment names.
            .proxy(None)
            .build();
        Self { agent: config.into() }
    }

    /// The proxy's statistics of one target.
    ///
    /// # Errors
    /// In words, with the address asked.
    pub(crate) fn read(&self, proxy: &Proxy, target: &str, resource: &str) -> Result<Reading, String> {
        let base = proxy.stats_base().ok_or("it has no address")?;
        if base.ends_with("/stats/prometheus") {
            return Ok(stats::from_prometheus(&self.get(base)?, target, resource));
        }
        let url = format!("{base}/stats?format=json&filter={}", encoded(stats::FILTER));
        stats::from_json(&self.get(&url)?, target, resource).map_err(|e| format!("{base}: {e}"))
    }

    /// Whether the runtime kill is in force; `None` when the proxy has no admin interface.
    ///
    /// # Errors
    /// In words, with the address asked.
    pub(crate) fn runtime_killed(&self, proxy: &Proxy) -> Result<Option<bool>, String> {
        let Some(base) = proxy.admin_base() else { return Ok(None) };
        let text = self.get(&format!("{base}/runtime?format=json"))?;
        let document: Value = serde_json::from_str(&text).map_err(|e| format!("{base}/runtime is no JSON: {e}"))?;
        let value = document.get("entries").and_then(|e| e.get(&proxy.runtime_key)).and_then(|e| e.get("final_value"));
        Ok(Some(value.and_then(Value::as_str) == Some("0")))
    }

    /// Sets the runtime kill, or forgets it.
    ///
    /// # Errors
    /// In words, with the address asked.
    pub(crate) fn set_runtime_kill(&self, proxy: &Proxy, on: bool) -> Result<(), String> {
        let base = proxy.admin_base().ok_or("the target file names no admin interface for it")?;
        let value = if on { "0" } else { "" };
        let url = format!("{base}/runtime_modify?{}={value}", encoded(&proxy.runtime_key));
        let answer = self.agent.post(&url).send_empty().map_err(|e| format!("{url}: {e}"))?;
        let text = answer.into_body().read_to_string().map_err(|e| format!("{url}: {e}"))?;
        if text.trim() == "OK" {
            Ok(())
        } else {
            Err(format!("{url} answered {:?}: it needs an admin_layer in layered_runtime", text.trim()))
        }
    }

    /// The text at an address, as a proxy answers it.
    ///
    /// # Errors
    /// In words, with the address asked.
    pub(crate) fn get(&self, url: &str) -> Result<String, String> {
        self.page(url, |text| Ok(text.to_owned()))
    }

    /// What is made of the text at an address. Each thread reads into a place of its own, which it keeps: pages come all the time, and
    /// are large.
    ///
    /// # Errors
    /// As [`Self::get`]; and what `read` says.
    pub(crate) fn page<T>(&self, url: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
        // Without the query, which nobody wants to read.
        let said = |e: &dyn core::fmt::Display| format!("{}: {e}", url.split('?').next().unwrap_or(url));
        let answer = self.agent.get(url).call().map_err(|e| said(&e))?;
        let mut place = PLACE.take();
        let whole = fill(&mut place, answer.into_body().into_with_config().limit(LARGEST).reader());
        let text = match whole {
            Ok(bytes) => core::str::from_utf8(bytes).map_err(|e| said(&e)),
            Err(e) => Err(said(&e)),
        };
        let out = text.and_then(read);
        if place.len() <= KEPT {
            PLACE.set(place);
        }
        out
    }
}

/// Reads to the end into a place that grows as it must, and gives what was read. What the place has grown to is used again as it is.
fn fill(place: &mut Vec<u8>, mut from: impl Read) -> std::io::Result<&[u8]> {
    let mut filled = 0;
    loop {
        if filled == place.len() {
            place.resize((2 * filled).max(LEAST), 0);
        }
        match from.read(place.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => return Ok(place.get(..filled).unwrap_or_default()),
            Ok(more) => filled += more,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Asks all proxies at once; the answers come in the proxies' order.
pub(crate) fn each<T: Send>(proxies: &[Proxy], ask: impl Fn(&Proxy) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = proxies.iter().map(|proxy| scope.spawn(|| ask(proxy))).collect();
        asked.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}
