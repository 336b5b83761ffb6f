//! What strata say about a difference, worked out once for every procedure.

use super::{Ask, EXACT_PART, Found, Procedure, USUAL_UNITS};
use crate::stats::cell::{Arm, REPLICATES, Stratum};
use crate::stats::compare::FEWEST_EVENTS;
use crate::stats::contrast::{Both, Clock, Contrast, FEWEST_BUCKETS, Score, lower_bound};
use crate::stats::counts::{self, Clustering};
use crate::stats::evalue::{crossing, ln_sum_exp};
use crate::stats::reason::{Reason, amount, probability};
use crate::stats::sequential::{confidence, msprt};
use crate::stats::{anytime, design, normal};

/// The exact test at any offset.
#[derive(Clone, Debug)]
enum Exact {
    Prepared(Box<counts::Tilts>),
    Groups(Vec<counts::Group>),
}

impl Exact {
    /// None where it says nothing.
    fn of(both: impl Iterator<Item = Both>, clustering: Clustering) -> Option<Exact> {
        let groups = counts::gathered(both.map(|both| both.counted(clustering)), false);
        if groups.is_empty() {
            return None;
        }
        Some(counts::Tilts::new(&groups, 1.0).map_or(Exact::Groups(groups), |tilts| Exact::Prepared(Box::new(tilts))))
    }

    fn ln_e(&self, offset: f64) -> f64 {
        match self {
            Exact::Prepared(tilts) => tilts.ln_e(offset),
            Exact::Groups(groups) => counts::ln_e(groups, 1.0, offset),
        }
    }
}

/// What strata say about a difference: worked out once, for every procedure that is asked of them.
#[derive(Clone, Debug)]
pub struct Evidence {
    ask: Ask,
    /// Of a rate of which events are the rule: its complement.
    both: Vec<Both>,
    /// Is it the complement? Few non-events are few events of the complement: the exact test must count the rarer kind.
    turned: bool,
    contrast: Contrast,
    /// May buckets speak?
    buckets: bool,
    /// The exact test of events by group, as they are and with the versions exchanged.
    exact: [Option<Exact>; 2],
    /// With few events: upper bounds of A's and of B's own rate, at half of alpha.
    rare: Option<[f64; 2]>,
}

impl Evidence {
    /// Of strata, to be asked as `ask` says; by which procedure is of no account here. Degenerate as [`super::compare`].
    pub fn of(strata: &[Stratum], ask: &Ask) -> Result<Evidence, Reason> {
        probability("alpha", ask.alpha)?;
        if !ask.rate && ask.clustering == Clustering::Independent {
            return Err(Reason::TooFew { what: "buckets of users", have: 0.0, need: FEWEST_BUCKETS });
        }
        let mut evidence = Evidence::from(Both::of(strata, ask.clustering, ask.rate)?, *ask)?;
        if !evidence.buckets {
            let turned = evidence.turned;
            let bound = |side: fn(&Stratum) -> &Arm| {
                let mut all = Arm::default();
                strata.iter().for_each(|stratum| all.merge(side(stratum)));
                at_most(&if turned { all.complement() } else { all }, ask.clustering, 0.5 * ask.alpha)
            };
            evidence.rare = Some([bound(|stratum| &stratum.baseline), bound(|stratum| &stratum.canary)]);
        }
        Ok(evidence)
    }

