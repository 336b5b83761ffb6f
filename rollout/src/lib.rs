//! What the numbers of a rollout mean, and what happens next. Pure: time, randomness and measurements are arguments.

pub mod stats;
