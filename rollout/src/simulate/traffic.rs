//! Synthetic users and what the proxies would count of them.
//!
//! Users are unlike each other: some ask much, some meet errors others never see, some are far away. Each has an activity of their
//! own (exponential) and propensities of their own (beta, with the scenario's correlation), drawn anew whenever the weights
//! change, because others are on the version then. What is counted in an interval follows from that by bucket of users,
//! as the filter counts it. Of more than [`MOST_USERS`] users in a bucket the rest is like those.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Scenario, Version, random::Random};
use crate::measure::{BUCKETS, Counters, Histogram, Replicates, Snapshot};
use crate::tick::Sums;

/// Users told apart in one bucket of one version.
const MOST_USERS: u64 = 128;
/// The 95 % point of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_7;

/// Upper bounds of the latency histogram, microseconds: from 100 us to 60 s, a fifth more each.
fn bounds() -> Arc<[f64]> {
    let mut bounds = Vec::new();
    let mut bound: f64 = 100.0;
    while bound < 60e6 {
        bounds.push(bound.round());
        bound *= 1.2;
    }
    bounds.into()
}

/// The users of one version that fall into one bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Their part of the version's requests.
    share: f64,
    error: f64,
    client_error: f64,
    timeout: f64,
    hang: f64,
    success: f64,
    /// Their latency is `exp` of this times the version's.
    slower: f64,
}

/// One version's users and counters.
#[derive(Debug)]
struct Side {
    share: f64,
    behaves: Version,
    buckets: Vec<Bucket>,
    counters: Counters,
    /// Outcomes since the beginning: how many, and successes, by bucket.
    outcomes: Vec<(u64, f64)>,
}

impl Side {
    fn new(behaves: Version, bounds: &Arc<[f64]>) -> Self {
        let histogram =
            || Histogram { bounds: Arc::clone(bounds), cumulative: vec![0; bounds.len()], count: 0, sum: 0.0 };
        let counters = Counters {
            latency: histogram(),
            headers: histogram(),
            replicates: vec![Replicates::default(); BUCKETS],
            ..Counters::default()
        };
        Self { share: -1.0, behaves, buckets: Vec::new(), counters, outcomes: vec![(0, 0.0); BUCKETS] }
    }

    /// Others are on the version now, or it behaves otherwise.
    fn draw(&mut self, share: f64, behaves: Version, scenario: &Scenario, random: &mut Random) {
        if (self.share - share).abs() < 1e-12 && self.behaves == behaves && !self.buckets.is_empty() {
            return;
        }
        self.share = share;
        self.behaves = behaves;
        let users = scenario.users as f64 * share / BUCKETS as f64;
        self.buckets = (0..BUCKETS).map(|_| bucket(random.poisson(users), behaves, scenario, random)).collect();
        let all: f64 = self.buckets.iter().map(|b| b.share).sum();
        for bucket in &mut self.buckets {
            bucket.share = if all > 0.0 { bucket.share / all } else { 0.0 };
        }
    }

    /// What is counted while so many requests are expected.
    fn count(&mut self, expected: f64, random: &mut Random) {
        let (mut finished, mut shift) = (0_u64, 0.0);
        let median = self.behaves.p50_ms * 1_000.0;
        let spread = (self.behaves.p95_ms / self.behaves.p50_ms).max(1.0).ln() / Z95;
        for ((bucket, replicate), outcomes) in
            self.buckets.iter().zip(&mut self.counters.replicates).zip(&mut self.outcomes)
        {
            let started = random.poisson(expected * bucket.share);
            let hanging = random.binomial(started, bucket.hang);
            let done = started - hanging;
            let timeouts = random.binomial(done, bucket.timeout);
            let errors = random.binomial(done - timeouts, bucket.error);
            let refused = random.binomial(done - timeouts - errors, bucket.client_error);
            let good = done - timeouts - errors - refused;
            self.counters.requests += started;
            self.counters.timeouts += timeouts;
            let [_, two, _, four, five, _] = &mut self.counters.classes;
            *two += good;
            *four += refused;
            *five += errors + timeouts;
            replicate.requests += started;
            replicate.finished += done;
            replicate.failures += errors + timeouts;
            replicate.timeouts += timeouts;
            // The mean of the log-normal distribution, with the noise of so many draws.
            let mean = median * (bucket.slower + spread * spread / 2.0).exp();
            let deviation = mean * ((spread * spread).exp() - 1.0).sqrt() * (done as f64).sqrt();
            let sum = mean * done as f64 + deviation * random.normal();
            replicate.latency_us += sum.max(0.0) as u64;
            outcomes.0 += done;
            outcomes.1 += random.binomial(done, bucket.success) as f64;
            finished += done;
            shift += bucket.slower * done as f64;
        }
        let shift = if finished > 0 { shift / finished as f64 } else { 0.0 };
        self.time(finished, median.ln() + shift, spread, random);
    }

