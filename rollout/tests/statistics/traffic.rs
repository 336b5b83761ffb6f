//! Made-up users: how often they come, how often they fail, which version and bucket they have. All from one seed.

use headgate_rollout::stats::cell::{Arm, REPLICATES, Stratum};

/// SplitMix64 (Steele, Lea and Flood 2014): small, good enough for simulations, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Knuth's product below 30, the rounded normal above: exact enough for traffic.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}

/// How users behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// How many users there are.
    pub(crate) users: usize,
    /// Share that gets the canary.
    pub(crate) share: f64,
    /// Mean requests of a usual user in a tick.
    pub(crate) requests: f64,
    /// Pareto exponent of the users' activity; infinite makes all alike.
    pub(crate) tail: f64,
    /// Mean rate of failing requests, of the baseline and of the canary.
    pub(crate) rates: [f64; 2],
    /// Which part of the users has all failures (1: all users fail alike).
    pub(crate) unlucky: f64,
}

pub(crate) struct User {
    canary: bool,
    bucket: usize,
    requests: f64,
    rate: f64,
    /// The user's own mean value, for means.
    level: f64,
}

pub(crate) fn users(habits: &Habits, random: &mut Random) -> Vec<User> {
    (0..habits.users)
        .map(|_| {
            let canary = random.uniform() < habits.share;
            let [of_baseline, of_canary] = habits.rates;
            let rate = if canary { of_canary } else { of_baseline } / habits.unlucky;
            let heavy =
                if habits.tail.is_finite() { random.uniform().powf(-1.0 / habits.tail).min(2000.0) } else { 1.0 };
            User {
                canary,
                bucket: random.below(REPLICATES),
                requests: habits.requests * heavy,
                rate: if random.uniform() < habits.unlucky { rate.min(1.0) } else { 0.0 },
                level: 100.0 + 30.0 * random.normal(),
            }
        })
        .collect()
}

fn arm(stratum: &mut Stratum, canary: bool) -> &mut Arm {
    if canary { &mut stratum.canary } else { &mut stratum.baseline }
}

/// One tick of failures.
pub(crate) fn failures(users: &[User], stratum: &mut Stratum, random: &mut Random) {
    for user in users {
        let requests = random.poisson(user.requests);
        let failed = if user.rate > 0.0 { (0..requests).filter(|_| random.uniform() < user.rate).count() } else { 0 };
        arm(stratum, user.canary).add(user.bucket, requests as f64, failed as f64);
    }
}

/// One tick of values, of which the canary's are `factor` times as large.
pub(crate) fn values(users: &[User], factor: f64, stratum: &mut Stratum, random: &mut Random) {
    for user in users {
        let requests = random.poisson(user.requests) as f64;
        let sum = requests * user.level + requests.sqrt() * 20.0 * random.normal();
        arm(stratum, user.canary).add(user.bucket, requests, if user.canary { factor * sum } else { sum });
    }
}

/// Four standard errors above a share seen in `runs` independent runs.
pub(crate) fn at_most(share: f64, runs: usize) -> usize {
    let runs = runs as f64;
    (runs * share + 4.0 * (runs * share * (1.0 - share)).sqrt()).floor() as usize
}

/// Is a count in `runs` independent runs within four standard errors of its share?
pub(crate) fn within(count: usize, share: f64, runs: usize) -> bool {
    let (count, runs) = (count as f64, runs as f64);
    (count - runs * share).abs() <= 4.0 * (runs * share * (1.0 - share)).sqrt()
}
