//! Two means by Welch's t test, from sums and sums of squares.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::super::normal;
use super::super::reason::{Reason, amount, counted, probability};
use super::{Alternative, Look, Test};

/// Count, mean and variance of independent values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// How many values.
    pub n: f64,
    /// Their mean.
    pub mean: f64,
    /// Their variance with `n - 1` in the denominator.
    pub variance: f64,
}

impl Moments {
    /// From a count, a mean and a variance. `n >= 2`.
    pub fn new(n: f64, mean: f64, variance: f64) -> Result<Moments, Reason> {
        if counted("a number of values", n)? < 2.0 {
            return Err(Reason::TooFew { what: "values", have: n, need: 2.0 });
        }
        if !mean.is_finite() {
            return Err(Reason::NotFinite("a mean"));
        }
        amount("a variance", variance)?;
        Ok(Moments { n, mean, variance })
    }

    /// From statistics that add up: count, sum and sum of squares. For values far from 0 subtract a constant first: digits
    /// are lost when the variance is below 1e-12 of the squared mean.
    pub fn from_sums(n: f64, sum: f64, squares: f64) -> Result<Moments, Reason> {
        if counted("a number of values", n)? < 2.0 {
            return Err(Reason::TooFew { what: "values", have: n, need: 2.0 });
        }
        let mean = sum / n;
        Moments::new(n, mean, ((squares - sum * mean) / (n - 1.0)).max(0.0))
    }

    /// From values, in one pass (Welford 1962).
    pub fn of(values: &[f64]) -> Result<Moments, Reason> {
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for value in values {
            n += 1.0;
            let step = value - mean;
            mean += step / n;
            squares += step * (value - mean);
        }
        if n < 2.0 {
            return Err(Reason::TooFew { what: "values", have: n, need: 2.0 });
        }
        if !squares.is_finite() {
            return Err(Reason::NotFinite("a value"));
        }
        Moments::new(n, mean, squares / (n - 1.0))
    }

    /// Squared standard error of the mean.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.variance / self.n
    }
}

/// Welch's test of `b` against `a`, and the interval of `b - a` at confidence `1 - alpha` (two-sided).
///
/// Welch 1947, Biometrika 34, with the degrees of freedom of his eq. 28 (Welch-Satterthwaite). Statistic: t of `b - a`.
/// Assumes independent values with nearly normal means. Degenerate: [`Reason::ZeroVariance`] when both are constant.
pub fn welch(
    a: Moments,
    b: Moments,
    alpha: f64,
    alternative: Alternative,
    look: Look,
) -> Result<(Test, [f64; 2]), Reason> {
    look.once()?;
    probability("alpha", alpha)?;
    let variance = a.error() + b.error();
    if variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let df = variance * variance / (a.error().powi(2) / (a.n - 1.0) + b.error().powi(2) / (b.n - 1.0));
    let difference = b.mean - a.mean;
    let statistic = difference / variance.sqrt();
    let p = match alternative {
        Alternative::TwoSided => (2.0 * t_sf(statistic.abs(), df)?).min(1.0),
        Alternative::Greater => t_sf(statistic, df)?,
        Alternative::Less => t_sf(-statistic, df)?,
    };
    let half = t_isf(0.5 * alpha, df)? * variance.sqrt();
    Ok((Test { statistic, df, p }, [difference - half, difference + half]))
}

/// P(T > t) of Student's distribution.
pub(in crate::stats) fn t_sf(t: f64, df: f64) -> Result<f64, Reason> {
    let law = StudentsT::new(0.0, 1.0, df).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    Ok(law.sf(t))
}

/// The t with P(T > t) = p, for p in (0, 0.5].
pub(in crate::stats) fn t_isf(p: f64, df: f64) -> Result<f64, Reason> {
    // Wallace's approximation has all digits there, and the incomplete beta function loses them.
    if df > 1e6 {
        return Ok(normal::to_t(normal::isf(p), df));
    }
    let law = StudentsT::new(0.0, 1.0, df).map_err(|_| Reason::NotFinite("the degrees of freedom"))?;
    // Newton from Wallace's approximation: three steps reach the last digit.
    let mut t = normal::to_t(normal::isf(p), df);
    for _ in 0..8 {
        use statrs::distribution::Continuous;
        let step = (law.sf(t) - p) / law.pdf(t);
        t += step;
        if step.abs() <= 1e-13 * t.abs() {
            break;
        }
    }
    Ok(t)
}
