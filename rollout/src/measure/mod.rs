//! What the proxies counted, as increments since a step began.
//!
//! Counters only rise until a proxy restarts, so a step is measured by differences: [`Snapshot`]s are readings,
//! [`Totals`] sums of differences, [`Window`]s totals with a beginning. Nothing here judges.

mod histogram;
mod lagged;
mod predicted;
mod snapshot;
mod totals;
mod window;

pub use histogram::Histogram;
pub use lagged::Lagged;
pub use predicted::Predicted;
pub use snapshot::{BUCKETS, Counters, Replicates, Shadowed, Snapshot};
pub use totals::Totals;
pub use window::{Readings, Window};
