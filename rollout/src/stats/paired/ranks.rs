//! Rank statistics of any number of pairs in bounded memory: exact up to a limit, binned beyond with a bound on the error.
//!
//! Up to the limit pairs are held as they are. Then the axes are cut at the quantiles of what is held, every pair goes into a bin, and
//! those bins are all that is kept. A bin of equal values loses nothing. In others a value's rank is known to lie within its bin, so each
//! statistic is known to lie within bounds that follow from the counts alone: they are proved, not estimated.

use super::super::fixed::{Alternative, Look, Test};
use super::super::reason::Reason;
use super::moments::of_no_correlation;
use super::{signed, spearman};

/// Bins of each axis for correlation: the grid takes 8 MiB.
const AXIS: usize = 1_024;
/// Bins of the sizes of differences.
const SIZES: usize = 65_536;

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

/// Pairs `(x, y)`, for their ranks.
#[derive(Clone, Debug)]
pub struct Ranks {
    limit: usize,
    held: Vec<(f64, f64)>,
    binned: Option<Box<Binned>>,
}

#[derive(Clone, Debug)]
struct Binned {
    x: Axis,
    y: Axis,
    /// Counts by (bin of x, bin of y).
    grid: Vec<u64>,
    sizes: Axis,
    /// By size of the difference: positive ones; [`Axis`] counts all.
    positive: Vec<u64>,
    zeros: u64,
}

/// Bins of one quantity: bin `i` holds values above `edges[i-1]` up to `edges[i]`, the last one those above all edges.
#[derive(Clone, Debug)]
struct Axis {
    edges: Vec<f64>,
    counts: Vec<u64>,
    /// Least and largest value of each bin: equal where it holds one value only.
    range: Vec<(f64, f64)>,
}

impl Axis {
    /// Cut at quantiles of a sample, which is sorted.
    fn new(sample: &mut [f64], bins: usize) -> Self {
        sample.sort_unstable_by(f64::total_cmp);
        let bins = bins.min(sample.len()).max(1);
        let mut edges: Vec<f64> = (1..bins).filter_map(|i| sample.get(i * sample.len() / bins).copied()).collect();
        edges.dedup();
        let counts = vec![0; edges.len() + 1];
        let range = vec![(f64::INFINITY, f64::NEG_INFINITY); edges.len() + 1];
        Self { edges, counts, range }
    }

    fn take(&mut self, value: f64) -> usize {
        let bin = self.edges.partition_point(|edge| *edge < value);
        if let Some(count) = self.counts.get_mut(bin) {
            *count += 1;
        }
        if let Some((least, most)) = self.range.get_mut(bin) {
            *least = least.min(value);
            *most = most.max(value);
        }
        bin
    }

    fn is_one_value(&self, bin: usize) -> bool {
        self.range.get(bin).is_none_or(|(least, most)| least >= most)
    }

    /// Mid-rank of each bin, the variance of these over all values, and at most how much variance is lost within bins.
    fn ranks(&self) -> (Vec<f64>, f64, f64) {
        let n: f64 = self.counts.iter().map(|count| f(*count)).sum();
        let middle = 0.5 * (n + 1.0);
        let (mut before, mut between, mut within) = (0.0, 0.0, 0.0);
        let mut ranks = Vec::with_capacity(self.counts.len());
        for (bin, count) in self.counts.iter().enumerate() {
            let count = f(*count);
            let rank = before + 0.5 * (count + 1.0);
            ranks.push(rank);
            before += count;
            between += count * (rank - middle).powi(2);
            if !self.is_one_value(bin) {
                within += count * (count * count - 1.0) / 12.0;
            }
        }
        (ranks, between / n, within / n)
    }
}

impl Ranks {
    /// Holds up to `limit` pairs as they are (16 bytes each), at least 2.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(2), held: Vec::new(), binned: None }
    }

    /// Takes in a pair.
    ///
    /// # Errors
    /// [`Reason::NotFinite`], and then nothing changes.
    pub fn push(&mut self, x: f64, y: f64) -> Result<(), Reason> {
        if !(x.is_finite() && y.is_finite() && (y - x).is_finite()) {
            return Err(Reason::NotFinite("a value of a pair"));
        }
        if let Some(binned) = &mut self.binned {
            binned.take(x, y);
            return Ok(());
        }
        self.held.push((x, y));
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
        self.binned.as_ref().map_or_else(|| spearman::spearman(&self.held), |binned| binned.spearman())
    }

    /// Wilcoxon's signed-rank test of `y - x`; beyond the limit with the error of its p-value.
    ///
    /// # Errors
    /// As [`fn@super::signed_rank`].
    pub fn signed_rank(&self, alternative: Alternative, look: Look) -> Result<SignedRank, Reason> {
        match &self.binned {
            None => signed::signed_rank(self.held.iter().map(|(x, y)| y - x), alternative, look),
            Some(binned) => binned.signed_rank(alternative, look),
        }
    }
}

impl Binned {
    fn of(held: &[(f64, f64)]) -> Self {
        let mut column: Vec<f64> = held.iter().map(|pair| pair.0).collect();
        let x = Axis::new(&mut column, AXIS);
        column.clear();
        column.extend(held.iter().map(|pair| pair.1));
        let y = Axis::new(&mut column, AXIS);
        column.clear();
        column.extend(held.iter().map(|(x, y)| (y - x).abs()).filter(|size| *size > 0.0));
        let sizes = Axis::new(&mut column, SIZES);
        let grid = vec![0; x.counts.len() * y.counts.len()];
        let positive = vec![0; sizes.counts.len()];
        let mut out = Self { x, y, grid, sizes, positive, zeros: 0 };
        for (x, y) in held {
            out.take(*x, *y);
        }
        out
    }

