//! Predictions: numbers and classes that stand in requests and answers, read as they stream past and counted by bin.
//!
//! Life of one: a decision that chooses its request (`headgate-routing`) -> `Reading` (headers when they are there, bodies piece by
//! piece) -> `board` (one counter, by variant, segment, bin and bucket of users). Every one that was to be read is counted once: in
//! its bin, or as unread with the reason. Nothing is held up and nothing changed; what bodies may hold in memory is bounded.
//!
//! A module of the filter that has shadows: both need the callbacks that see bodies.

#[cfg(target_arch = "wasm32")]
mod board;
mod held;
#[cfg(target_arch = "wasm32")]
mod reading;

#[cfg(target_arch = "wasm32")]
pub(crate) use board::Board;
#[cfg(target_arch = "wasm32")]
pub(crate) use reading::Reading;
