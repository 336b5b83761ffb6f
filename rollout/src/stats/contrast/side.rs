//! One version in one stratum, reduced to what the contrast needs: sums over its buckets, once for all questions.

use crate::stats::cell::{Arm, Stratum};
use crate::stats::counts::{Clustering, Counted};
use crate::stats::reason::{Reason, countable};

/// One arm of one stratum, reduced to what the contrast needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) units: f64,
    pub(super) total: f64,
    /// How many buckets have events, and how many have units that had none.
    cells: [f64; 2],
    /// Variance of the total about its own mean.
    pub(super) variance: f64,
    pub(super) df: f64,
    /// How many buckets have units.
    pub(super) buckets: f64,
    /// Sums of the second, third and fourth power of the buckets' shares of units.
    powers: [f64; 3],
    /// Is the dispersion the pair's common one?
    pub(super) pooled: bool,
}

impl Side {
    /// Refuses what cannot have been counted. `rate`: each unit has one event at most.
    fn of(arm: &Arm, clustering: Clustering, rate: bool) -> Result<Side, Reason> {
        let (mut units, mut total, mut buckets, mut hits, mut misses) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let one = |yes: bool| if yes { 1.0 } else { 0.0 };
        let mut sound = true;
        for cell in &arm.cells {
            units += cell.units;
            total += cell.total;
            buckets += one(cell.units > 0.0);
            hits += one(cell.total > 0.0);
            misses += one(cell.units > cell.total);
            sound &= countable(cell.units) && (!rate || countable(cell.total) && cell.total <= cell.units);
        }
        if !sound || !total.is_finite() {
            arm.check(rate)?;
        }
        let mut side = Side {
            units,
            total,
            cells: [hits, misses],
            variance: 0.0,
            df: f64::INFINITY,
            buckets: f64::INFINITY,
            powers: [0.0; 3],
            pooled: false,
        };
        if clustering == Clustering::Independent {
            return Ok(side);
        }
        side.buckets = buckets;
        let (mean, each) = if units > 0.0 { (total / units, units.recip()) } else { (0.0, 0.0) };
        let (mut sum, mut squares) = (0.0, 0.0);
        let [mut second, mut third, mut fourth] = side.powers;
        for cell in arm.cells.iter().filter(|cell| cell.units > 0.0 && cell.units < units) {
            let share = cell.units * each;
            let residual = (cell.total - mean * cell.units) / (1.0 - share);
            let square = share * share;
            sum += residual;
            squares += residual * residual;
            second += square;
            third += square * share;
            fourth += square * square;
        }
        side.powers = [second, third, fourth];
        if buckets > 1.0 {
            side.variance = (buckets - 1.0) / buckets * (squares - sum * sum / buckets).max(0.0);
        }
        side.df = if fourth > 0.0 { (second * second / fourth - 1.0).max(1.0) } else { 1.0 };
        Ok(side)
    }

    /// The same of a rate's complement: failures for successes.
    fn complement(self) -> Side {
        let [hits, misses] = self.cells;
        Side { total: self.units - self.total, cells: [misses, hits], ..self }
    }

