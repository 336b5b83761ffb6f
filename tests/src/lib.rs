//! The kit that drives the compiled filter in a real Envoy.
//!
//! [`Envoy`] starts one from a bootstrap that users copy (`envoy/*.yaml`); [`Upstream`] is a server that answers with its
//! own name and remembers what it was sent; [`Client`], [`raw()`] and [`WebSocket`] send; [`Admin`] and [`Metrics`] read what
//! Envoy says of itself. Every address is on loopback with a port that the system chose, and conditions are waited for,
//! never times ([`wait_until`]).
//!
//! It holds no tests (those are in `tests/it`) and knows nothing of how a decision is made.

#![allow(clippy::missing_errors_doc, reason = "every error is a sentence for the one who reads a failed test")]
#![allow(
    clippy::indexing_slicing,
    reason = "JSON documents, where a missing key is `null` and is made by writing to it"
)]

mod admin;
mod bootstrap;
mod client;
mod collector;
mod ecds;
mod envoy;
mod fault;
mod hook;
mod metrics;
mod paths;
mod permit;
mod process;
mod prometheus;
mod raw;
mod relay;
mod upstream;
mod wait;
mod websocket;

pub use admin::Admin;
pub use bootstrap::Bootstrap;
pub use client::{Answer, Body, Client, body, empty, streamed};
pub use collector::Collector;
pub use ecds::Ecds;
pub use envoy::{Builder, Envoy};
pub use fault::{Fault, Result};
pub use hook::Hook;
pub use metrics::{Labels, Metrics};
pub use paths::{envoy_binary, headgate_binary, prometheus_binary, repository, shadow_wasm, wasm};
pub use permit::{Permit, permits};
pub use prometheus::Prometheus;
pub use raw::raw;
pub use relay::Relay;
pub use upstream::{Conduct, Seen, Upstream};
pub use wait::wait_until;
pub use websocket::WebSocket;
