//! The users of a version that fall into one bucket, and where their answers fall.
//!
//! Of more than [`MOST_USERS`] users in a bucket so many are drawn, and their averages moved as much closer to the mean as the averages of all
//! would lie. What is not counted is not drawn.

use super::{Scenario, Version, random::Random};

/// Users told apart in one bucket of one version.
const MOST_USERS: u64 = 128;
/// The 95 % point of the standard normal distribution.
const Z95: f64 = 1.644_853_626_951_472_7;

/// What is counted beside what the proxies count anyway.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    /// Outcomes that are a success or not.
    pub(super) outcomes: bool,
    /// Values of outcomes.
    pub(super) values: bool,
    /// Goals, by name. Each is reached by requests for itself; users who reach one more often than others reach all more often.
    pub(super) goals: Vec<String>,
}

/// The users of one version that fall into one bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    /// Their part of the version's requests.
    pub(super) share: f64,
    pub(super) error: f64,
    pub(super) client_error: f64,
    pub(super) timeout: f64,
    pub(super) hang: f64,
    pub(super) success: f64,
    /// Chance that a request reaches a goal.
    pub(super) conversion: f64,
    /// Mean value of an outcome.
    pub(super) value: f64,
    /// Their latency is `exp` of this times the version's.
    pub(super) slower: f64,
    /// Mean and standard deviation of their latency, microseconds.
    pub(super) mean_us: f64,
    pub(super) deviation_us: f64,
}

/// Where answers fall whose logarithms are normal with this mean and deviation: for each bound that some reach, the chance of one
/// that is not below it already. What lies above the last bound is in none.
pub(super) fn falls(bounds: &[f64], centre: f64, spread: f64) -> Vec<(usize, f64)> {
    let mut below = 0.0;
    let mut out = Vec::new();
    for (at, bound) in bounds.iter().enumerate() {
        let at_most = if spread > 0.0 {
            normal_cdf((bound.ln() - centre) / spread)
        } else {
            f64::from(u8::from(bound.ln() >= centre))
        };
        if at_most - below > 1e-9 {
            out.push((at, ((at_most - below) / (1.0 - below)).clamp(0.0, 1.0)));
            below = at_most;
        }
        if below > 1.0 - 1e-9 {
            break;
        }
    }
    out
}

/// So many users of a version, drawn one by one.
pub(super) fn bucket(users: u64, v: Version, scenario: &Scenario, counted: &Counted, random: &mut Random) -> Bucket {
    let told_apart = users.min(MOST_USERS);
    let mut sum = Bucket::default();
    for _ in 0..told_apart {
        let activity = random.exponential();
        sum.share += activity;
        sum.error += activity * random.beta(v.error, scenario.correlation);
        sum.client_error += activity * random.beta(v.client_error, scenario.correlation);
        sum.timeout += activity * random.beta(v.timeout, scenario.correlation);
        sum.hang += activity * random.beta(v.hang, scenario.correlation);
        sum.success += activity * random.beta(v.success, scenario.correlation);
        sum.slower += activity * v.spread() * scenario.correlation.sqrt() * random.normal();
        if !counted.goals.is_empty() {
            sum.conversion += activity * random.beta(v.conversion, scenario.correlation);
        }
        if counted.values {
            sum.value += activity * v.value * (1.0 + scenario.correlation.sqrt() * random.normal());
        }
    }
    if sum.share <= 0.0 {
        return Bucket::default();
    }
    // Many users lie closer to the mean than those who were drawn: as the root of their number.
    let (drawn, users) = (told_apart.max(1) as f64, users as f64);
    let closer = (drawn / users.max(drawn)).sqrt();
    let of = |total: f64, mean: f64| mean + closer * (total / sum.share - mean);
    Bucket {
        share: users * (1.0 + closer * (sum.share / drawn - 1.0)),
        error: of(sum.error, v.error),
        client_error: of(sum.client_error, v.client_error),
        timeout: of(sum.timeout, v.timeout),
        hang: of(sum.hang, v.hang),
        success: of(sum.success, v.success),
        conversion: of(sum.conversion, v.conversion),
        value: of(sum.value, v.value),
        slower: of(sum.slower, 0.0),
        ..Bucket::default()
    }
}

impl Version {
    /// Standard deviation of the logarithm of its latency.
    pub(super) fn spread(&self) -> f64 {
        (self.p95_ms / self.p50_ms).max(1.0).ln() / Z95
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