    /// Spreads so many answers over the histograms. Headers come as late as the whole here.
    fn time(&mut self, finished: u64, centre: f64, spread: f64, random: &mut Random) {
        let latency = &mut self.counters.latency;
        let (mut left, mut below, mut so_far, mut sum) = (finished, 0.0, 0, 0.0);
        for (bound, cumulative) in latency.bounds.iter().zip(&mut latency.cumulative) {
            if left > 0 {
                let at_most = if spread > 0.0 {
                    normal_cdf((bound.ln() - centre) / spread)
                } else {
                    f64::from(u8::from(bound.ln() >= centre))
                };
                let chance = if below < 1.0 { ((at_most - below) / (1.0 - below)).clamp(0.0, 1.0) } else { 1.0 };
                let here = random.binomial(left, chance);
                left -= here;
                so_far += here;
                sum += here as f64 * bound;
                below = at_most;
            }
            *cumulative += so_far;
        }
        latency.count += finished;
        latency.sum += sum;
        self.counters.headers = latency.clone();
    }
}

/// So many users of a version, drawn one by one.
fn bucket(users: u64, v: Version, scenario: &Scenario, random: &mut Random) -> Bucket {
    let told_apart = users.min(MOST_USERS);
    let mut sum = Bucket::default();
    let spread = (v.p95_ms / v.p50_ms).max(1.0).ln() / Z95;
    for _ in 0..told_apart {
        let activity = random.gamma(1.0);
        sum.share += activity;
        sum.error += activity * random.beta(v.error, scenario.correlation);
        sum.client_error += activity * random.beta(v.client_error, scenario.correlation);
        sum.timeout += activity * random.beta(v.timeout, scenario.correlation);
        sum.hang += activity * random.beta(v.hang, scenario.correlation);
        sum.success += activity * random.beta(v.success, scenario.correlation);
        sum.slower += activity * spread * scenario.correlation.sqrt() * random.normal();
    }
    if sum.share <= 0.0 {
        return Bucket::default();
    }
    let of = |total: f64| total / sum.share;
    Bucket {
        share: sum.share * users as f64 / told_apart.max(1) as f64,
        error: of(sum.error),
        client_error: of(sum.client_error),
        timeout: of(sum.timeout),
        hang: of(sum.hang),
        success: of(sum.success),
        slower: of(sum.slower),
    }
}

/// The standard normal distribution function, to 1e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17).
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly =
        t * (0.319_381_530 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-x * x / 2.0).exp() / (2.0 * core::f64::consts::PI).sqrt() * poly;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

/// The traffic of one route.
#[derive(Debug)]
pub(super) struct Traffic<'s> {
    scenario: &'s Scenario,
    random: Random,
    stable: Side,
    canary: Side,
    copies: Side,
    copied: bool,
    now_ms: u64,
}

impl<'s> Traffic<'s> {
    pub(super) fn new(scenario: &'s Scenario, seed: u64, now_ms: u64) -> Self {
        let bounds = bounds();
        Self {
            scenario,
            random: Random::new(seed),
            stable: Side::new(scenario.stable, &bounds),
            canary: Side::new(scenario.canary, &bounds),
            copies: Side::new(scenario.canary, &bounds),
            copied: false,
            now_ms,
        }
    }