    fn take(&mut self, x: f64, y: f64) {
        let at = self.x.take(x) * self.y.counts.len() + self.y.take(y);
        if let Some(count) = self.grid.get_mut(at) {
            *count += 1;
        }
        let difference = y - x;
        if difference == 0.0 {
            self.zeros += 1;
            return;
        }
        let bin = self.sizes.take(difference.abs());
        if difference > 0.0
            && let Some(count) = self.positive.get_mut(bin)
        {
            *count += 1;
        }
    }

    /// With ranks `r = R + e` (R: mid-rank of the bin, e: the rest, whose mean in each bin is 0), the covariance of the true ranks is
    /// `cov(R, S) + cov(R, g) + cov(e, S) + cov(e, g)`. In `cov(R, g)` only the part of R that the bin of y leaves open counts, for g has
    /// mean 0 in each bin of y. Cauchy and Schwarz bound all three.
    fn spearman(&self) -> Result<Correlation, Reason> {
        let (ranks_x, between_x, within_x) = self.x.ranks();
        let (ranks_y, between_y, within_y) = self.y.ranks();
        if (between_x <= 0.0 && within_x <= 0.0) || (between_y <= 0.0 && within_y <= 0.0) {
            return Err(Reason::ZeroVariance);
        }
        let n: f64 = self.x.counts.iter().map(|count| f(*count)).sum();
        let middle = 0.5 * (n + 1.0);
        let mut covariance = 0.0;
        // Sums of the other side's ranks in each bin, for what a bin leaves open.
        let (mut of_x, mut of_y) = (vec![0.0; ranks_x.len()], vec![0.0; ranks_y.len()]);
        for ((row, rank_x), sum_x) in self.grid.chunks(ranks_y.len().max(1)).zip(&ranks_x).zip(&mut of_x) {
            for ((count, rank_y), sum_y) in row.iter().zip(&ranks_y).zip(&mut of_y) {
                if *count == 0 {
                    continue;
                }
                let count = f(*count);
                let (dx, dy) = (rank_x - middle, rank_y - middle);
                covariance += count * dx * dy;
                *sum_x += count * dy;
                *sum_y += count * dx;
            }
        }
        covariance /= n;
        let explained = |sums: &[f64], counts: &[u64]| -> f64 {
            sums.iter().zip(counts).filter(|(_, c)| **c > 0).map(|(s, c)| s * s / f(*c)).sum::<f64>() / n
        };
        let open_x = (between_x - explained(&of_y, &self.y.counts)).max(0.0);
        let open_y = (between_y - explained(&of_x, &self.x.counts)).max(0.0);
        let slack = (open_x * within_y).sqrt() + (open_y * within_x).sqrt() + (within_x * within_y).sqrt();
        let least = (between_x * between_y).sqrt();
        let most = ((between_x + within_x) * (between_y + within_y)).sqrt();
        let over = |value: f64| {
            let [a, b] = [value / least, value / most];
            [a.min(b).max(-1.0), a.max(b).min(1.0)]
        };
        let rho = (covariance / (least * most).sqrt()).clamp(-1.0, 1.0);
        let [low, _] = over(covariance - slack);
        let [_, high] = over(covariance + slack);
        // Without any spread between bins nothing is known.
        let (rho, low, high) = if least > 0.0 { (rho, low, high) } else { (0.0, -1.0, 1.0) };
        let test = of_no_correlation(rho, n, Alternative::TwoSided)?;
        Ok(Correlation { rho, error: Some([low, high]), test })
    }

    /// In a bin of `p` positive and `q` negative differences the positive ones' ranks add up to the mid-rank's `p` times, give or take `p q / 2`.
    fn signed_rank(&self, alternative: Alternative, look: Look) -> Result<SignedRank, Reason> {
        look.once()?;
        let (mut before, mut positive, mut slack) = (0.0, 0.0, 0.0);
        let (mut ties, mut perhaps) = (0.0, 0.0);
        for (bin, (all, up)) in self.sizes.counts.iter().zip(&self.positive).enumerate() {
            let (all, up) = (f(*all), f(*up));
            positive += up * (before + 0.5 * (all + 1.0));
            before += all;
            let cube = all * all * all - all;
            if self.sizes.is_one_value(bin) {
                ties += cube;
            } else {
                slack += 0.5 * up * (all - up);
                perhaps += cube;
            }
        }
        if before <= 0.0 {
            return Err(Reason::NoData("differences other than 0"));
        }
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for end in [positive - slack, positive + slack] {
            for ties in [ties, ties + perhaps] {
                let z = signed::standard(end, before, ties);
                low = low.min(z);
                high = high.max(z);
            }
        }
        // The p-value is monotone in z on either side of 0.
        let ends = [alternative.normal(low), alternative.normal(high)];
        let least = ends.iter().copied().fold(1.0, f64::min);
        let through = alternative == Alternative::TwoSided && low < 0.0 && high > 0.0;
        let most = if through { 1.0 } else { ends.iter().copied().fold(0.0, f64::max) };
        let p = alternative.normal(signed::standard(positive, before, ties));
        let test = Test { statistic: positive, df: f64::INFINITY, p };
        Ok(SignedRank { test, pairs: before, zeros: f(self.zeros), error: Some([least, most]) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn f(count: u64) -> f64 {
    count as f64
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
}
