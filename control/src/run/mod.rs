//! `headgate run`: rollouts, live, until each has come to its end.
//!
//! One process runs one or many rollouts, each on a thread of its own; they share the store and the ownership of their
//! targets. This file sets them up: it reads files, takes ownership, finds out whether a rollout goes on or begins, and starts the threads.

mod ask;
mod beside;
mod carrier;
pub(crate) mod console;
mod desk;
pub(crate) mod drift;
mod failsafe;
mod live;
mod proposal;
pub(crate) mod publish;
mod runner;
pub(crate) mod shares;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use headgate_rollout::State;
use headgate_rollout::file::{Force, NotificationFormat};
use headgate_rollout::plan::Plan;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::document::Document;
use crate::exit::{Exit, Failure};
use crate::notify::{Form, Hearer, Notifier, Undelivered};
use crate::owner::{self, Owner};
use crate::pool::Pool;
use crate::providers::histogram::Bounds;
use crate::publisher;
use crate::rollout_file::{self, Loaded};
use crate::shadow::collect::{self, Collector, Out};
use crate::store::{Entry, Row, Store};
use crate::target::Target;
use crate::web::Web;
use crate::write::in_force;
use ask::{Asker, webhook_manner};
use carrier::Carrier;
use console::Console;
use desk::FrontDesk;
pub(crate) use runner::Wake;
use runner::{Memory, Runner};
use watch::Watch;

/// Threads of a rollout that ask proxies, at most.
const ASKERS: usize = 32;
/// Threads of a rollout that ask providers, webhooks and the new side, at most.
const PROVIDERS: usize = 8;
/// How long a proxy may take for its statistics.
pub(crate) const QUESTION: Duration = Duration::from_secs(2);

/// What `headgate run` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) files: Vec<PathBuf>,
    /// The state folder.
    pub(crate) state: PathBuf,
    pub(crate) json: bool,
    /// Who overrides refusals, and why.
    pub(crate) force: Option<Force>,
    /// Where links of gates are answered; none: there are none.
    pub(crate) listen: Option<String>,
    /// How that address is called from outside.
    pub(crate) public_url: Option<String>,
    /// Where records of comparisons are written that proxies send to `listen`.
    pub(crate) records: Option<Out>,
    /// Whether what was promoted is watched for drift afterwards.
    pub(crate) drift: bool,
}

/// One rollout, set up.
struct Prepared {
    loaded: Loaded,
    target: Arc<Target>,
    target_path: PathBuf,
    published: PathBuf,
}

/// How long the end waits for records that were taken to be written.
const SETTLED: Duration = Duration::from_secs(5);

/// The receiving end of records, which says on the console what keeps it from writing.
fn collector(out: Out, console: &Arc<Console>) -> Result<Arc<Collector>, Failure> {
    let console = Arc::clone(console);
    let token = std::env::var(collect::TOKEN).ok().filter(|token| !token.is_empty());
    Collector::start(out, token, move |text| console.note("-", "records", text))
}

