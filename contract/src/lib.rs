//! What can be said to a proxy: the plugin configuration.
//!
//! One JSON document is the whole conversation between `headgate` and a filter. This crate holds its types
//! ([`PluginConfig`] and below), its frozen [`Envelope`], its [`limits`], and the two ways of reading it: [`read()`]
//! for the filter (unknown fields are ignored and reported) and [`read_strict`] for `headgate` (unknown fields are
//! errors). It does not decide what a configuration *means*: that is `headgate-routing`'s `compile`.
//!
//! Architecture Invariant: no clock, no randomness, no log, no I/O.

#[cfg(feature = "shadow")]
mod comparison;
mod config;
mod de;
mod fields;
mod goals;
mod key;
pub mod limits;
mod matching;
mod name;
mod node;
mod output;
mod overrides;
#[cfg(feature = "shadow")]
mod prediction;
mod problem;
mod read;
mod route;
#[cfg(feature = "shadow")]
mod shadow;
mod whole;

#[cfg(feature = "shadow")]
pub use comparison::{BodyRule, Comparison, JsonRule, NumberRule, PathTolerance, StatusRule, TextRule};
pub use config::{ClientAddress, Decisions, Metrics, PluginConfig, Replicate, TokenKey, Tokens};
pub use goals::Goal;
pub use key::{Absent, AddressSource, ClaimSource, ClaimType, CookieIssue, KeyPolicy, KeySource, SameSite};
pub use matching::{ClaimMatch, FieldMatch, Match, PathMatch};
pub use name::{check_header_name, check_name};
pub use output::{HeaderOutput, Mirror, MirrorBy, Output};
pub use overrides::Override;
#[cfg(feature = "shadow")]
pub use prediction::{Prediction, Predictions};
pub use problem::{Problem, Problems};
pub use read::{Envelope, FEATURES, Read, envelope, read, read_strict, salvage_headers, salvage_target};
pub use route::{Inbound, KeyList, Route, Segment, Variant};
#[cfg(feature = "shadow")]
pub use shadow::{Budget, NoiseCopy, Recorded, Records, ReplacedHeader, Shadow, Shadowing};

/// The version of the contract that this build speaks. A document with a larger number is refused (its kill switch
/// still works, see [`envelope`]).
pub const CONTRACT: u64 = 1;

#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "schema")]
pub use schema::{closed_schema, json_schema};
