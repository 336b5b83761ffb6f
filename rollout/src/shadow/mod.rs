//! A shadow's answers beside those that users got: what records of comparisons say, and what follows from it.
//!
//! [`Analysis`] takes in one pair at a time, in constant memory, and gives [`Findings`]: agreement with its interval, differences of
//! numbers, what changed into what, latencies, the largest disagreements. [`judge`] holds [`Evidence`] against [`Limits`] and recommends
//! what to do; evidence comes from findings, or from the proxies' counters.
//!
//! What this does not do: compare answers (`headgate-compare` did, in the proxy), read files, or decide a rollout's step: that is
//! the rollout's judge.

mod accepted;
mod analysis;
mod changes;
mod errors;
mod findings;
mod labels;
mod latencies;
mod latency;
mod noise;
mod numbers;
mod observed;
mod part;
mod verdict;

pub use analysis::{Analysis, Settings};
pub use changes::{Change, Changes};
pub use findings::{
    Charts, Curves, Estimate, Example, Field, Findings, Labelled, Latency, Numbers, Outlier, Quantiles, RankTest,
    Segment, Slow,
};
pub use latencies::Latencies;
pub use noise::Noise;
pub use observed::{Answer, Difference, Observed, Right};
pub use verdict::{Check, Evidence, Held, Limits, Recommendation, Timings, Verdict, judge};
