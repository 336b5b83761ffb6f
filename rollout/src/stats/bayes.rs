//! Bayesian answers: how likely is B better, and what is lost if not?
//!
//! For people who prefer a probability to an interval. They do not replace the anytime-valid tests: "stop when the chance to win
//! exceeds 95 %", looked at often, is wrong far more often than 5 % of the time for identical versions.
//! Assumes independent units: keys, or counts divided by a design effect.

use statrs::function::beta::{beta_reg, ln_beta};

use super::beta::{Peak, RULE};
use super::evalue::crossing;
use super::normal;
use super::reason::{Reason, amount, counted, probability};

/// A posterior for a rate: a Beta distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Successes, and those the prior brought.
    pub a: f64,
    /// Failures, and those the prior brought.
    pub b: f64,
}

/// What B instead of A would mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// P(B > A).
    pub chance_to_win: f64,
    /// Expected loss if B is taken: E max(A - B, 0), in the metric's unit.
    pub loss_of_b: f64,
    /// Expected loss if A is taken: E max(B - A, 0).
    pub loss_of_a: f64,
}

impl Rate {
    /// `events` of `units` after a Beta(`prior`, `prior`) prior: 1 is uniform, 0.5 Jeffreys'. At least 0.5.
    pub fn new(events: f64, units: f64, prior: f64) -> Result<Rate, Reason> {
        counted("a number of events", events)?;
        counted("a number of units", units)?;
        if events > units {
            return Err(Reason::EventsAboveUnits { events, units });
        }
        if !(prior.is_finite() && prior >= 0.5) {
            return Err(Reason::OutOfRange { what: "the prior", value: prior, allowed: "at least 0.5" });
        }
        Ok(Rate { a: events + prior, b: units - events + prior })
    }

    /// Posterior mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// Posterior standard deviation.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let all = self.a + self.b;
        (self.a * self.b / (all * all * (all + 1.0))).sqrt()
    }

    /// P(rate <= x).
    #[must_use]
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 {
            0.0
        } else if x >= 1.0 {
            1.0
        } else if let Some(peak) = self.peak() {
            peak.cdf(x.sqrt().asin())
        } else {
            beta_reg(self.a, self.b, x)
        }
    }

    /// Where both successes and failures are many.
    fn peak(&self) -> Option<Peak> {
        Peak::of(self.a, self.b)
    }

    /// Density at `x` in (0, 1): for charts.
    #[must_use]
    pub fn density(&self, x: f64) -> f64 {
        ((self.a - 1.0) * x.ln() + (self.b - 1.0) * (-x).ln_1p() - ln_beta(self.a, self.b)).exp()
    }

    /// Equal-tailed credible interval that holds `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> Result<[f64; 2], Reason> {
        probability("alpha", alpha)?;
        let peak = self.peak().filter(|_| alpha >= 1e-8);
        let at = |p: f64| match &peak {
            Some(peak) => peak.quantile(p),
            None => crossing(0.0, 1.0, |x| p - self.cdf(x)),
        };
        Ok([at(0.5 * alpha), at(1.0 - 0.5 * alpha)])
    }

    /// B instead of A. Exact up to 1e-9.
    ///
    /// `P(B > A)` is the integral of B's density times A's distribution function (Evan Miller 2014, "Formulas for Bayesian A/B testing", eq. 6, is its
    /// closed form for whole numbers); losses after Stucchio 2015, "Bayesian A/B testing at VWO", eq. 15:
    /// `E max(A-B, 0) = integral of f_B(x) (m_A P(A' > x) - x P(A > x))`, `A'` with one success more. Integrated over `x = sin^2 t`, which takes the
    /// poles at 0 and 1 away.
    /// The integral is over the narrower of the two, so that the other one's distribution function is smooth within a panel.
    #[must_use]
    pub fn choose(a: &Rate, b: &Rate) -> Choice {
        if a.deviation() < b.deviation() {
            let [wins, gained, lost] = a.against(b);
            Choice { chance_to_win: 1.0 - wins, loss_of_b: gained, loss_of_a: lost }
        } else {
            let [chance_to_win, loss_of_a, loss_of_b] = b.against(a);
            Choice { chance_to_win, loss_of_b, loss_of_a }
        }
    }

    /// P(self > other), E max(self - other, 0), E max(other - self, 0), of which `self` is the narrower.
    fn against(&self, other: &Rate) -> [f64; 3] {
        match (self.peak(), other.peak()) {
            (Some(own), Some(theirs)) => self.walked(&own, other, &theirs),
            _ => self.by_panels(other),
        }
    }

    /// With many counts of both: by the trapezoid rule, whose error for what falls off like a normal density to both sides is `2 exp(-2 pi^2 d^2 / h^2)`
    /// for a deviation `d` and a step `h` (Trefethen and Weideman 2014, "The exponentially convergent trapezoidal rule", SIAM Review 56, section 5). The product with a
    /// distribution function that rises as steeply is as smooth as one of a `d` smaller by the root of 2: 1e-17 at `h` half a deviation. From step to step the
    /// other's distribution function grows by its mass between them.
    fn walked(&self, own: &Peak, other: &Rate, theirs: &Peak) -> [f64; 3] {
        let [from, to] = own.ends();
        let steps = ((to - from) / (0.5 * own.deviation)).ceil();
        let step = (to - from) / steps;
        let ([low, high], mean) = (theirs.ends(), other.mean());
        let (mut at, mut below) = (from, theirs.cdf(from));
        let [mut wins, mut gained, mut lost] = [0.0; 3];
        for point in 0..=steps as u32 {
            let t = from + step * f64::from(point);
            if t > low && at < high {
                below = (below + theirs.mass(at.max(low), t.min(high))).min(1.0);
            }
            at = t;
            let (sine, cosine) = t.sin_cos();
            let (x, part) = (sine * sine, step * own.density(t));
            // With one success more: Abramowitz and Stegun 26.5.16.
            let less = if t > low && t < high { theirs.density(t) * sine * cosine / (2.0 * other.a) } else { 0.0 };
            let more = (below - less).max(0.0);
            wins += part * below;
            gained += part * (x * below - mean * more);
            lost += part * (mean * (1.0 - more) - x * (1.0 - below));
        }
        [wins.clamp(0.0, 1.0), gained.max(0.0), lost.max(0.0)]
    }

    /// By Gauss and Legendre's rule with 5 points in 32 panels over 12 standard deviations to both sides.
    fn by_panels(&self, other: &Rate) -> [f64; 3] {
        const PANELS: i32 = 32;
        /// ln of a part that adds nothing to nine places.
        const NOTHING: f64 = -32.0;
        // In t = asin(sqrt(x)) the deviation is near 1 / (2 sqrt(n)) for every rate.
        let middle = self.mean().sqrt().asin();
        let reach = 12.0 * 0.5 / (self.a + self.b).sqrt();
        let (low, high) = ((middle - reach).max(0.0), (middle + reach).min(std::f64::consts::FRAC_PI_2));
        let half = 0.5 * (high - low) / f64::from(PANELS);
        let (own, others, mean) = (ln_beta(self.a, self.b), ln_beta(other.a, other.b), other.mean());
        let [mut wins, mut gained, mut lost] = [0.0; 3];
        for panel in 0..PANELS {
            let centre = low + half * f64::from(2 * panel + 1);
            for (point, weight) in RULE {
                let (sine, cosine) = (centre + half * point).sin_cos();
                let (ln_sine, ln_cosine) = (sine.ln(), cosine.ln());
                let log = (2.0 * self.a - 1.0) * ln_sine + (2.0 * self.b - 1.0) * ln_cosine - own;
                if log + half.ln() < NOTHING {
                    continue;
                }
                let (x, part) = (sine * sine, weight * half * 2.0 * log.exp());
                let below = other.cdf(x);
                // With one success more: Abramowitz and Stegun 26.5.16.
                let step = (2.0 * (other.a * ln_sine + other.b * ln_cosine) - others).exp() / other.a;
                let more = (below - step).max(0.0);
                wins += part * below;
                gained += part * (x * below - mean * more);
                lost += part * (mean * (1.0 - more) - x * (1.0 - below));
            }
        }
        [wins.clamp(0.0, 1.0), gained.max(0.0), lost.max(0.0)]
    }
}

