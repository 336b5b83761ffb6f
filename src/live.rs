//! A configuration in force: from its bytes to a table, or a refusal.
//!
//! Envoy configures throw-away clones beside the workers, so what becomes of a configuration depends on its bytes alone,
//! and nothing that is counted here but a refusal means anything: the acknowledgement comes with the first tick.

use core::cell::Cell;

use headgate_contract as contract;
use headgate_routing::{Keyring, RoutingTable, compile};

use crate::counters::{self, Board};
use crate::plan;

/// A configuration in force, and what the filter knows beside it. Requests that it decided keep it to their end.
#[derive(Debug)]
pub(crate) struct Live {
    /// The configuration, ready to decide.
    pub(crate) table: RoutingTable,
    /// The keys that this VM's environment has.
    pub(crate) keyring: Keyring,
    /// The series, by decision.
    pub(crate) board: Board,
    /// Whether requests are read as a whole: see the module `plan`.
    pub(crate) prefers_map: bool,
    /// Whether answers may get a header or a cookie.
    pub(crate) touches_responses: bool,
    /// What its shadows need.
    #[cfg(feature = "shadow")]
    pub(crate) shadows: crate::shadow::Shadows,
    /// The series of its predictions.
    #[cfg(feature = "shadow")]
    pub(crate) predictions: crate::predict::Board,
    target: String,
    unknown: usize,
    acknowledged: Cell<bool>,
}

impl Live {
    /// Reads and compiles a configuration. One that cannot be, but whose frozen envelope says `killSwitch`, still kills.
    /// A refusal is counted, and logged in one line with all that is wrong.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let problems = match Self::compile(bytes) {
            Ok(live) => return Some(live),
            Err(problems) => problems,
        };
        let reasons = problems.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match contract::envelope(bytes) {
            Ok(envelope) if envelope.kill_switch => {
                log::warn!("headgate: revision {}: only its kill switch was understood: {reasons}", envelope.revision);
                let target = contract::salvage_target(bytes).unwrap_or_else(|| "default".to_owned());
                let table = RoutingTable::killed(envelope.revision, contract::salvage_headers(bytes));
                Some(Self::new(table, target, 0))
            }
            _ => {
                log::error!("headgate: configuration refused, the former one stays: {reasons}");
                counters::count("headgate_refused_configurations", &[]);
                None
            }
        }
    }

    fn compile(bytes: &[u8]) -> Result<Self, contract::Problems> {
        let read = contract::read(bytes)?;
        let unknown = read.unknown.len();
        let table = compile(read.config)?;
        let target = table.config().target.clone();
        Ok(Self::new(table, target, unknown))
    }

    fn new(table: RoutingTable, target: String, unknown: usize) -> Self {
        let env = |name: &str| std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
        let keyring = Keyring::load(&table, &env);
        let board = Board::new(&table);
        let prefers_map = plan::prefers_map(table.typical_reads());
        let touches_responses = table.touches_responses();
        #[cfg(feature = "shadow")]
        let shadows = crate::shadow::Shadows::new(&table, &env);
        #[cfg(feature = "shadow")]
        let predictions = crate::predict::Board::new(&table);
        Self {
            table,
            keyring,
            board,
            prefers_map,
            touches_responses,
            #[cfg(feature = "shadow")]
            shadows,
            #[cfg(feature = "shadow")]
            predictions,
            target,
            unknown,
            acknowledged: Cell::new(false),
        }
    }

    /// From now on requests are decided by it, for this root context.
    #[cfg(feature = "shadow")]
    pub(crate) fn come_into_force(&self, root: u32) {
        if let Some(mut desk) = self.shadows.desk.as_ref().and_then(|desk| desk.try_borrow_mut().ok()) {
            desk.in_force(self.table.config(), self.shadows.token.as_ref(), root);
        }
    }

    /// A tick of this root context: the first one acknowledges. The answer is how many milliseconds go by until the next; 0 is never.
    pub(crate) fn tick(&self, root: u32) -> u32 {
        if !self.acknowledged.replace(true) {
            self.acknowledge();
        }
        #[cfg(feature = "shadow")]
        return self.shadows.tick(root);
        #[cfg(not(feature = "shadow"))]
        {
            let _ = root;
            0
        }
    }

    /// Tells that this VM has the configuration in force.
    fn acknowledge(&self) {
        let target = ("target", self.target.as_str());
        counters::gauge("headgate_revision", &[target], self.table.revision());
        counters::gauge("headgate_unknown_fields", &[target], self.unknown as u64);
        let features = contract::FEATURES.join("+");
        let build = [target, ("version", env!("CARGO_PKG_VERSION")), ("features", features.as_str())];
        counters::gauge("headgate_build", &build, 1);
        counters::count("headgate_acknowledgements", &[target]);
    }
}
