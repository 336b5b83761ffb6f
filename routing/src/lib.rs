//! What does this request get?
//!
//! [`compile()`] turns a plugin configuration into a [`RoutingTable`]; [`RoutingTable::decide`] turns a request, seen
//! through a [`View`], into an [`Outcome`]: data that a shell applies. Runs alike natively and on wasm32.
//!
//! Architecture Invariant: no clock, no randomness, no log, no I/O; what a decision needs of those comes in as [`Env`].
//! Nothing here panics, whatever the bytes of a configuration or a request.

pub mod address;
mod checks;
mod compile;
mod condition;
pub mod cookie;
mod decide;
mod decision;
mod goals;
pub mod hops;
mod host;
pub mod jwt;
mod key;
pub mod keyring;
mod lists;
mod matcher;
mod mirror;
mod output;
mod overrides;
#[cfg(feature = "shadow")]
mod prediction;
pub mod query;
mod reads;
mod series;
#[cfg(feature = "shadow")]
mod shadow;
pub mod split;
mod table;
pub mod token;
mod trust;
mod view;

pub use compile::compile;
pub use condition::REGEX_VALUE_BYTES;
pub use decision::{Assigned, Copy, CopyRefusal, Decision, Event, HeaderOp, IssuedCookie, Outcome, Reason, TokenFault};
pub use goals::Credit;
pub use keyring::{Keyring, Ring};
pub use mirror::MARK;
#[cfg(feature = "shadow")]
pub use prediction::{Field, Predicting, Source, Unread};
pub use series::of as series_of;
#[cfg(feature = "shadow")]
pub use shadow::Sampled;
pub use table::{RoutingTable, TypicalReads};
pub use view::{Env, Trace, View};
