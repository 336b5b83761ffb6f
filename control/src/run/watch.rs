//! What a tick gets to see of the proxies and of the published file.
//!
//! Proxies are asked all at once by a pool of threads; a tick waits for them no longer than its limit, and a proxy that has not answered by then
//! is "not answering" in this tick and is not asked again until its last question has ended. So one that hangs slows nothing down. A target with one
//! proxy needs no pool, where a tick waits as long as a question may take.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use headgate_rollout::measure::Snapshot;
use headgate_rollout::plan::{Plan, Weights};
use headgate_rollout::tick::{Confirmation, InForce, ProxyStatus, Reading};

use super::shares;
use crate::clock;
use crate::pool::Pool;
use crate::providers::envoy::{self, Wanted};
use crate::providers::histogram::Bounds;
use crate::proxy::Client;
use crate::publisher;
use crate::stats;
use crate::target::Target;
use crate::verify::{self, State as Applied};
use crate::write::in_force;

/// How often the proxies' runtime is asked for a kill that somebody set there alone.
const RUNTIME_EVERY: Duration = Duration::from_secs(5);

struct Answer {
    at: usize,
    page: Result<(stats::Reading, Arc<Snapshot>), String>,
    runtime: Option<Result<Option<bool>, String>>,
}

/// The last publish that was written, as far as this process knows.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The rollout's own number of it.
    pub(crate) fence: u64,
    /// The target's revision.
    pub(crate) revision: u64,
    /// The proxies' readings from before, in their order; `None` for those that were not known.
    pub(crate) before: Vec<Option<stats::Reading>>,
}

/// What is published of a rollout's route.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) in_force: InForce,
    /// The target's revision.
    pub(crate) revision: u64,
    /// The clusters of the route's variants, and the canary's.
    pub(crate) clusters: (Vec<String>, Option<String>),
}

/// Inode, time and length of a file: unchanged, it is the same file.
type Stamp = Option<(u64, i64, i64, u64)>;

/// Watches the proxies of one target for one rollout.
pub(crate) struct Watch {
    target: Arc<Target>,
    wanted: Wanted,
    client: Client,
    /// How long a question may take.
    limit: Duration,
    pool: Pool,
    bounds: Arc<Bounds>,
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Whether a question to this proxy has not ended yet.
    asked: Vec<bool>,
    /// The last reading of each.
    pub(crate) readings: Vec<Result<stats::Reading, String>>,
    runtime: BTreeMap<String, bool>,
    runtime_asked: Option<Instant>,
    published: Option<(Stamp, Weights, Published)>,
}

impl Watch {
    pub(crate) fn new(target: Arc<Target>, plan: &Plan, pool: Pool, bounds: Arc<Bounds>, limit: Duration) -> Self {
        let resource = target.publisher.as_ref().map_or("headgate", |p| p.file.resource.as_str()).to_owned();
        let wanted = Wanted { target: target.name.clone(), resource, route: plan.route.clone(), copies: None };
        let (sender, answers) = channel();
        let n = target.proxies.len();
        Self {
            target,
            wanted,
            client: Client::new(limit),
            limit,
            pool,
            bounds,
            sender,
            answers,
            asked: vec![false; n],
            readings: vec![Err("it has not been asked yet".to_owned()); n],
            runtime: BTreeMap::new(),
            runtime_asked: None,
            published: None,
        }
    }

    /// The client that proxies are asked with.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks all proxies, and gives what has come within `patience`. `copies` names the cluster whose answers to copies are needed.
    pub(crate) fn look(&mut self, copies: Option<String>, patience: Duration) -> Vec<Reading> {
        self.wanted.copies = copies;
        let with_runtime = self.runtime_asked.is_none_or(|at| at.elapsed() >= RUNTIME_EVERY);
        if with_runtime {
            self.runtime_asked = Some(Instant::now());
        }
        let alone = self.target.proxies.len() == 1 && patience >= self.limit;
        for at in 0..self.target.proxies.len() {
            self.ask(at, with_runtime, alone);
        }
        let end = Instant::now() + patience;
        let mut fresh: Vec<Option<Result<Arc<Snapshot>, String>>> = vec![None; self.asked.len()];
        while self.asked.iter().any(|a| *a) {
            let Ok(answer) = self.answers.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
            let name = self.target.proxies.get(answer.at).map(|p| p.name.clone()).unwrap_or_default();
            if let Some(Ok(Some(killed))) = answer.runtime {
                self.runtime.insert(name, killed);
            }
            let (reading, snapshot) = match answer.page {
                Ok((reading, snapshot)) => (Ok(reading), Ok(snapshot)),
                Err(e) => (Err(e.clone()), Err(e)),
            };
            if let Some(slot) = self.readings.get_mut(answer.at) {
                *slot = reading;
            }
            if let Some(slot) = fresh.get_mut(answer.at) {
                *slot = Some(snapshot);
            }
            if let Some(asked) = self.asked.get_mut(answer.at) {
                *asked = false;
            }
        }
        let late = format!("it has not answered within {} ms", patience.as_millis());
        for (reading, _) in self.readings.iter_mut().zip(&fresh).filter(|(_, fresh)| fresh.is_none()) {
            *reading = Err(late.clone());
        }
        let names = self.target.proxies.iter().map(|p| p.name.clone());
        names
            .zip(fresh)
            .map(|(proxy, snapshot)| Reading { proxy, snapshot: snapshot.unwrap_or_else(|| Err(late.clone())) })
            .collect()
    }

