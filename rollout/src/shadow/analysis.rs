//! Takes in comparisons one by one and sums them up, in memory that does not grow with their number.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::changes::{Changes, cut};
use super::findings::{Charts, Curves, Example, Field, Findings, Labelled, Latency, Outlier, Slow};
use super::latencies::Latencies;
use super::noise::Noise;
use super::numbers::Sums;
use super::observed::{Observed, Right};
use super::part::{Part, estimate, quantiles};
use super::verdict::{self, Evidence, Limits};

/// Segments and fields that are told apart; more go into one.
const NAMES: usize = 1_000;
/// What the rest is called.
const OTHERS: &str = "(others)";

/// How it is summed up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Pairs of numbers that are held for exact ranks.
    pub exact: usize,
    /// Rows of each list.
    pub top: usize,
    /// What is allowed.
    pub limits: Limits,
    /// Which fields count.
    pub noise: Noise,
    /// Who was right, by the request's name.
    pub labels: BTreeMap<String, Right>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { exact: 1_000_000, top: 10, limits: Limits::default(), noise: Noise::default(), labels: BTreeMap::new() }
    }
}

/// In how many pairs a field differs.
#[derive(Clone, Copy, Debug, Default)]
struct Differing {
    pairs: f64,
    noise: f64,
}

/// The sums.
#[derive(Clone, Debug)]
pub struct Analysis {
    settings: Settings,
    records: u64,
    all: Part,
    segments: BTreeMap<String, Part>,
    incomparable: BTreeMap<String, f64>,
    failed: BTreeMap<String, f64>,
    fields: BTreeMap<String, Differing>,
    /// Pairs with a second answer of the version in service.
    noisy: f64,
    changes: Changes,
    numbers: Sums,
    not_finite: u64,
    largest: Vec<Example>,
    outliers: Vec<Outlier>,
    /// By how much the shadow was slower, microseconds; 0 where it was not.
    slower: Latencies,
    labelled: Labelled,
    /// Sum and sum of squares of what compared records stand for.
    weights: (f64, f64),
    without_user: u64,
}

