//! Spearman's rank correlation, exact, from values held in memory.

use super::super::fixed::Alternative;
use super::super::reason::Reason;
use super::moments::{Pairs, of_no_correlation};
use super::ranks::Correlation;

/// Spearman's rho of pairs: Pearson's correlation of their mid-ranks (Spearman 1904, American Journal of Psychology 15; ties as in
/// Kendall 1945), tested by t with `n - 2` degrees of freedom, two-sided.
///
/// # Errors
/// [`Reason::TooFew`] below 2 pairs, [`Reason::NotFinite`] for NaN, [`Reason::ZeroVariance`] when either side is constant.
pub fn spearman(pairs: &[(f64, f64)]) -> Result<Correlation, Reason> {
    let pairs: Vec<(f64, f64, f64)> = pairs.iter().map(|(x, y)| (*x, *y, 1.0)).collect();
    weighed(&pairs)
}

/// The same of pairs `(x, y, weight)`: ranks are those among all pairs that the weights stand for.
pub(super) fn weighed(pairs: &[(f64, f64, f64)]) -> Result<Correlation, Reason> {
    if pairs.iter().any(|(x, y, _)| !(x.is_finite() && y.is_finite())) {
        return Err(Reason::NotFinite("a value of a pair"));
    }
    let xs = midranks(pairs.iter().map(|pair| (pair.0, pair.2)));
    let ys = midranks(pairs.iter().map(|pair| (pair.1, pair.2)));
    let mut of_ranks = Pairs::default();
    for ((x, y), (.., weight)) in xs.iter().zip(&ys).zip(pairs) {
        of_ranks.weighed(*x, *y, *weight)?;
    }
    let rho = of_ranks.pearson(0.05)?.r;
    let test = of_no_correlation(rho, of_ranks.effective(), Alternative::TwoSided)?;
    Ok(Correlation { rho, error: None, test })
}

/// Ranks, less a half, of values with weights; equal values share the mean of theirs.
fn midranks(values: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    let mut order: Vec<(f64, f64, u32)> =
        values.zip(0_u32..).map(|((value, weight), at)| (value, weight, at)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = vec![0.0; order.len()];
    let mut before = 0.0;
    // `-0.0` and `0.0` are equal, and next to each other in the total order.
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        let size: f64 = group.iter().map(|one| one.1).sum();
        let rank = before + 0.5 * size;
        for (.., at) in group {
            if let Some(slot) = ranks.get_mut(*at as usize) {
                *slot = rank;
            }
        }
        before += size;
    }
    ranks
}
