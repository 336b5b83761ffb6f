//! By how much do two versions differ? An interval from between the buckets of users, by the procedure of one's choice.
//!
//! [`super::compare`] asks whether a limit is exceeded, tuned to notice harm early. An experiment asks for the difference itself, in both
//! directions, tuned to the size that was planned. The estimate and its variance are those of `contrast`: within strata, jackknife over
//! buckets, Satterthwaite's degrees of freedom. What differs between procedures is how far the bounds lie from the estimate:
//!
//! | [`Procedure`] | looks | bounds |
//! |---|---|---|
//! | `Anytime` | any | e-values of the normal mixture, sharpest at the planned size; with few events the exact ones |
//! | `ConfidenceSequence` | any | [`super::sequential::confidence`] (Waudby-Smith et al. 2024) |
//! | `Msprt` | any | [`super::sequential::msprt`] (Johari et al. 2022) |
//! | `Bound` | as planned | the difference at which z reaches a bound: a planned look's, or that of a single look |
//!
//! Below [`FEWEST_EVENTS`] events (or non-events) the exact test and the bounds of each rate decide alone, whatever the procedure.

mod size;

use super::anytime;
use super::cell::{Arm, REPLICATES, Stratum};
use super::compare::FEWEST_EVENTS;
use super::contrast::{Clock, Contrast, Score, lower_bound};
use super::counts::{self, Clustering};
use super::evalue::{crossing, ln_sum_exp};
use super::normal;
use super::reason::{Reason, amount, probability};
use super::sequential::{confidence, msprt};

pub use size::{boundary, detectable, size, unit_variance};

/// The exact test's part of the bet, where buckets speak too. Small, because an experiment is planned for many events.
const EXACT_PART: f64 = 0.1;

/// How the bounds are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Procedure {
    /// E-values: holds at every look.
    Anytime,
    /// The asymptotic confidence sequence: holds at every look.
    ConfidenceSequence,
    /// The mixture sequential probability ratio test: holds at every look.
    Msprt,
    /// z must reach this bound: of one planned look.
    Bound(f64),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Chance that either bound is ever wrong, each by itself (one-sided). In (0, 0.5].
    pub alpha: f64,
    /// How.
    pub procedure: Procedure,
    /// Units of B at which it should be sharpest, fixed before the first look; none: [`USUAL_UNITS`].
    pub planned: Option<f64>,
    /// The difference that is looked for, in the metric's unit, above 0: what `Msprt` is sharpest at.
    pub effect: f64,
    /// Whether totals count events, of which each unit has one at most.
    pub rate: bool,
    /// How observations depend on each other; means need [`Clustering::Buckets`].
    pub clustering: Clustering,
}

/// Units of B at which procedures are sharpest that were not planned.
pub const USUAL_UNITS: f64 = 2000.0;

/// What was found, in the metric's unit. B is the stratum's canary, A its baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// A's rate or mean, in B's mix of strata.
    pub a: f64,
    /// B's rate or mean.
    pub b: f64,
    /// B less A.
    pub estimate: f64,
    /// Its standard error, from between buckets.
    pub error: f64,
    /// Degrees of freedom of that error.
    pub df: f64,
    /// Lower bound of B less A, one-sided at alpha. `None` where the data cannot bound it.
    pub low: Option<f64>,
    /// Upper bound, the same.
    pub high: Option<f64>,
    /// Units of A and of B.
    pub units: [f64; 2],
    /// Whether few events left the exact test alone.
    pub exact: bool,
}

