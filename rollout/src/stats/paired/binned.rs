//! Pairs in bins: their rank correlation and signed ranks, with bounds between which the exact ones lie.
//!
//! A bin of equal values loses nothing. In others a value's rank is known to lie within its bin, so each statistic is known to lie within
//! bounds that follow from the sums alone: they are proved, not estimated.

use super::super::fixed::{Alternative, Look, Test};
use super::super::reason::Reason;
use super::moments::of_no_correlation;
use super::ranks::{Correlation, SignedRank};
use super::signed::Sums;

/// Bins of each axis for correlation: the grid takes 8 MiB.
const AXIS: usize = 1_024;
/// Bins of the sizes of differences.
const SIZES: usize = 65_536;

/// The bins.
#[derive(Clone, Debug)]
pub(super) struct Binned {
    x: Axis,
    y: Axis,
    /// Weights by (bin of x, bin of y).
    grid: Vec<f64>,
    sizes: Axis,
    /// By size of the difference.
    signs: Vec<Signs>,
    /// Differences other than 0, and those of 0.
    pairs: f64,
    zeros: f64,
    /// Sum of weights of all pairs, and of their squares.
    weight: f64,
    squares: f64,
}

/// What else is kept of a bin of differences; [`Axis`] has the sums of weights and of their cubes.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// Weights of positive ones, and their squares.
    positive: f64,
    positive_squares: f64,
    /// Squares of all weights, and their fourth powers.
    squares: f64,
    fourths: f64,
}

