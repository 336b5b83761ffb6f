//! A small model service to watch releases on.
//!
//! [`rows`] is a real public data set with ground truth; [`Model`] learns from one part of it and is asked about the other by
//! [`users`]; [`service`] is the HTTP server around a model. Everything is learned from the data when it starts, in fixed
//! order, so that equal versions give equal answers on every start and no number here is written down beforehand.
//!
//! It knows nothing of Envoy and of Headgate; the driver (`src/bin/demo`) puts them together.

mod data;
mod model;
mod server;

pub use data::{DataError, PIXELS, Row, rows, teachers, users};
pub use model::{InputError, Model, Prediction, Version};
pub use server::{Answer, Counts, Fault, Question, service};
