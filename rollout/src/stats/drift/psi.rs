//! The population stability index, and what chance makes of it.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{Ask, Drift, Finding, totals};
use crate::stats::reason::Reason;

/// By custom below 0.1 nothing moved.
pub const PSI_MODERATE: f64 = 0.1;
/// By custom from 0.25 on much did.
pub const PSI_LARGE: f64 = 0.25;

/// Population stability index of `now` against `reference`: `sum (p - q) ln(p / q)` over categories, which is Jeffreys' divergence.
///
/// Siddiqi 2006, "Credit Risk Scorecards", ch. 8 (thresholds 0.1 and 0.25); p-value after Yurdakul and Naranjo 2020, "Statistical properties of the
/// population stability index", Journal of Risk Model Validation 14: size / (1/n + 1/m) is chi-square with `categories - 1`. Empty categories
/// would make it infinite: where one side has none, half a count is added to every category of both. Categories empty in both are left out.
pub fn psi(reference: &[f64], now: &[f64]) -> Result<Drift, Reason> {
    let found = population_stability(reference, now, &Ask::at(0.5))?;
    Ok(Drift { size: found.size, p: found.p })
}

/// The same with the noise at `ask`'s alpha: the chi-square's quantile times `effect/n + effect/m`.
///
/// Degenerate: fewer than two categories with data; no data in a window. Asymptotic: each category should have five independent values or
/// more in either window ([`super::Bins`] sees to that in the reference).
pub fn population_stability(reference: &[f64], now: &[f64], ask: &Ask) -> Result<Finding, Reason> {
    ask.check()?;
    let (n, m) = totals(reference, now)?;
    let pairs = || reference.iter().zip(now).filter(|(p, q)| **p > 0.0 || **q > 0.0);
    let bins = pairs().count();
    let categories = bins as f64;
    if categories < 2.0 {
        return Err(Reason::TooFew { what: "categories with data", have: categories, need: 2.0 });
    }
    let added = if pairs().any(|(p, q)| *p == 0.0 || *q == 0.0) { 0.5 } else { 0.0 };
    let size = pairs()
        .map(|(p, q)| {
            let (p, q) = ((p + added) / (n + added * categories), (q + added) / (m + added * categories));
            (q - p) * (q / p).ln()
        })
        .sum::<f64>();
    let law = ChiSquared::new(categories - 1.0).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    let unit = ask.reference_effect / n + ask.now_effect / m;
    Ok(Finding { size, at_most: size, noise: law.inverse_cdf(1.0 - ask.alpha) * unit, p: law.sf(size / unit), bins })
}