    /// Without the bounds of each rate.
    pub(super) fn from(mut both: Vec<Both>, ask: Ask) -> Result<Evidence, Reason> {
        let clustering = ask.clustering;
        let mut contrast = Contrast::of(&both, clustering, ask.rate, false)?;
        let events = contrast.total + contrast.baseline_total;
        let others = contrast.units + contrast.baseline_units - events;
        let turned = ask.rate && others < events;
        if turned {
            both.iter_mut().for_each(|both| *both = both.complement());
            contrast = Contrast::of(&both, clustering, ask.rate, false)?;
        }
        let enough = contrast.enough_buckets();
        if !ask.rate {
            enough?;
            return Ok(Evidence { ask, both, turned, contrast, buckets: true, exact: [None, None], rare: None });
        }
        let buckets = enough.is_ok() && events.min(others) >= FEWEST_EVENTS;
        let exact = [
            Exact::of(both.iter().copied(), clustering),
            Exact::of(both.iter().map(|both| both.swapped()), clustering),
        ];
        Ok(Evidence { ask, both, turned, contrast, buckets, exact, rare: None })
    }

    /// By how much does B differ from A, by this procedure? Degenerate: [`Reason::ZeroVariance`] for means that all agree.
    pub fn compare(&self, procedure: Procedure) -> Result<Found, Reason> {
        let found = self.found(procedure)?;
        Ok(if self.turned { found.complemented() } else { found })
    }

    /// Two-sided anytime-valid p-value of "there is no difference", from between buckets (exact with few events), at twice the alpha of each side.
    ///
    /// Degenerate: [`Reason::ZeroVariance`] for means that all agree.
    pub fn p(&self) -> Result<f64, Reason> {
        if !self.ask.rate && self.score(0.0, false).variance <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let most = self.ln_e(0.0, false).max(self.ln_e(0.0, true));
        Ok((2.0 * (-most).exp()).min(1.0))
    }

    /// The same of each stratum by itself, sharpest at so many units of B; or why it says nothing.
    pub fn each(&self, planned: Option<f64>) -> impl Iterator<Item = Result<f64, Reason>> {
        let ask = Ask { planned, ..self.ask };
        let turned = self.turned;
        let one = move |both: &Both| {
            // As it is: in a stratum by itself the other kind of event may be the rarer one.
            let both = if turned { both.complement() } else { *both };
            Evidence::from(vec![both], ask)?.p()
        };
        self.both.iter().map(one)
    }

    fn clock(&self) -> Clock {
        Clock::Units(self.ask.planned.unwrap_or(USUAL_UNITS))
    }

    /// The contrast at a difference `x`; `down`: evidence that the true one is smaller.
    fn score(&self, x: f64, down: bool) -> Score {
        let mut score = self.contrast.score(1.0, x);
        if down {
            score.excess = -score.excess;
        }
        score
    }

    /// ln of the e-value against "the difference is at most `x`" (`down`: at least).
    fn ln_e(&self, x: f64, down: bool) -> f64 {
        let own = if self.buckets {
            self.score(x, down).ln_e(self.clock(), self.ask.alpha, self.contrast.units)
        } else {
            f64::NEG_INFINITY
        };
        let [up, turned] = &self.exact;
        let (exact, offset) = if down { (turned, -x) } else { (up, x) };
        let Some(exact) = exact.as_ref().map(|exact| exact.ln_e(offset)) else { return own };
        if !self.buckets {
            return exact;
        }
        ln_sum_exp(&[exact + EXACT_PART.ln(), own + (1.0 - EXACT_PART).ln()])
    }

    fn found(&self, procedure: Procedure) -> Result<Found, Reason> {
        let contrast = &self.contrast;
        let a = contrast.expected / contrast.units;
        let b = contrast.total / contrast.units;
        let estimate = b - a;
        let at = contrast.score(1.0, estimate);
        if !self.ask.rate && at.variance <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let error = at.variance.sqrt() / contrast.units;
        let (low, high) = if self.buckets && procedure != Procedure::Anytime {
            self.by_error(procedure, estimate, error, at.df)?
        } else {
            self.by_evidence(estimate, error)
        };
        Ok(Found {
            a,
            b,
            estimate,
            error,
            df: at.df,
            low,
            high,
            units: [contrast.baseline_units, contrast.units],
            exact: !self.buckets,
        })
    }

