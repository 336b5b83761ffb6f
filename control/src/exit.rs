//! How a run ends: the documented exit codes, and the failure that carries one.
//!
//! The codes are part of the command line's contract (`docs/cli.md`): scripts branch on them. This module decides no
//! outcome; verbs do.

use crate::finding::Finding;

/// Exit codes. Stable: a number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and seen to be done.
    Done = 0,
    /// A file, the network or the system failed.
    Failed = 1,
    /// The command line is wrong (clap's own number).
    Usage = 2,
    /// A document is refused; every problem was listed.
    Refused = 3,
    /// Written, but at least one proxy was not seen to apply it in time.
    Pending = 4,
    /// At least one proxy rejected it.
    Rejected = 5,
    /// Somebody else changed the target meanwhile, or holds it.
    Conflict = 6,
    /// Nothing was written: a proxy lacks what the configuration needs, or more than the configuration would change.
    Unfit = 7,
    /// A rollout was rolled back.
    RolledBack = 10,
    /// A rollout ended while holding.
    Held = 11,
    /// A rollout was aborted by a person.
    Aborted = 12,
    /// What was promoted has drifted.
    Drifted = 13,
    /// Whether it has is not known.
    Unknown = 14,
}

impl Exit {
    /// The word for it in `--json`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Unfit => "unfit",
            Self::RolledBack => "rolledBack",
            Self::Held => "held",
            Self::Aborted => "aborted",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }

    /// The one with a rollout's number.
    pub(crate) const fn of_run(number: u8) -> Self {
        match number {
            0 => Self::Done,
            10 => Self::RolledBack,
            11 => Self::Held,
            12 => Self::Aborted,
            _ => Self::Failed,
        }
    }
}

/// Why a verb could not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What failed, where, and the way out.
    pub(crate) message: String,
    /// All that is wrong with a document, when it is one.
    pub(crate) findings: Vec<Finding>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), findings: Vec::new() }
    }

    /// A failure of the system's.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A refused document.
    pub(crate) fn refused(file: &str, findings: Vec<Finding>) -> Self {
        let n = findings.len();
        let problems = if n == 1 { "1 problem" } else { "problems" };
        let count = if n == 1 { String::new() } else { format!("{n} ") };
        Self { exit: Exit::Refused, message: format!("{file} is refused: {count}{problems}"), findings }
    }

    /// The failure as `--json` shows it.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "ok": false,
            "exit": self.exit.as_str(),
            "error": self.message,
            "problems": self.findings,
        })
    }
}
