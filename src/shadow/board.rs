//! What is counted of shadows: the series of each route and segment.
//!
//! Every sampled request ends in exactly one of compared, refused, dropped and failed. What it was sampled under is what its
//! end is counted under, whatever configuration is in force by then.

use std::cell::OnceCell;

use headgate_compare::{Kind, Outcome, Verdict};
use headgate_routing::{CopyRefusal, RoutingTable, Sampled};

use super::budget::Over;
use super::pair::Failure;
use crate::counters::Slot;
use crate::series;

/// Label `verdict` of `headgate_shadow_compared`, by index.
const VERDICTS: [&str; 4] = ["matched", "noise", "mismatched", "incomparable"];
const REFUSALS: [CopyRefusal; 5] =
    [CopyRefusal::Marked, CopyRefusal::Upgrade, CopyRefusal::Method, CopyRefusal::TooLarge, CopyRefusal::UnknownLength];
/// Label `side`, by index.
const SIDES: [&str; 2] = ["primary", "shadow"];
/// Label `result` of `headgate_shadow_noise`, by index.
const NOISE: [&str; 3] = ["same", "differs", "failed"];
/// Kept by replicate bucket, by index: the metric, and its label `side`.
const REPLICATED: [(&str, Option<&str>); 7] = [
    ("headgate_shadow_replicate_pairs", None),
    ("headgate_shadow_replicate_compared", None),
    ("headgate_shadow_replicate_mismatched", None),
    ("headgate_shadow_replicate_failures", Some(SIDES[0])),
    ("headgate_shadow_replicate_failures", Some(SIDES[1])),
    ("headgate_shadow_replicate_latency_us", Some(SIDES[0])),
    ("headgate_shadow_replicate_latency_us", Some(SIDES[1])),
];

/// The series of one route and segment.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) route: String,
    pub(crate) segment: String,
    sampled: Slot,
    compared: [Slot; VERDICTS.len()],
    kinds: [Slot; Kind::ALL.len()],
    refused: [Slot; REFUSALS.len()],
    dropped: [Slot; Over::ALL.len()],
    failed: [Slot; Failure::ALL.len()],
    latency: [Slot; 2],
    difference: Slot,
    noise: [Slot; NOISE.len()],
    replicates: OnceCell<Box<[[Slot; 32]; REPLICATED.len()]>>,
}

/// What a comparison is counted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared<'o> {
    pub(crate) outcome: &'o Outcome,
    /// Whether all that differs is what stable differs in from itself.
    pub(crate) only_noise: bool,
    /// Whether each side failed: the user's, the shadow's.
    pub(crate) failed: [bool; 2],
    /// In microseconds: the user's, the shadow's.
    pub(crate) latency: [u64; 2],
}

impl Compared<'_> {
    /// Whether it counts as a difference.
    pub(crate) fn differs(&self) -> bool {
        matches!(self.outcome.verdict, Verdict::Mismatched) && !self.only_noise
    }

    fn verdict(&self) -> usize {
        match self.outcome.verdict {
            Verdict::Matched => 0,
            Verdict::Mismatched if self.only_noise => 1,
            Verdict::Mismatched => 2,
            Verdict::Incomparable(_) => 3,
        }
    }
}

impl Series {
    fn name(&self, metric: &str, more: &[(&str, &str)]) -> String {
        let mut labels = vec![("route", self.route.as_str()), ("segment", self.segment.as_str())];
        labels.extend_from_slice(more);
        series::name(metric, &labels)
    }

    fn count(&self, slots: &[Slot], index: usize, metric: &str, label: &str, value: &str) {
        if let Some(slot) = slots.get(index) {
            slot.increment(1, || self.name(metric, &[(label, value)]));
        }
    }

    fn replicate(&self, index: usize, bucket: u8, by: u32) {
        let slots = self.replicates.get_or_init(Box::default);
        let slot = slots.get(index).and_then(|buckets| buckets.get(usize::from(bucket)));
        if let (Some(slot), Some((metric, side))) = (slot, REPLICATED.get(index)) {
            slot.increment(by, || {
                let bucket = bucket.to_string();
                match side {
                    Some(side) => self.name(metric, &[("side", side), ("bucket", &bucket)]),
                    None => self.name(metric, &[("bucket", &bucket)]),
                }
            });
        }
    }

    /// A request in the share.
    pub(crate) fn sampled(&self) {
        self.sampled.increment(1, || self.name("headgate_shadow_sampled", &[]));
    }

