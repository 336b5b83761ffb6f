//! "Not worse than by more than a margin": the question that a rollout asks.
//!
//! A test that finds no difference shows nothing: with little data it never finds one. Non-inferiority turns the burden of
//! proof round: the hypothesis is that the new version *is* worse by the margin or more, and data have to refute it.

use super::super::normal;
use super::super::reason::{Reason, counted, probability};
use super::proportions::Proportion;
use super::{Look, Test};

/// Is `b`'s rate of bad events lower than `a`'s plus `margin`? Statistic: z, large where the claim holds; p one-sided.
///
/// Farrington and Manning 1990, Statistics in Medicine 9, 1447: the variance under the hypothesis `b = a + margin`, by the closed form of
/// their appendix (Miettinen and Nurminen 1985 without the factor n/(n-1)). Units: rates per unit, `margin` in (0, 1).
/// For repeated looks take the upper bound of [`crate::stats::compare::rate`]: not inferior once it is below the margin.
pub fn rates(a: Proportion, b: Proportion, margin: f64, look: Look) -> Result<Test, Reason> {
    look.once()?;
    probability("the margin", margin)?;
    let [of_a, of_b] = constrained(a, b, margin);
    let variance = of_a * (1.0 - of_a) / a.units + of_b * (1.0 - of_b) / b.units;
    if variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let statistic = (a.rate() + margin - b.rate()) / variance.sqrt();
    Ok(Test { statistic, df: f64::INFINITY, p: normal::sf(statistic) })
}

/// The most likely pair of rates with `b = a + margin`: the root of their cubic in `b`.
fn constrained(a: Proportion, b: Proportion, margin: f64) -> [f64; 2] {
    let theta = a.units / b.units;
    let (of_a, of_b, s) = (a.rate(), b.rate(), margin);
    let first = 1.0 + theta;
    let second = -(1.0 + theta + of_b + theta * of_a + s * (theta + 2.0));
    let third = s * s + s * (2.0 * of_b + theta + 1.0) + of_b + theta * of_a;
    let fourth = -of_b * s * (1.0 + s);
    let shift = second / (3.0 * first);
    let v = shift.powi(3) - second * third / (6.0 * first * first) + fourth / (2.0 * first);
    let u = (shift * shift - third / (3.0 * first)).max(0.0).sqrt().copysign(v);
    let cosine = if u == 0.0 { 0.0 } else { (v / u.powi(3)).clamp(-1.0, 1.0) };
    let w = (std::f64::consts::PI + cosine.acos()) / 3.0;
    let root = (2.0 * u * w.cos() - shift).clamp(s, 1.0);
    [root - s, root]
}

/// Units in each arm to show non-inferiority with the given one-sided `alpha` and `power` if both rates are `rate`.
///
/// Blackwelder 1982, Controlled Clinical Trials 3: `(z_a + z_b)^2 * 2 p (1-p) / margin^2`. Not rounded.
pub fn sample_size(rate: f64, margin: f64, alpha: f64, power: f64) -> Result<f64, Reason> {
    probability("the rate", rate)?;
    probability("the margin", margin)?;
    let z = normal::isf(probability("alpha", alpha)?) - normal::isf(probability("the power", power)?);
    Ok(z * z * 2.0 * rate * (1.0 - rate) / (margin * margin))
}

/// Power to show non-inferiority with so many units in each arm if both rates are `rate`: the inverse of [`sample_size`].
///
/// Degenerate: [`Reason::NoData`] without units, [`Reason::NotAProbability`].
pub fn power(units: f64, rate: f64, margin: f64, alpha: f64) -> Result<f64, Reason> {
    probability("the rate", rate)?;
    probability("the margin", margin)?;
    if counted("the number of units", units)? == 0.0 {
        return Err(Reason::NoData("test"));
    }
    let error = (2.0 * rate * (1.0 - rate) / units).sqrt();
    Ok(normal::cdf(margin / error - normal::isf(probability("alpha", alpha)?)))
}
