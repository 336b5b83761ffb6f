//! The bandit as people write it.

use serde::{Deserialize, Serialize};

/// Shares of users follow the rewards that the variants earn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bandit {}
