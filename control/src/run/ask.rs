//! Providers, asked beside the ticks: a slow one delays its own measurement and nothing else.
//!
//! A question is asked again each interval, one at a time for a criterion. The last answer is handed to every tick until it is too old to be
//! called a measurement; an answer about an older window is never handed on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use headgate_rollout::file::Bearer;
use headgate_rollout::plan::Plan;
use headgate_rollout::tick::{Ask, Measured, Measurement, Newest, RewardAnswer, RewardAsk, Sums};

use crate::clock;
use crate::pool::Pool;
use crate::providers::prometheus::{self, Fill};
use crate::providers::{queries, values, webhook};
use crate::store::{Store, Tally};
use crate::web::{Manner, Token, Web};

/// For how many intervals an answer may stand for what is measured now.
const FRESH: u32 = 3;

/// Where a provider's answers come from.
#[derive(Debug, Clone)]
enum Source {
    Prometheus { web: Web, address: String, settings: queries::Settings },
    Webhook { web: Web, url: String, headers: Vec<(String, String)>, pointer: String, every: Option<Duration> },
    Outcomes,
}

struct Answered {
    ask: Ask,
    measurement: Measurement,
}

/// Until when a criterion's plain number was read, in the window that began at `since_ms`. Unix milliseconds.
#[derive(Debug, Clone, Copy)]
struct Read {
    since_ms: u64,
    until_ms: u64,
}

/// Asks the providers of one rollout.
pub(crate) struct Asker {
    plan: Arc<Plan>,
    store: Arc<Store>,
    pool: Pool,
    sources: BTreeMap<String, Source>,
    interval: Duration,
    sender: Sender<Answered>,
    answers: Receiver<Answered>,
    /// When each criterion was asked last, and whether that has ended.
    asked: BTreeMap<String, (Instant, bool)>,
    last: BTreeMap<String, (Ask, Measurement, Instant)>,
    read: BTreeMap<String, Read>,
}

/// A token as the rollout file names it.
pub(crate) fn token(bearer: Option<&Bearer>) -> Option<Token> {
    let bearer = bearer?;
    match (&bearer.env, &bearer.file) {
        (Some(name), _) => Some(Token::Env(name.clone())),
        (None, Some(path)) => Some(Token::File(PathBuf::from(path))),
        (None, None) => None,
    }
}

/// How a webhook of the rollout file is asked.
pub(crate) fn webhook_manner(webhook: &headgate_rollout::file::Webhook) -> Manner {
    let default = Manner::default();
    Manner {
        timeout: span(webhook.timeout.as_ref(), Duration::from_secs(10)),
        retries: webhook.retries.unwrap_or(default.retries),
        bearer: token(webhook.bearer.as_ref()),
        ca_file: webhook.ca_file.as_ref().map(PathBuf::from),
        ..default
    }
}

/// A span of the file, which was checked.
pub(crate) fn span(span: Option<&headgate_rollout::file::Span>, default: Duration) -> Duration {
    span.and_then(|s| s.ms().ok()).map_or(default, Duration::from_millis)
}

impl Asker {
    /// # Errors
    /// In words, when a provider cannot be set up (its authorities' file cannot be read).
    pub(crate) fn new(plan: Arc<Plan>, store: Arc<Store>, pool: Pool) -> Result<Self, String> {
        let mut sources = BTreeMap::new();
        for (name, provider) in &plan.providers {
            let at = |e: String| format!("provider {name}: {e}");
            let source = if let Some(p) = &provider.prometheus {
                let manner = Manner {
                    timeout: span(p.timeout.as_ref(), Duration::from_secs(10)),
                    bearer: token(p.bearer.as_ref()),
                    ca_file: p.ca_file.as_ref().map(PathBuf::from),
                    ..Manner::default()
                };
                Source::Prometheus {
                    web: Web::new(manner).map_err(at)?,
                    address: p.address.clone(),
                    settings: queries::Settings::of(p),
                }
            } else if let Some(w) = &provider.webhook {
                Source::Webhook {
                    web: Web::new(webhook_manner(w)).map_err(at)?,
                    url: w.url.clone(),
                    headers: w.headers.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
                    pointer: w.pointer.clone().unwrap_or_else(|| "/value".to_owned()),
                    every: w.interval.as_ref().and_then(|i| i.ms().ok()).map(Duration::from_millis),
                }
            } else {
                Source::Outcomes
            };
            sources.insert(name.clone(), source);
        }
        let (sender, answers) = channel();
        let interval = Duration::from_millis(plan.judging.interval_ms);
        Ok(Self {
            plan,
            store,
            pool,
            sources,
            interval,
            sender,
            answers,
            asked: BTreeMap::new(),
            last: BTreeMap::new(),
            read: BTreeMap::new(),
        })
    }

