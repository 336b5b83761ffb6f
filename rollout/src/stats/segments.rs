//! Several segments, or several steps: pooled honestly, and compared with what naive pooling would say.
//!
//! Weights differ between steps and segments, so adding up counts first and comparing then can turn a result round (Simpson's
//! paradox). Mantel and Haenszel compare within each stratum and combine. Assumes independent units: keys.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::fixed::proportions::Proportion;
use super::normal;
use super::reason::{Reason, probability};

/// Both versions of one stratum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The version compared with.
    pub a: Proportion,
    /// The version judged.
    pub b: Proportion,
}

/// The common odds ratio of `b` against `a`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Common {
    /// Mantel and Haenszel's odds ratio.
    pub odds_ratio: f64,
    /// Standard error of its logarithm.
    pub error: f64,
    /// Interval at confidence `1 - alpha`.
    pub interval: [f64; 2],
    /// Chi-square of no effect in any stratum, 1 degree of freedom, without continuity correction.
    pub chi_square: f64,
    /// Its p-value.
    pub p: f64,
    /// The odds ratio after adding up all strata.
    pub pooled: f64,
}

/// The four counts of a stratum: events and others of `b`, then of `a`.
fn cells(pair: &Pair) -> [f64; 4] {
    [pair.b.events, pair.b.units - pair.b.events, pair.a.events, pair.a.units - pair.a.events]
}

/// Mantel and Haenszel's common odds ratio.
///
/// Mantel and Haenszel 1959, JNCI 22 (odds ratio, test); variance of its logarithm by Robins, Breslow and Greenland 1986, Biometrics 42, eq. 6.
/// Strata without any unit in one arm say nothing and are left out. Degenerate: [`Reason::NoData`] if none is left, [`Reason::ZeroVariance`]
/// if there are no events, or only events, in an arm throughout.
pub fn mantel_haenszel(pairs: &[Pair], alpha: f64) -> Result<Common, Reason> {
    probability("alpha", alpha)?;
    let (mut r, mut s, mut pr, mut ps_qr, mut qs) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut excess, mut variance) = (0.0, 0.0);
    let mut sums = [0.0; 4];
    let mut strata = 0;
    for pair in pairs {
        let [a, b, c, d] = cells(pair);
        let n = a + b + c + d;
        if a + b <= 0.0 || c + d <= 0.0 {
            continue;
        }
        strata += 1;
        let (up, down) = (a * d / n, b * c / n);
        let (p, q) = ((a + d) / n, (b + c) / n);
        r += up;
        s += down;
        pr += p * up;
        ps_qr += p * down + q * up;
        qs += q * down;
        excess += a - (a + b) * (a + c) / n;
        if n > 1.0 {
            variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1.0));
        }
        for (sum, cell) in sums.iter_mut().zip([a, b, c, d]) {
            *sum += cell;
        }
    }
    if strata == 0 {
        return Err(Reason::NoData("strata"));
    }
    if r <= 0.0 || s <= 0.0 || variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let error = (pr / (2.0 * r * r) + ps_qr / (2.0 * r * s) + qs / (2.0 * s * s)).sqrt();
    let odds_ratio = r / s;
    let half = normal::isf(0.5 * alpha) * error;
    let chi_square = excess * excess / variance;
    let [a, b, c, d] = sums;
    Ok(Common {
        odds_ratio,
        error,
        interval: [(odds_ratio.ln() - half).exp(), (odds_ratio.ln() + half).exp()],
        chi_square,
        p: 2.0 * normal::sf(chi_square.sqrt()),
        pooled: a * d / (b * c),
    })
}

/// Do the strata agree on one odds ratio? Returns Breslow and Day's chi-square, its degrees of freedom and p-value.
///
/// Breslow and Day 1980, "Statistical Methods in Cancer Research I", eq. 4.30, without Tarone's correction. Strata with an empty margin say nothing.
pub fn breslow_day(pairs: &[Pair], odds_ratio: f64) -> Result<(f64, f64, f64), Reason> {
    if !(odds_ratio.is_finite() && odds_ratio > 0.0) {
        return Err(Reason::OutOfRange { what: "the odds ratio", value: odds_ratio, allowed: "above 0" });
    }
    let (mut chi, mut strata) = (0.0, 0.0);
    for pair in pairs {
        let [a, b, c, d] = cells(pair);
        let (row, column, n) = (a + b, a + c, a + b + c + d);
        if row <= 0.0 || column <= 0.0 || c + d <= 0.0 || b + d <= 0.0 {
            continue;
        }
        // The count `x` of b's events that has this odds ratio with the margins given: x (n-row-column+x) = or (row-x)(column-x).
        let (lead, linear) = (1.0 - odds_ratio, n - row - column + odds_ratio * (row + column));
        let constant = -odds_ratio * row * column;
        let root = (linear * linear - 4.0 * lead * constant).max(0.0).sqrt();
        // The stable form of the root that lies within the margins.
        let x = -2.0 * constant / (linear + root);
        let variance = 1.0 / (1.0 / x + 1.0 / (row - x) + 1.0 / (column - x) + 1.0 / (n - row - column + x));
        if variance.is_finite() && variance > 0.0 {
            chi += (a - x) * (a - x) / variance;
            strata += 1.0;
        }
    }
    if strata < 2.0 {
        return Err(Reason::TooFew { what: "strata", have: strata, need: 2.0 });
    }
    let law = ChiSquared::new(strata - 1.0).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    Ok((chi, strata - 1.0, law.sf(chi)))
}

/// How adding up and comparing within strata disagree, if they do.
#[derive(Clone, Debug, PartialEq)]
pub enum Reversal {
    /// They point the same way, or one of them nowhere.
    None,
    /// Added up, `b` looks better (or worse); within strata it is the other way round.
    Reversed {
        /// The odds ratio after adding up.
        pooled: f64,
        /// Mantel and Haenszel's, within strata.
        within: f64,
        /// In words.
        text: String,
    },
}

/// Simpson's reversal: the pooled odds ratio and the one within strata lie on different sides of 1, the latter beyond its interval.
///
/// Simpson 1951, JRSS B 13; Kohavi and Longbotham 2011, "Unexpected results in online controlled experiments", on ramps.
/// `names` are people's words for the two versions and the strata: `["stable", "canary", "days"]`.
pub fn reversal(pairs: &[Pair], alpha: f64, [a, b, strata]: [&str; 3]) -> Result<Reversal, Reason> {
    let common = mantel_haenszel(pairs, alpha)?;
    let (pooled, within) = (common.pooled, common.odds_ratio);
    let certain = common.interval[0] > 1.0 || common.interval[1] < 1.0;
    if !certain || (pooled > 1.0) == (within > 1.0) {
        return Ok(Reversal::None);
    }
    let (naive, true_side) = if pooled < 1.0 { ("lower", "higher") } else { ("higher", "lower") };
    let text = format!(
        "Added up, {b} has a {naive} rate than {a} (odds ratio {pooled:.3}), but within the {strata} it is {true_side} (odds ratio {within:.3}): \
         the shares of the versions differed between the {strata}, so the added-up figures mislead. Believe the comparison within."
    );
    Ok(Reversal::Reversed { pooled, within, text })
}
