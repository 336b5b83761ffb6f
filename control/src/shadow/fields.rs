//! Where in a line each thing stands: a tree of names, walked while the JSON is read, so that everything else is skipped unread.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is read of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Id,
    Key,
    Bucket,
    Segment,
    Agrees,
    Incomparable,
    Old,
    New,
    OldStatus,
    NewStatus,
    OldLatency,
    NewLatency,
    OldGrpc,
    NewGrpc,
    OnlyNoise,
    Error,
    Difference,
    Share,
    /// A list of objects with `path`, `primary` and `shadow`.
    Differences,
    /// A list of paths.
    Noise,
}

const SLOTS: usize = 20;

/// Names for `--map`, with what they are.
pub(crate) const NAMES: [(&str, Slot, &str); 14] = [
    ("old", Slot::Old, "the answer of the version in service: a number, a text or a truth value"),
    ("new", Slot::New, "the shadow's answer"),
    ("id", Slot::Id, "name of the request"),
    ("key", Slot::Key, "what tells users apart"),
    ("segment", Slot::Segment, "segment"),
    ("agrees", Slot::Agrees, "whether the answers agree; else they are compared"),
    ("old-status", Slot::OldStatus, "HTTP status of the version in service"),
    ("new-status", Slot::NewStatus, "HTTP status of the shadow"),
    ("old-latency", Slot::OldLatency, "latency of the version in service"),
    ("new-latency", Slot::NewLatency, "latency of the shadow"),
    ("error", Slot::Error, "why the shadow gave no answer; absent, null, empty or false: it did"),
    ("difference", Slot::Difference, "new - old, where the numbers are not there"),
    ("share", Slot::Share, "the share of such requests that is logged, above 0 up to 1"),
    ("bucket", Slot::Bucket, "bucket of users, 0 to 31, where there is no key"),
];

/// A scalar of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Number(f64),
    Text(Cow<'a, str>),
    Truth(bool),
}

impl Scalar<'_> {
    /// As a number; texts that are written as a finite one too.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            Self::Truth(_) => None,
        }
    }
}

/// What a line holds.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    scalars: [Option<Scalar<'a>>; SLOTS],
    pub(crate) differences: Option<&'a RawValue>,
    pub(crate) noise: Option<&'a RawValue>,
}

impl<'a> Found<'a> {
    pub(crate) fn get(&self, slot: Slot) -> Option<&Scalar<'a>> {
        self.scalars.get(slot as usize)?.as_ref()
    }

    pub(crate) fn take(&mut self, slot: Slot) -> Option<Scalar<'a>> {
        self.scalars.get_mut(slot as usize)?.take()
    }

    pub(crate) fn number(&self, slot: Slot) -> Option<f64> {
        self.get(slot)?.number()
    }
}

/// A tree of names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    slot: Option<Slot>,
    children: Vec<(Box<str>, Fields)>,
}

impl Fields {
    /// Where the proxies' records have things.
    pub(crate) fn records() -> Self {
        let mut fields = Self::default();
        for (path, slot) in [
            ("requestId", Slot::Id),
            ("key", Slot::Key),
            ("bucket", Slot::Bucket),
            ("segment", Slot::Segment),
            ("agrees", Slot::Agrees),
            ("incomparable", Slot::Incomparable),
            ("number.primary", Slot::Old),
            ("number.shadow", Slot::New),
            ("primary.status", Slot::OldStatus),
            ("shadow.status", Slot::NewStatus),
            ("primary.grpcStatus", Slot::OldGrpc),
            ("shadow.grpcStatus", Slot::NewGrpc),
            ("onlyNoise", Slot::OnlyNoise),
            ("primary.us", Slot::OldLatency),
            ("shadow.us", Slot::NewLatency),
            ("shadow.error", Slot::Error),
            ("difference", Slot::Difference),
            ("share", Slot::Share),
            ("differences", Slot::Differences),
            ("noise", Slot::Noise),
        ] {
            fields.add(path.split('.').map(Cow::Borrowed), slot);
        }
        fields
    }

    /// From `--map old=prediction.champion`, where the path is names with dots between, or a JSON pointer.
    ///
    /// # Errors
    /// In words, for a name that is none, a path that is none, and one that leads through another.
    pub(crate) fn mapped(maps: &[String]) -> Result<Self, String> {
        let mut fields = Self::default();
        let mut given: Vec<Slot> = Vec::new();
        for map in maps {
            let (name, path) = map.split_once('=').ok_or_else(|| format!("`{map}` is no NAME=PATH"))?;
            let known = || NAMES.map(|(name, ..)| name).join(", ");
            let (_, slot, _) = NAMES
                .into_iter()
                .find(|(n, ..)| *n == name.trim())
                .ok_or_else(|| format!("`{name}` is nothing that is read: there are {}", known()))?;
            if given.contains(&slot) {
                return Err(format!("`{name}` is mapped twice"));
            }
            given.push(slot);
            let steps: Vec<String> = match path.strip_prefix('/') {
                Some(pointer) => pointer.split('/').map(|s| s.replace("~1", "/").replace("~0", "~")).collect(),
                None => path.split('.').map(str::to_owned).collect(),
            };
            if steps.iter().any(String::is_empty) {
                return Err(format!("`{path}` is no path: write names with dots between, or a JSON pointer"));
            }
            if !fields.add(steps.into_iter().map(Cow::Owned), slot) {
                return Err(format!("`{path}` leads to or through what is mapped already"));
            }
        }
        let has = |slot| given.contains(&slot);
        if !(has(Slot::Agrees) || has(Slot::Difference) || (has(Slot::Old) && has(Slot::New))) {
            return Err("nothing says whether answers agree: map `old` and `new`, or `agrees`".to_owned());
        }
        Ok(fields)
    }

