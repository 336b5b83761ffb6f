//! How many units does an experiment take? The boundary that a difference has to reach, how much units vary, and the normal approximation.
//!
//! Knows nothing of what was found: that is the parent's. Sizes of the textbook's tests are in [`super::super::fixed::power`].

use super::EXACT_PART;
use crate::stats::cell::{Arm, Stratum};
use crate::stats::contrast::{Contrast, sharpest};
use crate::stats::counts::Clustering;
use crate::stats::evalue::crossing;
use crate::stats::normal;
use crate::stats::reason::{Reason, amount, probability};

/// The z that a difference must have at the planned size to be found: the boundary of [`super::Procedure::Anytime`] there, one-sided at `alpha`.
///
/// From Howard et al. 2021, Proposition 5, at the size that it is sharpest at.
pub fn boundary(alpha: f64) -> Result<f64, Reason> {
    probability("alpha", alpha)?;
    let ratio = 1.0 / sharpest(1.0, alpha);
    let ln_e = |z: f64| {
        let shrunk = z * (ratio / (1.0 + ratio)).sqrt();
        std::f64::consts::LN_2 - 0.5 * ratio.ln_1p() + 0.5 * shrunk * shrunk + normal::ln_cdf(shrunk)
    };
    let need = -alpha.ln() - (1.0 - EXACT_PART).ln();
    Ok(crossing(0.0, 40.0, |z| need - ln_e(z)))
}

/// How much a unit varies, in the metric's unit squared, as its mean does: variance of the mean times the units, so users who come back
/// are in it. For a rate at least binomial. The mean comes first.
///
/// Degenerate: [`Reason::NoData`], [`Reason::TooFew`] buckets, [`Reason::ZeroVariance`] for a mean.
pub fn unit_variance(arm: &Arm, rate: bool) -> Result<(f64, f64), Reason> {
    let stratum = Stratum { canary: arm.clone(), ..Stratum::default() };
    let contrast = Contrast::new(&[stratum], Clustering::Buckets, rate, true)?;
    contrast.enough_buckets()?;
    let mean = contrast.total / contrast.units;
    let variance = contrast.score(0.0, mean).variance / contrast.units;
    if variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    Ok((mean, variance))
}

/// Units of both versions together for which a true difference of `effect` reaches the boundary `z` with the wished power.
///
/// `(z + z_power)^2 * (v_a / (1 - share) + v_b / share) / effect^2`, the normal approximation for unequal arms (Chow, Shao, Wang and Lokhnygina
/// 2018, "Sample Size Calculations in Clinical Research", eq. 3.2.2). `variances` are those of a unit of A and of B, `share` is B's, in (0, 1).
/// A procedure that looks on the way has at least that power: it may also cross earlier. Not rounded.
pub fn size(variances: [f64; 2], share: f64, effect: f64, z: f64, power: f64) -> Result<f64, Reason> {
    let share = probability("B's share", share)?;
    if !effect.is_finite() || effect == 0.0 {
        return Err(Reason::OutOfRange { what: "the effect", value: effect, allowed: "other than 0" });
    }
    let [a, b] = variances;
    let spread = amount("a variance", a)? / (1.0 - share) + amount("a variance", b)? / share;
    let z = amount("the boundary", z)? - normal::isf(probability("the power", power)?);
    Ok(z * z * spread / (effect * effect))
}

/// The difference that so many units find with the wished power: the inverse of [`size`].
pub fn detectable(variances: [f64; 2], share: f64, units: f64, z: f64, power: f64) -> Result<f64, Reason> {
    if amount("the number of units", units)? == 0.0 {
        return Err(Reason::NoData("test"));
    }
    Ok((size(variances, share, 1.0, z, power)? / units).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        // The textbook's: 0.2 -> 0.22 at two-sided .05, power .8, from both variances.
        let variances = [0.2 * 0.8, 0.22 * 0.78];
        let n = size(variances, 0.5, 0.02, 1.959_964, 0.8).unwrap();
        assert!((n / 2.0 - 6_506.6).abs() < 1.0, "{}", n / 2.0);
        assert!((detectable(variances, 0.5, n, 1.959_964, 0.8).unwrap() - 0.02).abs() < 1e-9);
        let z = boundary(0.025).unwrap();
        assert!(z > 2.9 && z < 3.2, "{z}");
        assert!(size(variances, 0.1, 0.02, z, 0.8).unwrap() > n);
        assert!(matches!(size(variances, 1.0, 0.02, z, 0.8), Err(Reason::NotAProbability { .. })));
    }
}
