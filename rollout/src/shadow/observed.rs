//! One comparison, as much of it as the analysis needs. Borrowed from the line it stands in.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A request and its two answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed<'a> {
    /// Name of the request, to find it again.
    pub id: Option<Cow<'a, str>>,
    /// Bucket of users, 0 to 31; none: nothing is known of the user.
    pub bucket: Option<usize>,
    /// Segment; none: `default`.
    pub segment: Option<Cow<'a, str>>,
    /// What the user got.
    pub primary: Answer<'a>,
    /// What the shadow answered.
    pub shadow: Answer<'a>,
    /// Whether the answers agree; none: they could not be compared.
    pub agrees: Option<bool>,
    /// Why they could not be compared.
    pub incomparable: Option<Cow<'a, str>>,
    /// The number in either answer: (primary, shadow).
    pub numbers: Option<(f64, f64)>,
    /// Shadow's number less primary's, where the numbers themselves are not told.
    pub difference: Option<f64>,
    /// What differs.
    pub differences: Vec<Difference<'a>>,
    /// What differs between two answers of the version in service; none: it was not asked twice.
    pub noise: Option<Vec<Cow<'a, str>>>,
    /// The share of such comparisons that is recorded, in (0, 1].
    pub share: f64,
}

/// One side's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<'a> {
    /// Status; none: unknown, or no answer.
    pub status: Option<u16>,
    /// Latency, microseconds.
    pub micros: Option<f64>,
    /// gRPC status; none: unknown, or not gRPC.
    pub grpc: Option<u16>,
    /// Why there is no answer: `timeout`, `unreachable`.
    pub error: Option<Cow<'a, str>>,
}

/// gRPC statuses that are the server's fault: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const GRPC_FAILURES: [u16; 6] = [2, 4, 12, 13, 14, 15];
/// Why there is no answer although the version could not help it: the user went away, or the proxy got another configuration or a kill.
const NOBODYS_FAULT: [&str; 3] = ["aborted", "reconfigured", "killed"];

impl Answer<'_> {
    /// Whether it is an error of the server's, or none.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error.is_some()
            || self.status.is_some_and(|status| status >= 500)
            || self.grpc.is_some_and(|status| GRPC_FAILURES.contains(&status))
    }

    /// Whether there is no answer, and the version could not help it.
    #[must_use]
    pub fn is_nobodys_fault(&self) -> bool {
        self.error.as_deref().is_some_and(|error| NOBODYS_FAULT.contains(&error))
    }
}

/// One thing that differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference<'a> {
    /// Where: a JSON pointer, `header:NAME`, `status`.
    pub path: Cow<'a, str>,
    /// What the user got, as JSON; none: not told.
    pub primary: Option<Cow<'a, str>>,
    /// What the shadow answered, as JSON; none: not told.
    pub shadow: Option<Cow<'a, str>>,
}

/// Who was right where answers disagree, as a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Right {
    /// The version in service.
    Primary,
    /// The shadow.
    Shadow,
    /// Either answer will do.
    Both,
    /// Neither.
    Neither,
}

impl Right {
    /// Whether the shadow's answer was no worse than the other: right, or as good.
    #[must_use]
    pub const fn accepts(self) -> bool {
        matches!(self, Self::Shadow | Self::Both)
    }
}