/// Runs all rollouts to their end; gives the exit code of the worst.
///
/// # Errors
/// When one cannot be set up: then none was begun.
pub(crate) fn run(settings: &Settings) -> Result<u8, Failure> {
    let store = Arc::new(Store::open(&settings.state)?);
    let mut prepared: Vec<Prepared> = Vec::new();
    for file in &settings.files {
        let one = prepare(file, settings.force.as_ref(), &store)?;
        let name = &one.loaded.plan.name;
        if prepared.iter().any(|p| p.loaded.plan.name == *name) {
            return Err(Failure::new(Exit::Usage, format!("two files are called `{name}`: names are unique")));
        }
        if let Some(other) =
            prepared.iter().find(|p| p.published == one.published && p.loaded.plan.route == one.loaded.plan.route)
        {
            let (route, other) = (&one.loaded.plan.route, &other.loaded.plan.name);
            return Err(Failure::new(
                Exit::Usage,
                format!("`{name}` and `{other}` are both for route `{route}` of one target: one rollout a route"),
            ));
        }
        prepared.push(one);
    }
    let owners = own(&prepared)?;
    let mut rows = Vec::new();
    for one in &prepared {
        rows.push(row(one, settings.force.as_ref(), &store)?);
    }
    let console = Arc::new(Console::new(settings.json, prepared.len()));
    let desk = Arc::new(FrontDesk::new(&settings.state, settings, Arc::clone(&store))?);
    let bounds = Arc::new(Bounds::default());
    let mut inboxes: BTreeMap<String, Sender<Wake>> = BTreeMap::new();
    let mut runners = Vec::new();
    for (one, (row, state)) in prepared.iter().zip(rows) {
        let plan = Arc::new(one.loaded.plan.clone());
        let name = plan.name.clone();
        let (sender, inbox) = channel();
        inboxes.insert(plan.name.clone(), sender.clone());
        desk.add(&plan, &one.target, sender, row.run)?;
        let owner = owners.get(&one.published).cloned().ok_or_else(|| Failure::failed("a target without an owner"))?;
        let refused = |e: String| Failure::new(Exit::Usage, e);
        // Threads of its own: what hangs for one rollout keeps no other one waiting.
        let (proxies, providers) = (Pool::new(ASKERS), Pool::new(PROVIDERS));
        let asker = Asker::new(Arc::clone(&plan), Arc::clone(&store), providers.clone()).map_err(refused)?;
        let watch = Watch::new(Arc::clone(&one.target), &plan, proxies, Arc::clone(&bounds), QUESTION);
        let notifier = notifier(&plan, row.run, &store)?;
        console.note(&plan.name, "process", &began(&row, &state, &store, owner.fence()));
        runners.push(Runner {
            plan,
            target: Arc::clone(&one.target),
            row,
            state,
            store: Arc::clone(&store),
            owner,
            watch,
            asker,
            console: Arc::clone(&console),
            notifier,
            links: Arc::clone(&desk) as Arc<dyn runner::Links>,
            pool: providers,
            inbox,
            memory: Memory::with(store.waiting()?.into_iter().filter(|c| c.rollout == name).collect()),
        });
    }
    let records = settings.records.clone().map(|out| collector(out, &console)).transpose()?;
    if let Some(at) = desk.open(settings, records.clone().map(collect::router))? {
        console.note("-", "listening", &format!("listening on {at}"));
    }
    let inboxes = Arc::new(inboxes);
    let mail = (Arc::clone(&store), Arc::clone(&inboxes));
    let known = runners.iter().flat_map(|r| r.memory.waiting()).collect();
    std::thread::spawn(move || Carrier::new(&mail.0, &mail.1, known).carry());
    // Each rollout holds its target as long as it runs, and no longer.
    drop(owners);
    let drift = settings.drift;
    let threads: Vec<_> = runners
        .into_iter()
        .map(|r| std::thread::Builder::new().name(r.plan.name.clone()).spawn(move || live(r, drift)))
        .collect();
    let mut worst = 0;
    for thread in threads {
        let ended = thread.map_err(|e| Failure::failed(format!("no thread can be started: {e}")))?.join();
        let exit = ended.map_err(|_| {
            Failure::failed("a rollout stopped by a fault of headgate's: the weights stay as they are, `headgate run` goes on from there, `headgate rollback` goes back")
        })?;
        worst = core::cmp::max_by_key(worst, exit, |e| rank(*e));
    }
    if let Some(records) = records {
        records.settle(SETTLED);
    }
    Ok(worst)
}

/// Takes outcomes in as a run does, from its providers' files and at their addresses, as long as the process lives.
///
/// # Errors
/// When an address is taken, by a `headgate run` that takes them in, say.
pub(crate) fn take_outcomes(
    plan: &Arc<Plan>,
    target: &Arc<Target>,
    store: &Arc<Store>,
    folder: &Path,
    run: i64,
) -> Result<(), Failure> {
    let settings = Settings {
        files: Vec::new(),
        state: folder.to_owned(),
        json: false,
        force: None,
        listen: None,
        public_url: None,
        records: None,
        drift: true,
    };
    let desk = Arc::new(FrontDesk::new(folder, &settings, Arc::clone(store))?);
    // Nobody waits for gates here.
    let (sender, _nobody) = channel();
    desk.add(plan, target, sender, run)?;
    desk.open(&settings, None).map(drop)
}

