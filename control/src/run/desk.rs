//! What the process answers over HTTP for its rollouts: see `server.rs` for the pages.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use headgate_rollout::plan::Plan;
use serde_json::{Value, json};

use super::runner::Links;
use super::{Settings, Wake};
use crate::clock;
use crate::exit::Failure;
use crate::intake;
use crate::links::{self, Word};
use crate::server::{self, Desk};
use crate::store::{Entry, Store};
use crate::target::Target;

/// How long a link may be used, milliseconds: seven days.
const LINK_LIFE: i64 = 7 * 24 * 3_600_000;
/// The environment variable with the key that links are signed with.
const KEY: &str = "HEADGATE_LINK_KEY";

struct Known {
    plan: Arc<Plan>,
    target: Arc<Target>,
    inbox: Sender<Wake>,
    run: i64,
}

/// The rollouts of this process, and the key of their links.
pub(crate) struct FrontDesk {
    store: Arc<Store>,
    key: Vec<u8>,
    base: Mutex<Option<String>>,
    known: Mutex<BTreeMap<String, Known>>,
}

impl FrontDesk {
    /// With the key of the environment, else one that is kept in the state folder.
    pub(crate) fn new(folder: &Path, settings: &Settings, store: Arc<Store>) -> Result<Self, Failure> {
        let key = match std::env::var(KEY) {
            Ok(key) if !key.is_empty() => key.into_bytes(),
            _ if settings.listen.is_some() => kept_key(&folder.join("link.key"))?,
            _ => Vec::new(),
        };
        Ok(Self { store, key, base: Mutex::new(None), known: Mutex::default() })
    }

    /// Adds a rollout.
    pub(crate) fn add(
        &self,
        plan: &Arc<Plan>,
        target: &Arc<Target>,
        inbox: Sender<Wake>,
        run: i64,
    ) -> Result<(), Failure> {
        let known = Known { plan: Arc::clone(plan), target: Arc::clone(target), inbox, run };
        self.lock().insert(plan.name.clone(), known);
        for (name, provider) in &plan.providers {
            if let Some(file) = provider.outcomes.as_ref().and_then(|o| o.file.as_ref()) {
                let (store, plan, target) = (Arc::clone(&self.store), Arc::clone(plan), Arc::clone(target));
                let (file, name) = (std::path::PathBuf::from(file), name.clone());
                std::thread::Builder::new()
                    .name(format!("outcomes {name}"))
                    .spawn(move || intake::follow(&store, &plan, &target, &file))
                    .map_err(|e| Failure::failed(format!("no thread can be started: {e}")))?;
            }
        }
        Ok(())
    }

    /// Begins to answer; gives the address of the links.
    pub(crate) fn open(
        self: &Arc<Self>,
        settings: &Settings,
        records: Option<axum::Router>,
    ) -> Result<Option<SocketAddr>, Failure> {
        let mut at = None;
        if let Some(listen) = &settings.listen {
            let addr = server::start(listen, Arc::clone(self) as Arc<dyn Desk>, records)?;
            let base = settings.public_url.clone().unwrap_or_else(|| format!("http://{addr}"));
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
            at = Some(addr);
        }
        let others: std::collections::BTreeSet<String> = self
            .lock()
            .values()
            .flat_map(|k| k.plan.providers.values().filter_map(|p| p.outcomes.as_ref()?.listen.clone()))
            .filter(|l| settings.listen.as_ref() != Some(l))
            .collect();
        for listen in others {
            let addr = server::start(&listen, Arc::clone(self) as Arc<dyn Desk>, None)?;
            at = at.or(Some(addr));
        }
        Ok(at)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key in a file; made when it is not there, for its owner alone.
fn kept_key(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |e: std::io::Error| Failure::failed(format!("the key of the links {}: {e}", path.display()));
    match std::fs::read(path) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => return Err(Failure::failed(format!("{} is too short for a key: remove it", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
    }
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|e| Failure::failed(format!("the system gives no random number: {e}")))?;
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(&key).map_err(failed)?;
    Ok(key.to_vec())
}

impl Links for FrontDesk {
    fn of(&self, rollout: &str, run: i64, gate: &str) -> Option<Value> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let link = |answer: &str| {
            let word = Word {
                rollout: rollout.to_owned(),
                run,
                gate: gate.to_owned(),
                answer: answer.to_owned(),
                expires: clock::now() + LINK_LIFE,
            };
            links::link(&base, &self.key, &word)
        };
        Some(json!({"approve": link("approve")?, "reject": link("reject")?}))
    }
}

impl Desk for FrontDesk {
    fn key(&self, rollout: &str) -> Option<Vec<u8>> {
        let signs = !self.key.is_empty() && self.base.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        (signs && self.lock().contains_key(rollout)).then(|| self.key.clone())
    }

    fn waits(&self, rollout: &str, run: i64, gate: &str) -> Option<String> {
        let waits = self.store.gate(rollout, run, gate).ok().flatten()?;
        waits
            .answer
            .is_none()
            .then(|| format!("It waits since {} for an answer. The button gives it.", clock::shown(waits.opened)))
    }

    fn answer(&self, word: &Word, actor: &str) -> Result<bool, String> {
        let now = clock::now();
        let place = (word.rollout.as_str(), word.run, word.gate.as_str());
        let taken = self.store.answer_gate(place, &word.answer, actor, "", now).map_err(|f| f.message)?;
        if taken && let Some(known) = self.lock().get(&word.rollout) {
            let _over = known.inbox.send(Wake::Look);
        }
        Ok(taken)
    }

    fn outcomes(&self, rollout: &str, body: &str) -> Result<(usize, Vec<String>), String> {
        let (plan, target, run) = {
            let known = self.lock();
            let known = known.get(rollout).ok_or_else(|| format!("there is no rollout `{rollout}` here"))?;
            (Arc::clone(&known.plan), Arc::clone(&known.target), known.run)
        };
        let taken = intake::take(&self.store, &plan, &target, body, clock::now())?;
        if !taken.1.is_empty() {
            let reason = format!("{} outcomes were not understood: {}", taken.1.len(), taken.1.join("; "));
            let entry = Entry {
                at: clock::now(),
                rollout,
                run,
                actor: "outcomes",
                action: "refused",
                reason: &reason,
                data: &Value::Null,
            };
            let _told = self.store.log(&entry);
        }
        Ok(taken)
    }

    fn outcomes_token(&self, _: &str) -> Option<String> {
        std::env::var("HEADGATE_OUTCOMES_TOKEN").ok().filter(|t| !t.is_empty())
    }

    fn now(&self) -> i64 {
        clock::now()
    }
}
