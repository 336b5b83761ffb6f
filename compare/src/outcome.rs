//! What comparing two answers came to.

use serde_json::Value;

/// What a comparison is asked for beside its verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The values that differ, cut to their limits. Answers carry people's data: only where the user allows it.
    pub values: bool,
}

/// What a pair of answers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same by the rules.
    Matched,
    /// Not the same: see [`Outcome::kinds`].
    Mismatched,
    /// No difference was seen, but not all that counts could be looked at.
    Incomparable(Reason),
}

/// Why two answers cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Both bodies are beyond the limit, or a document has too many values.
    TooLarge,
    /// Neither answer has any field that the rules name.
    MissingField,
    /// A body is in a `content-encoding` that this build does not decode.
    Encoding,
    /// An answer did not end as it should.
    Incomplete,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TooLarge, Self::MissingField, Self::Encoding, Self::Incomplete];

    /// Its name in series and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::MissingField => "missing_field",
            Self::Encoding => "encoding",
            Self::Incomplete => "incomplete",
        }
    }
}

/// In what two answers differ. A pair may differ in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The HTTP status.
    Status,
    /// A header that the rules name.
    Header,
    /// A value of a JSON document that both have.
    Json,
    /// The one number.
    Number,
    /// The words.
    Text,
    /// The body's bytes.
    Body,
    /// The status of gRPC, or its messages, or one is gRPC and the other not.
    Grpc,
    /// A value of a JSON document that one of them has.
    MissingField,
    /// One cannot be decoded, or is no JSON where the rules look into it.
    Unreadable,
    /// One body alone is beyond the limit.
    TooLarge,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Status,
        Self::Header,
        Self::Json,
        Self::Number,
        Self::Text,
        Self::Body,
        Self::Grpc,
        Self::MissingField,
        Self::Unreadable,
        Self::TooLarge,
    ];

    /// Its name in series and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Header => "header",
            Self::Json => "json",
            Self::Number => "number",
            Self::Text => "text",
            Self::Body => "body",
            Self::Grpc => "grpc",
            Self::MissingField => "missing_field",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
        }
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    pub(crate) const fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u16;
    }

    /// Whether a kind is in it.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u16) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in it.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// The names of those in it.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Kind::name)
    }
}

/// How two values differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both are there and of one type.
    Value,
    /// Both are there, of different types.
    Type,
    /// One alone is there.
    Missing,
}

impl How {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Type => "type",
            Self::Missing => "missing",
        }
    }
}

/// One place where two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `status`, `grpc-status`, `header:` and its name, `body`, or the JSON Pointer of a value with `*` for the positions of arrays
    /// (so that the same field of all items is one place); at most 200 bytes.
    pub path: String,
    /// How.
    pub how: How,
    /// What the user got; a list or an object by its size, a long string cut. None unless [`Wanted::values`], or where it is missing.
    pub primary: Option<Value>,
    /// What the shadow gave, likewise.
    pub shadow: Option<Value>,
}

/// What comparing two answers came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Matched, mismatched, or not to be compared.
    pub verdict: Verdict,
    /// In what they differ; empty unless mismatched.
    pub kinds: Kinds,
    /// Where they differ: at most 16 places, each once.
    pub differences: Vec<Difference>,
    /// Values that differ, with those that `differences` has no room for.
    pub count: usize,
    /// Under the number rule, when both have the number: the shadow's minus the user's. Finite.
    pub difference: Option<f64>,
    /// The two numbers themselves, the user's first; none unless [`Wanted::values`].
    pub numbers: Option<(f64, f64)>,
    /// Under the text rule: the overlap of the words, 0 to 1.
    pub overlap: Option<f64>,
    /// Pointers of the rules that neither answer has a value for: at most 16.
    pub missing: Vec<String>,
}

impl Outcome {
    /// Whether the two are the same, or none where they could not be compared.
    pub const fn agrees(&self) -> Option<bool> {
        match self.verdict {
            Verdict::Matched => Some(true),
            Verdict::Mismatched => Some(false),
            Verdict::Incomparable(_) => None,
        }
    }
}
