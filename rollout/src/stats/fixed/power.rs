//! Sample size and power, for proportions and means, before a test with one look.
//!
//! Sizes are per arm, of independent units, and not rounded: round up. Multiply by the design effect where users come back.

use statrs::distribution::{ChiSquared, Continuous};

use super::super::evalue::crossing;
use super::super::normal;
use super::super::reason::{Reason, amount, probability};
use super::means::t_isf;

/// How many sides a test has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sides {
    /// Looks for a deviation in the expected direction alone.
    One,
    /// Looks for either.
    #[default]
    Two,
}

impl Sides {
    fn tail(self, alpha: f64) -> f64 {
        if self == Sides::Two { 0.5 * alpha } else { alpha }
    }
}

/// Most units in an arm that a size is looked for among.
const MOST_UNITS: f64 = 1e15;

/// Power of the two-proportion z test with `n` units in each arm.
///
/// Fleiss, Levin and Paik 2003, eq. 4.14 solved for the power, without continuity correction, the far tail left out: what R's
/// `power.prop.test` calculates.
pub fn of_proportions(n: f64, a: f64, b: f64, alpha: f64, sides: Sides) -> Result<f64, Reason> {
    if amount("the number of units", n)? == 0.0 {
        return Err(Reason::NoData("test"));
    }
    let z = normal::isf(sides.tail(probability("alpha", alpha)?));
    let (a, b) = (probability("a rate", a)?, probability("a rate", b)?);
    let (middle, spread) = (a + b, a * (1.0 - a) + b * (1.0 - b));
    let pooled = (middle * (1.0 - 0.5 * middle)).sqrt();
    Ok(normal::cdf((n.sqrt() * (a - b).abs() - z * pooled) / spread.sqrt()))
}

/// Units in each arm for the two-proportion z test to find `b` against `a`: the inverse of [`of_proportions`].
pub fn size_of_proportions(a: f64, b: f64, alpha: f64, power: f64, sides: Sides) -> Result<f64, Reason> {
    let z = normal::isf(sides.tail(probability("alpha", alpha)?));
    let behind = normal::isf(1.0 - probability("the power", power)?);
    let (a, b) = (probability("a rate", a)?, probability("a rate", b)?);
    if a == b {
        return Err(Reason::OutOfRange { what: "the difference", value: 0.0, allowed: "other than 0" });
    }
    let (middle, spread) = (a + b, a * (1.0 - a) + b * (1.0 - b));
    let pooled = (middle * (1.0 - 0.5 * middle)).sqrt();
    Ok(((z * pooled + behind * spread.sqrt()) / (a - b)).powi(2))
}

/// The same with the standard error of the difference from the first rate alone, as many web calculators have it:
/// `(z_a sqrt(2 a (1-a)) + z_b sqrt(a(1-a) + b(1-b)))^2 / (a-b)^2` (Evan Miller's sample size calculator).
pub fn size_from_first_rate(a: f64, b: f64, alpha: f64, power: f64, sides: Sides) -> Result<f64, Reason> {
    let z = normal::isf(sides.tail(probability("alpha", alpha)?));
    let behind = normal::isf(1.0 - probability("the power", power)?);
    let (a, b) = (probability("a rate", a)?, probability("a rate", b)?);
    if a == b {
        return Err(Reason::OutOfRange { what: "the difference", value: 0.0, allowed: "other than 0" });
    }
    let (of_a, of_b) = (a * (1.0 - a), b * (1.0 - b));
    Ok(((z * (2.0 * of_a).sqrt() + behind * (of_a + of_b).sqrt()) / (a - b)).powi(2))
}

/// Cohen's h of two proportions: the difference of `2 asin(sqrt(p))`, with the sign of `b - a`. Cohen 1988, eq. 6.2.1.
#[must_use]
pub fn cohen_h(a: f64, b: f64) -> f64 {
    2.0 * (b.clamp(0.0, 1.0).sqrt().asin() - a.clamp(0.0, 1.0).sqrt().asin())
}

