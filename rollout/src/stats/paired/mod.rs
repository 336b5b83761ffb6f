//! Two answers to the same question: how far apart are they, and do they go together?
//!
//! A shadow answers requests that the version in service has answered too, so observations come in pairs, and what differs between
//! requests cancels out. Everything is taken in one pair at a time; what needs only sums ([`Pairs`]) is exact for any number of pairs
//! in constant memory, what needs ranks ([`Ranks`]) is exact up to a limit and beyond it binned, with the error bound computed.
//!
//! Pairs of one user are not independent: [`clustered`] takes variances from between buckets of users, and those are the
//! intervals to decide by. The textbook tests beside them assume independent pairs, and say so.

mod binned;
pub mod clustered;
mod moments;
mod ranks;
mod signed;
mod spearman;

pub use moments::{PairedT, Pairs, Pearson};
pub use ranks::{Correlation, Ranks, SignedRank};
pub use signed::signed_rank;
pub use spearman::spearman;
