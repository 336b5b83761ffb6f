//! Beta distributions of many counts: density, distribution function and quantiles, as exact for a million counts as for a hundred.
//!
//! The continued fraction of the incomplete beta function takes more steps the more there was counted (that of `statrs` ends after 140, which at 1e5
//! successes of 2e5 are digits too few from the seventh on), and differences of large log-gammas lose digits too. So here the density is integrated, which
//! costs the same for all counts. In `t = asin(sqrt(x))` it is nearly normal with a deviation of `1 / (2 sqrt(a + b))`, wherever its middle is
//! (Bartlett 1936); with `u = t - asin(sqrt(a / (a + b)))` it is
//!
//! `sqrt(2 n / pi) exp(D) (cos u + sqrt(b/a) sin u)^(2a-1) (cos u - sqrt(a/b) sin u)^(2b-1)`, `n = a + b`,
//!
//! where `D` is Stirling's correction of n less those of a and b (Loader 2000, "Fast and accurate computation of binomial probabilities").
//! Not for few counts: below [`FEWEST`] the distribution may reach 0 or 1.

/// From so many successes and failures on, each.
const FEWEST: f64 = 32.0;
/// Deviations to both sides beyond which less than 1e-12 lies.
const REACH: f64 = 8.5;
/// Gauss and Legendre's rule with 5 points.
pub(super) const RULE: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

/// A Beta distribution, over `t`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peak {
    a: f64,
    b: f64,
    /// `sqrt(b / a)`.
    slope: f64,
    factor: f64,
    /// `t` of the mean.
    pub(super) middle: f64,
    /// About a standard deviation of `t`.
    pub(super) deviation: f64,
}

impl Peak {
    /// `None` for few counts.
    pub(super) fn of(a: f64, b: f64) -> Option<Peak> {
        let n = a + b;
        if !(a >= FEWEST && b >= FEWEST && n.is_finite()) {
            return None;
        }
        let correction = stirling(n) - stirling(a) - stirling(b);
        Some(Peak {
            a,
            b,
            slope: (b / a).sqrt(),
            factor: (2.0 * n / std::f64::consts::PI).sqrt() * correction.exp(),
            middle: (a / b).sqrt().atan(),
            deviation: 0.5 / n.sqrt(),
        })
    }

    /// From where to where it reaches.
    pub(super) fn ends(&self) -> [f64; 2] {
        [self.middle - REACH * self.deviation, self.middle + REACH * self.deviation]
    }

    /// Density at `t`, within (0, pi/2).
    pub(super) fn density(&self, t: f64) -> f64 {
        let (sine, cosine) = (t - self.middle).sin_cos();
        // cos u - 1, without loss.
        let less = -sine * sine / (1.0 + cosine);
        let log = (2.0 * self.a - 1.0) * (less + self.slope * sine).ln_1p()
            + (2.0 * self.b - 1.0) * (less - sine / self.slope).ln_1p();
        self.factor * log.exp()
    }

    /// P(low < t <= high), both within its [`Self::ends`]: by Gauss and Legendre's rule with 5 points in panels of half a deviation, whose error is
    /// `h^11 2^11 (5!)^4 / (11 (10!)^3)` times the tenth derivative (Abramowitz and Stegun 25.4.30, `h` half a panel): below 1e-12.
    pub(super) fn mass(&self, low: f64, high: f64) -> f64 {
        let panels = ((high - low) / (0.5 * self.deviation)).ceil().max(1.0);
        let half = 0.5 * (high - low) / panels;
        let mut sum = 0.0;
        for panel in 0..panels as u32 {
            let centre = low + half * f64::from(2 * panel + 1);
            sum += RULE.iter().map(|(at, weight)| weight * self.density(centre + half * at)).sum::<f64>();
        }
        sum * half
    }

    /// P(up to `t`). To 1e-11.
    pub(super) fn cdf(&self, t: f64) -> f64 {
        let [low, high] = self.ends();
        if t <= low {
            0.0
        } else if t >= high {
            1.0
        } else if t <= self.middle {
            self.mass(low, t)
        } else {
            1.0 - self.mass(t, high)
        }
    }

    /// The `x` (not `t`) up to which it holds `p`, for p from 1e-9 to 1 - 1e-9: Newton's method from the normal quantile, which is near.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        let [low, high] = self.ends();
        let mut t = (self.middle - super::normal::isf(p) * self.deviation).clamp(low, high);
        let mut below = self.cdf(t);
        for _ in 0..30 {
            let step = ((p - below) / self.density(t)).clamp(-self.deviation, self.deviation);
            let next = (t + step).clamp(low, high);
            // One panel more, or less.
            below += if next > t { self.mass(t, next) } else { -self.mass(next, t) };
            t = next;
            if step.abs() <= 1e-12 * self.deviation {
                break;
            }
        }
        t.sin().powi(2)
    }
}

/// ln Gamma(x) less Stirling's formula, for x of at least [`FEWEST`]: the next term is below 1e-16 (Abramowitz and Stegun 6.1.42).
fn stirling(x: f64) -> f64 {
    let xx = x * x;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * xx)) / xx) / xx) / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::function::beta::beta_reg;

    #[test]
    fn it_is_the_incomplete_beta_function() {
        for (a, b) in [(32.0, 32.0), (32.5, 400.0), (1_000.0, 33.0), (700.0, 20_000.0), (5_000.0, 5_000.0)] {
            let peak = Peak::of(a, b).unwrap();
            for step in -8..=8 {
                let t = peak.middle + f64::from(step) * peak.deviation;
                let (found, expected) = (peak.cdf(t), beta_reg(a, b, t.sin().powi(2)));
                assert!((found - expected).abs() < 1e-10, "{a} {b} {step}: {found} instead of {expected}");
            }
        }
        assert!(Peak::of(31.0, 1e3).is_none() && Peak::of(1e3, f64::INFINITY).is_none());
    }

    /// Figures by mpmath 1.4.1: the density integrated with 30 digits. Continued fractions need hundreds of steps here.
    #[test]
    fn many_counts_lose_no_digits() {
        for (a, b, x, expected) in [
            (1e5, 1e5, 0.5, 0.5),
            (1e5, 1e5, 0.501, 0.814_453_255_442_443_2),
            (1e6, 1e6, 0.4995, 0.078_649_577_580_901_63),
            (3e4, 1e6, 0.0293, 0.852_834_101_508_905_8),
            (700.0, 20_000.0, 700.0 / 20_700.0, 0.504_767_636_829_672_7),
            (3e5, 1e7, 0.029_17, 0.798_378_997_944_356_5),
            (33.0, 1e7, 3.5e-6, 0.655_112_708_558_581),
        ] {
            let found = Peak::of(a, b).unwrap().cdf(f64::sqrt(x).asin());
            assert!((found - expected).abs() < 2e-12, "{a} {b} {x}: {found} instead of {expected}");
        }
    }

    #[test]
    fn quantiles_are_where_it_holds_as_much() {
        for (a, b) in [(32.0, 32.0), (40.0, 1e6), (1e7, 33.0), (3e5, 1e7)] {
            let peak = Peak::of(a, b).unwrap();
            for p in [1e-9, 0.005, 0.025, 0.5, 0.9, 0.995, 1.0 - 1e-9] {
                let found = peak.cdf(peak.quantile(p).sqrt().asin());
                assert!((found - p).abs() < 1e-10, "{a} {b}: {found} instead of {p}");
            }
        }
    }
}
