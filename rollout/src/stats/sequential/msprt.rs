//! The mixture sequential probability ratio test for a difference of two means.
//!
//! Johari, Koomen, Pekelis and Walsh 2022, "Always valid inference: continuous monitoring of A/B tests", Operations Research 70
//! (arXiv 1512.04922). The true difference is mixed over a normal distribution around the hypothesis with variance `tau^2`; the
//! test holds for any `tau`, and is sharpest when `tau` is the size of the true difference.

use super::super::evalue::p_value;
use super::super::normal;
use super::super::reason::{Reason, amount, probability};

/// The mixing variance `tau^2` that is best for tests cut off at `horizon` pairs.
///
/// Johari et al., Theorem 5 (the optimal mixing distribution): `sigma^2 * Phi(-b) / (phi(b)/b - Phi(-b))`, `b = 2 ln(1/alpha) / sqrt(horizon * sigma^2)`,
/// as the R package mixtureSPRT calculates it. `deviation` is that of one value.
pub fn best_variance(alpha: f64, deviation: f64, horizon: f64) -> Result<f64, Reason> {
    let alpha = probability("alpha", alpha)?;
    if amount("the deviation", deviation)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    if amount("the horizon", horizon)? == 0.0 {
        return Err(Reason::NoData("horizon"));
    }
    let b = 2.0 * (1.0 / alpha).ln() / (horizon.sqrt() * deviation);
    let below = normal::cdf(-b);
    let denominator = normal::pdf(b) / b - below;
    // Mills' ratio: positive, but lost in rounding for large b, where the horizon is too short to mix at all.
    let found = deviation * deviation * below / denominator;
    if denominator > 0.0 && found > 0.0 && found.is_finite() {
        Ok(found)
    } else {
        Err(Reason::OutOfRange {
            what: "the horizon",
            value: horizon,
            allowed: "larger: it decides nothing at this alpha",
        })
    }
}

/// ln of the mixture likelihood ratio for a difference of means seen with standard error `error`, whose information so far is that
/// of `n` pairs: `n * error^2` is the variance of one pair.
///
/// Johari et al., eq. 8 (normal data): `sqrt(V/(V + n tau^2)) * exp(n^2 tau^2 d^2 / (2 V (V + n tau^2)))` with `V = n error^2`, which depends
/// on `r = tau^2 / error^2` alone. Two-sided. `tau2 > 0`, `error > 0`.
pub fn ln_ratio(difference: f64, error: f64, tau2: f64) -> Result<f64, Reason> {
    if !difference.is_finite() {
        return Err(Reason::NotFinite("the difference"));
    }
    if amount("the standard error", error)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    if amount("the mixing variance", tau2)? == 0.0 {
        return Err(Reason::OutOfRange { what: "the mixing variance", value: tau2, allowed: "above 0" });
    }
    ln_ratio_of(difference, error * error, tau2)
}

/// As [`ln_ratio`], from the variance of the difference (its squared standard error): without a root, for many pairs at once.
#[inline]
pub fn ln_ratio_of(difference: f64, variance: f64, tau2: f64) -> Result<f64, Reason> {
    let r = tau2 / variance;
    let squared = difference * difference / variance;
    // ln(1 + r) loses nothing to rounding where r is not small, and is quicker than ln_1p.
    let log = if r > 0.5 { (1.0 + r).ln() } else { r.ln_1p() };
    let found = 0.5 * (squared * r / (1.0 + r) - log);
    if found.is_finite() && variance > 0.0 && tau2 > 0.0 {
        Ok(found)
    } else {
        refuse(difference, variance, tau2, found)
    }
}

/// Why there is no ratio.
#[cold]
fn refuse(difference: f64, variance: f64, tau2: f64, found: f64) -> Result<f64, Reason> {
    if !difference.is_finite() {
        return Err(Reason::NotFinite("the difference"));
    }
    if amount("the variance", variance)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    if amount("the mixing variance", tau2)? == 0.0 {
        return Err(Reason::OutOfRange { what: "the mixing variance", value: tau2, allowed: "above 0" });
    }
    // Beyond what a double holds: evidence without end.
    if found == f64::INFINITY { Ok(found) } else { Err(Reason::NotFinite("the ratio")) }
}

/// The always-valid p-value at this look. The smallest seen at any look counts (Johari et al., section 3.1).
pub fn p(difference: f64, error: f64, tau2: f64) -> Result<f64, Reason> {
    Ok(p_value(ln_ratio(difference, error, tau2)?))
}

/// Half the width of the confidence sequence at `1 - alpha` (two-sided) around the difference: the set of hypotheses not rejected.
pub fn half_width(error: f64, tau2: f64, alpha: f64) -> Result<f64, Reason> {
    probability("alpha", alpha)?;
    ln_ratio(0.0, error, tau2)?;
    let r = tau2 / (error * error);
    Ok(error * ((1.0 + r) / r * (r.ln_1p() - 2.0 * alpha.ln())).sqrt())
}
