//! What records of comparisons say, as data: for tables, JSON and the page alike.

use std::collections::BTreeMap;

use serde::Serialize;

use super::changes::Change;
use super::verdict::Verdict;

/// All that was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Records read.
    pub records: u64,
    /// Comparisons that they stand for (each one 1 / its share), in which the answers could be compared.
    pub compared: f64,
    /// Comparisons in which the answers could not be compared, by reason.
    pub incomparable: BTreeMap<String, f64>,
    /// Comparisons in which the shadow gave no answer, by reason.
    pub failed: BTreeMap<String, f64>,
    /// Share of compared pairs whose answers agree.
    pub agreement: Estimate,
    /// Where users differ: the same by segment.
    pub segments: Vec<Segment>,
    /// What differs, the most frequent first.
    pub fields: Vec<Field>,
    /// What changed into what, the most frequent first.
    pub changes: Vec<Change>,
    /// By how much counts in `changes` may be too small; 0: they are exact.
    pub changes_missed: f64,
    /// The numbers of pairs; none: records have none.
    pub numbers: Option<Numbers>,
    /// Disagreements with the largest difference (of numbers, else the most differing fields).
    pub largest: Vec<Example>,
    /// Latencies; none: records have none.
    pub latency: Option<Latency>,
    /// Pairs in which the shadow took longest beyond the version in service.
    pub outliers: Vec<Outlier>,
    /// How many pairs are far beyond the others in that; none: records have no latencies.
    pub slow: Option<Slow>,
    /// Who was right where people said so; none: nobody did.
    pub labels: Option<Labelled>,
    /// What should be done.
    pub verdict: Verdict,
    /// What charts show.
    pub charts: Charts,
    /// What must be known to read the above.
    pub notes: Vec<String>,
}

/// A share with its interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// In [0, 1]; none: nothing to take it from.
    pub value: Option<f64>,
    /// Lower bound of the interval.
    pub low: Option<f64>,
    /// Upper bound of the interval.
    pub high: Option<f64>,
    /// By how much the variance exceeds that of independent pairs.
    pub effect: Option<f64>,
    /// Buckets of users that it comes from; 0: pairs are taken to be independent.
    pub buckets: usize,
    /// Why there is no value or no interval.
    pub reason: Option<String>,
}

/// One segment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Compared pairs.
    pub compared: f64,
    /// Share that agrees.
    pub agreement: Estimate,
    /// Share of errors of the version in service.
    pub primary_errors: Option<f64>,
    /// Share of errors of the shadow.
    pub shadow_errors: Option<f64>,
    /// p95, microseconds.
    pub primary_p95: Option<f64>,
    /// p95, microseconds.
    pub shadow_p95: Option<f64>,
}

/// One thing that differs in some pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Where.
    pub path: String,
    /// Compared pairs in which it differs.
    pub pairs: f64,
    /// Their share of compared pairs.
    pub share: f64,
    /// Share of second answers of the version in service in which it differs; none: no second answers.
    pub noise: Option<f64>,
    /// Whether it differs clearly more often than by itself.
    pub counts: bool,
}

/// The numbers of pairs: `shadow - primary`. Each pair stands for as many comparisons as its share says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Records with a difference.
    pub pairs: f64,
    /// Mean of the version in service; none: only differences are told.
    pub primary_mean: Option<f64>,
    /// Mean of the shadow.
    pub shadow_mean: Option<f64>,
    /// Mean difference.
    pub mean: f64,
    /// Mean size of differences.
    pub mean_absolute: f64,
    /// Standard deviation of differences.
    pub deviation: Option<f64>,
    /// Largest size of a difference.
    pub largest: f64,
    /// Interval of the mean difference from between buckets of users: the one to decide by.
    pub interval: Option<[f64; 2]>,
    /// p-value of the mean difference from between buckets of users.
    pub p: Option<f64>,
    /// Why there is no such interval.
    pub interval_reason: Option<String>,
    /// Paired t-test, which takes pairs to be independent: t, degrees of freedom, p.
    pub t: Option<[f64; 3]>,
    /// Its interval of the mean difference.
    pub t_interval: Option<[f64; 2]>,
    /// Why there is no t-test.
    pub t_reason: Option<String>,
    /// Pearson's correlation, exact.
    pub pearson: Option<f64>,
    /// Its interval.
    pub pearson_interval: Option<[f64; 2]>,
    /// Spearman's rank correlation.
    pub spearman: Option<RankTest>,
    /// Wilcoxon's signed-rank test, which takes pairs to be independent.
    pub wilcoxon: Option<RankTest>,
    /// Why correlations are missing.
    pub correlation_reason: Option<String>,
}

