//! Counting predictions: the series of each route, variant and segment.

use std::cell::OnceCell;

use headgate_contract::limits::REPLICATES;
use headgate_routing::{Decision, Predicting, RoutingTable, Unread};

use crate::counters::Slot;
use crate::series;

/// The series of one route, variant and segment.
#[derive(Debug)]
struct Series {
    route: String,
    variant: String,
    segment: String,
    fields: Vec<Counts>,
}

/// Those of one prediction.
#[derive(Debug)]
struct Counts {
    /// By bin, by bucket.
    bins: Vec<OnceCell<Box<[Slot; REPLICATES as usize]>>>,
    unread: [Slot; Unread::ALL.len()],
}

/// The series of a table, each made when a request first needs it.
#[derive(Debug)]
pub(crate) struct Board {
    /// By route, by variant and segment.
    cells: Vec<Vec<OnceCell<Box<Series>>>>,
}

/// Where a request is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) route: usize,
    variant: usize,
    segment: usize,
    bucket: u8,
}

impl Place {
    /// Of a decision whose bucket is known.
    pub(crate) fn of(decision: &Decision) -> Option<Self> {
        let Decision { route, variant, segment, .. } = *decision;
        Some(Self { route, variant, segment, bucket: decision.replicate? })
    }
}

impl Board {
    /// An empty board for `table`.
    pub(crate) fn new(table: &RoutingTable) -> Self {
        let cells = table.config().routes.iter().map(|route| {
            let mut cells = Vec::new();
            if route.predictions.is_some() {
                cells.resize_with(route.variants.len() * (route.segments.len() + 1), OnceCell::new);
            }
            cells
        });
        Self { cells: cells.collect() }
    }

    /// Counts a prediction of the route, by its number: in a bin, or as unread.
    pub(crate) fn count(&self, table: &RoutingTable, place: Place, field: usize, bin: Result<usize, Unread>) {
        let Some(predicting) = table.predictions(place.route) else { return };
        let (Some(series), Some(of)) = (self.series(table, place, predicting), predicting.fields.get(field)) else {
            return;
        };
        let Some(counts) = series.fields.get(field) else { return };
        let named = |metric: &str, more: &[(&str, &str)]| {
            let mut labels = vec![
                ("route", series.route.as_str()),
                ("variant", &series.variant),
                ("segment", &series.segment),
                ("prediction", &of.name),
            ];
            labels.extend_from_slice(more);
            series::name(metric, &labels)
        };
        match bin {
            Ok(bin) => {
                let Some(buckets) = counts.bins.get(bin).map(|cell| cell.get_or_init(Box::default)) else { return };
                let Some(slot) = buckets.get(usize::from(place.bucket)) else { return };
                slot.increment(1, || {
                    let (metric, label, value) = of.label(bin);
                    named(metric, &[(label, value), ("bucket", &place.bucket.to_string())])
                });
            }
            Err(why) => {
                let (Some(slot), Some(reason)) = (counts.unread.get(why as usize), Unread::ALL.get(why as usize))
                else {
                    return;
                };
                slot.increment(1, || named("headgate_prediction_unread", &[("reason", reason)]));
            }
        }
    }

    fn series(&self, table: &RoutingTable, place: Place, predicting: &Predicting) -> Option<&Series> {
        let route = table.route(place.route)?;
        let at = place.variant * (route.segments.len() + 1) + place.segment;
        let cell = self.cells.get(place.route)?.get(at)?;
        if let Some(series) = cell.get() {
            return Some(series);
        }
        let variant = route.variants.get(place.variant)?;
        let segment = match place.segment.checked_sub(1) {
            None => "default",
            Some(index) => route.segments.get(index)?.name.as_str(),
        };
        Some(cell.get_or_init(|| {
            let fields = predicting.fields.iter().map(|field| {
                let mut bins = Vec::new();
                bins.resize_with(field.bins(), OnceCell::new);
                Counts { bins, unread: Default::default() }
            });
            Box::new(Series {
                route: route.name.clone(),
                variant: variant.name.clone(),
                segment: segment.to_owned(),
                fields: fields.collect(),
            })
        }))
    }
}
