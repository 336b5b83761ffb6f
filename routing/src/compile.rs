//! From a configuration to a table, or all that is wrong with it.

use headgate_contract::{PluginConfig, Problems};

use crate::RoutingTable;

/// Checks a configuration against everything that types cannot say (limits, references, exclusive fields, regular
/// expressions, number of metric series) and makes it ready. The result depends on the configuration alone.
///
/// # Errors
/// All that is wrong, each with its path and the way out.
pub fn compile(config: PluginConfig) -> Result<RoutingTable, Problems> {
    Problems::default().into_result(RoutingTable::new(config))
}
