//! Headgate in a real Envoy: one test for each promise, by topic.
//!
//! Counts are exact, keys are fixed, conditions are waited for. A missing Envoy or filter fails the tests and says how to
//! get it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bad_input;
mod bootstraps;
mod cookies;
mod counting;
mod crash;
mod decision;
mod fixture;
mod goals;
mod golden;
mod hops;
mod keys;
mod make;
mod matching;
mod mirror;
mod predictions;
mod promises;
mod protocols;
mod push;
mod reload;
mod rollout;
mod series;
mod shadow;
mod signing;
mod split;
mod tokens;
mod trust;