impl Analysis {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let numbers = Sums::new(settings.exact);
        Self {
            settings,
            records: 0,
            all: Part::default(),
            segments: BTreeMap::new(),
            incomparable: BTreeMap::new(),
            failed: BTreeMap::new(),
            fields: BTreeMap::new(),
            noisy: 0.0,
            changes: Changes::default(),
            numbers,
            not_finite: 0,
            largest: Vec::new(),
            outliers: Vec::new(),
            slower: Latencies::default(),
            labelled: Labelled::default(),
            weights: (0.0, 0.0),
            without_user: 0,
        }
    }

    /// Takes in a comparison.
    pub fn take(&mut self, seen: &Observed<'_>) {
        self.records += 1;
        let weight = if seen.share > 0.0 && seen.share < 1.0 { 1.0 / seen.share } else { 1.0 };
        let bucket = seen.bucket.unwrap_or_else(|| {
            self.without_user += 1;
            0
        });
        let name = seen.segment.as_deref().unwrap_or("default");
        self.all.take(seen, bucket, weight);
        match self.segments.get_mut(name) {
            Some(part) => part.take(seen, bucket, weight),
            None => {
                let name = if self.segments.len() < NAMES { name } else { OTHERS };
                self.segments.entry(name.to_owned()).or_default().take(seen, bucket, weight);
            }
        }
        if let Some(error) = &seen.shadow.error {
            count(&mut self.failed, error, weight);
            return;
        }
        let Some(agrees) = seen.agrees else {
            count(&mut self.incomparable, seen.incomparable.as_deref().unwrap_or("not said"), weight);
            return;
        };
        self.weights.0 += weight;
        self.weights.1 += weight * weight;
        let told = match (seen.numbers, seen.difference) {
            (Some((x, y)), _) => self.numbers.take(x, y, bucket, weight),
            (None, Some(difference)) => self.numbers.take_difference(difference, bucket, weight),
            (None, None) => true,
        };
        self.not_finite += u64::from(!told);
        self.differing(seen, agrees, weight);
        if !agrees {
            self.labelled(seen, bucket);
            self.example(seen);
        }
        self.outlier(seen, weight);
    }

    /// What people said of a disagreement.
    fn labelled(&mut self, seen: &Observed<'_>, bucket: usize) {
        let Some(right) = seen.id.as_ref().and_then(|id| self.settings.labels.get(id.as_ref())).copied() else {
            return;
        };
        self.labelled.count(right);
        self.all.said(bucket, right);
        let name = seen.segment.as_deref().unwrap_or("default");
        let name = if self.segments.contains_key(name) { name } else { OTHERS };
        if let Some(part) = self.segments.get_mut(name) {
            part.said(bucket, right);
        }
    }

    fn differing(&mut self, seen: &Observed<'_>, agrees: bool, weight: f64) {
        for difference in &seen.differences {
            if let Some(field) = slot(&mut self.fields, &difference.path) {
                field.pairs += weight;
            }
            if !agrees {
                let (old, new) = (difference.primary.as_deref(), difference.shadow.as_deref());
                self.changes.take(&difference.path, old, new, weight);
            }
        }
        if let Some(noise) = &seen.noise {
            self.noisy += weight;
            for path in noise {
                if let Some(field) = slot(&mut self.fields, path) {
                    field.noise += weight;
                }
            }
        }
    }

    fn example(&mut self, seen: &Observed<'_>) {
        let difference = seen.numbers.map(|(x, y)| y - x).or(seen.difference);
        #[expect(clippy::cast_precision_loss, reason = "a few fields")]
        let size = difference.map_or(seen.differences.len() as f64, f64::abs);
        if !size.is_finite() || !belongs(&self.largest, size, self.settings.top, |e| e.size) {
            return;
        }
        let first = seen.differences.first();
        let side = |number: Option<f64>, text: Option<&Cow<'_, str>>, status: Option<u16>| {
            number.map(|n| n.to_string()).or_else(|| text.map(|t| cut(t))).or_else(|| status.map(|s| s.to_string()))
        };
        let example = Example {
            id: text(seen.id.as_ref()),
            segment: seen.segment.as_deref().unwrap_or("default").to_owned(),
            primary: side(seen.numbers.map(|n| n.0), first.and_then(|d| d.primary.as_ref()), seen.primary.status),
            shadow: side(seen.numbers.map(|n| n.1), first.and_then(|d| d.shadow.as_ref()), seen.shadow.status),
            size,
            paths: seen.differences.iter().map(|d| d.path.to_string()).collect(),
        };
        keep(&mut self.largest, example, self.settings.top, |e| e.size);
    }

    fn outlier(&mut self, seen: &Observed<'_>, weight: f64) {
        let (Some(primary), Some(shadow)) = (seen.primary.micros, seen.shadow.micros) else { return };
        let slower = shadow - primary;
        self.slower.take(slower.max(0.0), weight);
        if slower > 0.0 && belongs(&self.outliers, slower, self.settings.top, |o| o.shadow - o.primary) {
            let outlier = Outlier {
                id: text(seen.id.as_ref()),
                segment: seen.segment.as_deref().unwrap_or("default").to_owned(),
                primary,
                shadow,
            };
            keep(&mut self.outliers, outlier, self.settings.top, |o| o.shadow - o.primary);
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn findings(&self) -> Findings {
        // Users are known of all, or intervals take pairs to be independent.
        let independent = self.without_user > 0 || self.all.agreement.occupied() < 2;
        let alpha = self.settings.limits.alpha;
        let worth = self.worth();
        let evidence = self.all.evidence("", independent, worth);
        let segments: Vec<Evidence> =
            self.segments.iter().map(|(name, part)| part.evidence(name, independent, worth)).collect();
        let mut labelled = self.labelled.clone();
        let labels = self.settings.labels.len() as u64;
        labelled.elsewhere = labels.saturating_sub(labelled.found);
        Findings {
            records: self.records,
            compared: self.all.agreement.units(),
            incomparable: self.incomparable.clone(),
            failed: self.failed.clone(),
            agreement: estimate(&evidence, alpha),
            segments: self
                .segments
                .iter()
                .zip(&segments)
                .map(|((name, part), e)| part.segment(name, e, alpha))
                .collect(),
            fields: self.fields(),
            changes: self.changes.top(self.settings.top),
            changes_missed: self.changes.missed(),
            numbers: self.numbers.found(alpha, independent),
            largest: self.largest.clone(),
            latency: (self.all.primary.total() > 0.0 || self.all.shadow.total() > 0.0).then(|| Latency {
                primary: quantiles(&self.all.primary),
                shadow: quantiles(&self.all.shadow),
                precision: Latencies::PRECISION,
            }),
            outliers: self.outliers.clone(),
            slow: slow(&self.slower),
            labels: (labels > 0).then(|| labelled.judged(alpha)),
            verdict: verdict::judge(&evidence, &segments, &self.settings.limits),
            charts: self.charts(),
            notes: self.notes(independent),
        }
    }

    /// How many independent records one unit is worth: less than 1 where records stand for several comparisons (Kish 1965, section 11.7).
    fn worth(&self) -> f64 {
        let (sum, squares) = self.weights;
        if squares > 0.0 { (sum / squares).min(1.0) } else { 1.0 }
    }

    fn fields(&self) -> Vec<Field> {
        let compared = self.all.agreement.units();
        let mut fields: Vec<Field> = self
            .fields
            .iter()
            .filter(|_| compared > 0.0)
            .map(|(path, differing)| {
                let share = differing.pairs / compared;
                let noise = (self.noisy > 0.0).then(|| differing.noise / self.noisy);
                let counts = self.settings.noise.counts(share, noise.unwrap_or(0.0));
                Field { path: path.clone(), pairs: differing.pairs, share, noise, counts }
            })
            .collect();
        fields.sort_by(|a, b| b.counts.cmp(&a.counts).then(b.pairs.total_cmp(&a.pairs)));
        fields.truncate(self.settings.top.max(1));
        fields
    }

    fn charts(&self) -> Charts {
        let (bars, counts) = self.numbers.bars.shown();
        let shares: Vec<f64> = (1..=99).map(|s| f64::from(s) / 100.0).chain([0.995, 0.999]).collect();
        let curve = |of: &Latencies| shares.iter().map(|q| of.quantile(*q)).collect();
        let curves = if self.all.primary.total() > 0.0 || self.all.shadow.total() > 0.0 {
            Curves { primary: curve(&self.all.primary), shadow: curve(&self.all.shadow), shares }
        } else {
            Curves::default()
        };
        Charts { scatter: self.numbers.points(), bars, counts, curves }
    }

    fn notes(&self, independent: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if independent && self.records > 0 {
            notes.push(
                "Users are not known of all records, so intervals take each record for another user's: they are too narrow where users repeat."
                    .to_owned(),
            );
        }
        if self.weights.1 > self.weights.0 + 0.5 {
            notes.push(
                "Records are kept in different shares: each stands for as many comparisons as its share says, and intervals and tests know that it is one record."
                    .to_owned(),
            );
        }
        if self.not_finite > 0 {
            notes.push(format!("{} pairs of numbers were not finite and are left out.", self.not_finite));
        }
        if self.fields.contains_key(OTHERS) || self.segments.contains_key(OTHERS) {
            notes.push(format!("More than {NAMES} segments or fields: the rest is in {OTHERS}."));
        }
        if self.numbers.ranks.is_binned() {
            notes.push(format!(
                "More than {} pairs: ranks are binned, with the bounds between which the exact value lies.",
                self.settings.exact
            ));
        }
        notes
    }
}

/// Beyond Tukey's outer fence: Tukey 1977, "Exploratory Data Analysis", section 2D.
fn slow(slower: &Latencies) -> Option<Slow> {
    let (low, high) = (slower.quantile(0.25)?, slower.quantile(0.75)?);
    let beyond = high + 3.0 * (high - low);
    Some(Slow { beyond, pairs: slower.above(beyond) })
}

fn count(counts: &mut BTreeMap<String, f64>, name: &str, weight: f64) {
    if let Some(count) = slot(counts, name) {
        *count += weight;
    }
}

/// The entry of a name, bounded in number.
fn slot<'m, T: Default>(map: &'m mut BTreeMap<String, T>, name: &str) -> Option<&'m mut T> {
    if !map.contains_key(name) {
        let name = if map.len() < NAMES { name } else { OTHERS };
        return Some(map.entry(name.to_owned()).or_default());
    }
    map.get_mut(name)
}

/// Whether something of this size belongs to the largest.
fn belongs<T>(list: &[T], size: f64, most: usize, of: impl Fn(&T) -> f64) -> bool {
    list.len() < most || list.last().is_some_and(|last| of(last) < size)
}

fn keep<T>(list: &mut Vec<T>, item: T, most: usize, of: impl Fn(&T) -> f64) {
    let at = list.partition_point(|other| of(other) >= of(&item));
    list.insert(at, item);
    list.truncate(most);
}

fn text(of: Option<&Cow<'_, str>>) -> String {
    of.map(|t| t.to_string()).unwrap_or_default()
}
