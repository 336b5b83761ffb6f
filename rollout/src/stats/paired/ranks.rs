//! Rank statistics of any number of pairs in bounded memory: exact up to a limit, binned beyond with a bound on the error.
//!
//! Up to the limit pairs are held as they are. Then the axes are cut at the quantiles of what is held, every pair goes into a bin, and
//! those bins are all that is kept.

use super::super::fixed::{Alternative, Look, Test};
use super::super::reason::Reason;
use super::binned::Binned;
use super::{signed, spearman};

/// A rank correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// In [-1, 1].
    pub rho: f64,
    /// Between which values the exact rho lies, when it was binned.
    pub error: Option<[f64; 2]>,
    /// Test of no correlation; `None` where it has no degrees of freedom or the correlation is perfect.
    pub test: Option<Test>,
}

/// A signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// The sum of the ranks of positive differences, and its p-value.
    pub test: Test,
    /// Differences other than 0.
    pub pairs: f64,
    /// Differences of 0, which are left out.
    pub zeros: f64,
    /// Between which values the exact p-value lies, when it was binned.
    pub error: Option<[f64; 2]>,
}

/// Pairs `(x, y)`, for their ranks; each may stand for several.
#[derive(Clone, Debug)]
pub struct Ranks {
    limit: usize,
    held: Vec<(f64, f64, f64)>,
    binned: Option<Box<Binned>>,
}