    /// What counts for the exact test: cells with at least one event, or all events if observations are independent.
    fn events(&self, clustering: Clustering) -> f64 {
        match clustering {
            Clustering::Buckets => self.cells[0],
            Clustering::Independent => self.total,
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.total / self.units
    }

    /// Degrees of freedom if a bucket's variance is `s + (effect - 1) B s^2` of its share of units `s`: independent requests at
    /// 1, whole users above.
    fn df_at(&self, effect: f64) -> f64 {
        let [second, third, fourth] = self.powers;
        let slope = (effect - 1.0).max(0.0) * self.buckets;
        let sum = 1.0 + slope * second;
        let squares = second + 2.0 * slope * third + slope * slope * fourth;
        if squares > 0.0 { (sum * sum / squares - 1.0).max(1.0) } else { 1.0 }
    }

    /// The variance that the total would have with a dispersion of 1: binomial for a rate, the squared mean per unit for a mean.
    /// `None` where there is nothing to relate to.
    fn unit_variance(&self, rate: bool) -> Option<f64> {
        if rate {
            return Some(binomial(self.units, self.mean()));
        }
        let far = self.total * self.total > 9.0 * self.variance;
        far.then(|| self.units * self.mean() * self.mean()).filter(|variance| *variance > 0.0)
    }
}

/// Gives both versions their common dispersion, where it may be taken for common.
///
/// The same people use both, so how much their coming back enlarges the variance is one number, and an estimate from all 64
/// buckets has twice the degrees of freedom: at small alphas that is worth a great deal. Each version counts by its degrees of
/// freedom, or by its events where they are fewer. Versions whose dispersions differ beyond the 95 % point of the F distribution
/// (normal approximation of its logarithm) keep their own.
pub(super) fn pool(canary: &mut Side, baseline: &mut Side, rate: bool) {
    let (Some(of_canary), Some(of_baseline)) = (canary.unit_variance(rate), baseline.unit_variance(rate)) else {
        return;
    };
    let least = if rate { 1.0 } else { 0.0 };
    let (own, other) = (canary.variance / of_canary, baseline.variance / of_baseline);
    let weight = |side: &Side, dispersion: f64| {
        let events = if rate { side.total.min(side.units - side.total) } else { side.units };
        side.df_at(dispersion).min(events)
    };
    let (first, second) = (weight(canary, own), weight(baseline, other));
    if first + second < 2.0 || !own.is_finite() || !other.is_finite() {
        return;
    }
    let common = ((first * own + second * other) / (first + second)).max(least);
    let limit = (1.645 * (2.0 / first.max(1.0) + 2.0 / second.max(1.0)).sqrt()).exp();
    let df = canary.df_at(common).min(first) + baseline.df_at(common).min(second);
    let (own, other) = (own.max(least), other.max(least));
    if own > limit * other || other > limit * own {
        return;
    }
    for (side, of_side) in [(canary, of_canary), (baseline, of_baseline)] {
        *side = Side { variance: common * of_side, df, pooled: true, ..*side };
    }
}

/// Both versions of a stratum, each by itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::stats) struct Both {
    pub(super) canary: Side,
    pub(super) baseline: Side,
    share: Option<f64>,
}

impl Both {
    /// Of each stratum. Refuses what cannot have been counted.
    pub(in crate::stats) fn of(strata: &[Stratum], clustering: Clustering, rate: bool) -> Result<Vec<Both>, Reason> {
        let both = |stratum: &Stratum| {
            Ok(Both {
                canary: Side::of(&stratum.canary, clustering, rate)?,
                baseline: Side::of(&stratum.baseline, clustering, rate)?,
                share: stratum.share,
            })
        };
        strata.iter().map(both).collect()
    }

    /// The same of a rate's complement.
    pub(in crate::stats) fn complement(self) -> Both {
        Both { canary: self.canary.complement(), baseline: self.baseline.complement(), ..self }
    }

    /// The versions exchanged.
    pub(in crate::stats) fn swapped(self) -> Both {
        Both { canary: self.baseline, baseline: self.canary, share: self.share.map(|share| 1.0 - share) }
    }

    /// For the exact test.
    pub(in crate::stats) fn counted(&self, clustering: Clustering) -> Counted {
        Counted {
            share: self.share,
            units: self.canary.units,
            events: self.canary.events(clustering),
            baseline_units: self.baseline.units,
            baseline_events: self.baseline.total,
        }
    }
}

/// Variance of a binomial count, with half an event added so that a rate of 0 or 1 does not give 0.
pub(super) fn binomial(units: f64, rate: f64) -> f64 {
    let rate = (rate.clamp(0.0, 1.0) * units + 0.5) / (units + 1.0);
    units * rate * (1.0 - rate)
}
