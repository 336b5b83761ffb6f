//! Bayesian answers: how likely is B better, and what is lost if not?
//!
//! For people who prefer a probability to an interval. They do not replace the anytime-valid tests: "stop when the chance to win
//! exceeds 95 %", looked at often, is wrong far more often than 5 % of the time for identical versions.
//! Assumes independent units: keys, or counts divided by a design effect.

use statrs::function::beta::{beta_reg, ln_beta};

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
        } else {
            beta_reg(self.a, self.b, x)
        }
    }

    /// Density at `x` in (0, 1): for charts.
    #[must_use]
    pub fn density(&self, x: f64) -> f64 {
        ((self.a - 1.0) * x.ln() + (self.b - 1.0) * (-x).ln_1p() - ln_beta(self.a, self.b)).exp()
    }

    /// Equal-tailed credible interval that holds `1 - alpha`.
    pub fn interval(&self, alpha: f64) -> Result<[f64; 2], Reason> {
        probability("alpha", alpha)?;
        let at = |p: f64| crossing(0.0, 1.0, |x| p - self.cdf(x));
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

    /// P(self > other), E max(self - other, 0), E max(other - self, 0): by Gauss and Legendre's rule with 5 points in 32 panels over 12 standard
    /// deviations to both sides.
    fn against(&self, other: &Rate) -> [f64; 3] {
        const POINTS: [(f64, f64); 5] = [
            (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
            (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
            (0.0, 0.568_888_888_888_888_9),
            (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
            (0.906_179_845_938_664, 0.236_926_885_056_189_1),
        ];
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
            for (point, weight) in POINTS {
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
