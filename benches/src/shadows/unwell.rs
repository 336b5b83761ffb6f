//! What users notice of a shadow that is slow, hung or down, at a rate that keeps the worker busy 40 % of the time when every
//! request is copied and compared.
//!
//! Requests leave by the clock, in short turns of each side in an order that is shuffled anew; what is summarised are a
//! round's quantiles over that round's own without a shadow.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::server::{Servers, whole};
use super::setting::{Filter, Rules, accounts, envoy, requests, rest};
use crate::cores::Worker;
use crate::load::Client;
use crate::statistics::{Estimate, estimate, median, quantile};
use crate::{Settings, clock};

const fn shadow(cluster: &'static str) -> Filter {
    Filter::Shadow { cluster, rules: Rules::Digest }
}

/// The second shows what a second version that works costs users when no filter copies: it is on the client's core.
const SIDES: [(&str, Filter, &str); 6] = [
    ("headgate", Filter::Headgate, "none"),
    ("mirror", Filter::Mirror, "well, by Envoy's mirror"),
    ("well", shadow("model-v2"), "well"),
    ("slow", shadow("slow"), "200 ms late"),
    ("hung", shadow("hung"), "hung"),
    ("down", shadow("down"), "down"),
];

/// Milliseconds: by round and side, p50 and p99.
pub(super) struct Latencies {
    seen: Vec<[[f64; 2]; SIDES.len()]>,
    /// Requests a second.
    pub(super) rate: f64,
    pub(super) rounds: usize,
}

/// One line of the table.
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) p50: Estimate,
    pub(super) p99: Estimate,
    /// Over no shadow's.
    pub(super) p50_over: Option<Estimate>,
    pub(super) p99_over: Option<Estimate>,
}

pub(super) async fn measure(settings: &Settings, servers: Servers) -> Result<Latencies> {
    let listeners = SIDES.map(|(name, filter, _)| (name, filter));
    // The defaults, but for the rate: every request is copied that is not held back by those before it.
    let envoy = envoy(servers, &listeners, &json!({"perSecond": 1_000_000})).await?;
    let worker = Worker::pinned(envoy.pid())?;
    let requests = requests("GET", "/digest", 0);
    let mut clients = Vec::new();
    for (name, ..) in SIDES {
        clients.push(Client::connect(envoy.listener(name)?, 32)?.read_by(whole));
    }
    let well = SIDES.iter().position(|(name, ..)| *name == "well").unwrap_or_default();
    clients[well].closed(&requests, 0, requests.len())?;
    let before = worker.nanoseconds()?;
    let answered = clients[well].closed(&requests, 0, 10 * requests.len())?.len();
    rest();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rate = 0.4e9 * answered as f64 / (worker.nanoseconds()? - before) as f64;
    eprintln!("  {rate:.0} requests a second");
    let mut random = fastrand::Rng::with_seed(4);
    let mut latencies = Latencies { seen: Vec::new(), rate, rounds: settings.copies[2] };
    for round in 0..=latencies.rounds {
        let mut order: Vec<usize> = (0..SIDES.len()).collect();
        random.shuffle(&mut order);
        let mut seen = [[0.0; 2]; SIDES.len()];
        for side in order {
            let until = clock::now() + u64::try_from(settings.unwell.as_nanos())?;
            let samples = clients[side].open_loop(&requests, rate, || clock::now() >= until)?;
            ensure!(samples.iter().all(|sample| sample.version.is_some()), "{}: a request failed", SIDES[side].0);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds in nanoseconds")]
            let took: Vec<f64> = samples.iter().map(|sample| (sample.done - sample.due) as f64 / 1e6).collect();
            seen[side] = [quantile(&took, 0.5), quantile(&took, 0.99)];
            // Copies that still wait for their answers would burden the next side.
            let pause = match SIDES[side].0 {
                "hung" => 1_100,
                "slow" => 250,
                _ => 50,
            };
            std::thread::sleep(Duration::from_millis(pause));
        }
        if round > 0 {
            latencies.seen.push(seen);
        }
    }
    let [sampled, compared, dropped, failed] = accounts(&envoy, ["sampled", "compared", "dropped", "failed"]).await?;
    eprintln!("  of {sampled} sampled: {compared} compared, {dropped} dropped for the budget, {failed} failed");
    ensure!(compared > 0 && failed > 0, "the shadows did not do what they are for");
    Ok(latencies)
}

impl Latencies {
    pub(super) fn lines(&self) -> Vec<Line> {
        let of = |side: usize, which: usize, over: bool| {
            estimate(self.seen.len(), |rounds| {
                let seen = rounds.iter().filter_map(|round| self.seen.get(*round));
                let values: Vec<f64> =
                    seen.map(|round| round[side][which] / if over { round[0][which] } else { 1.0 }).collect();
                median(&values)
            })
        };
        let lines = SIDES.iter().enumerate().map(|(side, (.., what))| Line {
            what,
            p50: of(side, 0, false),
            p99: of(side, 1, false),
            p50_over: (side > 0).then(|| of(side, 0, true)),
            p99_over: (side > 0).then(|| of(side, 1, true)),
        });
        lines.collect()
    }
}
