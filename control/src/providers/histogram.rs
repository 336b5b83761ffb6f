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
    pub(super) fn shared(&self, bounds: &[f64]) -> Arc<[f64]> {
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

/// The bounds of a page's last histogram, as they stand there: the next one mostly has the same.
#[derive(Default)]
pub(super) struct Ladder<'t> {
    texts: Vec<&'t str>,
    bounds: Arc<[f64]>,
}

/// A histogram whose buckets are being read.
pub(super) struct Open<'t> {
    /// Its lines, up to the bound.
    pub(super) head: &'t str,
    pub(super) series: &'t str,
    pub(super) labels: Labels<'t>,
    cumulative: Vec<u64>,
    count: u64,
    /// Its bounds, once they are others than the ladder's.
    own: Vec<(&'t str, f64)>,
}

impl<'t> Open<'t> {
    pub(super) fn new(head: &'t str, series: &'t str, labels: Labels<'t>, ladder: &Ladder<'t>) -> Self {
        let cumulative = Vec::with_capacity(ladder.texts.len());
        Self { head, series, labels, cumulative, count: 0, own: Vec::new() }
    }

    /// The next bucket. The ladder is the same one for all of them.
    pub(super) fn take(&mut self, le: &'t str, value: f64, ladder: &Ladder<'t>) {
        let known = ladder.texts.get(self.cumulative.len()).is_some_and(|known| *known == le);
        if known && self.own.is_empty() {
            self.cumulative.push(whole(value));
        } else if le == "+Inf" {
            self.count = whole(value);
        } else if let Some(bound) = exposition::number(le) {
            if self.own.is_empty() {
                self.own.extend(
                    ladder.texts.iter().copied().zip(ladder.bounds.iter().copied()).take(self.cumulative.len()),
                );
            }
            self.own.push((le, bound));
            self.cumulative.push(whole(value));
        }
    }

    /// All of it. Its bounds are the ladder's from here on.
    pub(super) fn histogram(self, bounds: &Bounds, ladder: &mut Ladder<'t>) -> Histogram {
        if !self.own.is_empty() {
            let (texts, own): (Vec<&str>, Vec<f64>) = self.own.into_iter().unzip();
            *ladder = Ladder { texts, bounds: bounds.shared(&own) };
        } else if self.cumulative.len() < ladder.texts.len() {
            ladder.texts.truncate(self.cumulative.len());
            ladder.bounds = bounds.shared(ladder.bounds.get(..self.cumulative.len()).unwrap_or_default());
        }
        Histogram { bounds: Arc::clone(&ladder.bounds), cumulative: self.cumulative, count: self.count, sum: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_histogram_has_its_own_bounds_whatever_the_one_before_had() {
        let (bounds, mut ladder) = (Bounds::default(), Ladder::default());
        let labels = exposition::sample("a{} 1").unwrap().labels;
        let mut read = |buckets: &[&'static str]| {
            let mut open = Open::new("", "a", labels, &ladder);
            for (le, count) in buckets.iter().zip(1_u32..) {
                open.take(le, f64::from(count), &ladder);
            }
            let found = open.histogram(&bounds, &mut ladder);
            assert_eq!(found.cumulative.len(), found.bounds.len());
            (found.bounds, found.cumulative, found.count)
        };
        let of = |list: &[f64]| list.to_vec();
        let first = read(&["0.5", "1", "+Inf"]);
        assert_eq!((first.0.to_vec(), first.1.as_slice(), first.2), (of(&[0.5, 1.0]), [1, 2].as_slice(), 3));
        assert!(Arc::ptr_eq(&first.0, &read(&["0.5", "1", "+Inf"]).0), "kept once");
        assert_eq!(read(&["0.5", "2", "4", "+Inf"]).0.to_vec(), of(&[0.5, 2.0, 4.0]), "others from the second on");
        assert_eq!(read(&["0.5", "2", "+Inf"]).0.to_vec(), of(&[0.5, 2.0]), "fewer");
        assert_eq!(read(&["0.5", "2", "8", "+Inf"]).0.to_vec(), of(&[0.5, 2.0, 8.0]), "more");
        assert_eq!(read(&["3", "odd", "5"]).0.to_vec(), of(&[3.0, 5.0]), "what is no number is passed over");
        assert_eq!(read(&["+Inf"]), (Arc::from([]), vec![], 1));
        assert!(Arc::ptr_eq(&first.0, &read(&["0.5", "1"]).0));
    }
}
