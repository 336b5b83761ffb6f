//! Cumulative histograms, as Envoy and Prometheus keep them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Values counted by upper bounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// Upper bounds of the buckets, rising, without infinity; one list may serve many histograms. Microseconds for times.
    pub bounds: Arc<[f64]>,
    /// For each bound, how many values were at most that; as long as `bounds`.
    pub cumulative: Vec<u64>,
    /// How many values there were, those above the last bound included.
    pub count: u64,
    /// Their sum; 0 when it is not known.
    pub sum: f64,
}

impl Histogram {
    /// Whether it may follow `before` in one life of a proxy: the same bounds, and nothing fell.
    pub(super) fn follows(&self, before: &Self) -> bool {
        before.count == 0
            || (self.count >= before.count
                && self.cumulative.len() == before.cumulative.len()
                && self.cumulative.iter().zip(&before.cumulative).all(|(now, then)| now >= then))
    }

    /// Whether the bounds are the same, but for what a way through JSON may do to their last digits.
    pub(crate) fn same_bounds(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bounds, &other.bounds)
            || (self.bounds.len() == other.bounds.len()
                && self.bounds.iter().zip(other.bounds.iter()).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs()))
    }

    /// Adds `now - before`; `before` is none after a restart. A histogram with other bounds than those collected so far is left
    /// out: proxies of one target share their bounds.
    pub(super) fn add(&mut self, now: &Self, before: Option<&Self>) {
        if now.count == 0 || now.cumulative.len() != now.bounds.len() {
            return;
        }
        if self.bounds.is_empty() {
            self.bounds = Arc::clone(&now.bounds);
            self.cumulative = vec![0; now.bounds.len()];
        }
        if !self.same_bounds(now) {
            return;
        }
        // Bounds that went through JSON may differ in their last digit, and are a list of their own.
        if !Arc::ptr_eq(&self.bounds, &now.bounds) {
            self.bounds = Arc::clone(&now.bounds);
        }
        let before = before.filter(|b| b.cumulative.len() == now.cumulative.len());
        for (at, total) in self.cumulative.iter_mut().enumerate() {
            let then = before.and_then(|b| b.cumulative.get(at)).copied().unwrap_or(0);
            *total += now.cumulative.get(at).copied().unwrap_or(0).saturating_sub(then);
        }
        self.count += now.count.saturating_sub(before.map_or(0, |b| b.count));
        let sum = now.sum - before.map_or(0.0, |b| b.sum);
        if sum.is_finite() && sum > 0.0 {
            self.sum += sum;
        }
    }

    /// The `q`-quantile (0 < q < 1) by straight lines within buckets, as Prometheus does, with the width of its bucket, which
    /// bounds the error. None when empty or when it lies above the last bound.
    pub fn quantile(&self, q: f64) -> Option<(f64, f64)> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let rank = q * self.count as f64;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let at = self.cumulative.partition_point(|c| (*c as f64) < rank);
        let high_bound = *self.bounds.get(at)?;
        let high = *self.cumulative.get(at)?;
        let (low_bound, low) = match at.checked_sub(1) {
            Some(below) => (*self.bounds.get(below)?, *self.cumulative.get(below)?),
            None => (0.0, 0),
        };
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
        let part = if high > low { (rank - low as f64) / (high - low) as f64 } else { 1.0 };
        Some((low_bound + part.clamp(0.0, 1.0) * (high_bound - low_bound), high_bound - low_bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(cumulative: &[u64], count: u64) -> Histogram {
        let bounds: Vec<f64> = (1..=cumulative.len()).map(|b| b as f64 * 10.0).collect();
        Histogram { bounds: bounds.into(), cumulative: cumulative.to_vec(), count, sum: 0.0 }
    }

    #[test]
    fn quantiles_lie_on_lines_within_buckets() {
        let h = histogram(&[10, 20, 90, 100], 100);
        assert_eq!(h.quantile(0.5), Some((20.0 + 10.0 * 30.0 / 70.0, 10.0)));
        assert_eq!(h.quantile(0.05), Some((5.0, 10.0)));
        assert_eq!(h.quantile(0.9), Some((30.0, 10.0)));
        assert_eq!(histogram(&[0, 1], 100).quantile(0.5), None, "above the last bound nothing is known");
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn increments_add_up_and_a_restart_counts_from_nothing() {
        let bounds: Arc<[f64]> = [10.0, 20.0].into();
        let h = |cumulative: [u64; 2], count| Histogram {
            bounds: Arc::clone(&bounds),
            cumulative: cumulative.into(),
            count,
            sum: 0.0,
        };
        let mut total = Histogram::default();
        total.add(&h([5, 9], 10), Some(&h([1, 2], 3)));
        total.add(&h([1, 1], 2), None);
        assert_eq!((total.cumulative.clone(), total.count), (vec![5, 8], 9));
        let through_json = |b: &f64| b * (1.0 + f64::EPSILON);
        let mut read_back = h([5, 9], 10);
        read_back.bounds = bounds.iter().map(through_json).collect();
        read_back.add(&h([1, 1], 2), None);
        assert_eq!((read_back.count, Arc::ptr_eq(&read_back.bounds, &bounds)), (12, true));
        assert!(h([5, 9], 10).follows(&h([5, 9], 10)) && !h([5, 8], 10).follows(&h([5, 9], 10)));
    }
}
