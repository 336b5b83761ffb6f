//! What is counted: cells of users, which add up.
//!
//! The filter hashes every key a second time into one of 32 replicate buckets, independent of the version that the user
//! gets. A [`Cell`] holds one bucket's counters, an [`Arm`] the buckets of one version in one segment, a [`Stratum`] both
//! versions of a segment under one set of weights (a weight epoch: never pool across weights). Requests of one user are
//! not independent, buckets are: each variance in this library comes from between cells.

use serde::{Deserialize, Serialize};

use super::reason::{Reason, counted};

/// How many replicate buckets of users the filter counts.
pub const REPLICATES: usize = 32;

/// One bucket of users: what was counted since the weights last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How many units were observed: requests finished, as a rule.
    pub units: f64,
    /// Their total: events for a rate (each unit has one at most), the sum of values for a mean.
    pub total: f64,
}

/// One version in one segment: its cells, by replicate bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// By replicate bucket. Missing ones are empty.
    pub cells: Vec<Cell>,
}

impl Arm {
    /// Adds `units` observations that total `total` to a bucket.
    pub fn add(&mut self, bucket: usize, units: f64, total: f64) {
        if self.cells.len() <= bucket {
            if self.cells.is_empty() {
                self.cells.reserve(REPLICATES);
            }
            self.cells.resize(bucket + 1, Cell::default());
        }
        if let Some(cell) = self.cells.get_mut(bucket) {
            cell.units += units;
            cell.total += total;
        }
    }

    /// Adds another arm's cells, bucket by bucket: another proxy, or another interval under the same weights.
    pub fn merge(&mut self, other: &Arm) {
        for (bucket, cell) in other.cells.iter().enumerate() {
            self.add(bucket, cell.units, cell.total);
        }
    }

    /// Observations in all cells.
    #[must_use]
    pub fn units(&self) -> f64 {
        self.cells.iter().map(|cell| cell.units).sum()
    }

    /// Events, or the sum of values, in all cells.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.cells.iter().map(|cell| cell.total).sum()
    }

    /// Rate or mean per unit; `None` without units.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let units = self.units();
        (units > 0.0).then(|| self.total() / units)
    }

    /// How many cells saw at least one unit.
    #[must_use]
    pub fn occupied(&self) -> usize {
        self.cells.iter().filter(|cell| cell.units > 0.0).count()
    }

    /// The complement of a rate: failures for successes. For a metric of which a low rate is bad.
    #[must_use]
    pub fn complement(&self) -> Arm {
        Arm {
            cells: self.cells.iter().map(|cell| Cell { units: cell.units, total: cell.units - cell.total }).collect(),
        }
    }

    /// Refuses what cannot have been counted. `rate`: each unit has one event at most.
    pub(super) fn check(&self, rate: bool) -> Result<(), Reason> {
        for cell in &self.cells {
            counted("a number of units", cell.units)?;
            if rate {
                counted("a number of events", cell.total)?;
                if cell.total > cell.units {
                    return Err(Reason::EventsAboveUnits { events: cell.total, units: cell.units });
                }
            } else if !cell.total.is_finite() {
                return Err(Reason::NotFinite("a total"));
            }
        }
        Ok(())
    }
}

/// Both versions of one segment under one set of weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// The segment's name, for people.
    pub name: String,
    /// The version that is judged.
    pub canary: Arm,
    /// The version that it is compared with.
    pub baseline: Arm,
    /// The canary's share of the users of both, by the weights: 0.05 for 5 : 95. `None` where the baseline was not
    /// counted at the same time under the same weights: then the shares of the units stand for it.
    pub share: Option<f64>,
}
