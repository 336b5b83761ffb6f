//! What do the numbers mean, and what happens next?
//!
//! A rollout file ([`mod@file`]) is checked into a [`plan`]. Readings of the proxies' counters become increments since a step
//! began ([`measure`]), the judge says of each criterion pass, fail, inconclusive or error, and [`tick()`]
//! turns a [`state`], the plan and what was seen into the next state and effects. The live runner and the simulation call that
//! one function. What was promoted is watched by [`drift`]. What a shadow's compared answers say is in [`shadow`].
//!
//! It does not read clocks, files or networks, publishes nothing and asks nobody: time and what was seen come in,
//! effects go out.
//!
//! Architecture Invariant: no clock, no randomness, no log, no I/O.

pub mod bandit;
pub mod drift;
pub mod file;
mod judge;
pub mod measure;
pub mod plan;
pub mod shadow;
pub mod simulate;
pub mod state;
pub mod stats;
mod text;
pub mod tick;

pub use file::{Problem, Rollout};
pub use plan::Plan;
pub use state::{Phase, State};
pub use tick::{Input, Output, tick};