/// By how much does B differ from A?
///
/// Assumes: users divided by hash, weights constant, both versions counted at the same time. Degenerate: [`Reason::NoData`] without units in an
/// arm, [`Reason::TooFew`] buckets, [`Reason::ZeroVariance`] for means that all agree.
pub fn compare(strata: &[Stratum], ask: &Ask) -> Result<Found, Reason> {
    probability("alpha", ask.alpha)?;
    if !ask.rate && ask.clustering == Clustering::Independent {
        return Err(Reason::TooFew { what: "buckets of users", have: 0.0, need: super::contrast::FEWEST_BUCKETS });
    }
    let contrast = Contrast::new(strata, ask.clustering, ask.rate, false)?;
    let events = contrast.total + contrast.baseline_total;
    let others = contrast.units + contrast.baseline_units - events;
    if ask.rate && others < events {
        // Few non-events are few events of the complement: the exact test must count the rarer kind.
        let turned: Vec<Stratum> = strata.iter().map(complement).collect();
        return Ok(Evidence::of(&turned, ask)?.found()?.complemented());
    }
    Evidence::of(strata, ask)?.found()
}

fn complement(stratum: &Stratum) -> Stratum {
    Stratum { canary: stratum.canary.complement(), baseline: stratum.baseline.complement(), ..stratum.clone() }
}

fn swapped(stratum: &Stratum) -> Stratum {
    Stratum {
        name: stratum.name.clone(),
        canary: stratum.baseline.clone(),
        baseline: stratum.canary.clone(),
        share: stratum.share.map(|s| 1.0 - s),
    }
}

impl Found {
    /// The same, said of the complement of the rate.
    fn complemented(self) -> Found {
        Found {
            a: 1.0 - self.a,
            b: 1.0 - self.b,
            estimate: -self.estimate,
            low: self.high.map(|x| -x),
            high: self.low.map(|x| -x),
            ..self
        }
    }
}

/// The exact test at any offset.
enum Exact {
    Prepared(counts::Tilts),
    Groups(Vec<counts::Group>),
}

impl Exact {
    fn of(strata: &[Stratum], clustering: Clustering) -> Option<Exact> {
        let groups = counts::groups(strata, clustering, false);
        if groups.is_empty() {
            return None;
        }
        Some(counts::Tilts::new(&groups, 1.0).map_or(Exact::Groups(groups), Exact::Prepared))
    }

    fn ln_e(&self, offset: f64) -> f64 {
        match self {
            Exact::Prepared(tilts) => tilts.ln_e(offset),
            Exact::Groups(groups) => counts::ln_e(groups, 1.0, offset),
        }
    }
}

struct Evidence<'a> {
    ask: &'a Ask,
    contrast: Contrast,
    /// May buckets speak?
    buckets: bool,
    /// The exact test of events by group, as they are and with the versions exchanged; none where it says nothing.
    exact: [Option<Exact>; 2],
    /// With few events: upper bounds of A's and of B's own rate, at half of alpha.
    rare: Option<[f64; 2]>,
}

