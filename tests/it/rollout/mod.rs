//! Rollouts by the real `headgate run` on a real Envoy with users who ask all the time.

mod blue_green;
mod canary;
mod decisions;
mod outside;
mod recovery;
mod refusals;
mod together;
mod world;
