//! Watching a promoted version: readings to windows, windows to episodes, episodes to people and pipelines.
//!
//! What a window means is decided by `headgate_rollout::drift`; this asks the proxies, keeps the progress in the store before anything
//! is done about it, tells people, and calls the webhook that starts a retraining: once for each episode, again at the next window if it failed. A
//! call whose answer was lost may be made twice, so it carries the episode as `idempotency-key`. It changes no weights.

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_rollout::drift::{Event, EventKind, Look, Outcomes, Progress, Told, Verdict, Watch as Watched, tick};
use headgate_rollout::measure::Readings;
use headgate_rollout::plan::Plan;
use headgate_rollout::state::Baseline;
use serde_json::{Value, json};

use super::ask::webhook_manner;
use super::watch::Watch;
use super::{QUESTION, notifier};
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::notify::{self, Notifier};
use crate::pool::Pool;
use crate::providers::histogram::Bounds;
use crate::store::{self, Entry, Store};
use crate::target::Target;
use crate::web::Web;

/// How long queued notifications may take at the end.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long it is watched.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Until one window was looked at.
    Looked,
    /// Until a time.
    Time(Instant),
    /// As long as the process lives.
    Stopped,
}

/// Watches one promoted version.
pub(crate) struct Sentinel {
    plan: Arc<Plan>,
    watched: Watched,
    run: i64,
    store: Arc<Store>,
    proxies: Watch,
    notifier: Notifier,
    retrain: Option<Web>,
    progress: Progress,
}

impl Sentinel {
    /// Sets it up, with the progress that the store knows.
    ///
    /// # Errors
    /// When there is no reference, or somebody to be told cannot be set up.
    pub(crate) fn new(
        plan: Arc<Plan>,
        watched: Watched,
        run: i64,
        target: Arc<Target>,
        store: Arc<Store>,
    ) -> Result<Self, Failure> {
        let reference = reference(&plan, &watched, &store)?;
        let mut progress = kept(&store, &plan.name)?.unwrap_or_default();
        // What was counted while nobody watched belongs to no window; another reference is another watch.
        progress.window = None;
        if progress
            .reference
            .as_ref()
            .is_none_or(|r| (r.since_ms, r.until_ms) != (reference.since_ms, reference.until_ms))
        {
            progress = Progress { reference: Some(reference), episodes: progress.episodes, ..Progress::default() };
        }
        let pool = Pool::new(target.proxies.len().clamp(1, 32));
        let proxies = Watch::new(target, &plan, pool, Arc::new(Bounds::default()), QUESTION);
        let notifier = notifier(&plan, run, &store)?;
        let retrain = watched.retrain.as_ref().map(|webhook| Web::new(webhook_manner(webhook))).transpose();
        let retrain = retrain.map_err(|e| Failure::new(Exit::Usage, format!("spec.drift.retrain: {e}")))?;
        Ok(Self { plan, watched, run, store, proxies, notifier, retrain, progress })
    }

    /// Watches, and gives the looks of all windows; `seen` gets each as it comes.
    ///
    /// # Errors
    /// When the progress cannot be kept: an episode that nobody remembers would start its retraining again and again.
    pub(crate) fn watch(mut self, until: Until, seen: &mut dyn FnMut(&Look)) -> Result<Vec<Look>, Failure> {
        let pause = Duration::from_millis(self.plan.judging.interval_ms.min(self.watched.window_ms / 4).max(100));
        let mut readings = Readings::default();
        let mut looks = Vec::new();
        let mut last = Instant::now();
        loop {
            let pages = self.proxies.look(None, QUESTION);
            let measured: Vec<_> =
                pages.iter().filter_map(|r| Some((r.proxy.as_str(), r.snapshot.as_ref().ok()?))).collect();
            let all = measured.len() == pages.len() && !pages.is_empty();
            let increment = readings.take_in(measured);
            // Time in which a proxy did not answer is not measured; its next reading catches up.
            let took = if all { u64::try_from(last.elapsed().as_millis()).unwrap_or(0) } else { 0 };
            last = Instant::now();
            let now_ms = u64::try_from(clock::now()).unwrap_or(0);
            // Outcomes that cannot be read now are not told: a window without them is not decided.
            let told = self.told(now_ms).unwrap_or_default();
            let (progress, look, events) = tick(&self.watched, self.progress, now_ms, took, &increment, &told);
            self.progress = progress;
            if let Some(look) = look {
                self.keep()?;
                for event in &events {
                    self.tell(event, &look);
                }
                if look.verdict == Verdict::Drifted {
                    self.start_retraining(&look)?;
                }
                seen(&look);
                looks.push(look);
            }
            let over = match until {
                Until::Looked => !looks.is_empty(),
                Until::Time(end) => Instant::now() >= end,
                Until::Stopped => false,
            };
            if over {
                self.notifier.finish(FAREWELL);
                return Ok(looks);
            }
            // A watch of weeks keeps no list of its windows.
            if matches!(until, Until::Stopped) {
                looks.clear();
            }
            std::thread::sleep(pause);
        }
    }