    fn by_evidence(&self, estimate: f64, error: f64) -> (Option<f64>, Option<f64>) {
        // With few events, half of alpha is for the rates themselves.
        let alpha = if self.rare.is_some() { 0.5 * self.ask.alpha } else { self.ask.alpha };
        // A difference of rates is at most 1; no bound of a mean is further away than this.
        let reach = if self.ask.rate { 1.0 + estimate.abs() } else { 1e4 * error };
        let bound = |down: bool| {
            let (sign, from) = if down { (-1.0, -estimate) } else { (1.0, estimate) };
            let found = lower_bound(from - reach, from, alpha, |x| self.ln_e(sign * x, down));
            (found > from - reach).then_some(sign * found)
        };
        let (low, high) = (bound(false), bound(true));
        // No rate is below 0: B is at most its own upper bound above A, and A above B.
        match self.rare {
            Some([a, b]) => (Some(low.map_or(-a, |low| low.max(-a))), Some(high.map_or(b, |high| high.min(b)))),
            None => (low, high),
        }
    }

    fn by_error(
        &self,
        procedure: Procedure,
        estimate: f64,
        error: f64,
        df: f64,
    ) -> Result<(Option<f64>, Option<f64>), Reason> {
        let units = self.contrast.units;
        let half = match procedure {
            Procedure::Bound(z) => {
                let reach = if self.ask.rate { 1.0 + estimate.abs() } else { 1e4 * error };
                let bound = |down: bool| {
                    let (sign, from) = if down { (-1.0, -estimate) } else { (1.0, estimate) };
                    let found = crossing(from - reach, from, |x| self.score(sign * x, down).z() - z);
                    (found > from - reach).then_some(sign * found)
                };
                return Ok((bound(false), bound(true)));
            }
            Procedure::Msprt => {
                let effect = amount("the effect", self.ask.effect)?;
                msprt::half_width(wider(error, df), effect * effect, (2.0 * self.ask.alpha).min(0.999))?
            }
            Procedure::ConfidenceSequence | Procedure::Anytime => {
                let rho =
                    confidence::tuning((2.0 * self.ask.alpha).min(0.999), self.ask.planned.unwrap_or(USUAL_UNITS))?;
                estimate - confidence::lower(estimate, wider(error, df), units, rho, self.ask.alpha)?
            }
        };
        Ok((Some(estimate - half), Some(estimate + half)))
    }
}

/// Upper bound of a rate with few events at a one-sided `alpha`, valid at every look, however alike requests of one user are.
///
/// Few events say nothing of how alike they are, so the worst is taken: that users fail always or never. Then the design effect is
/// `sum r^2 / sum r` over users with `r` requests, which is the dispersion of the buckets' totals (a compound Poisson law: variance over mean;
/// Feller 1968, "An Introduction to Probability Theory", vol. 1, XII.2), and counts divided by it are worth as many independent users.
fn at_most(all: &Arm, clustering: Clustering, alpha: f64) -> f64 {
    let (units, events, buckets) = (all.units(), all.total(), all.occupied());
    let effect = match clustering {
        Clustering::Independent => 1.0,
        Clustering::Buckets if (buckets as f64) < FEWEST_BUCKETS => return 1.0,
        Clustering::Buckets => {
            let mean = units / REPLICATES as f64;
            let padding = REPLICATES.saturating_sub(all.cells.len()) as f64 * mean * mean;
            let squares: f64 = all.cells.iter().map(|cell| (cell.units - mean).powi(2)).sum::<f64>() + padding;
            (squares / (REPLICATES as f64 - 1.0) / mean).max(1.0) * design::margin(REPLICATES, alpha)
        }
    };
    anytime::rate_upper(events / effect, units / effect, alpha)
}

/// An error that few degrees of freedom make larger: by Student's quantile over the normal one at z = 3, about where bounds of repeated
/// looks lie.
fn wider(error: f64, df: f64) -> f64 {
    error * normal::to_t(3.0, df) / 3.0
}
