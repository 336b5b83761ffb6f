//! Synthetic users and what the proxies would count of them.
//!
//! Users are unlike each other: some ask much, some meet errors others never see, some are far away. Each has an activity of their
//! own (exponential) and propensities of their own (beta, with the scenario's correlation), drawn anew whenever the weights
//! change, because others are on the version then. What is counted in an interval follows from that by bucket of users,
//! as the filter counts it: [`super::users`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::random::Random;
use super::users::{Bucket, Counted, bucket, falls};
use super::{Scenario, Version};
use crate::measure::{BUCKETS, Counters, Histogram, Replicates, Shadowed, Snapshot};
use crate::tick::Sums;

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

/// One version's users and counters.
#[derive(Debug)]
struct Side {
    share: f64,
    behaves: Version,
    buckets: Vec<Bucket>,
    /// For the bounds of the histogram where answers fall: the index, and the chance of one that is not below it already.
    falls: Vec<(usize, f64)>,
    counters: Counters,
    /// Outcomes since the beginning: how many, and successes, by bucket.
    outcomes: Vec<(u64, f64)>,
    /// The same, with the sums of their values.
    values: Vec<(u64, f64)>,
}

impl Side {
    fn new(behaves: Version, bounds: &Arc<[f64]>, counted: &Counted) -> Self {
        let histogram =
            || Histogram { bounds: Arc::clone(bounds), cumulative: vec![0; bounds.len()], count: 0, sum: 0.0 };
        let counters = Counters {
            latency: histogram(),
            headers: histogram(),
            replicates: vec![Replicates::default(); BUCKETS],
            goals: counted.goals.iter().map(|goal| (goal.clone(), vec![0; BUCKETS])).collect(),
            ..Counters::default()
        };
        Self {
            share: -1.0,
            behaves,
            buckets: Vec::new(),
            falls: Vec::new(),
            counters,
            outcomes: vec![(0, 0.0); BUCKETS],
            values: vec![(0, 0.0); BUCKETS],
        }
    }

    /// Others are on the version now, or it behaves otherwise.
    fn draw(&mut self, share: f64, behaves: Version, scenario: &Scenario, counted: &Counted, random: &mut Random) {
        if (self.share - share).abs() < 1e-12 && self.behaves == behaves && !self.buckets.is_empty() {
            return;
        }
        self.share = share;
        self.behaves = behaves;
        let users = scenario.users as f64 * share / BUCKETS as f64;
        self.buckets =
            (0..BUCKETS).map(|_| bucket(random.poisson(users), behaves, scenario, counted, random)).collect();
        let all: f64 = self.buckets.iter().map(|b| b.share).sum();
        for bucket in &mut self.buckets {
            bucket.share = if all > 0.0 { bucket.share / all } else { 0.0 };
            // Of the log-normal distribution.
            bucket.mean_us = behaves.p50_ms * 1_000.0 * (bucket.slower + behaves.spread().powi(2) / 2.0).exp();
            bucket.deviation_us = bucket.mean_us * (behaves.spread().powi(2).exp() - 1.0).sqrt();
        }
        let slower: f64 = self.buckets.iter().map(|b| b.share * b.slower).sum();
        let centre = (behaves.p50_ms * 1_000.0).ln() + slower;
        self.falls = falls(&self.counters.latency.bounds, centre, behaves.spread());
    }

    /// What is counted while so many requests are expected.
    fn count(&mut self, expected: f64, correlation: f64, counted: &Counted, random: &mut Random) {
        let mut finished = 0;
        let told = self.outcomes.iter_mut().zip(&mut self.values);
        for (at, ((bucket, replicate), (outcome, value))) in
            self.buckets.iter().zip(&mut self.counters.replicates).zip(told).enumerate()
        {
            let started = random.poisson(expected * bucket.share);
            if started == 0 {
                continue;
            }
            let hanging = random.binomial(started, bucket.hang);
            let done = started - hanging;
            let timeouts = random.binomial(done, bucket.timeout);
            let errors = random.binomial(done - timeouts, bucket.error);
            let refused = random.binomial(done - timeouts - errors, bucket.client_error);
            self.counters.requests += started;
            self.counters.timeouts += timeouts;
            let [_, two, _, four, five, _] = &mut self.counters.classes;
            *two += done - timeouts - errors - refused;
            *four += refused;
            *five += errors + timeouts;
            replicate.requests += started;
            replicate.finished += done;
            replicate.failures += errors + timeouts;
            replicate.timeouts += timeouts;
            replicate.client_errors += refused;
            let noise = bucket.deviation_us * (done as f64).sqrt() * random.normal();
            replicate.latency_us += (bucket.mean_us * done as f64 + noise).max(0.0) as u64;
            if counted.outcomes {
                outcome.0 += done;
                outcome.1 += random.binomial(done, bucket.success) as f64;
            }
            if counted.values {
                // As unlike each other as exponential ones; what users do not explain is left to the single outcome.
                let own = self.behaves.value.abs() * ((1.0 - correlation) * done as f64).sqrt();
                value.0 += done;
                value.1 += bucket.value * done as f64 + own * random.normal();
            }
            for reached in self.counters.goals.values_mut().filter_map(|reached| reached.get_mut(at)) {
                *reached += random.binomial(started, bucket.conversion);
            }
            finished += done;
        }
        self.time(finished, random);
    }