    /// Time goes on, with these shares (0 to 1) of users on the canary and copied to it. `bad` is whether the canary behaves as
    /// it does in the scenario, or as stable still.
    pub(super) fn advance(&mut self, now_ms: u64, canary: f64, copied: f64, bad: bool) {
        let seconds = now_ms.saturating_sub(self.now_ms) as f64 / 1_000.0;
        self.now_ms = now_ms;
        let behaves = if bad { self.scenario.canary } else { self.scenario.stable };
        self.copied = copied > 0.0;
        let sides = [
            (&mut self.stable, 1.0 - canary, self.scenario.stable),
            (&mut self.canary, canary, behaves),
            (&mut self.copies, copied, behaves),
        ];
        for (side, share, behaves) in sides {
            if share > 0.0 {
                side.draw(share, behaves, self.scenario, &mut self.random);
                side.count(self.scenario.requests_per_s * share * seconds, &mut self.random);
            }
        }
    }

    /// What one proxy shows of it.
    pub(super) fn snapshot(&self, stable: &str, canary: &str) -> Snapshot {
        let of = |side: &Side| BTreeMap::from([("default".to_owned(), side.counters.clone())]);
        Snapshot {
            taken_ms: self.now_ms,
            variants: BTreeMap::from([(stable.to_owned(), of(&self.stable)), (canary.to_owned(), of(&self.canary))]),
            copies: self.copied.then(|| Counters { replicates: Vec::new(), ..self.copies.counters.clone() }),
            ..Snapshot::default()
        }
    }

    /// Stable's counters alone.
    pub(super) fn stable(&self) -> &Counters {
        &self.stable.counters
    }

    /// Outcomes since the beginning, of the canary and of stable.
    pub(super) fn outcomes(&self) -> (Sums, Sums) {
        (Sums { buckets: self.canary.outcomes.clone() }, Sums { buckets: self.stable.outcomes.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_the_versions_are() {
        let scenario = Scenario {
            requests_per_s: 500.0,
            users: 20_000,
            canary: Version { error: 0.1, p50_ms: 40.0, p95_ms: 160.0, hang: 0.05, ..Version::default() },
            ..Scenario::default()
        };
        let mut traffic = Traffic::new(&scenario, 5, 0);
        for second in 1..=200 {
            traffic.advance(second * 1_000, 0.5, 0.0, true);
        }
        let snapshot = traffic.snapshot("old", "new");
        let share = |part: u64, whole: u64| part as f64 / whole as f64;
        let new = &snapshot.variants["new"]["default"];
        let old = &snapshot.variants["old"]["default"];
        assert!((share(new.requests, old.requests) - 1.0).abs() < 0.05);
        assert!((share(new.classes[4], new.finished()) - 0.1).abs() < 0.01);
        assert!((share(new.finished(), new.requests) - 0.95).abs() < 0.01);
        let (median, _) = new.latency.quantile(0.5).unwrap();
        let (p95, _) = new.latency.quantile(0.95).unwrap();
        assert!((median / 40_000.0 - 1.0).abs() < 0.1 && (p95 / 160_000.0 - 1.0).abs() < 0.1, "{median} {p95}");
        assert_eq!(new.latency.count, new.finished());
        let of = |f: fn(&Replicates) -> u64| new.replicates.iter().map(f).sum::<u64>();
        assert_eq!((of(|r| r.requests), of(|r| r.finished)), (new.requests, new.finished()));
        assert_eq!(of(|r| r.failures), new.classes[4]);
    }

    #[test]
    fn users_are_alike_without_correlation_and_unlike_with_it() {
        let between = |correlation| {
            let scenario = Scenario { correlation, users: 640, requests_per_s: 640.0, ..Scenario::default() };
            let scenario = Scenario { stable: Version { error: 0.2, ..Version::default() }, ..scenario };
            let mut traffic = Traffic::new(&scenario, 9, 0);
            traffic.advance(1_000_000, 0.0, 0.0, true);
            let replicates = &traffic.stable().replicates;
            let rates: Vec<f64> = replicates.iter().map(|r| r.failures as f64 / r.finished as f64).collect();
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / rates.len() as f64
        };
        // 20,000 requests a bucket: 0.2 * 0.8 / 20,000 when requests are independent.
        assert!(between(0.0) < 3e-5, "{}", between(0.0));
        assert!(between(0.2) > 5e-4, "{}", between(0.2));
    }
}
