//! From a document in memory to the contract's types, knowing at each step where it is.
//!
//! Serde's derived reading is compiled once for each type and way of reading it and made up a fifth of the filter. Here
//! a type only names its fields (`fields.rs`); all that is common is compiled once. A fault is noted and reading goes on
//! with a default in its place, so that all faults are found: the caller looks at the notes before it looks at the value. A test holds the result equal
//! to what Serde's reading of the same types gives.

use core::cell::RefCell;
use core::fmt;

use crate::limits::PROBLEMS;
use crate::node::Node;
use crate::{Problem, Problems};

/// A type that can be read from a value.
pub(crate) trait FromNode {
    fn from_node(at: &At<'_>) -> Self;
}

/// A type that is read from an object, by its fields.
pub(crate) trait FromObject {
    fn from_object(fields: &Fields<'_>) -> Self;
}

/// What was noted while reading.
#[derive(Default)]
pub(crate) struct Notes {
    faults: RefCell<Problems>,
    unknown: RefCell<Vec<String>>,
}

/// Reads a type from a document, with the paths of fields that it does not know.
///
/// # Errors
/// Everything that is not as the type says; of very many the first.
pub(crate) fn from_node<T: FromNode>(node: &Node) -> Result<(T, Vec<String>), Problems> {
    let notes = Notes::default();
    let value = T::from_node(&At { node, path: Path::Root, notes: &notes });
    notes.faults.into_inner().into_result((value, notes.unknown.into_inner()))
}

/// Where in the document.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value and its place.
pub(crate) struct At<'p> {
    pub(crate) node: &'p Node,
    path: Path<'p>,
    notes: &'p Notes,
}

impl<'p> At<'p> {
    /// Notes a fault.
    #[inline(never)]
    pub(crate) fn fault(&self, reason: fmt::Arguments<'_>) {
        let mut faults = self.notes.faults.borrow_mut();
        if faults.0.len() < PROBLEMS {
            faults.0.push(Problem::new(self.path.to_string(), reason.to_string()));
        }
    }

    /// Notes that the value is not what it should be.
    #[inline(never)]
    pub(crate) fn mistyped(&self, expected: &str) {
        self.fault(format_args!("{}, expected {expected}", self.node));
    }

