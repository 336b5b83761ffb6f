//! Looked at again and again: procedures whose error probability holds over all looks.
//!
//! | procedure | looks | when |
//! |---|---|---|
//! | [`msprt`] | any | a difference of means or rates of independent units, with an expected effect |
//! | [`confidence`] | any | an interval for any asymptotically normal estimate: a lift, a ratio |
//! | [`spending`] | planned in number, not in time | the greatest power for a handful of looks |
//! | [`multinomial`] | any, even after each event | counts in categories, few events: exact |
//!
//! For requests of users who come back take [`super::compare`], which knows buckets.

pub mod confidence;
pub mod msprt;
pub mod multinomial;
pub mod spending;
