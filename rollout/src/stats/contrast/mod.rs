//! Many events: how far the canary's total is above what the baseline's would allow, and how sure that is, from between
//! the buckets of users.
//!
//! `S = sum over strata of (X - a * n/m * Y) - f * n`: the canary's total less what it would be at `a` times the baseline's
//! mean plus `f` (`X`, `n` total and units of the canary, `Y`, `m` of the baseline). Every stratum is compared within itself
//! and weighs as the canary's traffic does.
//!
//! Variance: the delete-one-bucket jackknife of each ratio (Efron and Stein 1981, Annals of Statistics 9, eq. 1.5; it is the
//! cluster-robust CR3 of Cameron and Miller 2015, section VI.B, for a ratio), which a dominating bucket makes larger, not
//! smaller. Degrees of freedom: Satterthwaite 1946 over arms and strata, each arm with `(sum n_i^2)^2 / sum n_i^4 - 1`, so buckets
//! of equal size give their number less one and one heavy bucket few. Where both versions' dispersion may be taken for one (the
//! same people use both), it is estimated from both. For a rate the variance is never taken below the
//! binomial one under the hypothesis: users cannot be more alike than by chance, and identical buckets prove nothing.

mod side;

use super::cell::Stratum;
use super::counts::Clustering;
use super::evalue::crossing;
use super::normal;
use super::reason::Reason;

use side::{binomial, pool};

pub(super) use side::Both;

/// Fewest buckets with units that a variance is estimated from.
pub(super) const FEWEST_BUCKETS: f64 = 8.0;

/// A stratum within a contrast.
#[derive(Clone, Copy, Debug)]
struct Part {
    units: f64,
    buckets: f64,
    variance: f64,
    df: f64,
    baseline: Option<Baseline>,
    /// Is the dispersion the pair's common one?
    pooled: bool,
}

/// What the canary of a stratum is held against.
#[derive(Clone, Copy, Debug)]
struct Baseline {
    buckets: f64,
    mean: f64,
    df: f64,
    /// Units of the canary for one of this.
    ratio: f64,
    /// Variance of its total.
    variance: f64,
}

/// Strata reduced to what every question about them needs.
#[derive(Clone, Debug)]
pub(super) struct Contrast {
    parts: Vec<Part>,
    rate: bool,
    pub(super) units: f64,
    pub(super) baseline_units: f64,
    pub(super) total: f64,
    pub(super) baseline_total: f64,
    /// Expected total of the canary at the baseline's mean in each stratum.
    pub(super) expected: f64,
}

/// What a contrast says about one hypothesis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    /// Excess of the canary's total over the hypothesis.
    pub(super) excess: f64,
    pub(super) variance: f64,
    pub(super) df: f64,
}

impl Contrast {
    /// `absolute`: no baseline is needed. `rate`: totals are counts of events.
    pub(super) fn new(
        strata: &[Stratum],
        clustering: Clustering,
        rate: bool,
        absolute: bool,
    ) -> Result<Contrast, Reason> {
        Contrast::of(&Both::of(strata, clustering, rate)?, clustering, rate, absolute)
    }

    /// The same from what was worked out of each stratum.
    pub(super) fn of(strata: &[Both], clustering: Clustering, rate: bool, absolute: bool) -> Result<Contrast, Reason> {
        let mut found = Contrast {
            parts: Vec::with_capacity(strata.len()),
            rate,
            units: 0.0,
            baseline_units: 0.0,
            total: 0.0,
            baseline_total: 0.0,
            expected: 0.0,
        };
        let mut canary_seen = false;
        for Both { canary, baseline, .. } in strata {
            let (mut canary, mut baseline) = (*canary, *baseline);
            canary_seen |= canary.units > 0.0;
            if canary.units <= 0.0 || (!absolute && baseline.units <= 0.0) {
                continue;
            }
            found.units += canary.units;
            found.total += canary.total;
            if !absolute {
                found.baseline_units += baseline.units;
                found.baseline_total += baseline.total;
                found.expected += canary.units * baseline.mean();
                if clustering == Clustering::Buckets {
                    pool(&mut canary, &mut baseline, rate);
                }
            }
            let against = || {
                let mean = baseline.mean();
                let floor = if rate { binomial(baseline.units, mean) } else { 0.0 };
                Baseline {
                    buckets: baseline.buckets,
                    mean,
                    df: baseline.df,
                    ratio: canary.units / baseline.units,
                    variance: baseline.variance.max(floor),
                }
            };
            found.parts.push(Part {
                units: canary.units,
                buckets: canary.buckets,
                variance: canary.variance,
                df: canary.df,
                baseline: (!absolute).then(against),
                pooled: canary.pooled && baseline.pooled,
            });
        }
        match (found.units > 0.0, canary_seen) {
            (true, _) => Ok(found),
            (false, true) => Err(Reason::NoData("baseline")),
            (false, false) => Err(Reason::NoData("canary")),
        }
    }

    /// Why the buckets cannot give a variance, if so: fewer than 8 with units, in all strata together, in either arm.
    pub(super) fn enough_buckets(&self) -> Result<(), Reason> {
        let most = |pick: fn(&Part) -> f64| self.parts.iter().map(pick).fold(0.0, f64::max);
        let canary = most(|part| part.buckets);
        let baseline = most(|part| part.baseline.map_or(f64::INFINITY, |side| side.buckets));
        let have = canary.min(baseline);
        if have < FEWEST_BUCKETS {
            return Err(Reason::TooFew { what: "buckets of users", have, need: FEWEST_BUCKETS });
        }
        Ok(())
    }

