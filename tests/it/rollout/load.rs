//! Users who ask all the time, and what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headgate_tests::{Client, Envoy, Fault, Result};

/// How many different users ask.
pub(super) const USERS: u64 = 400;
/// Connections that are open at once, and what each rests after a request.
const CONNECTIONS: u64 = 4;
const REST: Duration = Duration::from_millis(3);

/// What came of the users' requests.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests that were answered, or failed.
    pub(super) sent: AtomicU64,
    /// Those with a status of 500 or more, and those without an answer, by what happened.
    pub(super) failed: Mutex<BTreeMap<String, u64>>,
    /// Requests that the canary answered, failures too.
    pub(super) canary: AtomicU64,
    /// The versions that answered each user, one after the other, without repeats: `sc` went over from stable to the canary.
    ways: Mutex<BTreeMap<u64, String>>,
}

impl Seen {
    pub(super) fn failed(&self) -> BTreeMap<String, u64> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn went(&self, user: u64, upstream: &str) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways.entry(user).or_default();
        let letter = upstream.chars().next().unwrap_or('?');
        if !way.ends_with(letter) {
            way.push(letter);
        }
    }

    /// How many users went each way.
    pub(super) fn ways(&self) -> BTreeMap<String, usize> {
        let mut counted = BTreeMap::new();
        for way in self.ways.lock().unwrap_or_else(PoisonError::into_inner).values() {
            *counted.entry(way.clone()).or_insert(0) += 1;
        }
        counted
    }
}

/// Users who ask.
pub(super) struct Load {
    pub(super) seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(super) async fn start(envoy: &Envoy) -> Result<Self> {
        let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = Vec::new();
        for connection in 0..CONNECTIONS {
            let (seen, stop, addr) = (Arc::clone(&seen), Arc::clone(&stop), envoy.ingress());
            let mut client = Some(Client::http1(addr).await?);
            tasks.push(tokio::spawn(async move {
                let mut n = connection;
                while !stop.load(Ordering::Relaxed) {
                    let number = n % USERS;
                    let user = format!("user-{number}");
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
                            if let Some(version) = answer.header("x-upstream") {
                                seen.went(number, version);
                            }
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