/// A rollout to its end and, if that is wanted, what was promoted afterwards.
fn live(runner: Runner, drift: bool) -> u8 {
    let watched = runner.plan.drift.clone().filter(|_| drift);
    let (plan, target, store) = (Arc::clone(&runner.plan), Arc::clone(&runner.target), Arc::clone(&runner.store));
    let (console, run, json) = (Arc::clone(&runner.console), runner.row.run, runner.console.is_json());
    let exit = runner.run();
    if let Some(watched) = watched.filter(|_| exit == 0) {
        let name = plan.name.clone();
        let window = humantime::format_duration(Duration::from_millis(watched.window_ms));
        console.note(&name, "drift", &format!("what was promoted is watched for drift, in windows of {window}"));
        let ended = drift::Sentinel::new(plan, watched, run, target, store)
            .and_then(|sentinel| sentinel.watch(drift::Until::Stopped, &mut |look| drift::print(look, json)));
        if let Err(failure) = ended {
            console.note(&name, "drift", &format!("drift is not watched: {}", failure.message));
        }
    }
    exit
}

/// Which of several ends is told: what somebody has to look at first.
fn rank(exit: u8) -> u8 {
    match exit {
        0 => 0,
        12 => 1,
        11 => 2,
        10 => 3,
        _ => 4,
    }
}

fn prepare(file: &Path, force: Option<&Force>, store: &Store) -> Result<Prepared, Failure> {
    let document = Document::read(file)?;
    // What was forced at the beginning stays forced when it goes on.
    let name = document.value.pointer("/metadata/name").and_then(serde_json::Value::as_str).unwrap_or_default();
    let old = store.rollout(name)?.filter(|row| row.ended.is_none() && !row.forced.is_empty());
    let forced: Option<Force> = old.and_then(|row| serde_json::from_str(&row.forced).ok());
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let loaded = rollout_file::of(&document, &path, force.or(forced.as_ref()))?;
    let target_path = loaded.target_path();
    let target = Target::read(&target_path)?;
    let published = target.file()?.path.clone();
    Ok(Prepared { loaded, target: Arc::new(target), target_path, published })
}

fn own(prepared: &[Prepared]) -> Result<BTreeMap<PathBuf, Arc<Owner>>, Failure> {
    let mut names: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for one in prepared {
        names.entry(one.published.clone()).or_default().push(one.loaded.plan.name.clone());
    }
    let mut owners = BTreeMap::new();
    for (published, rollouts) in names {
        owners.insert(published.clone(), Arc::new(owner::take(&published, rollouts)?));
    }
    Ok(owners)
}

/// The row and state that a rollout goes on from, or new ones.
fn row(one: &Prepared, force: Option<&Force>, store: &Store) -> Result<(Row, State), Failure> {
    let plan = &one.loaded.plan;
    let spec = one.loaded.value.to_string();
    let digest: String = Sha256::digest(spec.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    let newest = store.rollout(&plan.name)?;
    let run = newest.as_ref().map_or(1, |row| row.run + 1);
    if let Some(mut row) = newest.filter(|row| row.ended.is_none()) {
        let way_out = format!(
            "put it back as it was, or end that run with `headgate rollback {}` and begin a new one",
            plan.name
        );
        if row.digest != digest {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "{} was changed since run {} of `{}` began, which is {} still: {way_out}",
                    one.loaded.path.display(),
                    row.run,
                    plan.name,
                    row.phase
                ),
            ));
        }
        if row.target != one.target.name {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "run {} of `{}` is for target {} and not {}: {way_out}",
                    row.run, plan.name, row.target, one.target.name
                ),
            ));
        }
        let state: State = serde_json::from_str(&row.state).map_err(|e| {
            Failure::failed(format!(
                "the state of `{}` in {} cannot be read ({e}): `headgate rollback {}` goes back without it",
                plan.name,
                store.path().display(),
                one.loaded.path.display()
            ))
        })?;
        row.target_file = one.target_path.display().to_string();
        row.file = one.loaded.path.display().to_string();
        row.exit = None;
        return Ok((row, state));
    }
    fits(one)?;
    let state = State::new(&plan.name);
    let now = clock::now();
    let row = Row {
        name: plan.name.clone(),
        run,
        target: one.target.name.clone(),
        target_file: one.target_path.display().to_string(),
        route: plan.route.clone(),
        file: one.loaded.path.display().to_string(),
        spec,
        digest,
        forced: force.and_then(|f| serde_json::to_string(f).ok()).unwrap_or_default(),
        phase: state.phase.name().to_owned(),
        state: serde_json::to_string(&state).unwrap_or_default(),
        started: now,
        updated: now,
        ended: None,
        exit: None,
    };
    store.begin(&row)?;
    Ok((row, state))
}

