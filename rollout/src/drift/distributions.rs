//! The distributions of a variant, and how far the window's are from the reference's.
//!
//! Latency comes in the proxy's own bins, and how much users who come back enlarge its variance is known of its mean. Predictions are
//! counted by bucket of users in each bin, so that it is known of their distribution itself.

use std::collections::BTreeMap;

use super::look::{Part, f};
use super::{LATENCY, Watch};
use crate::measure::{Counters, Histogram as Counted, Predicted};
use crate::stats::drift::clustering::{occupied, of_categories, of_cuts};
use crate::stats::drift::{Ask, Bins, FEWEST_IN_BIN, Finding, population_stability, smirnov};
use crate::stats::histogram::Histogram;
use crate::stats::{Arm, Reason, design};

/// Bins of a population stability index: tenths of the reference, by custom.
const TENTHS: usize = 10;
/// What classes that are rare in the reference are called together.
const RARE: &str = "rare";

/// A distribution in the reference and in the window.
pub(super) enum Distribution {
    /// Of numbers.
    Ordered {
        /// The reference's, then the window's.
        sides: Box<[Values; 2]>,
        /// By which an edge is divided for people: microseconds to milliseconds.
        unit: f64,
    },
    /// Of classes: their names, and counts by bucket of users, then by class.
    Classes { names: Vec<String>, was: Vec<Vec<f64>>, now: Vec<Vec<f64>> },
    /// Nothing was read of it in one of them; why.
    Unknown { ordered: bool, why: String },
}

/// Numbers by bin, and what is known of how users repeat.
pub(super) struct Values {
    histogram: Result<Histogram, Reason>,
    repeated: Repeated,
}

enum Repeated {
    /// The design effect of their mean, and from how many buckets that was estimated.
    Mean(f64, usize),
    /// Counts by bucket of users, then by bin.
    Buckets(Vec<Vec<f64>>),
}

/// Latency, and every prediction that is watched or was counted.
pub(super) fn distributions(watch: &Watch, was: &Counters, now: &Counters) -> Vec<(String, Distribution)> {
    // Bounds that went through JSON may differ in their last digit.
    let bounds = if was.latency.same_bounds(&now.latency) { &now.latency.bounds } else { &was.latency.bounds };
    let sides = Box::new([latency(was, bounds), latency(now, &now.latency.bounds)]);
    let mut out = vec![(LATENCY.to_owned(), Distribution::Ordered { sides, unit: 1_000.0 })];
    let watched = watch.predictions.iter().flat_map(|of| &of.fields);
    let mut names: BTreeMap<&str, Option<&headgate_contract::Prediction>> =
        was.predictions.keys().chain(now.predictions.keys()).map(|name| (name.as_str(), None)).collect();
    names.extend(watched.map(|field| (field.name.as_str(), Some(field))));
    let nothing = Predicted::default();
    for (name, field) in names {
        let of = |counters: &'_ Counters| counters.predictions.get(name).cloned();
        let (was, now) = (of(was), of(now));
        let sides = [was.as_ref().unwrap_or(&nothing), now.as_ref().unwrap_or(&nothing)];
        out.push((format!("prediction {name}"), prediction(sides, field)));
    }
    out
}

fn latency(counters: &Counters, bounds: &[f64]) -> Values {
    let histogram = histogram(&counters.latency, bounds);
    let mut arm = Arm::default();
    for (bucket, replicate) in counters.replicates.iter().enumerate() {
        arm.add(bucket, f(replicate.finished), f(replicate.latency_us));
    }
    let variance = histogram.as_ref().map_or(0.0, Histogram::variance);
    Values { repeated: Repeated::Mean(design::of_mean(&arm, variance), arm.occupied()), histogram }
}

fn histogram(counted: &Counted, bounds: &[f64]) -> Result<Histogram, Reason> {
    let mut cumulative: Vec<f64> = counted.cumulative.iter().map(|c| f(*c)).collect();
    cumulative.push(f(counted.count));
    Histogram::from_cumulative(bounds.to_vec(), &cumulative)
}

