//! What people said of disagreements: how often the shadow was right, and whether that may be chance.

use super::findings::{Estimate, Labelled};
use super::observed::Right;
use crate::stats::fixed::intervals::wilson;
use crate::stats::fixed::proportions::Proportion;

impl Labelled {
    /// Counts a label.
    pub fn count(&mut self, right: Right) {
        self.found += 1;
        match right {
            Right::Primary => self.primary += 1,
            Right::Shadow => self.shadow += 1,
            Right::Both => self.both += 1,
            Right::Neither => self.neither += 1,
        }
    }

    /// With the share of the shadow and its p-value, at confidence `1 - alpha`.
    #[must_use]
    pub fn judged(self, alpha: f64) -> Self {
        said(self, alpha)
    }
}

/// The labels' shares: Wilson's interval, and McNemar's exact test (1947, Psychometrika 12).
fn said(mut labelled: Labelled, alpha: f64) -> Labelled {
    #[expect(clippy::cast_precision_loss, reason = "what people can look at")]
    let (shadow, decided) = (labelled.shadow as f64, (labelled.shadow + labelled.primary) as f64);
    match Proportion::new(shadow, decided).and_then(|of| Ok((of.rate(), wilson(of, alpha)?))) {
        Ok((value, [low, high])) => {
            labelled.shadow_share =
                Estimate { value: Some(value), low: Some(low), high: Some(high), ..Estimate::default() };
            labelled.p = Some(even(shadow.min(decided - shadow), decided));
        }
        Err(reason) => labelled.shadow_share.reason = Some(reason.to_string()),
    }
    labelled
}

/// Two-sided chance of at most `fewer` of `n` with probability a half each.
fn even(fewer: f64, n: f64) -> f64 {
    use statrs::function::beta::beta_reg;
    if 2.0 * fewer >= n {
        return 1.0;
    }
    (2.0 * beta_reg(n - fewer, fewer + 1.0, 0.5)).min(1.0)
}
