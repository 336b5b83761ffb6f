//! Pushes under load: does every request get what the configuration in force says, and how soon is a new one in force?
//!
//! Requests leave by the clock at half of what the worker can serve. Meanwhile configurations take turns: users divided
//! by one salt, by another, and the kill. What each user gets under each is asked beforehand, at rest, twice. The
//! moment a request reaches its upstream is the upstream's; so "in force" is when the last request arrived that was still
//! decided by the configuration before, measured from before the first byte of the new file was written.
//!
//! A request is misrouted if what it got is said by no configuration that could have decided it: none that was written
//! between its start and its arrival, nor the newest two of its start. An older one that lingers is a write whose effect came late.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::{Bootstrap, Envoy};

use crate::configurations::{self, Step, pushed};
use crate::cores::{self, Worker};
use crate::load::{Client, Sample};
use crate::upstream::{Upstreams, Version};
use crate::{Settings, clock, traffic};

const TURNS: [Step; 3] = [Step::First, Step::Second, Step::Kill];
/// Pushes before the first one that counts, so that memory is compared with what a running Envoy has.
const WARM: usize = 20;
/// The shortest time between two pushes, in milliseconds; the longest is twice that.
const PAUSE: u64 = 30;

/// What was seen.
pub(crate) struct Pushes {
    /// Pushes that count.
    pub(crate) pushes: usize,
    /// Requests a second, as sent.
    pub(crate) rate: f64,
    /// Requests that were sent.
    pub(crate) requests: usize,
    /// Without a proper answer.
    pub(crate) failed: usize,
    /// With an answer from the wrong version.
    pub(crate) misrouted: usize,
    /// Pushes that were not seen in force before the next one.
    pub(crate) unseen: usize,
    /// Milliseconds from write to the last request under the configuration before, for pushes that are no kill.
    pub(crate) effect: Vec<f64>,
    /// Milliseconds from a kill's write to the last request that reached the canary.
    pub(crate) kill: Vec<f64>,
    /// Milliseconds from when a request was due to its answer.
    pub(crate) latency: Vec<f64>,
    /// Resident memory before and after, in MB (10^6 bytes).
    pub(crate) resident: [f64; 2],
}

struct Write {
    at: u64,
    turn: usize,
}

/// Runs them.
pub(crate) async fn measure(settings: &Settings, upstreams: Upstreams) -> Result<Pushes> {
    let envoy = Envoy::builder(Bootstrap::filter_state()?)
        .cluster("model-v1", upstreams.stable)
        .cluster("model-v2", upstreams.canary)
        .configuration(&pushed(1, Step::First))
        .env(configurations::TOKEN_KEY.0, configurations::TOKEN_KEY.1)
        .log_level("warning")
        .start()
        .await?;
    let _worker = Worker::pinned(envoy.pid())?;
    let requests = traffic::requests();
    let mut client = Client::connect(envoy.ingress(), 32)?;
    let mut revision = 1;
    let mut expected = Vec::new();
    for step in TURNS {
        revision += 1;
        envoy.push(&pushed(revision, step)).await?;
        expected.push(learn(&mut client, &requests, step)?);
    }
    let start = clock::now();
    let answered = client.closed(&requests, 0, 10 * requests.len())?.len();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let rate = 0.5 * answered as f64 / ((clock::now() - start) as f64 / 1e9);
    eprintln!("  {rate:.0} requests a second");

    let stop = AtomicBool::new(false);
    let mut writes = Vec::with_capacity(settings.pushes);
    let mut resident = [0.0; 2];
    let samples = std::thread::scope(|scope| -> Result<Vec<Sample>> {
        let load = scope.spawn(|| {
            cores::stand_back()?;
            client.open_loop(&requests, rate, || stop.load(Ordering::Relaxed))
        });
        let mut random = fastrand::Rng::with_seed(2);
        let mut run = || -> Result<()> {
            for push in 0..WARM + settings.pushes {
                if push == WARM {
                    resident[0] = megabytes(&envoy)?;
                }
                // The last turn at rest was the kill, so the first one here is the first.
                let turn = push % TURNS.len();
                revision += 1;
                let text = pushed(revision, TURNS[turn]).to_string();
                let at = clock::now();
                envoy.publish(&text)?;
                writes.push(Write { at, turn });
                std::thread::sleep(Duration::from_millis(random.u64(PAUSE..=2 * PAUSE)));
            }
            resident[1] = megabytes(&envoy)?;
            Ok(())
        };
        let outcome = run();
        stop.store(true, Ordering::Relaxed);
        let samples = load.join().ok().context("the client's thread ended")?;
        outcome.and(samples)
    })?;
    Ok(summary(&writes, &samples, &expected, rate, resident))
}