    /// Asks what is due, and gives what is known.
    pub(crate) fn measurements(&mut self, asks: &[Ask]) -> Vec<Measurement> {
        while let Ok(Answered { ask, measurement }) = self.answers.try_recv() {
            if let Some(asked) = self.asked.get_mut(&ask.criterion) {
                asked.1 = true;
            }
            if matches!(&measurement.value, Measured::Values { newest, .. } if *newest != Newest::Nothing) {
                let read = Read { since_ms: ask.since_ms, until_ms: measurement.at_ms };
                self.read.insert(ask.criterion.clone(), read);
            }
            self.last.insert(ask.criterion.clone(), (ask, measurement, Instant::now()));
        }
        for ask in asks {
            let due = self.asked.get(&ask.criterion).is_none_or(|(at, ended)| {
                let same = self.last.get(&ask.criterion).is_some_and(|(old, ..)| old.since_ms == ask.since_ms);
                *ended && (at.elapsed() >= self.pause(&ask.provider) || !same)
            });
            if due {
                self.asked.insert(ask.criterion.clone(), (Instant::now(), false));
                self.ask(ask.clone());
            }
        }
        let fresh = |(ask, _, at): &&(Ask, Measurement, Instant)| {
            at.elapsed() <= self.pause(&ask.provider) * FRESH + Duration::from_secs(1)
                && asks.iter().any(|a| a.criterion == ask.criterion && a.since_ms == ask.since_ms)
        };
        self.last.values().filter(fresh).map(|(_, measurement, _)| measurement.clone()).collect()
    }

    /// Time between two questions to a provider.
    fn pause(&self, provider: &str) -> Duration {
        match self.sources.get(provider) {
            Some(Source::Webhook { every: Some(every), .. }) => *every,
            _ => self.interval,
        }
    }

    fn ask(&self, ask: Ask) {
        let source = self.sources.get(&ask.provider).cloned();
        let (plan, store, sender) = (Arc::clone(&self.plan), Arc::clone(&self.store), self.sender.clone());
        let read = self.read.get(&ask.criterion).filter(|r| r.since_ms == ask.since_ms).map(|r| r.until_ms);
        self.pool.run(move || {
            let now = clock::now();
            let value = match source {
                Some(source) => source.measure(&plan, &store, &ask, read, now),
                None => Err(format!("there is no provider `{}`", ask.provider)),
            };
            let value = value.unwrap_or_else(|reason| Measured::Error { reason });
            let at_ms = u64::try_from(now).unwrap_or(0);
            let measurement = Measurement { criterion: ask.criterion.clone(), at_ms, value };
            // Nobody listens when the rollout is over.
            let _over = sender.send(Answered { ask, measurement });
        });
    }
}