    fn told(&self, values: bool) -> Sums {
        Sums { buckets: if values { self.values.clone() } else { self.outcomes.clone() } }
    }

    /// Spreads so many answers over the histograms. Headers come as late as the whole here.
    fn time(&mut self, finished: u64, random: &mut Random) {
        let latency = &mut self.counters.latency;
        let (mut left, mut so_far, mut sum, mut next) = (finished, 0, 0.0, 0);
        for (at, chance) in &self.falls {
            let here = random.binomial(left, *chance);
            left -= here;
            so_far += here;
            if let (Some(cumulative), Some(bound)) = (latency.cumulative.get_mut(*at), latency.bounds.get(*at)) {
                *cumulative += so_far;
                sum += here as f64 * bound;
            }
            next = at + 1;
        }
        for cumulative in latency.cumulative.iter_mut().skip(next) {
            *cumulative += so_far;
        }
        latency.count += finished;
        latency.sum += sum;
        self.counters.headers.clone_from(latency);
    }
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
    /// The copied requests as stable answers them, where the filter compares.
    pairs: Side,
    compared: bool,
    /// A bandit's further arms.
    more: Vec<(String, Side)>,
    counted: Counted,
    now_ms: u64,
}

impl<'s> Traffic<'s> {
    pub(super) fn new(scenario: &'s Scenario, seed: u64, counted: Counted, now_ms: u64) -> Self {
        Self::of_arms(scenario, &[], seed, counted, now_ms)
    }

    /// With a bandit's arms beyond the canary; those that the scenario does not know behave as the canary.
    pub(super) fn of_arms(scenario: &'s Scenario, arms: &[String], seed: u64, counted: Counted, now_ms: u64) -> Self {
        let bounds = bounds();
        Self {
            scenario,
            random: Random::new(seed),
            stable: Side::new(scenario.stable, &bounds, &counted),
            canary: Side::new(scenario.canary, &bounds, &counted),
            copies: Side::new(scenario.canary, &bounds, &counted),
            copied: false,
            pairs: Side::new(scenario.stable, &bounds, &counted),
            compared: false,
            more: arms.iter().map(|a| (a.clone(), Side::new(scenario.of_arm(a), &bounds, &counted))).collect(),
            counted,
            now_ms,
        }
    }

    /// Time goes on, with these shares (0 to 1) of users on the canary, copied to it, and copied and compared. `bad` is whether the canary behaves as
    /// it does in the scenario, or as stable still.
    pub(super) fn advance(&mut self, now_ms: u64, canary: f64, copied: f64, compared: f64, bad: bool) {
        self.advance_arms(now_ms, canary, (copied, compared), bad, &[]);
    }

    /// As [`Self::advance`], with the shares of a bandit's further arms.
    pub(super) fn advance_arms(
        &mut self,
        now_ms: u64,
        canary: f64,
        (copied, compared): (f64, f64),
        bad: bool,
        more: &[f64],
    ) {
        let seconds = now_ms.saturating_sub(self.now_ms) as f64 / 1_000.0;
        self.now_ms = now_ms;
        let behaves = if bad { self.scenario.canary } else { self.scenario.stable };
        self.copied = copied > 0.0;
        self.compared = compared > 0.0;
        if self.compared {
            self.compare(compared, behaves, seconds);
        }
        let sides = [
            (&mut self.stable, 1.0 - canary - more.iter().sum::<f64>(), self.scenario.stable),
            (&mut self.canary, canary, behaves),
            (&mut self.copies, copied, behaves),
        ];
        let (scenario, counted) = (self.scenario, &self.counted);
        let further = self.more.iter_mut().zip(more).map(|((name, side), share)| {
            let behaves = if bad { scenario.of_arm(name) } else { scenario.stable };
            (side, *share, behaves)
        });
        for (side, share, behaves) in sides.into_iter().chain(further) {
            if share > 1e-9 {
                side.draw(share, behaves, scenario, counted, &mut self.random);
                let expected = scenario.requests_per_s * share * seconds;
                side.count(expected, scenario.correlation, counted, &mut self.random);
            }
        }
    }

