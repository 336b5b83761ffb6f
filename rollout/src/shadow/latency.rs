//! Is the shadow's p95 no higher than it may be? One look, with bounds from order statistics.

use crate::stats::{design, normal};

use super::verdict::Timings;

/// Bounds of a quantile at confidence `1 - alpha`: the quantiles at the ends of the interval of its share (Woodruff 1952, JASA 47), values within a bin of the
/// histogram taken to be spread evenly. `effect`: design effect; `buckets`: of users, from which the design effect was estimated; 0: it is known. An upper bound
/// above the histogram's last edge is none, and then there are no bounds.
pub(super) fn bounds(of: &Timings, q: f64, effect: f64, buckets: usize, alpha: f64) -> Option<[f64; 2]> {
    let worth = of.histogram.total() / (effect.max(1.0) * design::margin(buckets, 0.5 * alpha));
    let half = normal::isf(0.5 * alpha) * (q * (1.0 - q) / worth).sqrt();
    let at = |q: f64| match &of.fine {
        Some(fine) => fine.quantile(q),
        None => of.histogram.quantile(q.max(1e-9)).ok().map(|reading| reading.value),
    };
    if q + half >= 1.0 {
        return None;
    }
    Some([at(q - half)?, at(q + half)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::Histogram;

    fn timings(of_each: f64) -> Timings {
        let edges: Vec<f64> = (1..=100).map(f64::from).collect();
        let counts = std::iter::repeat_n(of_each, 100).chain([0.0]).collect();
        Timings { histogram: Histogram::new(edges, counts).unwrap(), fine: None, p95: Some(95.0), effect: 1.0 }
    }

    #[test]
    fn bounds_are_those_of_the_share() {
        // Uniform up to 100: the quantile is the share. 1.95996 * sqrt(0.95 * 0.05 / 10,000) = 0.0042717
        let [low, high] = bounds(&timings(100.0), 0.95, 1.0, 0, 0.05).unwrap();
        assert!((low - 94.572_83).abs() < 1e-4 && (high - 95.427_17).abs() < 1e-4, "{low} {high}");
        let [low, high] = bounds(&timings(400.0), 0.95, 4.0, 0, 0.05).unwrap();
        assert!((low - 94.572_83).abs() < 1e-4 && (high - 95.427_17).abs() < 1e-4, "{low} {high}");
        let estimated = bounds(&timings(100.0), 0.95, 1.0, 32, 0.05).unwrap();
        assert!(estimated[1] > high);
        assert_eq!(bounds(&timings(0.5), 0.95, 1.0, 0, 0.05), None);
    }
}
