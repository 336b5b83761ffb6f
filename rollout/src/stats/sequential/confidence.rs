//! Asymptotic confidence sequences: an interval for any asymptotically normal estimate that holds at every look.
//!
//! Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence
//! sequences", Annals of Statistics 52 (arXiv 2103.06476), Theorem 2.2:
//!
//! `estimate +- sigma * sqrt( 2 (n rho^2 + 1) / (n rho)^2 * ln( sqrt(n rho^2 + 1) / alpha ) )`.
//!
//! Assumes many independent observations before the first look; the estimate's variance falls as 1/n.

use super::super::reason::{Reason, amount, probability};

/// The tuning `rho` that makes the interval narrowest at `best` observations: their appendix on choosing rho, with
/// Lambert's function approximated, `sqrt((-2 ln alpha + ln(1 - 2 ln alpha)) / best)`; the choice of GrowthBook and Eppo too.
pub fn tuning(alpha: f64, best: f64) -> Result<f64, Reason> {
    let log = -2.0 * probability("alpha", alpha)?.ln();
    if amount("the number of observations", best)? == 0.0 {
        return Err(Reason::NoData("tuning"));
    }
    Ok(((log + log.ln_1p()) / best).sqrt())
}

/// The two-sided interval at `1 - alpha` around `estimate` with standard error `error` (at this look), from `n` observations.
pub fn interval(estimate: f64, error: f64, n: f64, rho: f64, alpha: f64) -> Result<[f64; 2], Reason> {
    let alpha = probability("alpha", alpha)?;
    let half = half_width(error, n, rho, 1.0 / alpha)?;
    Ok([estimate - half, estimate + half])
}

/// The one-sided lower bound at `1 - alpha`. Their Proposition B.1: `2 alpha` in place of `alpha`, and 1 added within the logarithm.
pub fn lower(estimate: f64, error: f64, n: f64, rho: f64, alpha: f64) -> Result<f64, Reason> {
    let alpha = probability("alpha", alpha)?;
    check(error, n, rho)?;
    let grown = n * rho * rho + 1.0;
    let half = error * n.sqrt() * (2.0 * grown / (n * rho).powi(2) * (grown.sqrt() / (2.0 * alpha)).ln_1p()).sqrt();
    Ok(estimate - half)
}

fn half_width(error: f64, n: f64, rho: f64, one_over_alpha: f64) -> Result<f64, Reason> {
    check(error, n, rho)?;
    let grown = n * rho * rho + 1.0;
    Ok(error * n.sqrt() * (2.0 * grown / (n * rho).powi(2) * (grown.sqrt() * one_over_alpha).ln()).sqrt())
}

fn check(error: f64, n: f64, rho: f64) -> Result<(), Reason> {
    if amount("the number of observations", n)? == 0.0 {
        return Err(Reason::NoData("estimate"));
    }
    if amount("the standard error", error)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    if amount("rho", rho)? == 0.0 {
        return Err(Reason::OutOfRange { what: "rho", value: rho, allowed: "above 0" });
    }
    Ok(())
}