    /// Copies that are compared: what hangs is cut off by the copy's own timeout, and outcomes stand for agreement.
    fn compare(&mut self, share: f64, behaves: Version, seconds: f64) {
        let hanging = Version { timeout: behaves.timeout + behaves.hang, hang: 0.0, ..behaves };
        let copy = Version { success: behaves.agreement, ..hanging };
        let expected = self.scenario.requests_per_s * share * seconds;
        let counted = Counted { outcomes: true, ..Counted::default() };
        for (side, behaves) in [(&mut self.copies, copy), (&mut self.pairs, self.scenario.stable)] {
            side.draw(share, behaves, self.scenario, &counted, &mut self.random);
            side.count(expected, self.scenario.correlation, &counted, &mut self.random);
        }
    }

    fn shadowed(&self) -> Shadowed {
        let outcomes = || self.copies.outcomes.iter();
        Shadowed {
            primary: self.pairs.counters.clone(),
            shadow: self.copies.counters.clone(),
            compared: outcomes().map(|(all, _)| *all).collect(),
            mismatched: outcomes().map(|(all, agree)| all.saturating_sub(*agree as u64)).collect(),
        }
    }

    /// What one proxy shows of it.
    pub(super) fn snapshot(&self, stable: &str, canary: &str) -> Snapshot {
        let of = |side: &Side| BTreeMap::from([("default".to_owned(), side.counters.clone())]);
        let mut variants =
            BTreeMap::from([(stable.to_owned(), of(&self.stable)), (canary.to_owned(), of(&self.canary))]);
        variants.extend(self.more.iter().map(|(name, side)| (name.clone(), of(side))));
        Snapshot {
            taken_ms: self.now_ms,
            variants,
            copies: self.copied.then(|| Counters { replicates: Vec::new(), ..self.copies.counters.clone() }),
            shadow: if self.compared {
                BTreeMap::from([("default".to_owned(), self.shadowed())])
            } else {
                BTreeMap::new()
            },
            ..Snapshot::default()
        }
    }

    /// Stable's counters alone.
    pub(super) fn stable(&self) -> &Counters {
        &self.stable.counters
    }

    /// Outcomes since the beginning, of each of a bandit's arms: successes, or values.
    pub(super) fn outcomes_of_arms(&self, stable: &str, canary: &str, values: bool) -> BTreeMap<String, Sums> {
        let (of_canary, of_stable) = self.outcomes(values);
        let mut all = BTreeMap::from([(stable.to_owned(), of_stable), (canary.to_owned(), of_canary)]);
        all.extend(self.more.iter().map(|(name, side)| (name.clone(), side.told(values))));
        all
    }

    /// Outcomes since the beginning, of the canary and of stable: successes, or values.
    pub(super) fn outcomes(&self, values: bool) -> (Sums, Sums) {
        (self.canary.told(values), self.stable.told(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> Counted {
        Counted { outcomes: true, values: true, goals: vec!["purchase".to_owned(), "signup".to_owned()] }
    }

    #[test]
    fn what_is_counted_is_what_the_versions_are() {
        let scenario = Scenario {
            requests_per_s: 500.0,
            users: 20_000,
            canary: Version {
                error: 0.1,
                p50_ms: 40.0,
                p95_ms: 160.0,
                hang: 0.05,
                conversion: 0.3,
                value: 25.0,
                ..Version::default()
            },
            ..Scenario::default()
        };
        let mut traffic = Traffic::new(&scenario, 5, everything(), 0);
        for second in 1..=200 {
            traffic.advance(second * 1_000, 0.5, 0.0, 0.0, true);
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
        for goal in ["purchase", "signup"] {
            let (reached, exposed) = new.conversions(goal).fold((0, 0), |(r, e), (reached, of)| (r + reached, e + of));
            assert!((share(reached, exposed) - 0.3).abs() < 0.02 && exposed == new.requests, "{goal} {reached}");
        }
        let (canary, stable) = traffic.outcomes(true);
        for (sums, value) in [(canary, 25.0), (stable, 1.0)] {
            let (n, sum) = sums.buckets.iter().fold((0, 0.0), |(n, sum), of| (n + of.0, sum + of.1));
            assert!((sum / n as f64 / value - 1.0).abs() < 0.03 && n > 30_000, "{n} {sum}");
        }
    }

    #[test]
    fn users_are_alike_without_correlation_and_unlike_with_it() {
        let between = |correlation| {
            let scenario = Scenario { correlation, users: 640, requests_per_s: 640.0, ..Scenario::default() };
            let scenario = Scenario { stable: Version { error: 0.2, ..Version::default() }, ..scenario };
            let mut traffic = Traffic::new(&scenario, 9, Counted::default(), 0);
            traffic.advance(1_000_000, 0.0, 0.0, 0.0, true);
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