/// Bins of one quantity: bin `i` holds values above `edges[i-1]` up to `edges[i]`, the last one those above all edges.
#[derive(Clone, Debug)]
struct Axis {
    edges: Vec<f64>,
    /// Sums of weights, and of their cubes.
    counts: Vec<f64>,
    cubes: Vec<f64>,
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
        let sums = vec![0.0; edges.len() + 1];
        let range = vec![(f64::INFINITY, f64::NEG_INFINITY); edges.len() + 1];
        Self { edges, counts: sums.clone(), cubes: sums, range }
    }

    fn take(&mut self, value: f64, weight: f64) -> usize {
        let bin = self.edges.partition_point(|edge| *edge < value);
        if let (Some(count), Some(cube)) = (self.counts.get_mut(bin), self.cubes.get_mut(bin)) {
            *count += weight;
            *cube += weight * weight * weight;
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

    /// Mid-rank (less a half) of each bin, the variance of these over all values, and at most how much variance is lost within bins.
    fn ranks(&self) -> (Vec<f64>, f64, f64) {
        let n: f64 = self.counts.iter().sum();
        let (mut before, mut between, mut within) = (0.0, 0.0, 0.0);
        let mut ranks = Vec::with_capacity(self.counts.len());
        for (bin, (count, cubes)) in self.counts.iter().zip(&self.cubes).enumerate() {
            let rank = before + 0.5 * count;
            ranks.push(rank);
            before += count;
            between += count * (rank - 0.5 * n).powi(2);
            if !self.is_one_value(bin) {
                // All values different: the mid-ranks of ties as large as the weights are spread by that much less.
                within += (count * count * count - cubes).max(0.0) / 12.0;
            }
        }
        (ranks, between / n, within / n)
    }
}

impl Binned {
    pub(super) fn of(held: &[(f64, f64, f64)]) -> Self {
        let mut column: Vec<f64> = held.iter().map(|pair| pair.0).collect();
        let x = Axis::new(&mut column, AXIS);
        column.clear();
        column.extend(held.iter().map(|pair| pair.1));
        let y = Axis::new(&mut column, AXIS);
        column.clear();
        column.extend(held.iter().map(|(x, y, _)| (y - x).abs()).filter(|size| *size > 0.0));
        let sizes = Axis::new(&mut column, SIZES);
        let grid = vec![0.0; x.counts.len() * y.counts.len()];
        let signs = vec![Signs::default(); sizes.counts.len()];
        let mut out = Self { x, y, grid, sizes, signs, pairs: 0.0, zeros: 0.0, weight: 0.0, squares: 0.0 };
        for (x, y, weight) in held {
            out.take(*x, *y, *weight);
        }
        out
    }

    pub(super) fn take(&mut self, x: f64, y: f64, weight: f64) {
        self.weight += weight;
        self.squares += weight * weight;
        let at = self.x.take(x, weight) * self.y.counts.len() + self.y.take(y, weight);
        if let Some(count) = self.grid.get_mut(at) {
            *count += weight;
        }
        let difference = y - x;
        if difference == 0.0 {
            self.zeros += 1.0;
            return;
        }
        self.pairs += 1.0;
        let bin = self.sizes.take(difference.abs(), weight);
        if let Some(signs) = self.signs.get_mut(bin) {
            let square = weight * weight;
            signs.squares += square;
            signs.fourths += square * square;
            if difference > 0.0 {
                signs.positive += weight;
                signs.positive_squares += square;
            }
        }
    }

    /// With ranks `r = R + e` (R: mid-rank of the bin, e: the rest, whose mean in each bin is 0), the covariance of the true ranks is
    /// `cov(R, S) + cov(R, g) + cov(e, S) + cov(e, g)`. In `cov(R, g)` only the part of R that the bin of y leaves open counts, for g has
    /// mean 0 in each bin of y. Cauchy and Schwarz bound all three.
    pub(super) fn spearman(&self) -> Result<Correlation, Reason> {
        let (ranks_x, between_x, within_x) = self.x.ranks();
        let (ranks_y, between_y, within_y) = self.y.ranks();
        if (between_x <= 0.0 && within_x <= 0.0) || (between_y <= 0.0 && within_y <= 0.0) {
            return Err(Reason::ZeroVariance);
        }
        let n: f64 = self.x.counts.iter().sum();
        let middle = 0.5 * n;
        let mut covariance = 0.0;
        // Sums of the other side's ranks in each bin, for what a bin leaves open.
        let (mut of_x, mut of_y) = (vec![0.0; ranks_x.len()], vec![0.0; ranks_y.len()]);
        for ((row, rank_x), sum_x) in self.grid.chunks(ranks_y.len().max(1)).zip(&ranks_x).zip(&mut of_x) {
            for ((count, rank_y), sum_y) in row.iter().zip(&ranks_y).zip(&mut of_y) {
                if *count == 0.0 {
                    continue;
                }
                let (dx, dy) = (rank_x - middle, rank_y - middle);
                covariance += count * dx * dy;
                *sum_x += count * dy;
                *sum_y += count * dx;
            }
        }
        covariance /= n;
        let explained = |sums: &[f64], counts: &[f64]| -> f64 {
            sums.iter().zip(counts).filter(|(_, c)| **c > 0.0).map(|(s, c)| s * s / c).sum::<f64>() / n
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
        let test = of_no_correlation(rho, self.weight * (self.weight / self.squares), Alternative::TwoSided)?;
        Ok(Correlation { rho, error: Some([low, high]), test })
    }

    /// In a bin of weights `p` of positive and `q` of negative differences the positive ones' ranks, each times its weight, add up to what they
    /// would if all were equal, give or take `p q / 2`. Their squares lie between those of the least and the largest ranks in it.
    pub(super) fn signed_rank(&self, alternative: Alternative, look: Look) -> Result<SignedRank, Reason> {
        look.once()?;
        let (mut before, mut sums, mut slack) = (0.0, Sums::default(), 0.0);
        let (mut least, mut most) = (0.0, 0.0);
        let bins = self.sizes.counts.iter().zip(&self.sizes.cubes).zip(&self.signs).enumerate();
        for (bin, ((all, cubes), signs)) in bins {
            sums.positive += signs.positive * (before + 0.5 * all) + 0.5 * signs.positive_squares;
            sums.all += all * (before + 0.5 * all) + 0.5 * signs.squares;
            let middle = before + 0.5 * all;
            let squares = signs.squares * middle * middle + cubes * middle + 0.25 * signs.fourths;
            sums.squares += squares;
            if self.sizes.is_one_value(bin) {
                least += squares;
                most += squares;
            } else {
                slack += 0.5 * signs.positive * (all - signs.positive);
                let (low, high) = within(before, *all, *cubes, signs, squares);
                least += low;
                most += high;
            }
            before += all;
        }
        if self.pairs <= 0.0 {
            return Err(Reason::NoData("differences other than 0"));
        }
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for end in [sums.positive - slack, sums.positive + slack] {
            for squares in [least, most] {
                let z = Sums { positive: end, squares, ..sums }.standard();
                low = low.min(z);
                high = high.max(z);
            }
        }
        // The p-value is monotone in z on either side of 0.
        let ends = [alternative.normal(low), alternative.normal(high)];
        let least = ends.iter().copied().fold(1.0, f64::min);
        let through = alternative == Alternative::TwoSided && low < 0.0 && high > 0.0;
        let most = if through { 1.0 } else { ends.iter().copied().fold(0.0, f64::max) };
        let p = alternative.normal(sums.standard());
        let statistic = sums.positive * (self.pairs / before).powi(2);
        let test = Test { statistic, df: f64::INFINITY, p };
        Ok(SignedRank { test, pairs: self.pairs, zeros: self.zeros, error: Some([least, most]) })
    }
}

/// Between which bounds the squares of a bin lie whose values are not known to be equal; `tied`: what they were then.
fn within(before: f64, all: f64, cubes: f64, signs: &Signs, tied: f64) -> (f64, f64) {
    // All of one weight w: equal values have the least squares, and all different ones w (all^3 - cubes) / 12 more.
    let even = (signs.squares * signs.squares - all * cubes).abs() <= 1e-9 * signs.squares * signs.squares;
    if even {
        return (tied, tied + signs.squares / all * (all * all * all - cubes).max(0.0) / 12.0);
    }
    let low = signs.squares * before * before + 2.0 * cubes * before + signs.fourths;
    (low, signs.squares * (before + all).powi(2))
}