    /// The outcomes about the reference's time and about the window's, as far as they were told by now.
    fn told(&self, now_ms: u64) -> Result<Told, Failure> {
        let (Some(reference), Some(window)) = (&self.progress.reference, &self.progress.window) else {
            return Ok(Told::default());
        };
        if !self.watched.wants_outcomes() {
            return Ok(Told::default());
        }
        let of = |since: u64, until: u64| -> Result<Outcomes, Failure> {
            let ms = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
            let mut out = Outcomes::default();
            let tallies = self.store.tally(&self.plan.route, ms(since), ms(until))?;
            for of in tallies.iter().filter(|of| of.variant == self.watched.variant) {
                #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
                let count = |n: i64| n as f64;
                out.successes.add(usize::from(of.bucket), count(of.judged), count(of.successes));
                out.values.add(usize::from(of.bucket), count(of.valued), of.sum);
            }
            Ok(out)
        };
        let (reference, window) = (of(reference.since_ms, reference.until_ms)?, of(window.since_ms, now_ms)?);
        Ok(Told { reference, window })
    }

    fn keep(&self) -> Result<(), Failure> {
        let data = serde_json::to_value(&self.progress).map_err(|e| Failure::failed(e.to_string()))?;
        let kept = store::Baseline { at: clock::now(), actor: "headgate".to_owned(), data };
        self.store.keep_baseline(&row(&self.plan.name), &kept)
    }

    fn log(&self, action: &str, reason: &str, data: &Value) {
        let entry = Entry {
            at: clock::now(),
            rollout: &self.plan.name,
            run: self.run,
            actor: "headgate",
            action,
            reason,
            data,
        };
        // What cannot be noted was told; the progress itself must be kept, and is.
        let _told = self.store.log(&entry);
    }

    fn tell(&self, event: &Event, look: &Look) {
        let data = json!({"episode": event.episode, "began": event.kind == EventKind::Began, "look": look});
        self.log("drift", &event.text, &data);
        self.notifier.tell(&notify::Event {
            kind: "drift".to_owned(),
            rollout: self.plan.name.clone(),
            run: self.run,
            text: event.text.clone(),
            at: clock::now(),
            data,
        });
    }

    /// Calls the webhook, unless this episode's call was taken already.
    fn start_retraining(&mut self, look: &Look) -> Result<(), Failure> {
        let (Some(web), Some(webhook)) = (&self.retrain, &self.watched.retrain) else { return Ok(()) };
        let Some(episode) = self.progress.episode.as_ref().filter(|episode| !episode.retrained) else { return Ok(()) };
        let key = format!("{}-{}-{}", self.plan.name, self.run, episode.number);
        let mut headers: Vec<(String, String)> =
            webhook.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.push(("idempotency-key".to_owned(), key));
        let body = json!({
            "event": "drift", "rollout": self.plan.name, "run": self.run, "route": self.plan.route,
            "variant": self.watched.variant, "episode": episode.number, "text": look.sentence,
            "time": clock::shown(clock::now()), "look": look,
        });
        let said = match web.post(&webhook.url, &headers, &body) {
            Ok(said) if said.status < 300 => Ok(()),
            Ok(said) => Err(format!("it answered {}", said.status)),
            Err(e) => Err(e),
        };
        let data = json!({"episode": episode.number});
        match said {
            Ok(()) => {
                self.log("retrain", "the retraining was started", &data);
                if let Some(episode) = &mut self.progress.episode {
                    episode.retrained = true;
                }
                self.keep()
            }
            Err(why) => {
                self.log("undelivered", &format!("the retraining was not started: {why}"), &data);
                Ok(())
            }
        }
    }
}

/// Under which name a watch's progress stands; no baseline has a name with a space.
fn row(rollout: &str) -> String {
    format!("drift of {rollout}")
}

/// How far the watch of a rollout is; none where nobody watched it.
pub(crate) fn kept(store: &Store, rollout: &str) -> Result<Option<Progress>, Failure> {
    Ok(store.baseline(&row(rollout))?.and_then(|kept| serde_json::from_value::<Progress>(kept.data).ok()))
}

/// What windows are held against: the recorded reference, or the variant's own last window before it was promoted.
fn reference(plan: &Plan, watched: &Watched, store: &Store) -> Result<Baseline, Failure> {
    let name = watched.reference.as_ref().unwrap_or(&plan.route);
    let kept = store.baseline(name)?.map(|kept| serde_json::from_value::<Baseline>(kept.data));
    let way_out =
        format!("record one: headgate baseline record {} --variant {} --name NAME", plan.name, watched.variant);
    match kept {
        None if watched.reference.is_some() => {
            Err(Failure::new(Exit::Refused, format!("there is no recorded reference `{name}`; {way_out}")))
        }
        None => Err(Failure::new(
            Exit::Refused,
            format!(
                "`{}` was not promoted with measurements by this state folder, so there is no reference; {way_out} and name it in `spec.drift.reference`",
                plan.name
            ),
        )),
        Some(Err(e)) => Err(Failure::failed(format!("the reference `{name}` cannot be read: {e}; {way_out}"))),
        Some(Ok(mut found)) if found.variant == watched.variant => {
            if watched.reference.is_none() {
                found.name = "its last window before it was promoted".to_owned();
            }
            Ok(found)
        }
        Some(Ok(found)) => Err(Failure::new(
            Exit::Refused,
            format!("the reference `{name}` is of `{}` and not of `{}`; {way_out}", found.variant, watched.variant),
        )),
    }
}

/// A window's line for people, or for programs.
pub(crate) fn print(look: &Look, json: bool) {
    use std::io::Write as _;
    let mut out = anstream::stdout().lock();
    // Whoever closed the pipe has read enough; the watch goes on.
    let _closed = if json {
        writeln!(out, "{}", serde_json::to_value(look).unwrap_or_default())
    } else {
        let at = i64::try_from(look.until_ms).unwrap_or(i64::MAX);
        writeln!(out, "{} window {}: {}", clock::shown(at), look.number, look.sentence)
    };
    let _closed = out.flush();
}
