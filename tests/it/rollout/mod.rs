//! Rollouts by the real `headgate run` on a real Envoy with users who ask all the time.

mod ab;
mod airflow;
mod bandit;
mod blue_green;
mod canary;
mod compared;
mod decisions;
mod drift;
mod goals;
mod killed;
mod load;
mod outcomes;
mod outside;
mod prometheus;
mod providers;
mod receiver;
mod recovery;
mod refusals;
mod shadow;
mod telling;
mod together;
mod unwritable;
mod verbs;
mod world;
