//! The filter: who gets which version, decided inside Envoy.
//!
//! A thin shell around two pure crates. `headgate-contract` reads the plugin configuration, `headgate-routing` compiles
//! it and decides each request; what is here asks the host for what they want to know, applies what they answer, and
//! counts. Life of a request: `entry` (what Envoy calls) -> `request` (apply and count) -> `host` (what Envoy is asked).
//! Life of a configuration: `entry` -> `live` (bytes to a table, or a refusal) -> the next request.
//!
//! Modules that name host functions exist on wasm32 alone; the others are compiled and tested natively too.
//!
//! Architecture Invariant: nothing here panics or fails a request, whatever a client, a configuration or the host does.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::todo
)]
#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "natively only the tests use what the wasm modules call")
)]

mod cache;
mod delivery;
mod headers;
mod plan;
#[cfg(feature = "shadow")]
mod predict;
mod series;
#[cfg(feature = "shadow")]
mod shadow;
mod streams;
mod tally;

#[cfg(target_arch = "wasm32")]
mod counters;
#[cfg(target_arch = "wasm32")]
mod entry;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod live;
#[cfg(target_arch = "wasm32")]
mod request;
#[cfg(target_arch = "wasm32")]
mod response;
#[cfg(target_arch = "wasm32")]
mod view;
