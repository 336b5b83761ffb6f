//! The numbers of pairs: their statistics, and what charts show of them, in constant memory.

use std::collections::BinaryHeap;

use super::findings::{Numbers, RankTest};
use crate::stats::fixed::{Alternative, Look};
use crate::stats::paired::{Pairs, Ranks, clustered};
use crate::stats::{Arm, Reason};

/// Points of the scatter.
const POINTS: usize = 2_000;
/// Bars of the histogram of differences.
const BARS: usize = 61;
/// Differences that are seen before the bars are cut.
const SEEN: usize = 4_096;

/// Numbers of pairs, as they come in.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// Pairs whose numbers are told.
    pub(super) pairs: Pairs,
    pub(super) ranks: Ranks,
    /// Differences by bucket of users; of pairs whose numbers are not told too.
    pub(super) by_bucket: Arm,
    /// Pairs of which the difference alone is told.
    pub(super) differences: Pairs,
    points: BinaryHeap<Point>,
    pub(super) bars: Bars,
    seen: u64,
}

/// A pair of the sample, with its place in it.
#[derive(Clone, Debug)]
struct Point {
    place: f64,
    at: [f64; 2],
}

impl Ord for Point {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.total_cmp(&other.place)
    }
}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Point {}

impl Sums {
    pub(super) fn new(exact: usize) -> Self {
        Self {
            pairs: Pairs::default(),
            ranks: Ranks::new(exact),
            by_bucket: Arm::default(),
            differences: Pairs::default(),
            points: BinaryHeap::new(),
            bars: Bars::default(),
            seen: 0,
        }
    }

    /// Takes in two numbers that stand for `weight` pairs; what is not finite is left out, and `false`.
    pub(super) fn take(&mut self, x: f64, y: f64, bucket: usize, weight: f64) -> bool {
        if self.pairs.weighed(x, y, weight).is_err() {
            return false;
        }
        let _known = self.ranks.weighed(x, y, weight);
        self.sample(x, y, weight);
        self.take_difference(y - x, bucket, weight)
    }

