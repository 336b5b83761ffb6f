//! The numbers of pairs: their statistics, and what charts show of them, in constant memory.

use crate::stats::Arm;
use crate::stats::paired::{Pairs, Ranks};

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
    /// A sample of pairs, each equally likely to be in it (Vitter 1985, algorithm R).
    pub(super) points: Vec<[f64; 2]>,
    pub(super) bars: Bars,
    seen: u64,
}

impl Sums {
    pub(super) fn new(exact: usize) -> Self {
        Self {
            pairs: Pairs::default(),
            ranks: Ranks::new(exact),
            by_bucket: Arm::default(),
            differences: Pairs::default(),
            points: Vec::new(),
            bars: Bars::default(),
            seen: 0,
        }
    }

    /// Takes in two numbers; what is not finite is left out, and `false`.
    pub(super) fn take(&mut self, x: f64, y: f64, bucket: usize) -> bool {
        if self.pairs.push(x, y).is_err() {
            return false;
        }
        let _known = self.ranks.push(x, y);
        self.seen += 1;
        if self.points.len() < POINTS {
            self.points.push([x, y]);
        } else {
            let at = scrambled(self.seen) % self.seen;
            if let Some(slot) = usize::try_from(at).ok().and_then(|at| self.points.get_mut(at)) {
                *slot = [x, y];
            }
        }
        self.difference(y - x, bucket)
    }

    /// Takes in a difference alone.
    pub(super) fn take_difference(&mut self, difference: f64, bucket: usize) -> bool {
        self.difference(difference, bucket)
    }

    fn difference(&mut self, difference: f64, bucket: usize) -> bool {
        if self.differences.push(0.0, difference).is_err() {
            return false;
        }
        self.by_bucket.add(bucket, 1.0, difference);
        self.bars.take(difference);
        true
    }
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
    held: Vec<f64>,
    from: f64,
    width: f64,
    counts: Vec<u64>,
}

impl Bars {
    fn take(&mut self, value: f64) {
        if self.counts.is_empty() {
            self.held.push(value);
            if self.held.len() >= SEEN {
                self.cut();
            }
            return;
        }
        let at = ((value - self.from) / self.width).floor().clamp(0.0, (BARS - 1) as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        if let Some(count) = self.counts.get_mut(at as usize) {
            *count += 1;
        }
    }

    fn cut(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable_by(f64::total_cmp);
        #[expect(clippy::integer_division, reason = "a rank")]
        let (low, high) = (held.get(held.len() / 200).copied(), held.get(held.len() - 1 - held.len() / 200).copied());
        // Even bars with 0 in the middle of one.
        let reach = low.unwrap_or(0.0).abs().max(high.unwrap_or(0.0).abs());
        let reach = if reach > 0.0 { reach } else { 1.0 };
        self.width = 2.0 * reach / (BARS - 2) as f64;
        self.from = -self.width * 0.5 * BARS as f64;
        self.counts = vec![0; BARS];
        for value in held {
            self.take(value);
        }
    }

    /// Middles of the bars, and counts.
    pub(super) fn shown(&self) -> (Vec<f64>, Vec<u64>) {
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
            assert!(sums.take(f64::from(i), f64::from(i) + f64::from(i % 7) - 3.0, 0));
        }
        let (middles, counts) = sums.bars.shown();
        assert_eq!(counts.iter().sum::<u64>(), 20_000);
        let zero = middles.iter().position(|m| m.abs() < 1e-9).unwrap();
        assert_eq!(counts[zero], 2_857);
        assert_eq!(sums.points.len(), POINTS);
        let late = sums.points.iter().filter(|p| p[0] >= 10_000.0).count();
        assert!((900..1_100).contains(&late), "{late}");
        assert!(!sums.take(f64::NAN, 1.0, 0));
        assert!(Bars::default().shown().0.is_empty());
    }
}
