//! `headgate`, the companion control program.

fn main() {}
