//! Who is compared with whom: the canary and the stable version, segment by segment.

use std::borrow::Cow;

use super::Case;
use crate::file::WHOLE;
use crate::measure::{Counters, Totals};

/// Both versions in one segment.
#[derive(Clone)]
pub(super) struct Side<'a> {
    pub(super) segment: &'a str,
    pub(super) canary: Cow<'a, Counters>,
    /// None where nothing is known to compare with.
    pub(super) baseline: Option<Cow<'a, Counters>>,
    /// The canary's share of the users of both, where both were counted at the same time.
    pub(super) share: Option<f64>,
}

/// Both versions.
pub(super) struct Sides<'a> {
    pub(super) each: Vec<Side<'a>>,
    /// Where the baseline comes from, for people.
    pub(super) from: String,
    /// Whether both were counted at the same time.
    pub(super) concurrent: bool,
    /// Whether the canary's side are answers to copies, which are not kept by buckets of users.
    pub(super) copies: bool,
    /// Whether they are answers to the same requests, compared.
    pub(super) compared: bool,
}

impl<'a> Sides<'a> {
    /// Some of the segments alone.
    pub(super) fn of(&self, each: &[Side<'a>]) -> Self {
        Self { each: each.to_vec(), from: self.from.clone(), ..*self }
    }
}

/// The sides of some totals of this case.
pub(super) fn sides<'a>(case: &Case<'a>, totals: &'a Totals) -> Sides<'a> {
    let plan = case.plan;
    if case.weights.shadow > 0 {
        let each = totals
            .shadow
            .iter()
            .filter(|(_, pairs)| pairs.shadow.requests > 0)
            .map(|(segment, pairs)| Side {
                segment,
                canary: Cow::Borrowed(&pairs.shadow),
                baseline: Some(Cow::Borrowed(&pairs.primary)),
                share: None,
            })
            .collect();
        return Sides {
            each,
            from: format!("{}, of the same requests,", plan.stable),
            concurrent: true,
            copies: false,
            compared: true,
        };
    }
    if case.weights.mirror > 0 {
        // Copies are counted where they go, which knows no segments.
        let stable = totals.variants.get(&plan.stable).map(|segments| {
            let mut all = Counters::default();
            segments.values().for_each(|s| all.merge(s));
            Cow::Owned(all)
        });
        let each = totals
            .copies
            .as_ref()
            .map(|c| Side { segment: "default", canary: Cow::Borrowed(c), baseline: stable, share: None })
            .into_iter()
            .collect();
        return Sides { each, from: format!("{} now", plan.stable), concurrent: true, copies: true, compared: false };
    }
    let concurrent = plan.judging.recorded_baseline.is_none() && !case.weights.is_full();
    let (compared, from) = if concurrent {
        (totals.variants.get(&plan.stable), format!("{} now", plan.stable))
    } else {
        let kept = case.baseline.and_then(|b| b.totals.variants.get(&b.variant));
        let word = if plan.judging.recorded_baseline.is_some() { "recorded" } else { plan.stable.as_str() };
        (kept, case.baseline.map_or_else(|| "nothing".to_owned(), |b| format!("{word} in {}", b.name)))
    };
    let segments = totals.variants.get(&plan.canary);
    let each = segments
        .into_iter()
        .flatten()
        .map(|(segment, canary)| {
            let share = f64::from(case.weights.in_segment(segment)) / f64::from(WHOLE);
            Side {
                segment,
                canary: Cow::Borrowed(canary),
                baseline: compared.and_then(|c| c.get(segment)).map(Cow::Borrowed),
                share: (concurrent && share > 0.0 && share < 1.0).then_some(share),
            }
        })
        .collect();
    Sides { each, from, concurrent, copies: false, compared: false }
}