    /// The pairs with the least places, of which each has one by chance, the more weight the earlier: each pair that is stood for is
    /// as likely to be among them (Efraimidis and Spirakis 2006, Information Processing Letters 97, algorithm A-Res).
    fn sample(&mut self, x: f64, y: f64, weight: f64) {
        self.seen += 1;
        let uniform = ((scrambled(self.seen) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let place = -uniform.ln() / weight;
        if self.points.len() < POINTS {
            self.points.push(Point { place, at: [x, y] });
        } else if let Some(mut last) = self.points.peek_mut()
            && place < last.place
        {
            *last = Point { place, at: [x, y] };
        }
    }

    /// The sample.
    pub(super) fn points(&self) -> Vec<[f64; 2]> {
        self.points.iter().map(|point| point.at).collect()
    }

    /// What they come to; none without differences. `independent`: nothing is known of users.
    pub(super) fn found(&self, alpha: f64, independent: bool) -> Option<Numbers> {
        let mut found = Numbers {
            pairs: self.differences.count(),
            primary_mean: self.pairs.means().map(|m| m.0),
            shadow_mean: self.pairs.means().map(|m| m.1),
            mean: self.differences.mean()?,
            mean_absolute: self.differences.mean_absolute()?,
            deviation: self.differences.deviation(),
            largest: self.differences.largest()?,
            ..Numbers::default()
        };
        let between = if independent {
            Err("nothing is known of the users".to_owned())
        } else {
            clustered::mean(&self.by_bucket, alpha).map_err(|reason| reason.to_string())
        };
        match between {
            Ok(mean) => (found.interval, found.p) = (Some(mean.interval), Some(mean.test.p)),
            Err(reason) => found.interval_reason = Some(reason),
        }
        match self.differences.t_test(alpha, Alternative::TwoSided, Look::Only) {
            Ok(t) => {
                found.t = Some([t.test.statistic, t.test.df, t.test.p]);
                found.t_interval = Some(t.interval);
            }
            Err(reason) => found.t_reason = Some(reason.to_string()),
        }
        let correlated = self.pairs.pearson(alpha).and_then(|r| Ok((r, self.ranks.spearman()?)));
        match correlated {
            Ok((pearson, spearman)) => {
                found.pearson = Some(pearson.r);
                found.pearson_interval = pearson.interval;
                found.spearman = Some(RankTest {
                    statistic: spearman.rho,
                    p: spearman.test.map(|t| t.p),
                    error: spearman.error,
                    pairs: self.pairs.count(),
                });
            }
            Err(reason) => found.correlation_reason = Some(reason.to_string()),
        }
        found.wilcoxon = wilcoxon(&self.ranks).ok();
        Some(found)
    }

    /// Takes in a difference that stands for `weight` of them.
    pub(super) fn take_difference(&mut self, difference: f64, bucket: usize, weight: f64) -> bool {
        if self.differences.weighed(0.0, difference, weight).is_err() {
            return false;
        }
        self.by_bucket.add(bucket, weight, weight * difference);
        self.bars.take(difference, weight);
        true
    }
}

fn wilcoxon(ranks: &Ranks) -> Result<RankTest, Reason> {
    let found = ranks.signed_rank(Alternative::TwoSided, Look::Only)?;
    Ok(RankTest { statistic: found.test.statistic, p: Some(found.test.p), error: found.error, pairs: found.pairs })
}

/// A number that has nothing to do with the order of things: splitmix64 (Steele, Lea and Flood 2014).
fn scrambled(of: u64) -> u64 {
    let mut x = of.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The histogram of differences: cut at what the first of them show, with what lies outside in the first and last bar.
#[derive(Clone, Debug, Default)]
pub(super) struct Bars {
    held: Vec<(f64, f64)>,
    from: f64,
    width: f64,
    counts: Vec<f64>,
}

impl Bars {
    fn take(&mut self, value: f64, weight: f64) {
        if self.counts.is_empty() {
            self.held.push((value, weight));
            if self.held.len() >= SEEN {
                self.cut();
            }
            return;
        }
        let at = ((value - self.from) / self.width).floor().clamp(0.0, (BARS - 1) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        if let Some(count) = self.counts.get_mut(at as usize) {
            *count += weight;
        }
    }

    fn cut(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        #[expect(clippy::integer_division, reason = "a rank")]
        let (low, high) = (held.get(held.len() / 200), held.get(held.len() - 1 - held.len() / 200));
        // Even bars with 0 in the middle of one.
        let reach = low.map_or(0.0, |v| v.0.abs()).max(high.map_or(0.0, |v| v.0.abs()));
        let reach = if reach > 0.0 { reach } else { 1.0 };
        self.width = 2.0 * reach / (BARS - 2) as f64;
        self.from = -self.width * 0.5 * BARS as f64;
        self.counts = vec![0.0; BARS];
        for (value, weight) in held {
            self.take(value, weight);
        }
    }

    /// Middles of the bars, and counts.
    pub(super) fn shown(&self) -> (Vec<f64>, Vec<f64>) {
        let mut bars = self.clone();
        if bars.counts.is_empty() {
            if bars.held.is_empty() {
                return (Vec::new(), Vec::new());
            }
            bars.cut();
        }
        let middles = (0..BARS).map(|bar| bars.from + bars.width * (bar as f64 + 0.5)).collect();
        (middles, bars.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_hold_every_difference_and_the_sample_is_of_all() {
        let mut sums = Sums::new(100);
        for i in 0..20_000_u32 {
            assert!(sums.take(f64::from(i), f64::from(i) + f64::from(i % 7) - 3.0, 0, 1.0));
        }
        let (middles, counts) = sums.bars.shown();
        assert_eq!(counts.iter().sum::<f64>(), 20_000.0);
        let zero = middles.iter().position(|m| m.abs() < 1e-9).unwrap();
        assert_eq!(counts[zero], 2_857.0);
        let points = sums.points();
        assert_eq!(points.len(), POINTS);
        let late = points.iter().filter(|p| p[0] >= 10_000.0).count();
        assert!((900..1_100).contains(&late), "{late}");
        assert!(!sums.take(f64::NAN, 1.0, 0, 1.0));
        assert!(Bars::default().shown().0.is_empty());
    }

    #[test]
    fn what_stands_for_more_is_as_much_more_likely_in_the_sample() {
        let mut sums = Sums::new(100);
        // Half of the records stand for nine each: nine tenths of the pairs.
        for i in 0..40_000_u32 {
            let heavy = i % 2 == 0;
            assert!(sums.take(f64::from(u8::from(heavy)), 0.5, 0, if heavy { 9.0 } else { 1.0 }));
        }
        let heavy = sums.points().iter().filter(|p| p[0] > 0.5).count();
        assert!((1_740..1_860).contains(&heavy), "{heavy} of {POINTS}");
        assert!((sums.pairs.means().unwrap().0 - 0.9).abs() < 1e-9);
        assert_eq!(sums.bars.shown().1.iter().sum::<f64>(), 200_000.0);
    }
}
