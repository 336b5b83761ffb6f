//! What is kept of one compared pair: a JSON object on a line of its own (NDJSON), of version 1.
//!
//! ```json
//! {"record":1,"time":1800000000000,"route":"shop","variant":"canary","segment":"default","requestId":"7f…","key":"9f86d081884c7d65","bucket":7,
//!  "primary":{"status":200,"us":1234,"bytes":512},"shadow":{"status":200,"us":1500,"bytes":498},
//!  "agrees":false,"kinds":["json"],"differences":[{"path":"/items/*/price","kind":"value","primary":3,"shadow":4}],"noise":["/at"],"share":1}
//! ```
//!
//! What is not known or not told is left out: the key's hash of requests without one, values and inputs unless the user allows
//! them. Readers leave out fields that they do not know; a field's meaning never changes while `record` stays 1. Answers are
//! compared before a record is made: nothing here decides whether they agree.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::outcome::{Difference, Outcome, Verdict};

/// The version of the format.
pub const VERSION: u8 = 1;

/// Bytes within which a record always fits once all that can be left out of it is, for names within the contract's limits.
pub const LEAST_BYTES: usize = 1_536;

/// One compared pair, or one that could not be compared because the shadow gave no answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The format's version: [`VERSION`].
    pub record: u8,
    /// When the user's request came, in milliseconds since 1970.
    #[serde(default)]
    pub time: u64,
    /// The route.
    pub route: String,
    /// The variant that was shadowed: the one a copy went to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// The segment; `default` outside all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub segment: String,
    /// `x-request-id`, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The key's hash, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The replicate bucket of the key, 0 to 31.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<u8>,
    /// What the user got.
    pub primary: Answer,
    /// What the shadow gave.
    pub shadow: Answer,
    /// Whether the two are the same; absent when they could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
    /// Every place in which they differ is noise, by what the filter had counted then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_noise: bool,
    /// Why they could not be compared: a [`crate::Reason`]'s name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomparable: Option<String>,
    /// In what they differ: names of [`crate::Kind`]s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// The shadow's number minus the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Both numbers, where values are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Numbers>,
    /// Overlap of the words, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<f64>,
    /// Where they differ, at most 16 places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Place>,
    /// Places in which the stable version's second answer differed from the user's; absent when there was no such answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Vec<String>>,
    /// The share of such records that is kept, above 0 up to 1; absent, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// The request, as far as the user allows it to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Something was left out because the record would have been too long.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// One side of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(serde::Deserialize))]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The HTTP status; absent when no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The status of gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u64>,
    /// From the request's being sent to the answer's end, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
    /// Bytes of the body that were looked at, decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why there is no answer to compare: `timeout`, `unreachable`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Both sides' number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(serde::Deserialize))]
pub struct Numbers {
    /// The user's.
    pub primary: f64,
    /// The shadow's.
    pub shadow: f64,
}

/// One place where they differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "read", derive(serde::Deserialize))]
pub struct Place {
    /// As [`Difference::path`] has it.
    pub path: String,
    /// [`crate::How`]'s name.
    #[serde(default)]
    pub kind: String,
    /// What the user got, where values are allowed.
    #[cfg_attr(feature = "read", serde(deserialize_with = "there"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Value>,
    /// What the shadow gave, likewise.
    #[cfg_attr(feature = "read", serde(deserialize_with = "there"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Value>,
}

/// A value that is `null` is there all the same.
#[cfg(feature = "read")]
fn there<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    serde::Deserialize::deserialize(d).map(Some)
}

/// A request, as far as it may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "read", derive(serde::Deserialize))]
pub struct Input {
    /// The method.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The path without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Query parameters that may be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers that may be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body's first bytes, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Record {
    /// Takes over what comparing came to: whether they agree, kinds, places, numbers.
    pub fn compared(&mut self, outcome: &Outcome) {
        self.agrees = outcome.agrees();
        self.incomparable = match outcome.verdict {
            Verdict::Incomparable(reason) => Some(reason.name().to_owned()),
            Verdict::Matched | Verdict::Mismatched => None,
        };
        self.kinds = outcome.kinds.names().map(str::to_owned).collect();
        self.difference = outcome.difference;
        self.number = outcome.numbers.map(|(primary, shadow)| Numbers { primary, shadow });
        self.overlap = outcome.overlap;
        self.differences = outcome.differences.iter().map(Place::from).collect();
    }

    /// Takes over in what the stable version's second answer differed from the user's.
    pub fn stable_compared(&mut self, outcome: &Outcome) {
        self.noise =
            outcome.agrees().map(|_| outcome.differences.iter().map(|difference| difference.path.clone()).collect());
    }

    /// The line, with its end, in at most `most` bytes where that is [`LEAST_BYTES`] or more: first the input goes, then values, then places.
    pub fn to_line(&self, most: usize) -> Vec<u8> {
        let fits = |record: &Self| {
            let mut line = serde_json::to_vec(record).unwrap_or_default();
            line.push(b'\n');
            (line.len() <= most).then_some(line)
        };
        if let Some(line) = fits(self) {
            return line;
        }
        let mut short = self.clone();
        short.cut = true;
        let cuts: [fn(&mut Self); 5] = [
            |it| it.input = None,
            |it| {
                for place in &mut it.differences {
                    (place.primary, place.shadow) = (None, None);
                }
            },
            |it| it.noise = None,
            |it| it.differences.truncate(4),
            |it| {
                it.differences = Vec::new();
                it.request_id = None;
            },
        ];
        for cut in cuts {
            cut(&mut short);
            if let Some(line) = fits(&short) {
                return line;
            }
        }
        let mut line = serde_json::to_vec(&short).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is no record, as one that was cut off in the middle, or one of a version that this build does not know; in a sentence.
    #[cfg(feature = "read")]
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(line).map_err(|e| format!("no record: {e}"))?;
        if record.record != VERSION {
            return Err(format!("a record of version {}, this build reads {VERSION}", record.record));
        }
        Ok(record)
    }
}

impl From<&Difference> for Place {
    fn from(difference: &Difference) -> Self {
        Self {
            path: difference.path.clone(),
            kind: difference.how.name().to_owned(),
            primary: difference.primary.clone(),
            shadow: difference.shadow.clone(),
        }
    }
}