impl Ranks {
    /// Holds up to `limit` pairs as they are (24 bytes each), at least 2.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(2), held: Vec::new(), binned: None }
    }

    /// Takes in a pair that stands for itself.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], and then nothing changes.
    pub fn push(&mut self, x: f64, y: f64) -> Result<(), Reason> {
        self.weighed(x, y, 1.0)
    }

    /// Takes in a pair that stands for `weight` of them.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], also of a weight that is not above 0; and then nothing changes.
    pub fn weighed(&mut self, x: f64, y: f64, weight: f64) -> Result<(), Reason> {
        if !(x.is_finite() && y.is_finite() && (y - x).is_finite()) {
            return Err(Reason::NotFinite("a value of a pair"));
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Reason::NotFinite("a weight"));
        }
        if let Some(binned) = &mut self.binned {
            binned.take(x, y, weight);
            return Ok(());
        }
        self.held.push((x, y, weight));
        if self.held.len() > self.limit {
            let held = std::mem::take(&mut self.held);
            self.binned = Some(Box::new(Binned::of(&held)));
        }
        Ok(())
    }

    /// Whether results are binned.
    #[must_use]
    pub fn is_binned(&self) -> bool {
        self.binned.is_some()
    }

    /// Spearman's rho; beyond the limit with its error.
    ///
    /// # Errors
    /// As [`fn@super::spearman`].
    pub fn spearman(&self) -> Result<Correlation, Reason> {
        self.binned.as_ref().map_or_else(|| spearman::weighed(&self.held), |binned| binned.spearman())
    }

    /// Wilcoxon's signed-rank test of `y - x`; beyond the limit with the error of its p-value.
    ///
    /// # Errors
    /// As [`fn@super::signed_rank`].
    pub fn signed_rank(&self, alternative: Alternative, look: Look) -> Result<SignedRank, Reason> {
        match &self.binned {
            None => signed::weighed(self.held.iter().map(|(x, y, weight)| (y - x, *weight)), alternative, look),
            Some(binned) => binned.signed_rank(alternative, look),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs with correlation, ties and differences of 0, always the same.
    fn pairs(n: u64) -> impl Iterator<Item = (f64, f64)> {
        (0..n).map(|i| {
            let hash = |k: u64| {
                let mut x =
                    (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(k.wrapping_mul(0xD1B5_4A32_D192_ED03));
                x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
            };
            let x = if hash(1) < 0.2 { (hash(2) * 10.0).floor() } else { hash(2) * 10.0 };
            (x, if hash(3) < 0.3 { x } else { x + hash(4) - 0.49 })
        })
    }

    #[test]
    fn the_exact_value_lies_within_the_error_of_the_binned_one() {
        let mut exact = Ranks::new(usize::MAX);
        let mut binned = Ranks::new(2_000);
        for (x, y) in pairs(40_000) {
            exact.push(x, y).unwrap();
            binned.push(x, y).unwrap();
        }
        assert!(binned.is_binned() && !exact.is_binned());
        let (truth, found) = (exact.spearman().unwrap(), binned.spearman().unwrap());
        let [low, high] = found.error.unwrap();
        assert!(low <= truth.rho && truth.rho <= high && high - low < 0.003, "{truth:?} {found:?}");
        assert!((truth.rho - found.rho).abs() < 1e-3);
        let (truth, found) = (
            exact.signed_rank(Alternative::TwoSided, Look::Only).unwrap(),
            binned.signed_rank(Alternative::TwoSided, Look::Only).unwrap(),
        );
        let [low, high] = found.error.unwrap();
        assert!(low <= truth.test.p && truth.test.p <= high, "{truth:?} {found:?}");
        assert_eq!((truth.pairs, truth.zeros), (found.pairs, found.zeros));
        assert!(truth.zeros > 10_000.0 && high - low < 0.5);
    }

    #[test]
    fn a_few_values_are_exact_however_many_pairs() {
        let mut exact = Ranks::new(usize::MAX);
        let mut binned = Ranks::new(1_000);
        for (x, y) in pairs(30_000) {
            exact.push(x.floor(), y.floor()).unwrap();
            binned.push(x.floor(), y.floor()).unwrap();
        }
        let (truth, found) = (exact.spearman().unwrap(), binned.spearman().unwrap());
        let [low, high] = found.error.unwrap();
        assert!((truth.rho - found.rho).abs() < 1e-9 && high - low < 1e-9, "{truth:?} {found:?}");
        let (truth, found) = (
            exact.signed_rank(Alternative::Greater, Look::Only).unwrap(),
            binned.signed_rank(Alternative::Greater, Look::Only).unwrap(),
        );
        assert!((truth.test.p - found.test.p).abs() < 1e-12, "{truth:?} {found:?}");
    }

    /// Each pair is kept with a chance that depends on what it is, and stands for as many as it then should.
    #[test]
    fn weights_stand_for_the_pairs_that_were_not_kept() {
        // Whole weights, so that all can be repeated as often: what comes of the repeated ones is what weights must come to.
        let kept: Vec<(f64, f64, f64)> =
            pairs(6_000).zip(0_u32..).map(|((x, y), i)| (x, y, f64::from(1 + i % 3 * u32::from(x != y)))).collect();
        let (mut exact, mut binned, mut repeated) = (Ranks::new(usize::MAX), Ranks::new(500), Ranks::new(usize::MAX));
        for (x, y, weight) in &kept {
            exact.weighed(*x, *y, *weight).unwrap();
            binned.weighed(*x, *y, *weight).unwrap();
            (0..*weight as u32).for_each(|_| repeated.push(*x, *y).unwrap());
        }
        let (truth, weighed, rough) =
            (repeated.spearman().unwrap(), exact.spearman().unwrap(), binned.spearman().unwrap());
        assert!((truth.rho - weighed.rho).abs() < 1e-12, "{truth:?} {weighed:?}");
        let [low, high] = rough.error.unwrap();
        assert!(low <= weighed.rho && weighed.rho <= high && high - low < 0.01, "{rough:?}");
        // The test knows that there are fewer pairs than they stand for.
        assert!(weighed.test.unwrap().df < 6_000.0 && truth.test.unwrap().df > 9_000.0);
        let look = (Alternative::TwoSided, Look::Only);
        let (weighed, rough) =
            (exact.signed_rank(look.0, look.1).unwrap(), binned.signed_rank(look.0, look.1).unwrap());
        let [low, high] = rough.error.unwrap();
        assert!(low <= weighed.test.p && weighed.test.p <= high && high - low < 0.5, "{weighed:?} {rough:?}");
        assert!((weighed.test.statistic / rough.test.statistic - 1.0).abs() < 1e-3);
        assert_eq!((weighed.pairs, weighed.zeros), (rough.pairs, rough.zeros));
        assert!(exact.weighed(1.0, 2.0, 0.0).is_err() && exact.weighed(1.0, 2.0, f64::NAN).is_err());
    }

    #[test]
    fn equal_weights_change_nothing() {
        let (mut ones, mut sevens) = (Ranks::new(1_000), Ranks::new(1_000));
        for (x, y) in pairs(5_000) {
            ones.push(x, y).unwrap();
            sevens.weighed(x, y, 7.0).unwrap();
        }
        for count in [40, 5_000] {
            let (mut a, mut b) = (Ranks::new(9_999), Ranks::new(9_999));
            for (x, y) in pairs(count) {
                a.push(x, y).unwrap();
                b.weighed(x, y, 7.0).unwrap();
            }
            let of = |r: &Ranks| r.signed_rank(Alternative::TwoSided, Look::Only).unwrap().test;
            assert!((of(&a).p - of(&b).p).abs() < 1e-9 && (of(&a).statistic / of(&b).statistic - 1.0).abs() < 1e-9);
        }
        let of = |r: &Ranks| r.signed_rank(Alternative::TwoSided, Look::Only).unwrap();
        let (a, b) = (of(&ones), of(&sevens));
        assert!((a.test.p - b.test.p).abs() < 1e-9 && (a.error.unwrap()[1] - b.error.unwrap()[1]).abs() < 1e-9);
        let (a, b) = (ones.spearman().unwrap(), sevens.spearman().unwrap());
        assert!((a.rho - b.rho).abs() < 1e-9 && (a.error.unwrap()[0] - b.error.unwrap()[0]).abs() < 1e-9);
    }
}
