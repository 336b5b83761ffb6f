//! What does this request get?
//!
//! [`compile`] turns a plugin configuration into a [`RoutingTable`]; [`RoutingTable::decide`] turns a request, seen
//! through a [`View`], into an [`Outcome`]: data that a shell applies. Runs alike natively and on wasm32.
//!
//! Architecture Invariant: no clock, no randomness, no log, no I/O; what a decision needs of those comes in as [`Env`].
//! Nothing here panics, whatever the bytes of a configuration or a request.

mod compile;
mod decision;
mod table;
mod view;

pub use compile::compile;
pub use decision::{Assigned, Copy, CopyRefusal, Decision, Event, HeaderOp, IssuedCookie, Outcome, Reason, TokenFault};
pub use table::{Keyring, RoutingTable};
pub use view::{Env, Trace, View};