/// A posterior for a mean, or for a difference: normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation, above 0.
    pub deviation: f64,
}

impl Mean {
    /// An estimate with its standard error, after a normal prior with the given mean and deviation; infinite deviation is flat.
    ///
    /// Gelman et al. 2013, "Bayesian Data Analysis", eq. 2.12: precisions add up. Degenerate: [`Reason::ZeroVariance`].
    pub fn new(estimate: f64, error: f64, prior: Option<Mean>) -> Result<Mean, Reason> {
        if !estimate.is_finite() {
            return Err(Reason::NotFinite("the estimate"));
        }
        if amount("the standard error", error)? == 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let Some(prior) = prior.filter(|prior| prior.deviation.is_finite()) else {
            return Ok(Mean { mean: estimate, deviation: error });
        };
        if prior.deviation.is_nan() || prior.deviation <= 0.0 || !prior.mean.is_finite() {
            return Err(Reason::OutOfRange {
                what: "the prior's deviation",
                value: prior.deviation,
                allowed: "above 0",
            });
        }
        let (of_prior, of_data) = (prior.deviation.powi(-2), error.powi(-2));
        let precision = of_prior + of_data;
        Ok(Mean { mean: (of_prior * prior.mean + of_data * estimate) / precision, deviation: precision.sqrt().recip() })
    }

    /// Credible interval that holds `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> Result<[f64; 2], Reason> {
        let half = normal::isf(0.5 * probability("alpha", alpha)?) * self.deviation;
        Ok([self.mean - half, self.mean + half])
    }

    /// B instead of A, for independent posteriors: the difference is normal (Stucchio 2015, section 6).
    #[must_use]
    pub fn choose(a: &Mean, b: &Mean) -> Choice {
        let deviation = a.deviation.hypot(b.deviation);
        let z = (b.mean - a.mean) / deviation;
        // E max(X, 0) of a normal X: d phi(z) + m Phi(z).
        let gain = |z: f64| deviation * (normal::pdf(z) + z * normal::cdf(z)).max(0.0);
        Choice { chance_to_win: normal::cdf(z), loss_of_b: gain(-z), loss_of_a: gain(z) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_counts_are_compared_as_few_are() {
        // Where both ways hold, and the continued fraction still has its digits.
        for (a, b) in [
            ((40.0, 60.0), (45.0, 70.0)),
            ((32.0, 32.0), (32.0, 32.0)),
            ((33.0, 3_000.0), (50.0, 3_000.0)),
            ((900.0, 30_000.0), (1_000.0, 30_000.0)),
            ((5_000.0, 5_000.0), (40.0, 45.0)),
            ((400.0, 9_000.0), (9_000.0, 400.0)),
        ] {
            let [a, b] = [a, b].map(|(a, b)| Rate { a, b });
            let (own, other) = if a.deviation() < b.deviation() { (a, b) } else { (b, a) };
            let (walked, panels) = (own.against(&other), own.by_panels(&other));
            for (found, expected) in walked.iter().zip(panels) {
                assert!((found - expected).abs() < 1e-10, "{a:?} {b:?}: {walked:?} instead of {panels:?}");
            }
        }
    }
}
