//! Wilcoxon's signed-rank test, exact, from values held in memory.

use super::super::fixed::{Alternative, Look, Test};
use super::super::reason::Reason;
use super::ranks::SignedRank;

/// Differences up to which the exact distribution is counted out when there are no ties.
const MOST_EXACT: usize = 50;

/// Wilcoxon's signed-rank test of differences `y - x` (Wilcoxon 1945, Biometrics Bulletin 1). Differences of 0 are left out, as he did.
///
/// Statistic: the sum of the ranks of positive differences. Up to 50 differences without ties the distribution is exact, else normal with
/// the variance of the ranks as they are, ties included (Lehmann 1975, "Nonparametrics", eq. 3.13), and without continuity correction. Assumes
/// independent pairs.
///
/// # Errors
/// [`Reason::Peeking`]; [`Reason::NotFinite`]; [`Reason::NoData`] when nothing differs.
pub fn signed_rank(
    differences: impl Iterator<Item = f64>,
    alternative: Alternative,
    look: Look,
) -> Result<SignedRank, Reason> {
    weighed(differences.map(|difference| (difference, 1.0)), alternative, look)
}

/// The same of differences with weights: each rank is the one among all differences that the weights stand for, and counts as often as its
/// weight says. Given sizes and weights, signs are a fair coin's where nothing differs, so the statistic's variance is the sum of
/// squares of what each may add. It is told in ranks of the differences that are there.
pub(super) fn weighed(
    differences: impl Iterator<Item = (f64, f64)>,
    alternative: Alternative,
    look: Look,
) -> Result<SignedRank, Reason> {
    look.once()?;
    let mut sized: Vec<(f64, bool, f64)> = Vec::new();
    let mut zeros = 0.0;
    for (difference, weight) in differences {
        if !difference.is_finite() {
            return Err(Reason::NotFinite("a difference"));
        }
        if difference == 0.0 {
            zeros += 1.0;
        } else {
            sized.push((difference.abs(), difference > 0.0, weight));
        }
    }
    if sized.is_empty() {
        return Err(Reason::NoData("differences other than 0"));
    }
    sized.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut before, mut sums, mut ties) = (0.0, Sums::default(), false);
    for group in sized.chunk_by(|a, b| a.0 == b.0) {
        let size: f64 = group.iter().map(|one| one.2).sum();
        ties |= group.len() > 1;
        for (_, up, weight) in group {
            let rank = weight * (before + 0.5 * (size + weight));
            sums.positive += if *up { rank } else { 0.0 };
            sums.all += rank;
            sums.squares += rank * rank;
        }
        before += size;
    }
    #[expect(clippy::cast_precision_loss, reason = "pairs in memory")]
    let pairs = sized.len() as f64;
    let even = sized.windows(2).all(|two| matches!(two, [a, b] if a.2 == b.2));
    let statistic = sums.positive * (pairs / before).powi(2);
    let p = if sized.len() <= MOST_EXACT && !ties && even {
        exact(statistic, sized.len(), alternative)
    } else {
        alternative.normal(sums.standard())
    };
    Ok(SignedRank { test: Test { statistic, df: f64::INFINITY, p }, pairs, zeros, error: None })
}

/// Of ranks, each times its weight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) positive: f64,
    pub(super) all: f64,
    pub(super) squares: f64,
}

impl Sums {
    /// The statistic less its mean, over its deviation.
    pub(super) fn standard(self) -> f64 {
        (2.0 * self.positive - self.all) / self.squares.sqrt()
    }
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
