//! Exact anytime-valid tests for counts: in categories, and of one rate per unit of exposure.
//!
//! Lindon and Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS (arXiv 2011.03567): the Bayes factor of a
//! Dirichlet mixture against fixed shares is a martingale under them, so it may be read after every event. Exact from the
//! first event on: the test of choice below about 100 events. Events must be independent: keys, not requests.

use statrs::function::gamma::ln_gamma;

use super::super::evalue::p_value;
use super::super::reason::{Reason, amount, counted};

/// ln of the Bayes factor of a Dirichlet mixture against `shares` (relative weights above 0).
///
/// Their eq. 5: `B(a + x) / B(a) / prod theta_i^x_i`. `prior` is the concentration of each category: 1 is uniform; a larger sum centred on the
/// shares (`share * k`) looks for small deviations. Counts may be fractional. Degenerate: fewer than two categories.
pub fn ln_bayes_factor(counts: &[f64], prior: &[f64], shares: &[f64]) -> Result<f64, Reason> {
    if counts.len() != shares.len() || counts.len() != prior.len() {
        return Err(Reason::LengthsDiffer { left: counts.len(), right: shares.len().min(prior.len()) });
    }
    if counts.len() < 2 {
        return Err(Reason::TooFew { what: "categories", have: counts.len() as f64, need: 2.0 });
    }
    let weight: f64 = shares.iter().sum();
    let (mut log, mut total, mut strength) = (0.0, 0.0, 0.0);
    for ((count, prior), share) in counts.iter().zip(prior).zip(shares) {
        counted("a count", *count)?;
        for (what, value) in [("a share", *share), ("a prior concentration", *prior)] {
            if amount(what, value)? == 0.0 {
                return Err(Reason::OutOfRange { what, value, allowed: "above 0" });
            }
        }
        log += ln_gamma(prior + count) - ln_gamma(*prior) - count * (share / weight).ln();
        total += count;
        strength += prior;
    }
    Ok(log + ln_gamma(strength) - ln_gamma(strength + total))
}

/// Anytime-valid p-value of counts against `shares`, under a uniform prior (all concentrations 1).
pub fn p(counts: &[f64], shares: &[f64]) -> Result<f64, Reason> {
    Ok(p_value(ln_bayes_factor(counts, &vec![1.0; counts.len()], shares)?))
}

/// ln of the e-value of `events` in `exposure` units against the rate `rate` per unit, mixed over a gamma distribution with the given
/// `shape` and mean `rate`: two-sided, for a Poisson process.
///
/// Their section 4; the mixture is Robbins and Siegmund's (1974). `(s/r)^s Gamma(s+k) / Gamma(s) / (s/r + n)^(s+k) / r^k * exp(n r)`.
pub fn ln_poisson(events: f64, exposure: f64, rate: f64, shape: f64) -> Result<f64, Reason> {
    counted("a number of events", events)?;
    counted("the exposure", exposure)?;
    for (what, value) in [("the rate", rate), ("the shape", shape)] {
        if amount(what, value)? == 0.0 {
            return Err(Reason::OutOfRange { what, value, allowed: "above 0" });
        }
    }
    let expected = rate * exposure;
    // In units of the rate: gamma with mean 1, exposure `expected`.
    Ok(shape * shape.ln() + ln_gamma(shape + events) - ln_gamma(shape) - (shape + events) * (shape + expected).ln()
        + expected)
}