impl<'a> Evidence<'a> {
    fn of(strata: &[Stratum], ask: &'a Ask) -> Result<Self, Reason> {
        let contrast = Contrast::new(strata, ask.clustering, ask.rate, false)?;
        let enough = contrast.enough_buckets();
        if !ask.rate {
            enough?;
            let buckets = true;
            return Ok(Self { ask, contrast, buckets, exact: [None, None], rare: None });
        }
        let events = contrast.total + contrast.baseline_total;
        let buckets = enough.is_ok() && events >= FEWEST_EVENTS;
        let exact = ask.procedure == Procedure::Anytime || !buckets;
        let exact = if exact {
            let other: Vec<Stratum> = strata.iter().map(swapped).collect();
            [Exact::of(strata, ask.clustering), Exact::of(&other, ask.clustering)]
        } else {
            [None, None]
        };
        let rare = (!buckets).then(|| {
            let arms: [Vec<&Arm>; 2] =
                [strata.iter().map(|s| &s.baseline).collect(), strata.iter().map(|s| &s.canary).collect()];
            arms.map(|arms| at_most(&arms, ask.clustering, 0.5 * ask.alpha))
        });
        Ok(Self { ask, contrast, buckets, exact, rare })
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

    fn found(&self) -> Result<Found, Reason> {
        let contrast = &self.contrast;
        let a = contrast.expected / contrast.units;
        let b = contrast.total / contrast.units;
        let estimate = b - a;
        let at = contrast.score(1.0, estimate);
        if !self.ask.rate && at.variance <= 0.0 {
            return Err(Reason::ZeroVariance);
        }
        let error = at.variance.sqrt() / contrast.units;
        let (low, high) = if self.buckets && self.ask.procedure != Procedure::Anytime {
            self.by_error(estimate, error, at.df)?
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

    fn by_error(&self, estimate: f64, error: f64, df: f64) -> Result<(Option<f64>, Option<f64>), Reason> {
        let units = self.contrast.units;
        let half = match self.ask.procedure {
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
fn at_most(arms: &[&Arm], clustering: Clustering, alpha: f64) -> f64 {
    let mut all = Arm::default();
    arms.iter().for_each(|arm| all.merge(arm));
    let (units, events, buckets) = (all.units(), all.total(), all.occupied());
    let effect = match clustering {
        Clustering::Independent => 1.0,
        Clustering::Buckets if (buckets as f64) < super::contrast::FEWEST_BUCKETS => return 1.0,
        Clustering::Buckets => {
            let mean = units / REPLICATES as f64;
            let padding = REPLICATES.saturating_sub(all.cells.len()) as f64 * mean * mean;
            let squares: f64 = all.cells.iter().map(|cell| (cell.units - mean).powi(2)).sum::<f64>() + padding;
            (squares / (REPLICATES as f64 - 1.0) / mean).max(1.0) * super::design::margin(REPLICATES, alpha)
        }
    };
    anytime::rate_upper(events / effect, units / effect, alpha)
}

/// An error that few degrees of freedom make larger: by Student's quantile over the normal one at z = 3, about where bounds of repeated
/// looks lie.
fn wider(error: f64, df: f64) -> f64 {
    error * normal::to_t(3.0, df) / 3.0
}

/// Two-sided anytime-valid p-value of "there is no difference", from between buckets (exact with few events).
///
/// `planned` as in [`Ask`]. Degenerate as [`compare`].
pub fn p(strata: &[Stratum], rate: bool, alpha: f64, planned: Option<f64>) -> Result<f64, Reason> {
    let clustering = Clustering::Buckets;
    let ask = Ask { alpha: 0.5 * alpha, procedure: Procedure::Anytime, planned, effect: 1.0, rate, clustering };
    probability("alpha", alpha)?;
    let contrast = Contrast::new(strata, clustering, rate, false)?;
    let events = contrast.total + contrast.baseline_total;
    let turned: Vec<Stratum>;
    let evidence = if rate && contrast.units + contrast.baseline_units - events < events {
        turned = strata.iter().map(complement).collect();
        Evidence::of(&turned, &ask)?
    } else {
        Evidence::of(strata, &ask)?
    };
    if !rate && evidence.score(0.0, false).variance <= 0.0 {
        return Err(Reason::ZeroVariance);
    }
    let most = evidence.ln_e(0.0, false).max(evidence.ln_e(0.0, true));
    Ok((2.0 * (-most).exp()).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(a: (f64, f64), b: (f64, f64)) -> Stratum {
        let arm = |(units, total): (f64, f64)| {
            let mut arm = Arm::default();
            for bucket in 0..32 {
                arm.add(bucket, units / 32.0, total / 32.0);
            }
            arm
        };
        Stratum { name: "all".to_owned(), canary: arm(b), baseline: arm(a), share: Some(0.5) }
    }

    const ASK: Ask = Ask {
        alpha: 0.025,
        procedure: Procedure::Anytime,
        planned: Some(10_000.0),
        effect: 0.02,
        rate: true,
        clustering: Clustering::Buckets,
    };

    #[test]
    fn a_single_look_is_the_textbook_interval_where_buckets_are_even() {
        // Even buckets leave the binomial floor: 0.2 -> 0.23 of 10,000 each, standard error by hand.
        let found = compare(
            &[stratum((10_000.0, 2_000.0), (10_000.0, 2_300.0))],
            &Ask { procedure: Procedure::Bound(1.96), ..ASK },
        )
        .unwrap();
        let error = (0.2 * 0.8 / 10_000.0_f64 + 0.23 * 0.77 / 10_000.0).sqrt();
        assert!((found.estimate - 0.03).abs() < 1e-12);
        assert!((found.error / error - 1.0).abs() < 0.01, "{} {error}", found.error);
        let half = 0.03 - found.low.unwrap();
        assert!(half > 1.96 * error * 0.97 && half < 1.96 * error * 1.08, "{half} {}", 1.96 * error);
    }

    #[test]
    fn procedures_that_may_be_looked_at_are_wider_and_agree_roughly() {
        let data = [stratum((10_000.0, 2_000.0), (10_000.0, 2_300.0))];
        let width = |procedure| {
            let found = compare(&data, &Ask { procedure, ..ASK }).unwrap();
            found.high.unwrap() - found.low.unwrap()
        };
        let once = width(Procedure::Bound(1.96));
        for procedure in [Procedure::Anytime, Procedure::ConfidenceSequence, Procedure::Msprt] {
            let wide = width(procedure) / once;
            assert!(wide > 1.3 && wide < 2.0, "{procedure:?}: {wide}");
        }
    }

    #[test]
    fn turning_successes_into_failures_turns_the_answer_round() {
        let few = compare(&[stratum((5_000.0, 500.0), (5_000.0, 600.0))], &ASK).unwrap();
        let many = compare(&[stratum((5_000.0, 4_500.0), (5_000.0, 4_400.0))], &ASK).unwrap();
        assert!((few.estimate + many.estimate).abs() < 1e-9);
        assert!((few.low.unwrap() + many.high.unwrap()).abs() < 1e-9);
        let same = |data: Stratum| p(&[data], true, 0.05, Some(5_000.0)).unwrap();
        let of_few = same(stratum((5_000.0, 500.0), (5_000.0, 600.0)));
        assert!((of_few - same(stratum((5_000.0, 4_500.0), (5_000.0, 4_400.0)))).abs() < 1e-12 && of_few < 1.0);
    }

    /// Whole events, one to a bucket.
    fn few(events: u32) -> Arm {
        let mut arm = Arm::default();
        (0..32_u32).for_each(|b| arm.add(b as usize, 150.0, f64::from(u8::from(b < events))));
        arm
    }

    #[test]
    fn few_events_leave_the_exact_test_alone() {
        let both = |a: u32, b: u32| Stratum { canary: few(b), baseline: few(a), ..stratum((1.0, 0.0), (1.0, 0.0)) };
        let found = compare(&[both(3, 5)], &ASK).unwrap();
        assert!(found.exact && found.low.is_none_or(|low| low <= 0.0), "{found:?}");
        let found = compare(&[both(1, 30)], &ASK).unwrap();
        assert!(found.exact && found.low.is_some_and(|low| low > 0.0 && low < found.estimate), "{found:?}");
        let found = compare(&[both(30, 1)], &ASK).unwrap();
        assert!(found.exact && found.high.is_some_and(|high| high < 0.0 && high > found.estimate), "{found:?}");
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let empty = Stratum::default();
        assert_eq!(compare(&[empty], &ASK), Err(Reason::NoData("canary")));
        let mean = Ask { rate: false, ..ASK };
        assert_eq!(compare(&[stratum((32.0, 64.0), (32.0, 64.0))], &mean), Err(Reason::ZeroVariance));
        assert!(matches!(
            compare(&[stratum((32.0, 64.0), (32.0, 64.0))], &Ask { clustering: Clustering::Independent, ..mean }),
            Err(Reason::TooFew { .. })
        ));
    }
}