/// A statistic of ranks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RankTest {
    /// rho, or the sum of the ranks of positive differences.
    pub statistic: f64,
    /// p-value.
    pub p: Option<f64>,
    /// Between which values the exact one lies, where it was binned: rho for a correlation, p for the test. None: exact.
    pub error: Option<[f64; 2]>,
    /// Pairs that it rests on.
    pub pairs: f64,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// Name of the request; empty: not told.
    pub id: String,
    /// Segment.
    pub segment: String,
    /// What the user got, as far as it is told.
    pub primary: Option<String>,
    /// What the shadow answered.
    pub shadow: Option<String>,
    /// Size of the difference, or number of differing fields.
    pub size: f64,
    /// What differs.
    pub paths: Vec<String>,
}

/// Latencies of both, microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The version in service.
    pub primary: Quantiles,
    /// The shadow.
    pub shadow: Quantiles,
    /// How far a quantile may be off, as a part of it.
    pub precision: f64,
}

/// Quantiles, microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quantiles {
    /// How many.
    pub count: f64,
    /// Median.
    pub p50: Option<f64>,
    /// 90 %.
    pub p90: Option<f64>,
    /// 95 %.
    pub p95: Option<f64>,
    /// 99 %.
    pub p99: Option<f64>,
    /// The largest.
    pub most: f64,
}

/// A pair in which the shadow was slow.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlier {
    /// Name of the request; empty: not told.
    pub id: String,
    /// Segment.
    pub segment: String,
    /// Microseconds.
    pub primary: f64,
    /// Microseconds.
    pub shadow: f64,
}

/// Pairs whose shadow was slower by much more than usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slow {
    /// Microseconds by which the shadow took longer: three interquartile ranges above the upper quartile.
    pub beyond: f64,
    /// Pairs beyond it.
    pub pairs: f64,
}

/// Who was right, in disagreements that people looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Labelled {
    /// Disagreements with a label among these records.
    pub found: u64,
    /// Labels that belong to no disagreement among these records.
    pub elsewhere: u64,
    /// The version in service was right.
    pub primary: u64,
    /// The shadow was right.
    pub shadow: u64,
    /// Either will do.
    pub both: u64,
    /// Neither was right.
    pub neither: u64,
    /// Of those in which one alone was right: share of the shadow, Wilson's interval.
    pub shadow_share: Estimate,
    /// Chance of a split at least so uneven if either is right as often: exact binomial (McNemar 1947), two-sided.
    pub p: Option<f64>,
}

/// What charts show.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Charts {
    /// A sample of pairs of numbers, each as likely as any other.
    pub scatter: Vec<[f64; 2]>,
    /// Middles of the bars of differences; the outermost hold all beyond.
    pub bars: Vec<f64>,
    /// Pairs in each bar.
    pub counts: Vec<f64>,
    /// Latency curves.
    pub curves: Curves,
}

/// Latency by share of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Curves {
    /// Shares of requests.
    pub shares: Vec<f64>,
    /// Microseconds at each share.
    pub primary: Vec<Option<f64>>,
    /// Microseconds at each share.
    pub shadow: Vec<Option<f64>>,
}
