//! CPU of the worker per request when every request is copied, side beside side: see [`crate::cpu`] for how; here a round is one piece, and the medians
//! of all rounds are told.

use anyhow::{Result, ensure};

use super::server::{Servers, whole};
use super::setting::{Filter, Rules, all_matched, envoy, requests, rest, roomy};
use crate::Settings;
use crate::cores::Worker;
use crate::load::Client;
use crate::statistics::{Estimate, estimate, median};

/// Connections of the client to each side.
const CONNECTIONS: usize = 32;
/// Bytes of a POST's body.
const BODY: usize = 4_096;

const fn shadow(rules: Rules) -> Filter {
    Filter::Shadow { cluster: "model-v2", rules }
}

/// Names of the listeners, and what they are.
const SIDES: [(&str, Filter, &str); 5] = [
    ("none", Filter::None, "no filter, no copies"),
    ("mirror", Filter::Mirror, "the same with Envoy's mirror"),
    ("headgate", Filter::Headgate, "Headgate, no copies"),
    ("digest", shadow(Rules::Digest), "Headgate, every answer compared, digest"),
    ("json", shadow(Rules::Json), "Headgate, every answer compared, with JSON"),
];

/// Kinds of requests.
const KINDS: [&str; 2] = ["GET", "POST of 4 KiB"];

const COLUMNS: usize = SIDES.len() * KINDS.len();

/// Nanoseconds per request: one row for each round, one column for each side and kind.
pub(super) struct Costs {
    rounds: Vec<[f64; COLUMNS]>,
    /// Pairs that were compared.
    pub(super) compared: usize,
}

/// One line of the table.
pub(super) struct Line {
    pub(super) requests: &'static str,
    pub(super) what: &'static str,
    /// Worker CPU per request, in microseconds.
    pub(super) total: Estimate,
    /// Over the same without copies.
    pub(super) added: Estimate,
    /// Both, over those of Envoy's mirror; for the sides that compare.
    pub(super) over_mirror: Option<[Estimate; 2]>,
}

pub(super) async fn measure(settings: &Settings, servers: Servers) -> Result<Costs> {
    let [plain, json] = ["/digest", "/json"].map(|path| [requests("GET", path, 0), requests("POST", path, BODY)]);
    let mut random = fastrand::Rng::with_seed(3);
    let mut costs = Costs { rounds: Vec::new(), compared: 0 };
    let [launches, rounds, _] = settings.copies;
    for launch in 0..launches {
        let listeners = SIDES.map(|(name, filter, _)| (name, filter));
        let envoy = envoy(servers, &listeners, &roomy()).await?;
        let worker = Worker::pinned(envoy.pid())?;
        let mut clients = Vec::new();
        for (name, ..) in SIDES {
            clients.push(Client::connect(envoy.listener(name)?, CONNECTIONS)?.read_by(whole));
        }
        let mut copied = 0;
        for round in 0..=rounds {
            let mut order: Vec<usize> = (0..COLUMNS).collect();
            random.shuffle(&mut order);
            let mut costs_of_round = [0.0; COLUMNS];
            for column in order {
                let (side, kind) = (column % SIDES.len(), column / SIDES.len());
                let (name, filter, _) = SIDES[side];
                let requests = if name == "json" { &json[kind] } else { &plain[kind] };
                let before = worker.nanoseconds()?;
                let samples = clients[side].closed(requests, 0, requests.len())?;
                rest();
                #[expect(clippy::cast_precision_loss, reason = "a slice takes less than 2^53 ns")]
                let spent = (worker.nanoseconds()? - before) as f64;
                ensure!(samples.iter().all(|sample| sample.version.is_some()), "{name}: a request failed");
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let sent = requests.len() as f64;
                costs_of_round[column] = spent / sent;
                if matches!(filter, Filter::Shadow { .. }) {
                    copied += requests.len();
                }
            }
            // The first one warms up: connections, VMs, caches, series.
            if round > 0 {
                costs.rounds.push(costs_of_round);
            }
        }
        all_matched(&envoy, copied).await?;
        costs.compared += copied;
        eprintln!("  launch {} of {launches}: {rounds} rounds", launch + 1);
    }
    Ok(costs)
}

impl Costs {
    /// Rounds that were measured.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (kind, requests) in KINDS.into_iter().enumerate() {
            let column = |name: &str| {
                let side = SIDES.iter().position(|(known, ..)| *known == name).unwrap_or_default();
                kind * SIDES.len() + side
            };
            for (name, filter, what) in SIDES {
                let (at, mirror, none) = (column(name), column("mirror"), column("none"));
                // What Headgate costs without copies is no cost of the copies.
                let base = if name == "none" || name == "mirror" { none } else { column("headgate") };
                let of = |statistic: &dyn Fn(&[usize]) -> f64| estimate(self.rounds.len(), statistic);
                let compares = matches!(filter, Filter::Shadow { .. });
                lines.push(Line {
                    requests,
                    what,
                    total: of(&|rounds| self.typical(rounds, at, None)),
                    added: of(&|rounds| self.typical(rounds, at, Some(base))),
                    over_mirror: compares.then(|| {
                        [
                            of(&|rounds| self.typical(rounds, at, None) / self.typical(rounds, mirror, None)),
                            of(&|rounds| {
                                self.typical(rounds, at, Some(base)) / self.typical(rounds, mirror, Some(none))
                            }),
                        ]
                    }),
                });
            }
        }
        lines
    }

    /// The median over rounds, in microseconds, of a column or of what it is over another one.
    fn typical(&self, rounds: &[usize], column: usize, base: Option<usize>) -> f64 {
        let costs = rounds.iter().filter_map(|round| self.rounds.get(*round));
        let costs: Vec<f64> = costs.map(|round| (round[column] - base.map_or(0.0, |base| round[base])) / 1e3).collect();
        median(&costs)
    }
}