/// A prediction, `field` as it is watched, if the rollout says so.
fn prediction(sides: [&Predicted; 2], field: Option<&headgate_contract::Prediction>) -> Distribution {
    let ordered = match field {
        Some(field) => !field.edges.is_empty(),
        None => sides.iter().any(|side| !side.values.is_empty()),
    };
    for (side, which) in sides.iter().zip(["the reference", "the window"]) {
        let counted = if ordered { &side.values } else { &side.classes };
        if counted.values().flatten().all(|count| *count == 0) {
            return Distribution::Unknown { ordered, why: unread(side, which) };
        }
    }
    if !ordered {
        let mut names: Vec<String> = sides.iter().flat_map(|side| side.classes.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        let [was, now] = sides.map(|side| by_bucket(&side.classes, &names));
        return Distribution::Classes { names, was, now };
    }
    // A bin in which nothing ever was is no series; where it belongs is told by the edges of all others.
    let mut edges: Vec<(f64, String)> = sides
        .iter()
        .flat_map(|side| side.values.keys())
        .filter_map(|text| Some((text.parse::<f64>().ok()?, text.clone())))
        .collect();
    edges.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    edges.dedup_by(|(_, a), (_, b)| a == b);
    let foreign = |edge: &f64| {
        edge.is_finite()
            && field.is_some_and(|field| !field.edges.iter().any(|known| known.to_bits() == edge.to_bits()))
    };
    if let Some((_, edge)) = edges.iter().find(|(edge, _)| foreign(edge)) {
        let why =
            format!("the edge {edge} was counted and is not among those of the rollout file: record a new reference");
        return Distribution::Unknown { ordered, why };
    }
    if edges.last().is_none_or(|(edge, _)| edge.is_finite()) {
        edges.push((f64::INFINITY, "inf".to_owned()));
    }
    let names: Vec<String> = edges.iter().map(|(_, text)| text.clone()).collect();
    let finite: Vec<f64> = edges.iter().map(|(edge, _)| *edge).filter(|edge| edge.is_finite()).collect();
    let values = |side: &Predicted| {
        let buckets = by_bucket(&side.values, &names);
        Values { histogram: Histogram::new(finite.clone(), summed(&buckets)), repeated: Repeated::Buckets(buckets) }
    };
    Distribution::Ordered { sides: Box::new(sides.map(values)), unit: 1.0 }
}

/// Why nothing was read.
fn unread(side: &Predicted, which: &str) -> String {
    if side.unread() == 0 {
        return format!(
            "nothing was read in {which}: is it in the published route, and the filter `headgate-shadow.wasm`?"
        );
    }
    let reasons: Vec<String> = side.unread.iter().map(|(why, count)| format!("{count} {why}")).collect();
    format!("none of {} could be read in {which}: {}", side.unread(), reasons.join(", "))
}

/// Counts by bucket, then by bin, bins in the order of `names`.
fn by_bucket(bins: &BTreeMap<String, Vec<u64>>, names: &[String]) -> Vec<Vec<f64>> {
    let buckets = bins.values().map(Vec::len).max().unwrap_or(0);
    let count = |name: &String, bucket: usize| bins.get(name).and_then(|b| b.get(bucket)).copied().unwrap_or(0);
    (0..buckets).map(|bucket| names.iter().map(|name| f(count(name, bucket))).collect()).collect()
}

/// Over all buckets.
fn summed(buckets: &[Vec<f64>]) -> Vec<f64> {
    let bins = buckets.iter().map(Vec::len).max().unwrap_or(0);
    (0..bins).map(|bin| buckets.iter().filter_map(|counts| counts.get(bin)).sum()).collect()
}

impl Distribution {
    /// Whether its values have an order, so that there is a distance along it.
    pub(super) const fn has_order(&self) -> bool {
        match self {
            Self::Ordered { .. } => true,
            Self::Classes { .. } => false,
            Self::Unknown { ordered, .. } => *ordered,
        }
    }

    /// `psi` or `ks`.
    pub(super) fn distance(&self, measure: &str, alpha: f64) -> Result<Finding, String> {
        match self {
            Self::Ordered { sides, .. } if measure == "ks" => kolmogorov(sides, alpha),
            Self::Ordered { sides, .. } => stability(sides, alpha),
            Self::Classes { was, now, .. } => of_classes(was, now, alpha),
            Self::Unknown { why, .. } => return Err(why.clone()),
        }
        .map_err(|e| e.to_string())
    }

    /// How much of either lies in each bin that is compared; none where nothing is known.
    pub(super) fn parts(&self) -> Vec<Part> {
        let shares = |was: Vec<f64>, now: Vec<f64>, names: Vec<String>| {
            let (n, m) = (was.iter().sum::<f64>().max(1.0), now.iter().sum::<f64>().max(1.0));
            let both = names.into_iter().zip(was.into_iter().zip(now));
            both.map(|(bin, (was, now))| Part { bin, reference: was / n, now: now / m }).collect()
        };
        match self {
            Self::Ordered { sides, unit } => {
                let [was, now] = sides.as_ref();
                let (Ok(was), Ok(now)) = (&was.histogram, &now.histogram) else { return Vec::new() };
                let Ok(bins) = Bins::new(was, TENTHS) else { return Vec::new() };
                let (Ok(was), Ok(now)) = (bins.counts(was), bins.counts(now)) else { return Vec::new() };
                let edge = |edge: Option<f64>| edge.map_or_else(|| "above".to_owned(), |e| format!("{}", e / unit));
                shares(was, now, bins.upper_edges().into_iter().map(edge).collect())
            }
            Self::Classes { names, was, now } => {
                let (groups, count) = groups(was, 1.0);
                let mut called = vec![RARE.to_owned(); count];
                for (name, group) in names.iter().zip(&groups) {
                    if let Some(slot) =
                        called.get_mut(*group).filter(|_| groups.iter().filter(|g| *g == group).count() == 1)
                    {
                        slot.clone_from(name);
                    }
                }
                shares(summed(&grouped(was, &groups, count)), summed(&grouped(now, &groups, count)), called)
            }
            Self::Unknown { .. } => Vec::new(),
        }
    }
}

impl Values {
    /// The design effect with its margin, of bins put together by `group`, or of cuts between them.
    fn effect(&self, bins: Option<&Bins>, alpha: f64) -> Result<f64, Reason> {
        let (effect, buckets) = match (&self.repeated, bins) {
            (Repeated::Mean(effect, buckets), _) => (*effect, *buckets),
            (Repeated::Buckets(buckets), None) => (of_cuts(buckets), occupied(buckets)),
            (Repeated::Buckets(buckets), Some(bins)) => {
                let put_together: Vec<Vec<f64>> = buckets.iter().map(|counts| bins.put_together(counts)).collect();
                (of_categories(&put_together), occupied(buckets))
            }
        };
        Ok(effect * design::margin(buckets, alpha))
    }
}

fn kolmogorov(sides: &[Values; 2], alpha: f64) -> Result<Finding, Reason> {
    let [was, now] = sides;
    let (was_counts, now_counts) = (was.histogram.clone()?, now.histogram.clone()?);
    let ask = Ask { alpha, reference_effect: was.effect(None, alpha)?, now_effect: now.effect(None, alpha)? };
    enough(&was_counts, ask.reference_effect, TENTHS)?;
    enough(&now_counts, ask.now_effect, TENTHS)?;
    smirnov(&was_counts, &now_counts, &ask)
}

fn stability(sides: &[Values; 2], alpha: f64) -> Result<Finding, Reason> {
    let [was, now] = sides;
    let (was_counts, now_counts) = (was.histogram.clone()?, now.histogram.clone()?);
    let bins = Bins::new(&was_counts, TENTHS)?;
    let (reference_effect, now_effect) = (was.effect(Some(&bins), alpha)?, now.effect(Some(&bins), alpha)?);
    let ask = Ask { alpha, reference_effect, now_effect };
    enough(&was_counts, reference_effect, bins.len())?;
    enough(&now_counts, now_effect, bins.len())?;
    population_stability(&bins.counts(&was_counts)?, &bins.counts(&now_counts)?, &ask)
}

/// Whether there are as many independent values as so many bins need.
fn enough(counts: &Histogram, effect: f64, bins: usize) -> Result<(), Reason> {
    sufficient(counts.total(), effect, bins)
}

fn sufficient(total: f64, effect: f64, bins: usize) -> Result<(), Reason> {
    #[expect(clippy::cast_precision_loss, reason = "a handful of bins")]
    let (have, need) = (total / effect, FEWEST_IN_BIN * bins as f64);
    if have < need { Err(Reason::TooFew { what: "independent values", have, need }) } else { Ok(()) }
}

fn of_classes(was: &[Vec<f64>], now: &[Vec<f64>], alpha: f64) -> Result<Finding, Reason> {
    let (groups, count) = groups(was, 1.0);
    let effects = |groups: &[usize], count: usize| {
        [was, now].map(|side| of_categories(&grouped(side, groups, count)) * design::margin(occupied(side), alpha))
    };
    // What is rare is known once it is known how much a value weighs.
    let (groups, count) = self::groups(was, effects(&groups, count)[0]);
    let [reference_effect, now_effect] = effects(&groups, count);
    let (was, now) = (summed(&grouped(was, &groups, count)), summed(&grouped(now, &groups, count)));
    sufficient(was.iter().sum(), reference_effect, count)?;
    sufficient(now.iter().sum(), now_effect, count)?;
    population_stability(&was, &now, &Ask { alpha, reference_effect, now_effect })
}

/// In which group each class goes, and how many there are: those with fewer independent values in the reference than a bin needs go together, last.
fn groups(was: &[Vec<f64>], effect: f64) -> (Vec<usize>, usize) {
    let mut next = 0;
    let numbered: Vec<Option<usize>> = summed(was)
        .into_iter()
        .map(|count| {
            (count / effect >= FEWEST_IN_BIN).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let rare = numbered.iter().any(Option::is_none);
    (numbered.into_iter().map(|group| group.unwrap_or(next)).collect(), next + usize::from(rare))
}

fn grouped(buckets: &[Vec<f64>], groups: &[usize], count: usize) -> Vec<Vec<f64>> {
    let put_together = |counts: &Vec<f64>| {
        let mut out = vec![0.0; count];
        for (group, count) in groups.iter().zip(counts) {
            if let Some(sum) = out.get_mut(*group) {
                *sum += count;
            }
        }
        out
    };
    buckets.iter().map(put_together).collect()
}
