//! CPU of the worker per request, side beside side.
//!
//! In each round every side gets the same requests once, in an order that is shuffled anew. They are sent in pieces; the worker's time
//! before and after a piece, both read while it sleeps, gives its cost.
//!
//! A virtual machine's neighbours make a core slower by half for milliseconds to seconds, and never faster. So a start of Envoy has one
//! figure for each side: of each piece the least that it cost in any round, and of these the mean. What is summarised are the starts,
//! whose layouts of memory differ. Medians of all rounds are told beside it.

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

/// A turn of a side is measured in so many pieces.
const PIECES: usize = 8;

/// One round: nanoseconds per request of each side, by piece.
type Round = [[f64; PIECES]; SIDES.len()];

/// What was measured.
pub(crate) struct Costs {
    /// By start of Envoy.
    starts: Vec<Vec<Round>>,
    /// Of each start, nanoseconds per request of each side while nobody disturbed.
    least: Vec<[f64; SIDES.len()]>,
    /// Requests in all, without those that only warmed up.
    pub(crate) requests: usize,
}

/// Runs all rounds.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Costs> {
    let requests = traffic::requests();
    let mut random = fastrand::Rng::with_seed(1);
    let mut costs = Costs { starts: Vec::new(), least: Vec::new(), requests: 0 };
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
        let mut rounds = Vec::with_capacity(settings.rounds);
        for round in 0..WARM_UP + settings.rounds {
            let mut order: Vec<usize> = (0..SIDES.len()).collect();
            random.shuffle(&mut order);
            let mut costs_of_round = [[0.0; PIECES]; SIDES.len()];
            for side in order {
                let (Some(client), Some(cost), Some(seen)) =
                    (clients.get_mut(side), costs_of_round.get_mut(side), seen.get_mut(side))
                else {
                    continue;
                };
                let count = requests.len() / PIECES;
                let mut samples = Vec::with_capacity(requests.len());
                worker.rests()?;
                let mut before = worker.nanoseconds()?;
                for (piece, cost) in cost.iter_mut().enumerate() {
                    samples.extend(client.closed(&requests, piece * count, count)?);
                    worker.rests()?;
                    let after = worker.nanoseconds()?;
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "nanoseconds of a piece and its requests: below 2^53"
                    )]
                    let each = (after - before) as f64 / count as f64;
                    (*cost, before) = (each, after);
                }
                check(side, &samples, seen)?;
            }
            if round >= WARM_UP {
                rounds.push(costs_of_round);
                costs.requests += SIDES.len() * requests.len();
            }
        }
        costs.least.push(least(&rounds));
        costs.starts.push(rounds);
        eprintln!("  launch {} of {}: {} rounds", launch + 1, settings.launches, settings.rounds);
    }
    Ok(costs)
}

/// For each side the mean over pieces of the least that the piece cost in any round.
fn least(rounds: &[Round]) -> [f64; SIDES.len()] {
    let mut sides = [0.0; SIDES.len()];
    for (side, mean) in sides.iter_mut().enumerate() {
        for piece in 0..PIECES {
            let costs = rounds.iter().filter_map(|round| round.get(side)?.get(piece));
            *mean += costs.copied().fold(f64::INFINITY, f64::min) / PIECES as f64;
        }
    }
    sides
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
        let base = column("weighted");
        let of = |side: usize, base: Option<usize>| self.estimate(|starts| self.typical(starts, side, base));
        SIDES
            .iter()
            .enumerate()
            .map(|(i, side)| Line {
                what: side.what,
                total: of(i, None),
                extra: of(i, Some(base)),
                ratio: self.estimate(|starts| self.over_empty(starts, i)),
            })
            .collect()
    }

    /// The large configuration's CPU per request over the small one's: of all of Envoy's work, and of the filter's part of it.
    pub(crate) fn large(&self) -> [Estimate; 2] {
        let (base, small, large) = (column("weighted"), column("one-route"), column("thousand"));
        [None, Some(base)]
            .map(|base| self.estimate(|starts| self.typical(starts, large, base) / self.typical(starts, small, base)))
    }

    /// The filter's extra over the empty filter's by the medians of all rounds, disturbed or not; intervals are over rounds.
    pub(crate) fn disturbed(&self) -> Estimate {
        let rounds: Vec<&Round> = self.starts.iter().flatten().collect();
        let (base, empty, one) = (column("weighted"), column("empty"), column("one-route"));
        let cost = |round: &Round, side: usize| round.get(side).map_or(f64::NAN, |pieces| pieces.iter().sum::<f64>());
        estimate(rounds.len(), |drawn| {
            let extra = |side: usize| {
                let rounds = drawn.iter().filter_map(|round| rounds.get(*round));
                median(&rounds.map(|round| cost(round, side) - cost(round, base)).collect::<Vec<_>>())
            };
            extra(one) / extra(empty)
        })
    }

    fn estimate(&self, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
        estimate(self.least.len(), statistic)
    }

    fn over_empty(&self, starts: &[usize], side: usize) -> f64 {
        let (base, empty) = (Some(column("weighted")), column("empty"));
        self.typical(starts, side, base) / self.typical(starts, empty, base)
    }

    /// The median over starts, in microseconds, of a side or of what it is over another one.
    fn typical(&self, starts: &[usize], side: usize, base: Option<usize>) -> f64 {
        let cost = |start: &[f64; SIDES.len()], side: usize| start.get(side).copied().unwrap_or(f64::NAN) / 1e3;
        let starts = starts.iter().filter_map(|start| self.least.get(*start));
        let costs: Vec<f64> =
            starts.map(|start| cost(start, side) - base.map_or(0.0, |base| cost(start, base))).collect();
        median(&costs)
    }

    /// Starts of Envoy, and rounds of each.
    pub(crate) fn starts(&self) -> [usize; 2] {
        [self.starts.len(), self.starts.first().map_or(0, Vec::len)]
    }
}

fn column(name: &str) -> usize {
    SIDES.iter().position(|side| side.name == name).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disturbs_some_rounds_of_each_piece_is_not_in_a_starts_figure() {
        let round = |disturbed: usize| {
            let mut round = [[0.0; PIECES]; SIDES.len()];
            for (side, pieces) in round.iter_mut().enumerate() {
                for (piece, cost) in pieces.iter_mut().enumerate() {
                    // Pieces differ by their requests.
                    let noise = if piece % 3 == disturbed { 500.0 } else { 0.0 };
                    *cost = 1_000.0 * (side as f64 + 1.0) + piece as f64 + noise;
                }
            }
            round
        };
        let sides = least(&[round(0), round(1), round(2)]);
        let expect: Vec<f64> = (1..=SIDES.len()).map(|side| 1_000.0 * side as f64 + 3.5).collect();
        assert!(sides.iter().zip(expect).all(|(side, expect)| (side - expect).abs() < 1e-9), "{sides:?}");
    }
}
