//! Intervals of one proportion and of a difference of two, that stay within what is possible.

use super::super::normal;
use super::super::reason::{Reason, probability};
use super::proportions::Proportion;

/// Wilson's score interval at confidence `1 - alpha` (two-sided).
///
/// Wilson 1927, JASA 22; Newcombe 1998, Statistics in Medicine 17, 857, method 3. No events, or only events, are no special case.
pub fn wilson(of: Proportion, alpha: f64) -> Result<[f64; 2], Reason> {
    probability("alpha", alpha)?;
    let zz = normal::isf(0.5 * alpha).powi(2);
    let (n, p) = (of.units, of.rate());
    let middle = p + zz / (2.0 * n);
    let half = (zz * (of.variance() / n + zz / (4.0 * n * n))).sqrt();
    let low = if of.events == 0.0 { 0.0 } else { ((middle - half) / (1.0 + zz / n)).max(0.0) };
    let high = if of.events == n { 1.0 } else { ((middle + half) / (1.0 + zz / n)).min(1.0) };
    Ok([low, high])
}

/// Newcombe's hybrid score interval of `b - a` at confidence `1 - alpha` (two-sided).
///
/// Newcombe 1998, Statistics in Medicine 17, 873, method 10, from the two Wilson intervals.
pub fn newcombe(a: Proportion, b: Proportion, alpha: f64) -> Result<[f64; 2], Reason> {
    let ([a_low, a_high], [b_low, b_high]) = (wilson(a, alpha)?, wilson(b, alpha)?);
    let (of_a, of_b) = (a.rate(), b.rate());
    let difference = of_b - of_a;
    let down = ((of_b - b_low).powi(2) + (a_high - of_a).powi(2)).sqrt();
    let up = ((b_high - of_b).powi(2) + (of_a - a_low).powi(2)).sqrt();
    Ok([difference - down, difference + up])
}
