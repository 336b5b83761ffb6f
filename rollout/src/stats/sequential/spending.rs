//! Group-sequential bounds with alpha spending: a handful of looks, each with its own bound for z.
//!
//! Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials", Biometrika 70, 659: how much of alpha may be spent
//! by each fraction of the information; looks may come at any time, as long as their data do not choose it. Bounds by the recursion of
//! Armitage, McPherson and Rowe 1969 (Jennison and Turnbull 2000, "Group Sequential Methods", ch. 19), integrated numerically.

use super::super::evalue::crossing;
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

/// Points at which densities are held between looks.
const POINTS: usize = 240;
/// No z beyond this has a chance that matters (1e-15).
const FARTHEST: f64 = 8.0;

/// Bounds for |z| (`two_sided`) or z at each look, given the information fractions of the looks so far: rising, in (0, 1].
///
/// Each side spends its half of alpha by the function, as in the R package ldbounds and in SAS. A look that may spend nothing
/// has the bound infinity. Degenerate: [`Reason::TooFew`] without looks, [`Reason::OutOfRange`] for fractions that do not rise.
pub fn bounds(fractions: &[f64], alpha: f64, spending: Spending, two_sided: bool) -> Result<Vec<f64>, Reason> {
    let side = probability("alpha", alpha)? * if two_sided { 0.5 } else { 1.0 };
    if fractions.is_empty() {
        return Err(Reason::TooFew { what: "looks", have: 0.0, need: 1.0 });
    }
    let mut found = Vec::with_capacity(fractions.len());
    let mut walk = Walk::default();
    let (mut before, mut spent) = (0.0, 0.0);
    for fraction in fractions {
        if !(*fraction > before && *fraction <= 1.0) {
            return Err(Reason::OutOfRange {
                what: "an information fraction",
                value: *fraction,
                allowed: "above the last look's and at most 1",
            });
        }
        let may = spending.spent(side, *fraction);
        let now = may - spent;
        let bound = if now > 0.0 {
            // Some have crossed before, so fewer are left than without earlier looks: the bound is at most this.
            let most = normal::isf(now) + 1e-9;
            // ln, because early looks spend 1e-7 of it.
            let over = |z: f64| walk.exceed(*fraction, z).max(1e-300).ln() - now.ln();
            let near = most - 1.0;
            let least = if over(near) >= 0.0 { near } else { -FARTHEST };
            crossing(least, most, over)
        } else {
            f64::INFINITY
        };
        found.push(bound);
        if found.len() < fractions.len() {
            walk.step(*fraction, bound, two_sided);
        }
        (before, spent) = (*fraction, may);
    }
    Ok(found)
}

/// The score process between looks: its density where it has not crossed, by points with weights. No points: still at 0.
#[derive(Default)]
struct Walk {
    at: f64,
    /// (score, density times Simpson's weight).
    points: Vec<(f64, f64)>,
}

impl Walk {
    /// P(not crossed before, and z >= bound at `fraction`).
    fn exceed(&self, fraction: f64, bound: f64) -> f64 {
        let step = (fraction - self.at).sqrt();
        let score = bound * fraction.sqrt();
        if self.points.is_empty() {
            return normal::sf(score / step);
        }
        self.points.iter().map(|(from, weight)| weight * normal::sf((score - from) / step)).sum()
    }

    fn step(&mut self, fraction: f64, bound: f64, two_sided: bool) {
        let step = (fraction - self.at).sqrt();
        let high = bound.min(FARTHEST) * fraction.sqrt();
        let low = if two_sided { -high } else { -FARTHEST * fraction.sqrt() };
        let width = (high - low) / POINTS as f64;
        let old = std::mem::take(&mut self.points);
        let at = |i: usize| {
            let score = low + width * i as f64;
            let density = if old.is_empty() {
                normal::pdf(score / step) / step
            } else {
                old.iter().map(|(from, weight)| weight * normal::pdf((score - from) / step)).sum::<f64>() / step
            };
            let simpson = if i == 0 || i == POINTS {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            (score, density * simpson * width / 3.0)
        };
        // With bounds on both sides the density is even.
        let worked_out = if two_sided { POINTS / 2 } else { POINTS };
        let mut points: Vec<(f64, f64)> = (0..=worked_out).map(at).collect();
        for i in (0..POINTS - worked_out).rev() {
            if let Some((score, weight)) = points.get(i).copied() {
                points.push((-score, weight));
            }
        }
        self.points = points;
        self.at = fraction;
    }
}

/// The one-sided p-value that a look has to reach at `bound`: for people.
#[must_use]
pub fn nominal(bound: f64) -> f64 {
    normal::sf(bound)
}