    fn add<'p>(&mut self, mut path: impl Iterator<Item = Cow<'p, str>>, slot: Slot) -> bool {
        let Some(name) = path.next() else {
            let free = self.slot.is_none() && self.children.is_empty();
            self.slot = Some(slot);
            return free;
        };
        if self.slot.is_some() {
            return false;
        }
        let at = self.children.iter().position(|(n, _)| **n == *name).unwrap_or_else(|| {
            self.children.push((name.as_ref().into(), Self::default()));
            self.children.len() - 1
        });
        self.children.get_mut(at).is_some_and(|(_, child)| child.add(path, slot))
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub(crate) fn read<'a>(&self, line: &'a [u8]) -> serde_json::Result<Found<'a>> {
        let mut found = Found::default();
        let mut reader = serde_json::Deserializer::from_slice(line);
        Walk { node: self, found: &mut found, root: true }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(found)
    }
}

/// Walks one value with its node of the tree.
struct Walk<'n, 'f, 'a> {
    node: &'n Fields,
    found: &'f mut Found<'a>,
    root: bool,
}

impl<'a> DeserializeSeed<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        if self.root { from.deserialize_map(self) } else { from.deserialize_any(self) }
    }
}

impl<'a> Walk<'_, '_, 'a> {
    fn keep(self, scalar: Scalar<'a>) {
        if let Some(slot) = self.node.slot
            && let Some(place) = self.found.scalars.get_mut(slot as usize)
        {
            *place = Some(scalar);
        }
    }
}

impl<'a> Visitor<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(child) = map.next_key_seed(Child(self.node))? {
            let Some(child) = child else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match child.slot {
                Some(Slot::Differences) => self.found.differences = Some(map.next_value()?),
                Some(Slot::Noise) => self.found.noise = Some(map.next_value()?),
                _ => map.next_value_seed(Walk { node: child, found: &mut *self.found, root: false })?,
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.keep(Scalar::Truth(truth));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.keep(Scalar::Number(number));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of JSON are doubles")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.keep(Scalar::Number(number as f64));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers of JSON are doubles")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.keep(Scalar::Number(number as f64));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Finds the child that a key names, without copying the key.
struct Child<'n>(&'n Fields);

impl<'a, 'n> DeserializeSeed<'a> for Child<'n> {
    type Value = Option<&'n Fields>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Child<'n> {
    type Value = Option<&'n Fields>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|(n, _)| **n == *name).map(|(_, child)| child))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_found_and_the_rest_skipped() {
        let maps = ["old=a.b", "new=/c~1d/e", "id=id", "key=k"].map(str::to_owned);
        let fields = Fields::mapped(&maps).unwrap();
        let line = br#"{"x":[1,{"b":2}],"a":{"z":{"b":9},"b":"t\u00e4st"},"c/d":{"e":-3.5},"id":7,"k":null}"#;
        let found = fields.read(line).unwrap();
        assert_eq!(found.get(Slot::Old), Some(&Scalar::Text("täst".into())));
        assert_eq!(
            (found.number(Slot::New), found.number(Slot::Id), found.get(Slot::Key)),
            (Some(-3.5), Some(7.0), None)
        );
    }

    #[test]
    fn an_object_where_a_scalar_is_expected_is_nothing() {
        let fields = Fields::mapped(&["agrees=a".to_owned()]).unwrap();
        for line in [r#"{"a":{"b":true}}"#, r#"{"a":[true]}"#, r#"{"a":null}"#, "{}"] {
            assert!(fields.read(line.as_bytes()).unwrap().get(Slot::Agrees).is_none(), "{line}");
        }
        for line in ["", "[]", "3", r#"{"a":tru"#, r#"{"a":1}}"#, "{\"a\":\"\x01\"}"] {
            assert!(fields.read(line.as_bytes()).is_err(), "{line}");
        }
        assert!(fields.read(b"{\"a\":\"\xff\"}").is_err() && fields.read(b"{\"b\":\"\xff\",\"a\":true}").is_ok());
    }

    #[test]
    fn maps_that_cannot_be_are_refused() {
        let refused =
            |maps: &[&str]| Fields::mapped(&maps.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>()).unwrap_err();
        for (maps, word) in [
            (&["old"][..], "NAME=PATH"),
            (&["older=a"], "there are old, new"),
            (&["old=a", "old=b"], "twice"),
            (&["old=a..b", "new=c"], "is no path"),
            (&["old=a", "new=a.b"], "through"),
            (&["old=a.b", "new=a"], "through"),
            (&["old=a"], "map `old` and `new`"),
            (&[], "map `old` and `new`"),
        ] {
            assert!(refused(maps).contains(word), "{maps:?}: {}", refused(maps));
        }
    }
}
