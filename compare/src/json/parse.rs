//! From bytes to a document: what the rules leave out is read over, and of the rest at most 10,000 values are taken.

use core::cell::Cell;
use core::fmt;
use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::node::Node;
use super::order::order;
use crate::limits::NODES;
use crate::number::Number;
use crate::pointer::{At, Mask, Pointer, position_of};
use crate::rules::{JsonRules, Within};

/// A document as far as the rules look at it.
#[derive(Debug)]
pub(crate) struct Document<'d> {
    pub(crate) root: Node<'d>,
    /// Pointers of `only` that led to a value; bit `i` is pointer `i`.
    pub(crate) found: Mask,
}

impl<'d> Document<'d> {
    /// The one value that a pointer of so many steps without `*` led to, if it did.
    pub(crate) fn single(&self, steps: usize) -> Option<&Node<'d>> {
        (0..steps).try_fold(&self.root, |node, _| match node {
            Node::Object(fields) => fields.first().map(|(_, value)| value),
            Node::List { items, .. } => items.last(),
            _ => None,
        })
    }

    /// What stands at a pointer without `*` that is one of `only`.
    pub(crate) fn at(&self, pointer: &Pointer) -> Option<&Node<'d>> {
        pointer.names().try_fold(&self.root, |node, name| match node {
            Node::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            Node::List { items, .. } => items.get(position_of(name)?),
            _ => None,
        })
    }
}

/// Why there is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not JSON, or nested deeper than 128.
    NotJson,
    /// It has more values than are taken.
    TooMany,
}

/// Parses a document.
pub(crate) fn parse<'d>(bytes: &'d [u8], rules: &JsonRules) -> Result<Document<'d>, Fault> {
    let whole = Whole { rules, left: Cell::new(NODES), found: Cell::new(0) };
    let here = Here {
        whole: &whole,
        depth: 0,
        only: rules.only.all(),
        inside: rules.only.is_empty(),
        ignore: rules.ignore.all(),
        unordered: rules.unordered.all(),
        tolerant: rules.tolerant.all(),
        within: 0,
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let root = here.entered().deserialize(&mut json);
    let root = root.and_then(|root| json.end().map(|()| root));
    match root {
        Ok(root) => Ok(Document { root, found: whole.found.get() }),
        Err(_) if whole.left.get() == 0 => Err(Fault::TooMany),
        Err(_) => Err(Fault::NotJson),
    }
}

/// What all places of a document share.
struct Whole<'r> {
    rules: &'r JsonRules,
    left: Cell<usize>,
    found: Cell<Mask>,
}

/// A place on the way down, and the pointers that lead to it or through it.
#[derive(Clone, Copy)]
struct Here<'r> {
    whole: &'r Whole<'r>,
    depth: usize,
    only: Mask,
    /// At or below a pointer of `only`, or there is none: everything counts.
    inside: bool,
    ignore: Mask,
    unordered: Mask,
    tolerant: Mask,
    /// What holds here and below, unless a longer pointer says otherwise.
    within: Within,
}

impl Here<'_> {
    /// Notes that a value stands at this place.
    fn entered(mut self) -> Self {
        let only = &self.whole.rules.only;
        let ended = only.ended(self.only, self.depth);
        if ended != 0 {
            self.inside = true;
            self.whole.found.set(self.whole.found.get() | ended);
        }
        let tolerant = self.whole.rules.tolerant.ended(self.tolerant, self.depth);
        if tolerant != 0 {
            self.within = u8::try_from(tolerant.trailing_zeros() + 1).unwrap_or_default();
        }
        self
    }

    /// The place one step below; nothing when what stands there does not count.
    fn below(self, at: At<'_>) -> Option<Self> {
        let rules = self.whole.rules;
        let depth = self.depth + 1;
        let ignore = rules.ignore.step(self.ignore, self.depth, at);
        let only = rules.only.step(self.only, self.depth, at);
        if rules.ignore.ended(ignore, depth) != 0 || !(self.inside || only != 0) {
            return None;
        }
        let unordered = rules.unordered.step(self.unordered, self.depth, at);
        let tolerant = rules.tolerant.step(self.tolerant, self.depth, at);
        Some(Self { depth, only, ignore, unordered, tolerant, ..self }.entered())
    }

    /// Counts one more value.
    fn take<E: Error>(self) -> Result<(), E> {
        let left = self.whole.left.get();
        self.whole.left.set(left.saturating_sub(1));
        if left <= 1 { Err(E::custom("too many values")) } else { Ok(()) }
    }

    /// A value that has nothing below it: it counts where all does.
    fn leaf<'d, E: Error>(self, node: Node<'d>) -> Result<Node<'d>, E> {
        self.take()?;
        Ok(if self.inside { node } else { Node::Skipped })
    }
}

