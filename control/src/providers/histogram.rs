//! Histograms as pages of statistics tell them: bucket by bucket, with bounds that all proxies of a target share.

use std::sync::{Arc, Mutex, PoisonError};

use headgate_rollout::measure::Histogram;

use super::envoy::whole;
use crate::exposition::{self, Labels};

/// The bounds of histograms, kept once for all proxies.
#[derive(Debug, Default)]
pub(crate) struct Bounds(Mutex<Vec<Arc<[f64]>>>);

impl Bounds {
    /// The same bounds, kept once.
    fn shared(&self, bounds: &[f64]) -> Arc<[f64]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.iter().find(|k| &***k == bounds) {
            return Arc::clone(same);
        }
        // Proxies of a target share theirs; whoever sends others each time gets no memory for it.
        if known.len() > 16 {
            known.clear();
        }
        let new: Arc<[f64]> = bounds.into();
        known.push(Arc::clone(&new));
        new
    }
}

/// A histogram whose buckets are being read.
pub(super) struct Open<'t> {
    pub(super) series: &'t str,
    pub(super) labels: Labels<'t>,
    bounds: Vec<f64>,
    cumulative: Vec<u64>,
    count: u64,
}

impl<'t> Open<'t> {
    pub(super) fn new(series: &'t str, labels: Labels<'t>) -> Self {
        Self { series, labels, bounds: Vec::new(), cumulative: Vec::new(), count: 0 }
    }

    /// The next bucket.
    pub(super) fn take(&mut self, le: &str, value: f64) {
        if le == "+Inf" {
            self.count = whole(value);
        } else if let Some(bound) = exposition::number(le) {
            self.bounds.push(bound);
            self.cumulative.push(whole(value));
        }
    }

    /// All of it, with bounds in another unit.
    pub(super) fn histogram(self, bounds: &Bounds, factor: f64) -> Histogram {
        let scaled: Vec<f64> = self.bounds.iter().map(|b| b * factor).collect();
        Histogram { bounds: bounds.shared(&scaled), cumulative: self.cumulative, count: self.count, sum: 0.0 }
    }
}
