//! The statistics against published figures, and against what no table shows: simulated rollouts with heavy users, looked at
//! after every tick.
//!
//! Every simulation has a fixed seed. Bounds on a simulated share are its expected value plus or minus four of its own standard errors.

mod traffic;

mod bandit_simulated;
mod compare_simulated;
mod degenerate;
mod drift_published;
mod drift_simulated;
mod evidence_simulated;
mod experiment_simulated;
mod paired;
mod paired_simulated;
mod published;
mod recomputed;
mod sequential_simulated;
mod sizes_simulated;
