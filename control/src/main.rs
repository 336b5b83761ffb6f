//! `headgate`, the companion control program.

mod document;
mod exit;
mod finding;
mod merge;
mod plugin;
mod proxy;
mod publisher;
mod render;
mod stats;
mod structure;
mod target;
mod verify;
mod weights;

fn main() {}
