//! Wilcoxon's signed-rank test, exact, from values held in memory.

use super::super::fixed::{Alternative, Look, Test};
use super::super::reason::Reason;
use super::ranks::SignedRank;

/// Differences up to which the exact distribution is counted out when there are no ties.
const MOST_EXACT: usize = 50;

/// Wilcoxon's signed-rank test of differences `y - x` (Wilcoxon 1945, Biometrics Bulletin 1). Differences of 0 are left out, as he did.
///
/// Statistic: the sum of the ranks of positive differences. Up to 50 differences without ties the distribution is exact, else normal with
/// correction for ties (Lehmann 1975, "Nonparametrics", eq. 3.13) and without continuity correction. Assumes independent pairs.
///
/// # Errors
/// [`Reason::Peeking`]; [`Reason::NotFinite`]; [`Reason::NoData`] when nothing differs.
pub fn signed_rank(
    differences: impl Iterator<Item = f64>,
    alternative: Alternative,
    look: Look,
) -> Result<SignedRank, Reason> {
    look.once()?;
    let mut sized: Vec<(f64, bool)> = Vec::new();
    let mut zeros = 0.0;
    for difference in differences {
        if !difference.is_finite() {
            return Err(Reason::NotFinite("a difference"));
        }
        if difference == 0.0 {
            zeros += 1.0;
        } else {
            sized.push((difference.abs(), difference > 0.0));
        }
    }
    if sized.is_empty() {
        return Err(Reason::NoData("differences other than 0"));
    }
    sized.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut before, mut positive, mut ties) = (0.0, 0.0, 0.0);
    for group in sized.chunk_by(|a, b| a.0 == b.0) {
        #[expect(clippy::cast_precision_loss, reason = "counts of pairs in memory")]
        let (size, up) = (group.len() as f64, group.iter().filter(|one| one.1).count() as f64);
        positive += up * (before + 0.5 * (size + 1.0));
        ties += size * size * size - size;
        before += size;
    }
    let test = if sized.len() <= MOST_EXACT && ties == 0.0 {
        Test { statistic: positive, df: f64::INFINITY, p: exact(positive, sized.len(), alternative) }
    } else {
        let z = standard(positive, before, ties);
        Test { statistic: positive, df: f64::INFINITY, p: alternative.normal(z) }
    };
    Ok(SignedRank { test, pairs: before, zeros, error: None })
}

/// The statistic less its mean, over its deviation; `n` differences other than 0.
pub(super) fn standard(positive: f64, n: f64, ties: f64) -> f64 {
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    (positive - n * (n + 1.0) / 4.0) / variance.sqrt()
}

/// Shares of the `2^n` sign patterns, counted by their sum of ranks.
fn exact(positive: f64, n: usize, alternative: Alternative) -> f64 {
    let most = n * (n + 1) / 2;
    let mut ways = vec![0.0_f64; most + 1];
    if let Some(none) = ways.first_mut() {
        *none = 1.0;
    }
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            let fewer = ways.get(sum - rank).copied().unwrap_or(0.0);
            if let Some(slot) = ways.get_mut(sum) {
                *slot += fewer;
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of whole ranks")]
    let at = positive.round() as usize;
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 50")]
    let all = 2.0_f64.powi(n as i32);
    let below: f64 = ways.iter().take(at + 1).sum::<f64>() / all;
    let above: f64 = ways.iter().skip(at).sum::<f64>() / all;
    match alternative {
        Alternative::TwoSided => (2.0 * below.min(above)).min(1.0),
        Alternative::Greater => above.min(1.0),
        Alternative::Less => below.min(1.0),
    }
}
