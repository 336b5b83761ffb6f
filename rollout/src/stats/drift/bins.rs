//! Bins of about the same content: what a population stability index is taken over.
//!
//! Histograms of latencies have eighty bins, most of them all but empty, and a stability index over those is noise. So neighbouring bins
//! are put together until each holds its part of the reference: deciles, by custom. The reference alone decides, so that the same
//! bins serve every later window.

use crate::stats::histogram::Histogram;
use crate::stats::reason::Reason;

/// Independent values that each bin should have for the asymptotic law of the noise (Cochran 1954).
pub const FEWEST_IN_BIN: f64 = 5.0;

/// Which of a histogram's bins go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    edges: Vec<f64>,
    /// For each bin of the histogram, in which bin it goes.
    of: Vec<usize>,
    len: usize,
}

impl Bins {
    /// At most `wanted` bins of about the same content in `reference`. A single bin that holds more stays whole, so there may be fewer.
    ///
    /// Degenerate: no data; fewer than two bins, which says nothing of a distribution.
    pub fn new(reference: &Histogram, wanted: usize) -> Result<Bins, Reason> {
        let total = reference.total();
        if total <= 0.0 {
            return Err(Reason::NoData("reference window"));
        }
        let each = total / wanted.max(2) as f64;
        let (mut of, mut at, mut inside, mut left) = (Vec::with_capacity(reference.counts().len()), 0, 0.0, total);
        for count in reference.counts() {
            // A bin that is full enough is closed before the next one that has anything, unless too little would be left over.
            if inside >= each * (1.0 - 1e-9) && *count > 0.0 && left >= 0.5 * each {
                at += 1;
                inside = 0.0;
            }
            of.push(at);
            inside += count;
            left -= count;
        }
        let len = at + 1;
        if len < 2 {
            return Err(Reason::TooFew { what: "bins with data", have: len as f64, need: 2.0 });
        }
        Ok(Bins { edges: reference.edges().to_vec(), of, len })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none; there always are two or more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Their upper edges; `None` of one that has no end.
    #[must_use]
    pub fn upper_edges(&self) -> Vec<Option<f64>> {
        let last = |bin: usize| self.of.iter().rposition(|of| *of == bin).and_then(|at| self.edges.get(at)).copied();
        (0..self.len).map(last).collect()
    }

    /// Counts of the histogram's bins, in these bins.
    #[must_use]
    pub fn put_together(&self, counts: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.len];
        for (bin, count) in self.of.iter().zip(counts) {
            if let Some(sum) = out.get_mut(*bin) {
                *sum += count;
            }
        }
        out
    }

    /// The counts of a histogram with the reference's edges, in these bins.
    pub fn counts(&self, of: &Histogram) -> Result<Vec<f64>, Reason> {
        if of.edges() != self.edges {
            return Err(Reason::EdgesDiffer);
        }
        Ok(self.put_together(of.counts()))
    }
}
