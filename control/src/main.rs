//! `headgate`, the companion control program.

mod document;
mod exit;
mod finding;
mod merge;
mod plugin;
mod structure;
mod target;
mod weights;

fn main() {}