fn megabytes(envoy: &Envoy) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "memory is below 2^53 bytes")]
    Ok(envoy.resident_bytes()? as f64 / 1e6)
}

/// What each user gets, at rest; asked twice.
fn learn(client: &mut Client, requests: &[Vec<u8>], step: Step) -> Result<Vec<Version>> {
    let mut ask = || -> Result<Vec<Version>> {
        let mut samples = client.closed(requests, 0, requests.len())?;
        samples.sort_unstable_by_key(|sample| sample.request);
        samples.iter().map(|sample| sample.version.context("a request failed at rest")).collect()
    };
    let versions = ask()?;
    ensure!(versions == ask()?, "the same requests were answered by other versions the second time");
    let canary = versions.iter().filter(|version| **version == Version::Canary).count();
    ensure!((canary == 0) == (step == Step::Kill), "{canary} of {} requests went to the canary", versions.len());
    Ok(versions)
}

fn summary(writes: &[Write], samples: &[Sample], expected: &[Vec<Version>], rate: f64, resident: [f64; 2]) -> Pushes {
    let mut served: Vec<&Sample> = samples.iter().filter(|sample| sample.version.is_some()).collect();
    served.sort_unstable_by_key(|sample| sample.arrived);
    let mut seen = Pushes {
        pushes: writes.len().saturating_sub(WARM),
        rate,
        requests: samples.len(),
        failed: samples.len() - served.len(),
        misrouted: 0,
        unseen: 0,
        effect: Vec::new(),
        kill: Vec::new(),
        latency: served.iter().map(|sample| milliseconds(sample.done - sample.due)).collect(),
        resident,
    };
    let says = |turn: usize, sample: &Sample| expected.get(turn).and_then(|users| users.get(sample.request)).copied();
    // Before the first write the kill was in force.
    let turn = |writes_before: usize| (writes_before + TURNS.len() - 1) % TURNS.len();
    let written = |at: u64| writes.partition_point(|write| write.at < at);
    let allowed = |sample: &Sample| {
        let (from, to) = (written(sample.sent).saturating_sub(1), written(sample.arrived));
        (from..=to).any(|writes_before| says(turn(writes_before), sample) == sample.version)
    };
    seen.misrouted = served.iter().filter(|sample| !allowed(sample)).count();
    for (i, write) in writes.iter().enumerate() {
        let before = turn(i);
        let end = writes.get(i + 1).map_or(u64::MAX, |next| next.at);
        let from = served.partition_point(|sample| sample.arrived < write.at);
        let to = served.partition_point(|sample| sample.arrived < end);
        let window = served.get(from..to).unwrap_or_default();
        let old = |s: &&&Sample| says(write.turn, s) != s.version && says(before, s) == s.version;
        let new = |s: &&&Sample| says(write.turn, s) == s.version && says(before, s) != s.version;
        // In force only if something shows it after the last request that was still decided by the one before.
        let last = window.iter().filter(old).map(|sample| sample.arrived).max().unwrap_or(write.at);
        let shown = window.iter().filter(new).any(|sample| sample.arrived > last);
        if !shown {
            seen.unseen += 1;
        } else if i >= WARM {
            let times = if TURNS.get(write.turn) == Some(&Step::Kill) { &mut seen.kill } else { &mut seen.effect };
            times.push(milliseconds(last - write.at));
        }
    }
    seen
}

#[expect(clippy::cast_precision_loss, reason = "durations are below 2^53 ns")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