    /// By what the variances of the canary's total and of the expected one are to be multiplied, so that both are those of a rate
    /// between what was seen and what was expected.
    ///
    /// A count's variance grows with the count, so a canary that fails more also looks more uncertain, and the plain ratio of excess to
    /// deviation needs twice the data to be sure. The difference of square roots has a variance that does not depend on the rate (Bartlett 1936,
    /// JRSS Supplement 3; Gu, Ng, Tang and Schucany 2008, Biometrical Journal 50, eq. 10, for ratios of Poisson rates); as `X - E` is their
    /// difference times their sum, that amounts to variances at `((sqrt X + sqrt E) / 2)^2`. For small rates alone, where more is seen than expected.
    fn between(&self, expected: f64) -> (f64, f64) {
        let small = self.total <= 0.5 * self.units && expected <= 0.2 * self.units;
        if !(self.rate && small && expected >= 1.0 && self.total > expected) {
            return (1.0, 1.0);
        }
        let middle = 0.25 * (self.total.sqrt() + expected.sqrt()).powi(2);
        (middle / self.total, middle / expected)
    }

    /// Excess and variance against the hypothesis `mean of the canary = slope * mean of the baseline + offset`.
    pub(super) fn score(&self, slope: f64, offset: f64) -> Score {
        let (mut variance, mut spread) = (0.0, 0.0);
        // Below the baseline's own rate the expected count is not the baseline's any more, and its variance says nothing of it.
        let (of_canary, of_expected) =
            if offset < 0.0 { (1.0, 1.0) } else { self.between(slope * self.expected + offset * self.units) };
        for part in &self.parts {
            let [of_own, of_other] = if part.pooled { [of_canary, of_expected] } else { [1.0, 1.0] };
            let expected = slope * part.baseline.map_or(0.0, |side| side.mean) + offset;
            let floor = if self.rate { binomial(part.units, expected) } else { 0.0 };
            let own = (of_own * part.variance).max(floor);
            let other = part.baseline.map_or(0.0, |side| (slope * side.ratio).powi(2) * of_other * side.variance);
            variance += own + other;
            spread += match part.baseline {
                // One estimate for both: its error does not average out.
                Some(_) if part.pooled => (own + other).powi(2) / part.df,
                Some(side) => own * own / part.df + other * other / side.df,
                None => own * own / part.df,
            };
        }
        let df = if spread > 0.0 { variance * variance / spread } else { f64::INFINITY };
        Score { excess: self.total - slope * self.expected - offset * self.units, variance, df }
    }
}

/// Where the mixture is sharpest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// At this variance of the excess, in squared events.
    Variance(f64),
    /// At this many units of the canary.
    Units(f64),
}

/// The variance of the mixing distribution that makes the boundary lowest at `best`, for a one-sided `alpha`.
///
/// Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
/// Statistics 49, section 3.5 and eq. 3.6: `best / (-W(-a^2/e) - 1)` with `a = 2*alpha`, Lambert's lower branch approximated as
/// `2 ln(1/a) + ln(1 + 2 ln(1/a))`.
pub(super) fn sharpest(best: f64, alpha: f64) -> f64 {
    let log = 2.0 * (1.0 / (2.0 * alpha).min(0.9)).ln();
    best / (log + (1.0 + log).ln())
}

impl Score {
    /// z of the excess, corrected for the degrees of freedom. 0 where the variance is 0 and so is the excess.
    pub(super) fn z(&self) -> f64 {
        if self.variance > 0.0 { normal::from_t(self.excess / self.variance.sqrt(), self.df) } else { 0.0 }
    }

    /// ln of the e-value of the one-sided normal mixture, against an excess of at most 0.
    ///
    /// Howard et al. 2021, Proposition 5 (one-sided normal mixture): `2 sqrt(k/(V+k)) exp(S^2 / (2(V+k))) Phi(S/sqrt(V+k))`,
    /// with the mixing variance `k`. Estimated variance makes it asymptotic (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024,
    /// "Time-uniform central limit theory and asymptotic confidence sequences", arXiv 2103.06476, Theorem 2.2); few buckets make
    /// tails heavier, so V is first enlarged until the excess has the z of its t.
    ///
    /// Valid at every look also when users come back: increments of one user are then positively correlated, the excess at
    /// two times is at least as correlated as for independent increments of the same variances, and a one-sided boundary
    /// is crossed less often (Slepian's inequality, 1962).
    pub(super) fn ln_e(&self, clock: Clock, alpha: f64, units: f64) -> f64 {
        let z = self.z();
        let ratio = match clock {
            Clock::Variance(best) => {
                let variance = if z > 0.0 { (self.excess / z).powi(2) } else { self.variance };
                variance / sharpest(best, alpha)
            }
            Clock::Units(best) => units / sharpest(best, alpha),
        };
        let shrunk = z * (ratio / (1.0 + ratio)).sqrt();
        std::f64::consts::LN_2 - 0.5 * ratio.ln_1p() + 0.5 * shrunk * shrunk + normal::ln_cdf(shrunk)
    }
}

/// The largest offset `x` in `[low, high]` at which the e-value `ln_e(x)`, falling in x, still reaches `1/alpha`.
pub(super) fn lower_bound(low: f64, high: f64, alpha: f64, ln_e: impl Fn(f64) -> f64) -> f64 {
    let need = -alpha.ln();
    crossing(low, high, |x| ln_e(x) - need)
}
