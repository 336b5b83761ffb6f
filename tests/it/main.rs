//! Headgate in a real Envoy: one test for each promise, by topic.
//!
//! Counts are exact, keys are fixed, conditions are waited for. A missing Envoy or filter fails the tests and says how to
//! get it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bootstraps;
#[allow(dead_code, reason = "the tests of decisions come next")]
mod fixture;
mod push;