/// Whether the shares of every step can be put into the route: what a later step could not have is refused before the first one begins.
fn fits(one: &Prepared) -> Result<(), Failure> {
    let plan = &one.loaded.plan;
    let config = in_force(&one.target, publisher::read(&one.published)?.as_ref())?;
    if shares::found(&config, plan).weights.is_none() {
        // Without the route or its variants it waits for them, and says so.
        return Ok(());
    }
    for step in plan.steps.iter().chain([&plan.monitoring]) {
        if let Err(why) = shares::apply(&config, plan, &step.weights) {
            let text = format!("{}: step {}: {why}; nothing was begun", one.loaded.path.display(), step.name);
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    Ok(())
}

/// Says, here and in the audit, that a process took a rollout up.
fn began(row: &Row, state: &State, store: &Store, fence: u64) -> String {
    let pid = std::process::id();
    let text = if state.started_ms == 0 {
        format!("run {}: process {pid}, state in {}", row.run, store.path().display())
    } else {
        let weight = state.weights.words();
        format!("run {} goes on: {}, step {} at {weight}, process {pid}", row.run, state.phase.name(), state.step + 1)
    };
    let data = json!({"pid": pid, "fence": fence, "version": env!("CARGO_PKG_VERSION"), "phase": state.phase});
    let entry = Entry {
        at: clock::now(),
        rollout: &row.name,
        run: row.run,
        actor: "headgate",
        action: "process",
        reason: &text,
        data: &data,
    };
    // The first write of the state tells when the store cannot be written.
    let _told = store.log(&entry);
    text
}

/// Those who are told of a rollout.
///
/// # Errors
/// When one of them cannot be set up.
pub(crate) fn notifier(plan: &Plan, run: i64, store: &Arc<Store>) -> Result<Notifier, Failure> {
    let mut hearers = Vec::new();
    for (at, notification) in plan.notifications.iter().enumerate() {
        let web = Web::new(webhook_manner(&notification.webhook))
            .map_err(|e| Failure::new(Exit::Usage, format!("spec.notifications[{at}]: {e}")))?;
        let on = notification.on.iter().filter_map(|kind| serde_json::to_value(kind).ok());
        hearers.push(Hearer {
            name: crate::web::place(&notification.webhook.url),
            url: notification.webhook.url.clone(),
            headers: notification.webhook.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
            form: match notification.format {
                NotificationFormat::Json => Form::Json,
                NotificationFormat::Slack => Form::Slack,
            },
            on: on.filter_map(|kind| kind.as_str().map(str::to_owned)).collect(),
            web,
        });
    }
    let store = Arc::clone(store);
    let undelivered: Undelivered = Arc::new(move |who, event, why| {
        let data = json!({"receiver": who, "event": event.kind, "text": event.text});
        let reason = format!("{who} was not told of {}: {why}", event.kind);
        let entry = Entry {
            at: clock::now(),
            rollout: &event.rollout,
            run,
            actor: "headgate",
            action: "undelivered",
            reason: &reason,
            data: &data,
        };
        let _told = store.log(&entry);
    });
    Ok(Notifier::start(hearers, undelivered))
}
