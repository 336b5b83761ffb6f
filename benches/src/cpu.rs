//! CPU of the worker per request, side beside side.
//!
//! In each round every side gets the same requests once, in an order that is shuffled anew; the worker's time before
//! and after, both read while it sleeps, gives its cost. A round's differences to its own baseline are what is
//! summarised, so that slow changes of the machine cancel out.

use anyhow::{Result, ensure};
use headgate_tests::{Envoy, wasm};

use crate::cores::Worker;
use crate::load::{Client, Sample};
use crate::sides::{SIDES, bootstrap};
use crate::statistics::{Estimate, estimate, median};
use crate::traffic::{self, asks_for_canary};
use crate::upstream::{Upstreams, Version};
use crate::{Settings, configurations, empty_filter};

/// Rounds that only warm up: connections, VMs, caches, series. With as many, every series of the large configuration has had sixteen
/// requests, after which the filter no longer asks for each one's cluster.
const WARM_UP: usize = 5;
/// Connections of the client to each side.
const CONNECTIONS: usize = 32;

/// Nanoseconds per request: one row for each round, one column for each side.
pub(crate) struct Costs {
    rounds: Vec<[f64; SIDES.len()]>,
    /// Requests in all, without those that only warmed up.
    pub(crate) requests: usize,
}

/// Runs all rounds.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Costs> {
    let requests = traffic::requests();
    let mut random = fastrand::Rng::with_seed(1);
    let mut costs = Costs { rounds: Vec::new(), requests: 0 };
    let mut seen = vec![vec![None; requests.len()]; SIDES.len()];
    for launch in 0..settings.launches {
        let envoy = Envoy::builder(bootstrap(&wasm()?, &empty_filter()?)?)
            .cluster("model-v1", upstreams.stable)
            .cluster("model-v2", upstreams.canary)
            .configuration(&configurations::told())
            .env(configurations::TOKEN_KEY.0, configurations::TOKEN_KEY.1)
            .log_level("warning")
            .start()
            .await?;
        let worker = Worker::pinned(envoy.pid())?;
        let mut clients = Vec::new();
        for side in &SIDES {
            clients.push(Client::connect(envoy.listener(side.name)?, CONNECTIONS)?);
        }
        for round in 0..WARM_UP + settings.rounds {
            let mut order: Vec<usize> = (0..SIDES.len()).collect();
            random.shuffle(&mut order);
            let mut costs_of_round = [0.0; SIDES.len()];
            for side in order {
                let (Some(client), Some(cost), Some(seen)) =
                    (clients.get_mut(side), costs_of_round.get_mut(side), seen.get_mut(side))
                else {
                    continue;
                };
                let before = worker.nanoseconds()?;
                let samples = client.closed(&requests, 0, requests.len())?;
                #[expect(clippy::cast_precision_loss, reason = "a slice takes less than 2^53 ns")]
                let spent = (worker.nanoseconds()? - before) as f64;
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let sent = requests.len() as f64;
                *cost = spent / sent;
                check(side, &samples, seen)?;
            }
            if round >= WARM_UP {
                costs.rounds.push(costs_of_round);
                costs.requests += SIDES.len() * requests.len();
            }
        }
        eprintln!("  launch {} of {}: {} rounds", launch + 1, settings.launches, settings.rounds);
    }
    Ok(costs)
}

/// A side whose answers are not what it is measured for would make its cost meaningless.
fn check(side: usize, samples: &[Sample], seen: &mut [Option<Version>]) -> Result<()> {
    let Some(side) = SIDES.get(side) else { return Ok(()) };
    let mut canary = 0_usize;
    for sample in samples {
        ensure!(sample.version.is_some(), "{}: a request failed", side.name);
        canary += usize::from(sample.version == Some(Version::Canary));
        let Some(before) = seen.get_mut(sample.request) else { continue };
        if side.overrides && asks_for_canary(sample.request) {
            ensure!(sample.version == Some(Version::Canary), "{}: an override was not heeded", side.name);
        }
        if side.sticky {
            ensure!(before.is_none() || *before == sample.version, "{}: a user changed versions", side.name);
            *before = sample.version;
        }
    }
    // 10 % of the users, and 5 % by override: anything near it shows that the side divides at all.
    let share = canary * 100 / samples.len().max(1);
    ensure!((4..=25).contains(&share), "{}: {share} % of the requests were served by the canary", side.name);
    Ok(())
}

/// One line of the table.
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: &'static str,
    /// Worker CPU per request, in microseconds.
    pub(crate) total: Estimate,
    /// The same over the baseline's.
    pub(crate) extra: Estimate,
    /// That over the empty filter's.
    pub(crate) ratio: Estimate,
}

impl Costs {
    /// The lines of the table.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let (base, empty) = (column("weighted"), column("empty"));
        SIDES
            .iter()
            .enumerate()
            .map(|(i, side)| Line {
                what: side.what,
                total: estimate(self.rounds.len(), |rounds| self.typical(rounds, i, None)),
                extra: estimate(self.rounds.len(), |rounds| self.typical(rounds, i, Some(base))),
                ratio: estimate(self.rounds.len(), |rounds| {
                    self.typical(rounds, i, Some(base)) / self.typical(rounds, empty, Some(base))
                }),
            })
            .collect()
    }

    /// The large configuration's CPU per request over the small one's: of all of Envoy's work, and of the filter's part of it.
    pub(crate) fn large(&self) -> [Estimate; 2] {
        let (base, small, large) = (column("weighted"), column("one-route"), column("thousand"));
        [None, Some(base)].map(|base| {
            estimate(self.rounds.len(), |rounds| self.typical(rounds, large, base) / self.typical(rounds, small, base))
        })
    }

    fn typical(&self, rounds: &[usize], side: usize, base: Option<usize>) -> f64 {
        let cost = |round: &[f64; SIDES.len()], side: usize| round.get(side).copied().unwrap_or(f64::NAN) / 1e3;
        let costs = rounds.iter().filter_map(|round| self.rounds.get(*round));
        let costs: Vec<f64> =
            costs.map(|round| cost(round, side) - base.map_or(0.0, |base| cost(round, base))).collect();
        median(&costs)
    }

    /// Rounds that were measured.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }
}

fn column(name: &str) -> usize {
    SIDES.iter().position(|side| side.name == name).unwrap_or(usize::MAX)
}
