//! The compiled filter in a host that counts, fails and lies.
//!
//! Everything that users see is shown in a real Envoy, in `headgate-tests`. This host is for the two things that Envoy
//! cannot show. It does not tell how often a filter calls it, and that number is most of what a request costs. And it
//! answers no call with an error on demand, nor a hundred thousand requests of random bytes in a second, and "never
//! panics" speaks of those too. The module under test is the very file that Envoy loads.
//!
//! It is no model of Envoy: it has headers, properties, metrics and a clock, and routes nothing.

mod host;
mod proxy;
mod step;

pub use host::{Fault, Host, NEVER_CALLED};
pub use proxy::{Answer, Proxy, Seen};
pub use step::Way;

/// A header's name and value.
pub type Header = (Vec<u8>, Vec<u8>);

/// What can go wrong: the filter trapped (it panicked), or is not a filter.
pub type Result<T> = core::result::Result<T, wasmi::Error>;