impl Source {
    /// `read`: until when a plain number was read before, in the same window.
    fn measure(&self, plan: &Plan, store: &Store, ask: &Ask, read: Option<u64>, now: i64) -> Result<Measured, String> {
        let since = i64::try_from(ask.since_ms).unwrap_or(i64::MAX);
        let window =
            Fill { route: &plan.route, variant: &plan.canary, stable: &plan.stable, canary: &plan.canary, since, now };
        match self {
            Self::Outcomes => outcomes(plan, store, ask, since),
            Self::Prometheus { web, address, settings } => {
                if window.seconds().is_none() {
                    return Ok(Measured::NoValues);
                }
                let over = |window: Fill<'_>| {
                    queries::measure(
                        settings,
                        ask,
                        &plan.stable,
                        &plan.canary,
                        |variant, query| prometheus::query(web, address, &Fill { variant, ..window }.apply(query), now),
                        |variant, query| prometheus::table(web, address, &Fill { variant, ..window }.apply(query), now),
                    )
                };
                let mut found = over(window)?;
                if let (Measured::Values { newest, .. }, Some(read)) = (&mut found, read)
                    && ask.query.as_deref().is_none_or(Fill::is_in)
                {
                    let since = i64::try_from(read).unwrap_or(i64::MAX).max(window.since);
                    *newest = newer(Fill { since, ..window }, over)?;
                }
                Ok(found)
            }
            Self::Webhook { web, url, headers, pointer, .. } => {
                let one = |variant: &str| {
                    let body = serde_json::json!({
                        "rollout": plan.name, "route": plan.route, "variant": variant, "criterion": ask.criterion,
                        "metric": ask.metric, "query": ask.query, "since": ask.since_ms, "until": now,
                        "stable": plan.stable, "canary": plan.canary,
                    });
                    webhook::number(web, url, headers, &body, pointer)
                };
                values(ask, one(&plan.canary)?, || one(&plan.stable))
            }
        }
    }
}

/// What a plain number comes to in the time since its last reading, so that no two readings share a past. While that is too short for the
/// provider to have anything, there is no reading, and it grows.
fn newer(window: Fill<'_>, over: impl Fn(Fill<'_>) -> Result<Measured, String>) -> Result<Newest, String> {
    if window.seconds().is_none() {
        return Ok(Newest::Nothing);
    }
    Ok(match over(window)? {
        Measured::Values { canary, stable, .. } => Newest::Part { canary, stable },
        _ => Newest::Nothing,
    })
}

fn outcomes(plan: &Plan, store: &Store, ask: &Ask, since: i64) -> Result<Measured, String> {
    let tallies = store.tally(&plan.route, since, i64::MAX).map_err(|f| f.message)?;
    let values = ask.metric == headgate_rollout::file::Metric::Value;
    let (canary, stable) = (sums(&tallies, &plan.canary, values), sums(&tallies, &plan.stable, values));
    if [&canary, &stable].iter().all(|sums| sums.buckets.iter().all(|b| b.0 == 0)) {
        return Ok(Measured::NoValues);
    }
    Ok(Measured::Sums { canary, stable })
}

/// What was earned in epochs of a bandit, as far as it was told by now.
pub(crate) fn rewards(plan: &Plan, store: &Store, asks: &[RewardAsk]) -> Vec<RewardAnswer> {
    let ms = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    let one = |ask: &RewardAsk| {
        // An epoch that could not be read is asked for again.
        let tallies = store.tally(&plan.route, ms(ask.since_ms), ask.until_ms.map_or(i64::MAX, ms)).ok()?;
        let arms = plan.variants().into_iter().map(|name| (name.to_owned(), sums(&tallies, name, ask.values)));
        Some(RewardAnswer { epoch: ask.epoch, arms: arms.collect() })
    };
    asks.iter().filter_map(one).collect()
}

/// A variant's outcomes by bucket: how many, and the sum of their values or successes.
fn sums(tallies: &[Tally], variant: &str, values: bool) -> Sums {
    let mut buckets = vec![(0_u64, 0.0_f64); headgate_rollout::measure::BUCKETS];
    for tally in tallies.iter().filter(|t| t.variant == variant) {
        let Some(bucket) = buckets.get_mut(usize::from(tally.bucket)) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let (count, sum) = if values { (tally.valued, tally.sum) } else { (tally.judged, tally.successes as f64) };
        bucket.0 += u64::try_from(count).unwrap_or(0);
        bucket.1 += sum;
    }
    Sums { buckets }
}