    /// The fields of an object.
    #[inline(never)]
    fn fields(&'p self) -> Fields<'p> {
        let rest = match self.node {
            Node::Object(fields) => fields.iter().collect(),
            _ => {
                self.mistyped("an object");
                Vec::new()
            }
        };
        Fields { at: self, rest: RefCell::new(rest) }
    }

    /// The name of one of an enumeration's values.
    #[inline(never)]
    fn choice(&self, names: &[&str]) -> usize {
        let found = match self.node {
            Node::Text(text) => names.iter().position(|name| name == text),
            _ => None,
        };
        if found.is_none() {
            self.mistyped(&format!("one of {}", names.join(", ")));
        }
        found.unwrap_or_default()
    }
}

/// One of an enumeration's values by its name.
pub(crate) fn choice<T: Copy>(at: &At<'_>, names: &[&str], values: &[T], fallback: T) -> T {
    values.get(at.choice(names)).copied().unwrap_or(fallback)
}

/// The fields of an object that were not asked for yet.
pub(crate) struct Fields<'p> {
    at: &'p At<'p>,
    rest: RefCell<Vec<&'p (String, Node)>>,
}

impl Fields<'_> {
    #[inline(never)]
    fn take(&self, name: &'static str) -> Option<At<'_>> {
        let mut rest = self.rest.borrow_mut();
        let mut found = None;
        rest.retain(|(field, node)| {
            let it = field == name;
            if it && found.replace(node).is_some() {
                self.at.fault(format_args!("duplicate field `{name}`"));
            }
            !it
        });
        found.map(|node| At { node, path: Path::Field(&self.at.path, name), notes: self.at.notes })
    }

    /// A field that must be there unless the object itself is missing.
    pub(crate) fn required<T: FromNode + Default>(&self, name: &'static str) -> T {
        match self.take(name) {
            Some(at) => T::from_node(&at),
            None => {
                self.missing(name);
                T::default()
            }
        }
    }

    #[inline(never)]
    fn missing(&self, name: &str) {
        // What is no object has been told already.
        if matches!(self.at.node, Node::Object(_)) {
            self.at.fault(format_args!("missing field `{name}`"));
        }
    }

    /// A field that may be left out.
    pub(crate) fn optional<T: FromNode + Default>(&self, name: &'static str) -> T {
        self.take(name).map(|at| T::from_node(&at)).unwrap_or_default()
    }

    /// A field with a default of its own.
    pub(crate) fn or<T: FromNode>(&self, name: &'static str, default: fn() -> T) -> T {
        self.take(name).map_or_else(default, |at| T::from_node(&at))
    }

    /// What nobody asked for is unknown.
    #[inline(never)]
    fn note_unknown(&self) {
        for (name, _) in self.rest.borrow().iter() {
            self.at.notes.unknown.borrow_mut().push(Path::Field(&self.at.path, name).to_string());
        }
    }
}

impl<T: FromObject> FromNode for T {
    fn from_node(at: &At<'_>) -> Self {
        let fields = at.fields();
        let it = T::from_object(&fields);
        fields.note_unknown();
        it
    }
}

impl<T: FromNode> FromNode for Option<T> {
    fn from_node(at: &At<'_>) -> Self {
        if *at.node == Node::Null { None } else { Some(T::from_node(at)) }
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(at: &At<'_>) -> Self {
        let Node::List(items) = at.node else {
            at.mistyped("a list");
            return Self::new();
        };
        let mut list = Self::with_capacity(items.len());
        for (i, node) in items.iter().enumerate() {
            list.push(T::from_node(&At { node, path: Path::Item(&at.path, i), notes: at.notes }));
        }
        list
    }
}

impl<T: FromNode> FromNode for std::collections::BTreeMap<String, T> {
    fn from_node(at: &At<'_>) -> Self {
        let mut map = Self::new();
        let Node::Object(fields) = at.node else {
            at.mistyped("an object");
            return map;
        };
        for (name, node) in fields {
            let value = T::from_node(&At { node, path: Path::Field(&at.path, name), notes: at.notes });
            map.insert(name.clone(), value);
        }
        map
    }
}

impl FromNode for String {
    #[inline(never)]
    fn from_node(at: &At<'_>) -> Self {
        match at.node {
            Node::Text(text) => text.clone(),
            _ => {
                at.mistyped("a string");
                Self::new()
            }
        }
    }
}

impl FromNode for bool {
    #[inline(never)]
    fn from_node(at: &At<'_>) -> Self {
        match at.node {
            Node::Bool(value) => *value,
            _ => {
                at.mistyped("true or false");
                false
            }
        }
    }
}

/// Largest integer a JSON double carries exactly: 2^53 - 1.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// `5` and `5.0` alike (Istio carries a configuration as a protobuf `Struct`, which turns the one into the other); no
/// fractions, negatives or anything above `most`.
#[inline(never)]
fn whole(at: &At<'_>, most: u64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and below 2^53"
    )]
    let value = match at.node {
        Node::Whole(value) => Some(*value),
        Node::Float(value) if *value >= 0.0 && *value <= MAX_SAFE as f64 && value.trunc() == *value => {
            Some(*value as u64)
        }
        _ => None,
    };
    value.filter(|value| *value <= most).unwrap_or_else(|| {
        at.mistyped(&format!("a whole number from 0 to {most}"));
        0
    })
}

impl FromNode for u64 {
    fn from_node(at: &At<'_>) -> Self {
        whole(at, MAX_SAFE)
    }
}

impl FromNode for u32 {
    fn from_node(at: &At<'_>) -> Self {
        Self::try_from(whole(at, Self::MAX.into())).unwrap_or_default()
    }
}

impl FromNode for u8 {
    fn from_node(at: &At<'_>) -> Self {
        Self::try_from(whole(at, Self::MAX.into())).unwrap_or_default()
    }
}

/// A number, of whole ones their value as a 64-bit float.
#[cfg(feature = "shadow")]
impl FromNode for f64 {
    #[expect(clippy::cast_precision_loss, reason = "as JSON's numbers are read everywhere")]
    fn from_node(at: &At<'_>) -> Self {
        match at.node {
            Node::Whole(value) => *value as Self,
            Node::Negative(value) => *value as Self,
            Node::Float(value) => *value,
            _ => {
                at.mistyped("a number");
                0.0
            }
        }
    }
}