    /// Asks a proxy that has answered its last question. `alone`: there is no other, and whoever waits may do so here.
    fn ask(&mut self, at: usize, with_runtime: bool, alone: bool) {
        let (Some(asked), Some(proxy)) = (self.asked.get_mut(at), self.target.proxies.get(at).cloned()) else { return };
        if core::mem::replace(asked, true) {
            return;
        }
        let (client, wanted, bounds, sender) =
            (self.client.clone(), self.wanted.clone(), Arc::clone(&self.bounds), self.sender.clone());
        // Two questions may take twice as long.
        let with_runtime = with_runtime && proxy.admin.is_some();
        let question = move || {
            let page = wanted.url(&proxy).ok_or_else(|| "it has no address".to_owned()).and_then(|url| {
                client.page(&url, |page| {
                    let now = u64::try_from(clock::now()).unwrap_or(0);
                    let (reading, snapshot) = envoy::read(page, &wanted, &bounds, now)?;
                    Ok((reading, Arc::new(snapshot)))
                })
            });
            let runtime = with_runtime.then(|| client.runtime_killed(&proxy));
            // Nobody listens when the rollout is over.
            let _over = sender.send(Answer { at, page, runtime });
        };
        if alone && !with_runtime {
            // As in the pool: a fault ends the question, and there is no answer.
            let _told_by_the_panic = catch_unwind(AssertUnwindSafe(question));
        } else {
            self.pool.run(question);
        }
    }

    /// Whether a kill by runtime was seen on a proxy at its last answer.
    pub(crate) fn killed_by_runtime(&self) -> Option<&str> {
        self.runtime.iter().find(|(_, killed)| **killed).map(|(proxy, _)| proxy.as_str())
    }

    /// Forgets what was seen of runtime kills: the next look asks anew.
    pub(crate) fn forget_runtime(&mut self) {
        self.runtime.clear();
        self.runtime_asked = None;
    }

    /// The highest revision that a proxy has shown.
    pub(crate) fn revision(&self) -> u64 {
        self.readings.iter().flatten().filter_map(|r| r.revision).max().unwrap_or(0)
    }

    /// Whether each proxy has a publish in force, by its last reading.
    pub(crate) fn confirm(&self, sent: &Sent) -> Vec<Confirmation> {
        let one = |(at, reading): (usize, &Result<stats::Reading, String>)| {
            let proxy = self.target.proxies.get(at).map(|p| p.name.clone()).unwrap_or_default();
            let (status, why) = match reading {
                Ok(now) => {
                    let (state, why) = verify::judge(sent.before.get(at).and_then(Option::as_ref), now, sent.revision);
                    let status = match state {
                        Applied::Applied | Applied::Superseded => ProxyStatus::Applied,
                        Applied::Pending => ProxyStatus::Pending,
                        Applied::Rejected => ProxyStatus::Rejected,
                    };
                    (status, why)
                }
                Err(e) => (ProxyStatus::Unreachable, e.clone()),
            };
            Confirmation { proxy, fence: sent.fence, status, why }
        };
        self.readings.iter().enumerate().map(one).collect()
    }

    /// Whether no proxy was asked yet.
    pub(crate) fn never_looked(&self) -> bool {
        self.runtime_asked.is_none()
    }

    /// What is published of the route. `asked` are the weights that should be. A file that did not change is not read again.
    ///
    /// # Errors
    /// In words, when the file cannot be read.
    pub(crate) fn in_force(&mut self, plan: &Plan, asked: &Weights) -> Result<Published, String> {
        let file = self.target.file().map_err(|f| f.message)?;
        let stamp = std::fs::metadata(&file.path).ok().map(|m| {
            use std::os::unix::fs::MetadataExt as _;
            (m.ino(), m.mtime(), m.mtime_nsec(), m.len())
        });
        if let Some((old, weights, published)) = &self.published
            && stamp.is_some()
            && *old == stamp
            && weights == asked
        {
            return Ok(published.clone());
        }
        let text = |f: crate::exit::Failure| {
            format!("{}{}", f.message, f.findings.first().map_or_else(String::new, |f| format!(": {f}")))
        };
        let read = publisher::read(&file.path).map_err(text)?;
        let config = in_force(&self.target, read.as_ref()).map_err(text)?;
        let found = shares::found(&config, plan);
        let weights = if shares::holds(&config, plan, asked) { Some(asked.clone()) } else { found.weights };
        let revision = crate::merge::revision(&config);
        let detail =
            if found.killed { format!("the published configuration, revision {revision}") } else { String::new() };
        let published = Published {
            in_force: InForce { weights, killed: found.killed, detail },
            revision,
            clusters: (found.clusters, found.canary_cluster),
        };
        self.published = Some((stamp, asked.clone(), published.clone()));
        Ok(published)
    }
}
