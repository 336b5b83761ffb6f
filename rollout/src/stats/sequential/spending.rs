//! Group-sequential bounds with alpha spending: a handful of looks, each with its own bound for z.
//!
//! Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials", Biometrika 70, 659: how much of alpha may be spent
//! by each fraction of the information; looks may come at any time, as long as their data do not choose it. Bounds by the recursion of
//! Armitage, McPherson and Rowe 1969 (Jennison and Turnbull 2000, "Group Sequential Methods", ch. 19), integrated numerically.

use super::super::normal;
use super::super::reason::{Reason, probability};

/// How alpha is spent over the information fraction `t` in (0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spending {
    /// `2 (1 - Phi(z_{alpha/2} / sqrt(t)))`: hardly anything at first, nearly all at the end. Lan and DeMets 1983, eq. for alpha_1.
    #[default]
    OBrienFleming,
    /// `alpha ln(1 + (e-1) t)`: evenly, for stopping early. Their alpha_2.
    Pocock,
}

impl Spending {
    /// Alpha that may have been spent by the fraction `t`; all of it from 1 on.
    #[must_use]
    pub fn spent(self, alpha: f64, t: f64) -> f64 {
        if t >= 1.0 {
            return alpha;
        }
        match self {
            _ if t <= 0.0 => 0.0,
            Spending::OBrienFleming => 2.0 * normal::sf(normal::isf(0.5 * alpha) / t.sqrt()),
            Spending::Pocock => alpha * ((std::f64::consts::E - 1.0) * t).ln_1p(),
        }
    }
}

/// No z beyond this has a chance that matters (1e-15).
const FARTHEST: f64 = 8.0;

/// Bounds for |z| (`two_sided`) or z at each look, given the information fractions of the looks so far: rising, in (0, 1]. To
/// 1e-9 for bounds up to 8; larger ones, where no probability is, a little low.
///
/// Each side spends its half of alpha by the function, as in the R package ldbounds and in SAS. A look that may spend nothing
/// has the bound infinity. Degenerate: [`Reason::TooFew`] without looks, [`Reason::OutOfRange`] for fractions that do not rise.
pub fn bounds(fractions: &[f64], alpha: f64, spending: Spending, two_sided: bool) -> Result<Vec<f64>, Reason> {
    let side = probability("alpha", alpha)? * if two_sided { 0.5 } else { 1.0 };
    if fractions.is_empty() {
        return Err(Reason::TooFew { what: "looks", have: 0.0, need: 1.0 });
    }
    let mut before = 0.0;
    for fraction in fractions {
        if !(*fraction > before && *fraction <= 1.0) {
            return Err(Reason::OutOfRange {
                what: "an information fraction",
                value: *fraction,
                allowed: "above the last look's and at most 1",
            });
        }
        before = *fraction;
    }
    let mut found = Vec::with_capacity(fractions.len());
    let mut walk = Walk::default();
    let mut spent = 0.0;
    for (look, fraction) in fractions.iter().enumerate() {
        let may = spending.spent(side, *fraction);
        let now = may - spent;
        let bound = if now > 0.0 { walk.bound(*fraction, now) } else { f64::INFINITY };
        found.push(bound);
        if let Some(next) = fractions.get(look + 1) {
            walk.step(*fraction, *next, bound, two_sided);
        }
        spent = may;
    }
    Ok(found)
}

/// The score process between looks: its density where it has not crossed, by points with weights. No points: still at 0.
#[derive(Default)]
struct Walk {
    at: f64,
    /// (score, density times the rule's weight).
    points: Vec<(f64, f64)>,
}

impl Walk {
    /// The bound that is crossed with the probability `now` at `fraction`, if it was not before.
    ///
    /// Newton's method on the logarithm, because early looks spend 1e-7. A normal distribution cut to an interval at each look keeps a
    /// concave log density (Prekopa 1973, "On logarithmic concave measures and functions", theorem 6), so the logarithm of what lies above z is concave too, and
    /// from a z that is too large each step falls towards the root and never beyond it. Without earlier looks more would be
    /// left to cross, so their quantile is such a z.
    fn bound(&self, fraction: f64, now: f64) -> f64 {
        let mut z = normal::isf(now);
        for _ in 0..100 {
            let (above, density) = self.exceed(fraction, z);
            let step = if above > 1e-290 { (above.ln() - now.ln()) * above / density } else { -1.0 };
            z += step;
            if step.abs() <= 1e-9 {
                break;
            }
        }
        z
    }

