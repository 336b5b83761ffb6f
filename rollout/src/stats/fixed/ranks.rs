//! Mann and Whitney's rank test: is one set of values shifted against the other, whatever their distribution?

use std::cmp::Ordering;

use super::super::reason::Reason;
use super::{Alternative, Look, Test};

/// How the p-value is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Law {
    /// Exact if neither set has more than 50 values and there are no ties, else normal with continuity correction.
    #[default]
    Auto,
    /// The exact permutation distribution; refused with ties.
    Exact,
    /// Normal approximation with correction for ties.
    Normal {
        /// Move U by half towards its mean.
        continuity: bool,
    },
}

/// Most pairs of values for which the exact distribution is counted out: a few milliseconds.
const MOST_PAIRS: usize = 250_000;

/// Mann-Whitney U test of `b` against `a`. Statistic: U of `a`, the number of pairs in which `a`'s value is larger, ties half.
///
/// Mann and Whitney 1947, Annals of Mathematical Statistics 18: exact distribution by their recurrence (eq. 3), normal approximation with
/// Lehmann's correction for ties ("Nonparametrics", 1975, eq. 1.35). Assumes independent values. Sorts both slices.
/// Degenerate: [`Reason::NoData`] for an empty set, [`Reason::NotFinite`] for NaN, [`Reason::ZeroVariance`] if all are equal.
pub fn mann_whitney(
    a: &mut [f64],
    b: &mut [f64],
    law: Law,
    alternative: Alternative,
    look: Look,
) -> Result<Test, Reason> {
    look.once()?;
    if a.is_empty() || b.is_empty() {
        return Err(Reason::NoData("ranks"));
    }
    if a.iter().chain(b.iter()).any(|value| value.is_nan()) {
        return Err(Reason::NotFinite("a value"));
    }
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    let (larger, ties) = count(a, b);
    let small = a.len() <= 50 && b.len() <= 50;
    match law {
        Law::Exact if ties > 0.0 => {
            Err(Reason::OutOfRange { what: "the number of ties", value: ties, allowed: "0 for the exact test" })
        }
        Law::Exact if a.len() * b.len() > MOST_PAIRS => Err(Reason::OutOfRange {
            what: "the number of pairs",
            value: (a.len() * b.len()) as f64,
            allowed: "at most 250,000 for the exact test",
        }),
        Law::Exact => Ok(exact(larger, a.len(), b.len(), alternative)),
        Law::Auto if small && ties == 0.0 => Ok(exact(larger, a.len(), b.len(), alternative)),
        Law::Auto => normal(larger, ties, a.len(), b.len(), true, alternative),
        Law::Normal { continuity } => normal(larger, ties, a.len(), b.len(), continuity, alternative),
    }
}

/// U of `a`, and the sum of `t^3 - t` over groups of `t` equal values, in one merge of two sorted slices.
fn count(a: &[f64], b: &[f64]) -> (f64, f64) {
    let (mut a, mut b) = (a, b);
    let (mut below, mut larger, mut ties) = (0.0, 0.0, 0.0);
    loop {
        let next = match (a.first(), b.first()) {
            (None, None) => return (larger, ties),
            (Some(x), None) => *x,
            (None, Some(y)) => *y,
            (Some(x), Some(y)) => {
                if x.partial_cmp(y) == Some(Ordering::Greater) {
                    *y
                } else {
                    *x
                }
            }
        };
        let of_a = a.iter().take_while(|x| **x == next).count();
        let of_b = b.iter().take_while(|y| **y == next).count();
        larger += of_a as f64 * (below + 0.5 * of_b as f64);
        below += of_b as f64;
        let group = (of_a + of_b) as f64;
        if group > 1.0 {
            ties += group * group * group - group;
        }
        a = a.get(of_a..).unwrap_or_default();
        b = b.get(of_b..).unwrap_or_default();
    }
}

fn normal(
    larger: f64,
    ties: f64,
    n: usize,
    m: usize,
    continuity: bool,
    alternative: Alternative,
) -> Result<Test, Reason> {
    let (n, m) = (n as f64, m as f64);
    let all = n + m;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    // In terms of `b`: large where `b` is greater.
    let excess = n * m - larger - 0.5 * n * m;
    let correction = match (continuity, alternative) {
        (false, _) => 0.0,
        (true, Alternative::TwoSided) => -0.5 * if excess == 0.0 { 0.0 } else { excess.signum() },
        (true, Alternative::Greater) => -0.5,
        (true, Alternative::Less) => 0.5,
    };
    let z = (excess + correction) / variance.sqrt();
    Ok(Test { statistic: larger, df: f64::INFINITY, p: alternative.normal(z) })
}

/// Counts out the distribution of U by its generating function, the Gaussian binomial coefficient
/// `prod (1 - x^(m+i)) / (1 - x^i)`, in doubles: relative error below 1e-12 for the sizes allowed.
fn exact(larger: f64, n: usize, m: usize, alternative: Alternative) -> Test {
    let top = n * m;
    let mut ways = vec![0.0; top + 1];
    if let Some(first) = ways.first_mut() {
        *first = 1.0;
    }
    let mut total = 1.0;
    for i in 1..=n {
        // Times (1 - x^(m+i)), from above; then divided by (1 - x^i), from below; scaled so that nothing overflows.
        for k in (m + i..=top).rev() {
            let lower = ways.get(k - m - i).copied().unwrap_or(0.0);
            if let Some(way) = ways.get_mut(k) {
                *way -= lower;
            }
        }
        for k in i..=top {
            let lower = ways.get(k - i).copied().unwrap_or(0.0);
            if let Some(way) = ways.get_mut(k) {
                *way += lower;
            }
        }
        let scale = (m + i) as f64 / i as f64;
        total *= scale;
        if total > 1e200 {
            ways.iter_mut().for_each(|way| *way /= total);
            total = 1.0;
        }
    }
    let at_least = |u: f64| (ways.iter().skip(u.ceil().max(0.0) as usize).sum::<f64>() / total).min(1.0);
    let of_b = top as f64 - larger;
    let p = match alternative {
        Alternative::Greater => at_least(of_b),
        Alternative::Less => at_least(larger),
        Alternative::TwoSided => (2.0 * at_least(of_b.max(larger))).min(1.0),
    };
    Test { statistic: larger, df: f64::INFINITY, p }
}
