//! One thing that is wrong with a document, with its place in the file.

use core::fmt;

/// What is wrong, where in the document (JSON path) and, for YAML, where in the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Finding {
    /// The file, as it was named on the command line.
    pub(crate) file: String,
    /// JSON path, as in `routes[2].variants[0].weight`; empty for the document as a whole.
    pub(crate) path: String,
    /// Line from 1, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// Column from 1, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u64>,
    /// What is wrong and the way out.
    pub(crate) reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.reason)
    }
}
