//! Histograms of latencies: counts between fixed edges, which add up.
//!
//! A histogram knows between which edges a value lies and no more, so it gives exact counts above an edge, and quantiles only
//! by interpolation within a bin; the bin's edges are given along with it as the error.

use serde::{Deserialize, Serialize};

use super::reason::{Reason, counted, probability};

/// Counts of values by bin: bin `i` holds values above `edges[i-1]` and up to `edges[i]`; one more holds those above the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    edges: Vec<f64>,
    counts: Vec<f64>,
}

/// A quantile read from a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Linear interpolation within the bin.
    pub value: f64,
    /// The bin's lower edge: the true sample quantile is above it.
    pub low: f64,
    /// The bin's upper edge.
    pub high: f64,
}

impl Histogram {
    /// From rising upper edges and one more count than edges (the last is the overflow). Counts need not be whole.
    pub fn new(edges: Vec<f64>, counts: Vec<f64>) -> Result<Histogram, Reason> {
        if counts.len() != edges.len() + 1 {
            return Err(Reason::LengthsDiffer { left: edges.len() + 1, right: counts.len() });
        }
        if edges.iter().any(|edge| !edge.is_finite()) {
            return Err(Reason::NotFinite("an edge"));
        }
        if edges.windows(2).any(|pair| pair.first() >= pair.last()) {
            let value = edges.first().copied().unwrap_or(0.0);
            return Err(Reason::OutOfRange {
                what: "the first edge",
                value,
                allowed: "followed by larger and larger ones",
            });
        }
        for count in &counts {
            counted("a bin's count", *count)?;
        }
        Ok(Histogram { edges, counts })
    }

    /// From Prometheus' cumulative counts: `le` edges without `+Inf`, and counts at or below each, then the total.
    pub fn from_cumulative(edges: Vec<f64>, cumulative: &[f64]) -> Result<Histogram, Reason> {
        let mut last = 0.0;
        let mut counts = Vec::with_capacity(cumulative.len());
        for count in cumulative {
            counts.push(count - last);
            last = *count;
        }
        Histogram::new(edges, counts)
    }

    /// Upper edges, without the infinite one.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Counts by bin, the overflow last.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// How many values.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Adds another histogram of the same edges.
    pub fn merge(&mut self, other: &Histogram) -> Result<(), Reason> {
        if self.counts.is_empty() {
            *self = other.clone();
            return Ok(());
        }
        if self.edges != other.edges {
            return Err(Reason::EdgesDiffer);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Ok(())
    }

    /// How many values lie at or below each edge.
    #[must_use]
    pub fn cumulative(&self) -> Vec<f64> {
        let mut sum = 0.0;
        self.counts
            .iter()
            .map(|count| {
                sum += count;
                sum
            })
            .take(self.edges.len())
            .collect()
    }

    /// The `q` quantile by linear interpolation within its bin, as Prometheus' `histogram_quantile` does; the first bin begins
    /// at 0 if its edge is positive. Degenerate: [`Reason::NoData`], and [`Reason::Overflow`] above the last edge.
    pub fn quantile(&self, q: f64) -> Result<Reading, Reason> {
        probability("the quantile", q)?;
        let total = self.total();
        if total <= 0.0 {
            return Err(Reason::NoData("histogram"));
        }
        let (rank, mut below) = (q * total, 0.0);
        let mut low = self.edges.first().map_or(0.0, |edge| edge.min(0.0));
        for (edge, count) in self.edges.iter().zip(&self.counts) {
            if below + count >= rank && *count > 0.0 {
                return Ok(Reading { value: low + (edge - low) * (rank - below) / count, low, high: *edge });
            }
            below += count;
            low = *edge;
        }
        Err(Reason::Overflow { last_edge: low })
    }

    /// Variance of one value, each taken for its bin's middle (the overflow for the last edge): rough, for design effects.
    /// 0 without data.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mut low = 0.0;
        let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let middles = self.edges.iter().map(|edge| {
            let middle = 0.5 * (low + edge);
            low = *edge;
            middle
        });
        let last = self.edges.last().copied().unwrap_or(0.0);
        for (middle, count) in middles.chain([last]).zip(&self.counts) {
            total += count;
            sum += count * middle;
            squares += count * middle * middle;
        }
        if total > 0.0 { (squares / total - (sum / total).powi(2)).max(0.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated_and_say_their_error() {
        let histogram = Histogram::from_cumulative(vec![10.0, 50.0, 100.0], &[50.0, 90.0, 98.0, 100.0]).unwrap();
        assert_eq!(histogram.quantile(0.5).unwrap(), Reading { value: 10.0, low: 0.0, high: 10.0 });
        assert_eq!(histogram.quantile(0.7).unwrap(), Reading { value: 30.0, low: 10.0, high: 50.0 });
        assert_eq!(histogram.quantile(0.99), Err(Reason::Overflow { last_edge: 100.0 }));
    }

    #[test]
    fn what_is_no_histogram() {
        assert!(matches!(Histogram::new(vec![1.0], vec![1.0]), Err(Reason::LengthsDiffer { .. })));
        assert!(matches!(Histogram::new(vec![2.0, 1.0], vec![1.0; 3]), Err(Reason::OutOfRange { .. })));
        assert!(matches!(Histogram::new(vec![1.0], vec![1.0, -1.0]), Err(Reason::Negative(_))));
        assert_eq!(Histogram::new(vec![1.0], vec![0.0, 0.0]).unwrap().quantile(0.5), Err(Reason::NoData("histogram")));
        let mut one = Histogram::new(vec![1.0], vec![1.0, 0.0]).unwrap();
        assert_eq!(one.merge(&Histogram::new(vec![2.0], vec![1.0, 0.0]).unwrap()), Err(Reason::EdgesDiffer));
    }
}
