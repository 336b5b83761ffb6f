//! One value of a document.

use std::borrow::Cow;

use serde_json::Value;

use crate::limits::VALUE_BYTES;
use crate::number::Number;
use crate::rules::Within;

/// A value. Names and strings without escapes are borrowed from the body.
#[derive(Debug, Clone)]
pub(crate) enum Node<'d> {
    /// Does not count: what the rules leave out, where it has a place that must be kept.
    Skipped,
    Null,
    Bool(bool),
    /// With the tolerance that holds at its place.
    Number(Number, Within),
    Text(Cow<'d, str>),
    List {
        items: Vec<Self>,
        /// Its order does not count; its items are sorted.
        unordered: bool,
    },
    /// Sorted by name, each name once.
    Object(Vec<(Cow<'d, str>, Self)>),
}

impl Node<'_> {
    /// What kind of value it is, in the words of JSON.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Skipped => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(..) => "number",
            Self::Text(_) => "string",
            Self::List { .. } => "array",
            Self::Object(_) => "object",
        }
    }

    /// The number that it is, or that it holds as a string (as protobuf's JSON writes 64-bit integers).
    pub(crate) fn number(&self) -> Option<Number> {
        match self {
            Self::Number(number, _) => Some(*number),
            Self::Text(text) => serde_json::from_str(text).ok().map(Number::Float),
            _ => None,
        }
    }

    /// Whether it is the same value, to the last digit.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        super::order::order(self, other).is_eq()
    }

    /// As it is shown to people: a list or an object by its kind and length, a long string cut.
    pub(crate) fn shown(&self) -> Value {
        match self {
            Self::Skipped | Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number, _) => shown_number(*number),
            Self::Text(text) => Value::String(cut(text, VALUE_BYTES)),
            Self::List { items, .. } => Value::String(format!("[{} items]", items.len())),
            Self::Object(fields) => Value::String(format!("{{{} fields}}", fields.len())),
        }
    }
}

/// A number as JSON: a whole one beyond 64 bits, which no reader promises, as a float.
pub(crate) fn shown_number(number: Number) -> Value {
    match number {
        Number::Whole(value) => i64::try_from(value)
            .map(Value::from)
            .or_else(|_| u64::try_from(value).map(Value::from))
            .unwrap_or_else(|_| Value::from(number.as_f64())),
        Number::Float(value) => Value::from(value),
    }
}

/// The first `most` bytes of a text, at a character's end, with `…` when something is left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
