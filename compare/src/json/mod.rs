//! JSON documents, as far as the rules look at them.

mod difference;
mod node;
mod order;
mod parse;

pub(crate) use difference::compare;
pub(crate) use node::{Node, cut};
pub(crate) use parse::{Document, Fault, parse};
