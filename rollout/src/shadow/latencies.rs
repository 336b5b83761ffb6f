//! Latencies in constant memory: a histogram whose bins are 1/128 of a power of two wide, so that any quantile is within 0.8 %.

use crate::stats::histogram::Histogram;

/// Bins in a doubling.
const PER_OCTAVE: usize = 128;
/// From 1 microsecond to 2^41 (25 days).
const OCTAVES: usize = 41;

/// Latencies, microseconds.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<f64>,
    total: f64,
    sum: f64,
    squares: f64,
    most: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0.0; PER_OCTAVE * OCTAVES + 1], total: 0.0, sum: 0.0, squares: 0.0, most: 0.0 }
    }
}

impl Latencies {
    /// How far a quantile may be off, as a part of it.
    pub const PRECISION: f64 = 1.0 / 128.0;

    /// Takes in a latency that stands for `weight` of them. What is not a latency (negative, not finite) is left out.
    pub fn take(&mut self, micros: f64, weight: f64) {
        if !(micros.is_finite() && micros >= 0.0) {
            return;
        }
        if let Some(count) = self.counts.get_mut(bin(micros)) {
            *count += weight;
        }
        self.total += weight;
        self.sum += weight * micros;
        self.squares += weight * micros * micros;
        self.most = self.most.max(micros);
    }

    /// How many.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The largest.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.most
    }

    /// How many lie above a latency, to within a bin.
    #[must_use]
    pub fn above(&self, micros: f64) -> f64 {
        self.counts.iter().skip(bin(micros.max(0.0)) + 1).sum()
    }

    /// Variance of single latencies.
    #[must_use]
    pub fn variance(&self) -> f64 {
        if self.total <= 0.0 {
            return 0.0;
        }
        let mean = self.sum / self.total;
        (self.squares / self.total - mean * mean).max(0.0)
    }

    /// The `q` quantile, within [`Self::PRECISION`]; `None` without latencies.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.total <= 0.0 {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * self.total;
        let mut below = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            if *count > 0.0 {
                below += count;
                if below >= wanted {
                    return Some((0.5 * (edge(bin) + lower(bin))).min(self.most));
                }
            }
        }
        Some(self.most)
    }

    /// As a histogram with edges, eight of them in a doubling: for bounds.
    #[must_use]
    pub fn histogram(&self) -> Histogram {
        const COARSER: usize = 16;
        let groups = self.counts.chunks(COARSER);
        let mut counts: Vec<f64> = groups.map(|group| group.iter().sum()).collect();
        #[expect(clippy::integer_division, reason = "whole groups")]
        let edges: Vec<f64> =
            (0..PER_OCTAVE * OCTAVES / COARSER).map(|group| edge(group * COARSER + COARSER - 1)).collect();
        counts.resize(edges.len() + 1, 0.0);
        Histogram::new(edges, counts).unwrap_or_default()
    }
}

/// The bin of a latency. Bits of a double are its logarithm in pieces: exponent, then the first seven digits.
fn bin(micros: f64) -> usize {
    let bits = (micros.max(1.0)).to_bits();
    let first = 1.0_f64.to_bits() >> 45;
    usize::try_from((bits >> 45) - first).unwrap_or(usize::MAX).min(PER_OCTAVE * OCTAVES)
}

/// Lower edge of a bin.
fn lower(bin: usize) -> f64 {
    f64::from_bits(((1.0_f64.to_bits() >> 45) + bin as u64) << 45)
}

/// Upper edge of a bin.
fn edge(bin: usize) -> f64 {
    lower(bin + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_the_precision() {
        let mut latencies = Latencies::default();
        let mut values: Vec<f64> = (0..10_000).map(|i| 100.0 + f64::from(i * 7_919 % 10_000) * 13.0).collect();
        values.iter().for_each(|v| latencies.take(*v, 1.0));
        values.sort_by(f64::total_cmp);
        for q in [0.01, 0.5, 0.9, 0.95, 0.99, 1.0] {
            let truth = values[(q * 10_000.0) as usize - 1];
            let found = latencies.quantile(q).unwrap();
            assert!((found / truth - 1.0).abs() <= Latencies::PRECISION, "{q}: {found} {truth}");
        }
        assert!((latencies.histogram().total() - 10_000.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_latency_is_left_out() {
        let mut latencies = Latencies::default();
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            latencies.take(odd, 1.0);
        }
        assert_eq!((latencies.total(), latencies.quantile(0.5)), (0.0, None));
        latencies.take(0.0, 1.0);
        latencies.take(1e300, 1.0);
        assert_eq!(latencies.total(), 2.0);
        assert!(latencies.histogram().total() == 2.0);
    }
}