    /// It cannot be copied without harm.
    pub(crate) fn refused(&self, why: CopyRefusal) {
        if let Some(index) = REFUSALS.iter().position(|refusal| *refusal == why) {
            self.count(&self.refused, index, "headgate_shadow_refused", "reason", why.as_str());
        }
    }

    /// It is beyond the budget.
    pub(crate) fn dropped(&self, over: Over) {
        if let Some(reason) = Over::ALL.get(over as usize) {
            self.count(&self.dropped, over as usize, "headgate_shadow_dropped", "reason", reason);
        }
    }

    /// One answer never came; `primary_failed` tells of the user's.
    pub(crate) fn failed(&self, failure: Failure, primary_failed: bool, bucket: u8) {
        if let Some(reason) = Failure::ALL.get(failure as usize) {
            self.count(&self.failed, failure as usize, "headgate_shadow_failed", "reason", reason);
        }
        if failure.is_the_shadows() {
            self.replicate(0, bucket, 1);
            if primary_failed {
                self.replicate(3, bucket, 1);
            }
            self.replicate(4, bucket, 1);
        }
    }

    /// Both answers were compared.
    pub(crate) fn compared(&self, of: &Compared<'_>, bucket: u8) {
        let verdict = of.verdict();
        if let Some(name) = VERDICTS.get(verdict) {
            self.count(&self.compared, verdict, "headgate_shadow_compared", "verdict", name);
        }
        if of.differs() {
            for kind in of.outcome.kinds.iter() {
                self.count(&self.kinds, kind as usize, "headgate_shadow_mismatches", "kind", kind.name());
            }
        }
        for ((slot, side), us) in self.latency.iter().zip(SIDES).zip(of.latency) {
            slot.sample(us, || self.name("headgate_shadow_latency_us", &[("side", side)]));
        }
        if let Some(difference) = of.outcome.difference {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "not negative; what is too large for 64 bits is the largest number"
            )]
            let millionths = (difference.abs() * 1e6) as u64;
            self.difference.sample(millionths, || self.name("headgate_shadow_difference_millionths", &[]));
        }
        self.replicate(0, bucket, 1);
        // What could not be compared says nothing of agreement.
        if !matches!(of.outcome.verdict, Verdict::Incomparable(_)) {
            self.replicate(1, bucket, 1);
        }
        if of.differs() {
            self.replicate(2, bucket, 1);
        }
        for (index, failed) in [3, 4].into_iter().zip(of.failed) {
            if failed {
                self.replicate(index, bucket, 1);
            }
        }
        for (index, us) in [5, 6].into_iter().zip(of.latency) {
            self.replicate(index, bucket, u32::try_from(us).unwrap_or(u32::MAX));
        }
    }

    /// What came of a second copy: whether it is the same as the first answer, or `None` when it was never answered.
    pub(crate) fn noise(&self, same: Option<bool>) {
        let index = match same {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        };
        if let Some(name) = NOISE.get(index) {
            self.count(&self.noise, index, "headgate_shadow_noise", "result", name);
        }
    }
}

/// The series of a table, each made when a request first needs it.
#[derive(Debug)]
pub(crate) struct Board {
    /// By route, by segment.
    cells: Vec<Vec<OnceCell<Box<Series>>>>,
}

impl Board {
    /// An empty board for `table`.
    pub(crate) fn new(table: &RoutingTable) -> Self {
        let cells = table.config().routes.iter().map(|route| {
            let mut cells = Vec::new();
            if route.shadow.is_some() {
                cells.resize_with(route.segments.len() + 1, OnceCell::new);
            }
            cells
        });
        Self { cells: cells.collect() }
    }

    /// The series of a sampled request.
    pub(crate) fn series(&self, table: &RoutingTable, route: usize, sampled: &Sampled) -> Option<&Series> {
        let cell = self.cells.get(route)?.get(sampled.segment)?;
        if let Some(series) = cell.get() {
            return Some(series);
        }
        let of = table.route(route)?;
        let segment = match sampled.segment.checked_sub(1) {
            None => "default",
            Some(index) => of.segments.get(index)?.name.as_str(),
        };
        Some(cell.get_or_init(|| {
            Box::new(Series {
                route: of.name.clone(),
                segment: segment.to_owned(),
                sampled: Slot::default(),
                compared: Default::default(),
                kinds: Default::default(),
                refused: Default::default(),
                dropped: Default::default(),
                failed: Default::default(),
                latency: Default::default(),
                difference: Slot::default(),
                noise: Default::default(),
                replicates: OnceCell::new(),
            })
        }))
    }
}