    /// P(not crossed before, and z >= bound at `fraction`), and how fast that falls as the bound rises.
    fn exceed(&self, fraction: f64, bound: f64) -> (f64, f64) {
        let step = (fraction - self.at).sqrt();
        let score = bound * fraction.sqrt();
        let start = [(0.0, 1.0)];
        let points = if self.points.is_empty() { start.as_slice() } else { self.points.as_slice() };
        let (mut above, mut density) = (0.0, 0.0);
        for (from, weight) in points {
            let z = (score - from) / step;
            above += weight * normal::sf(z);
            density += weight * normal::pdf(z);
        }
        (above, density * fraction.sqrt() / step)
    }

    /// To the look at `fraction`, which is crossed at `bound`, before one at `next`.
    fn step(&mut self, fraction: f64, next: f64, bound: f64, two_sided: bool) {
        let step = (fraction - self.at).sqrt();
        let high = bound.min(FARTHEST) * fraction.sqrt();
        let low = if two_sided { 0.0 } else { -FARTHEST * fraction.sqrt() };
        // What is integrated over these points is as smooth as a normal density of the last step times one of the next.
        let smooth = (step.powi(-2) + (next - fraction).recip()).sqrt().recip();
        let old = std::mem::take(&mut self.points);
        let density = |score: f64| {
            if old.is_empty() {
                return normal::pdf(score / step) / step;
            }
            let part = |(from, weight): &(f64, f64)| {
                let z = (score - from) / step;
                if z.abs() > FAR { 0.0 } else { weight * normal::pdf(z) }
            };
            old.iter().map(part).sum::<f64>() / step
        };
        let mut points: Vec<(f64, f64)> =
            gauss(low, high, smooth).into_iter().map(|(score, weight)| (score, weight * density(score))).collect();
        if two_sided {
            // With bounds on both sides the density is even.
            let mirrored: Vec<(f64, f64)> = points.iter().map(|(score, weight)| (-score, *weight)).collect();
            points.extend(mirrored);
        }
        self.points = points;
        self.at = fraction;
    }
}

/// A normal density so many deviations out adds nothing: below 1e-17 of its peak.
const FAR: f64 = 9.0;
/// Gauss and Legendre's rule with 20 points: abscissas above 0 and their weights.
const RULE: [(f64, f64); 10] = [
    (0.076_526_521_133_497_33, 0.152_753_387_130_725_85),
    (0.227_785_851_141_645_08, 0.149_172_986_472_603_75),
    (0.373_706_088_715_419_56, 0.142_096_109_318_382_05),
    (0.510_867_001_950_827_1, 0.131_688_638_449_176_63),
    (0.636_053_680_726_515, 0.118_194_531_961_518_42),
    (0.746_331_906_460_150_8, 0.101_930_119_817_240_44),
    (0.839_116_971_822_218_8, 0.083_276_741_576_704_75),
    (0.912_234_428_251_326, 0.062_672_048_334_109_06),
    (0.963_971_927_277_913_8, 0.040_601_429_800_386_94),
    (0.993_128_599_185_094_9, 0.017_614_007_139_152_12),
];
/// Most panels of [`gauss`].
const MOST_PANELS: f64 = 200.0;

/// Points with weights that integrate from `low` to `high` what is as smooth as a normal density of deviation `smooth`.
///
/// Panels are at most 7 deviations wide. With 20 points the error is `h^41 2^41 (20!)^4 / (41 (40!)^3)` times the 40th derivative (Abramowitz and
/// Stegun 25.4.30, `h` half a panel), of which a normal density's is at most `40! / (20! 2^20)` of its peak over `smooth^40`: below
/// 1e-14 of peak times panel for h = 3.5.
fn gauss(low: f64, high: f64, smooth: f64) -> Vec<(f64, f64)> {
    let panels = ((high - low) / (7.0 * smooth)).ceil().clamp(1.0, MOST_PANELS);
    let half = 0.5 * (high - low) / panels;
    let mut points = Vec::with_capacity(panels as usize * 2 * RULE.len());
    for panel in 0..panels as u32 {
        let centre = low + half * f64::from(2 * panel + 1);
        for (at, weight) in RULE {
            points.extend([(centre - half * at, weight * half), (centre + half * at, weight * half)]);
        }
    }
    points
}

/// The one-sided p-value that a look has to reach at `bound`: for people.
#[must_use]
pub fn nominal(bound: f64) -> f64 {
    normal::sf(bound)
}