impl<'d> DeserializeSeed<'d> for Here<'_> {
    type Value = Node<'d>;

    fn deserialize<D: Deserializer<'d>>(self, d: D) -> Result<Node<'d>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'d> Visitor<'d> for Here<'_> {
    type Value = Node<'d>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'d>, E> {
        self.leaf(Node::Null)
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Node<'d>, E> {
        self.leaf(Node::Bool(v))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Node<'d>, E> {
        self.leaf(Node::Number(Number::Whole(v.into()), self.within))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Node<'d>, E> {
        self.leaf(Node::Number(Number::Whole(v.into()), self.within))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Node<'d>, E> {
        self.leaf(Node::Number(Number::Float(v), self.within))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Node<'d>, E> {
        self.leaf(Node::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, v: &'d str) -> Result<Node<'d>, E> {
        self.leaf(Node::Text(Cow::Borrowed(v)))
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut access: A) -> Result<Node<'d>, A::Error> {
        self.take()?;
        let mut items = Vec::new();
        for position in 0.. {
            let item = match self.below(At::Position(position)) {
                Some(below) => access.next_element_seed(below)?,
                None => match access.next_element::<IgnoredAny>()? {
                    Some(_) => Some(self.take().map(|()| Node::Skipped)?),
                    None => None,
                },
            };
            let Some(item) = item else { break };
            items.push(item);
        }
        // What does not count has no place either, at the end.
        while matches!(items.last(), Some(Node::Skipped)) {
            items.pop();
        }
        if items.is_empty() && !self.inside {
            return Ok(Node::Skipped);
        }
        let unordered = self.whole.rules.unordered.ended(self.unordered, self.depth) != 0;
        if unordered {
            items.retain(|item| !matches!(item, Node::Skipped));
            items.sort_by(order);
        }
        Ok(Node::List { items, unordered })
    }

    fn visit_map<A: MapAccess<'d>>(self, mut access: A) -> Result<Node<'d>, A::Error> {
        self.take()?;
        let mut fields: Vec<(Cow<'d, str>, Node<'d>)> = Vec::new();
        while let Some(Name(name)) = access.next_key_seed(Name::default())? {
            match self.below(At::Name(&name)) {
                Some(below) => fields.push((name, access.next_value_seed(below)?)),
                None => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        // Of a name that stands there twice the last counts, as most readers have it.
        fields.reverse();
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields.dedup_by(|(a, _), (b, _)| a == b);
        fields.retain(|(_, value)| !matches!(value, Node::Skipped));
        Ok(if fields.is_empty() && !self.inside { Node::Skipped } else { Node::Object(fields) })
    }
}

/// A field's name.
#[derive(Default)]
struct Name<'d>(Cow<'d, str>);

impl<'d> DeserializeSeed<'d> for Name<'d> {
    type Value = Self;

    fn deserialize<D: Deserializer<'d>>(self, d: D) -> Result<Self, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'d> Visitor<'d> for Name<'d> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, v: &str) -> Result<Self, E> {
        Ok(Self(Cow::Owned(v.to_owned())))
    }

    fn visit_borrowed_str<E>(self, v: &'d str) -> Result<Self, E> {
        Ok(Self(Cow::Borrowed(v)))
    }
}