/// Cohen's d of two means with one standard deviation each: the difference over the pooled deviation. Cohen 1988, eq. 2.5.1.
/// [`Reason::ZeroVariance`] where both are constant.
pub fn cohen_d(a: super::means::Moments, b: super::means::Moments) -> Result<f64, Reason> {
    let pooled = ((a.n - 1.0) * a.variance + (b.n - 1.0) * b.variance) / (a.n + b.n - 2.0);
    if pooled > 0.0 { Ok((b.mean - a.mean) / pooled.sqrt()) } else { Err(Reason::ZeroVariance) }
}

/// Units in each arm to find a standardised effect (`h`, or `d` with a known deviation): `2 (z_a + z_b)^2 / effect^2`. Two samples: the
/// factor 2 is not left out. Cohen 1988, eq. 6.4.1.
pub fn size_of_effect(effect: f64, alpha: f64, power: f64, sides: Sides) -> Result<f64, Reason> {
    let z = normal::isf(sides.tail(probability("alpha", alpha)?)) - normal::isf(probability("the power", power)?);
    if !effect.is_finite() || effect == 0.0 {
        return Err(Reason::OutOfRange { what: "the effect", value: effect, allowed: "other than 0" });
    }
    Ok(2.0 * (z / effect).powi(2))
}

/// Power of the t test of two means with `n` values each that differ by `difference`, one standard deviation `deviation`.
///
/// From the noncentral t distribution (Johnson, Kotz and Balakrishnan 1995, eq. 31.11), far tail left out: R's `power.t.test`.
pub fn of_means(n: f64, difference: f64, deviation: f64, alpha: f64, sides: Sides) -> Result<f64, Reason> {
    if amount("the number of values", n)? <= 1.0 {
        return Err(Reason::TooFew { what: "values", have: n, need: 2.0 });
    }
    if amount("the deviation", deviation)? == 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let df = 2.0 * (n - 1.0);
    let bound = t_isf(sides.tail(probability("alpha", alpha)?), df)?;
    noncentral_sf(bound, df, (0.5 * n).sqrt() * difference.abs() / deviation)
}

/// Values in each arm for the t test to find `difference`: the inverse of [`of_means`], at least 2.
pub fn size_of_means(difference: f64, deviation: f64, alpha: f64, power: f64, sides: Sides) -> Result<f64, Reason> {
    probability("the power", power)?;
    if !difference.is_finite() || difference == 0.0 {
        return Err(Reason::OutOfRange { what: "the difference", value: difference, allowed: "other than 0" });
    }
    of_means(2.0, difference, deviation, alpha, sides)?;
    let lacking = |log_n: f64| power - of_means(log_n.exp(), difference, deviation, alpha, sides).unwrap_or(0.0);
    Ok(crossing(2f64.ln(), MOST_UNITS.ln(), lacking).exp())
}

/// P(T > t) of the noncentral t: the normal tail averaged over the distribution of the estimated deviation
/// `s = sqrt(chi^2 / df)`, by Simpson's rule over ten standard deviations of `s`.
fn noncentral_sf(t: f64, df: f64, shift: f64) -> Result<f64, Reason> {
    // From a million degrees of freedom on the deviation is known to seven digits, and its density is lost in rounding.
    if df > 1e6 {
        return Ok(normal::sf(t - shift));
    }
    let law = ChiSquared::new(df).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    let reach = 10.0 / (2.0 * df).sqrt();
    let (low, high) = ((1.0 - reach).max(0.0), 1.0 + reach);
    let steps = 2000;
    let width = (high - low) / f64::from(steps);
    let sum: f64 = (0..=steps)
        .map(|i| {
            let s = low + width * f64::from(i);
            let weight = match i {
                0 => 1.0,
                _ if i == steps => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let density = if s > 0.0 { law.ln_pdf(df * s * s).exp() * 2.0 * df * s } else { 0.0 };
            weight * density * normal::sf(t * s - shift)
        })
        .sum();
    Ok((sum * width / 3.0).clamp(0.0, 1.0))
}
