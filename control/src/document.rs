//! A YAML or JSON file as a JSON value, with the place of every value.
//!
//! YAML is read into a tree of our own, because plain `serde_json::Value` has no room for lines and columns. JSON is
//! read by serde_json, which is faster for long key lists; its problems carry paths alone. What the document means is
//! not known here.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

use crate::exit::Failure;
use crate::finding::Finding;

/// A document and where its values stand.
#[derive(Debug)]
pub(crate) struct Document {
    /// The file, as it was named.
    pub(crate) file: String,
    pub(crate) value: Value,
    places: HashMap<String, (u64, u64)>,
    /// The text, for showing a line of it; empty where no place is known.
    text: String,
}

impl Document {
    /// Reads a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let text = if name == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
        let text = text.map_err(|e| Failure::failed(format!("{name} cannot be read: {e}")))?;
        Self::parse(&name, &text)
    }

    /// Parses a text: JSON when it begins with `{`, else YAML.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Failure> {
        let refused = |line: Option<u64>, column: Option<u64>, reason: String| {
            let file = file.to_owned();
            let (path, snippet) = (String::new(), line.and_then(|line| line_of(text, line)));
            Failure::refused(&file.clone(), vec![Finding { file, path, line, column, reason, fix: None, snippet }])
        };
        if text.trim_start().starts_with('{')
            && let Ok(value) = serde_json::from_str(text)
        {
            return Ok(Self { file: file.to_owned(), value, places: HashMap::new(), text: String::new() });
        }
        // Braces that are not JSON may still be YAML's flow style; if not, its parser knows the line.
        let options = serde_saphyr::options! { budget: None };
        let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|e| {
            let place = e.location();
            let reason = format!("this is neither YAML nor JSON: {}", first_line(&e.without_snippet().to_string()));
            refused(place.map(|p| p.line()), place.map(|p| p.column()), reason)
        })?;
        let mut places = HashMap::new();
        let value = node.value.into_value("", &mut places);
        Ok(Self { file: file.to_owned(), value, places, text: text.to_owned() })
    }

    /// The place of a JSON path, or of the nearest value around it.
    pub(crate) fn place(&self, path: &str) -> Option<(u64, u64)> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// A finding at a JSON path of this document.
    pub(crate) fn finding(&self, path: impl Into<String>, reason: impl Into<String>) -> Finding {
        let path = path.into();
        let place = self.place(&path);
        Finding {
            file: self.file.clone(),
            line: place.map(|p| p.0),
            column: place.map(|p| p.1),
            snippet: place.and_then(|p| line_of(&self.text, p.0)),
            path,
            reason: reason.into(),
            fix: None,
        }
    }
}

/// A line of a text, from 1.
fn line_of(text: &str, line: u64) -> Option<String> {
    text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(str::to_owned)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// A field of a path: `a.b`, `a[0]`.
pub(crate) fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn note(places: &mut HashMap<String, (u64, u64)>, path: &str, at: Location) {
    places.insert(path.to_owned(), (at.line(), at.column()));
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<Key>, Spanned<Self>)>),
}

impl Node {
    fn into_value(self, path: &str, places: &mut HashMap<String, (u64, u64)>) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    note(places, &path, item.referenced);
                    list.push(item.value.into_value(&path, places));
                }
                Value::Array(list)
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let path = join(path, &key.value.0);
                    note(places, &path, key.referenced);
                    let value = value.value.into_value(&path, places);
                    map.insert(key.value.0, value);
                }
                Value::Object(map)
            }
        }
    }
}

#[derive(Debug)]
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Keys;
        impl Visitor<'_> for Keys {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Key, E> {
                Ok(Key(v.to_owned()))
            }
        }
        // As text, so that a variant may be called `1` or `on`.
        d.deserialize_str(Keys)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }
    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(v)))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(v.into())))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(v.into())))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Node, E> {
        Number::from_f64(v)
            .map(|n| Node::Scalar(Value::Number(n)))
            .ok_or_else(|| E::custom("infinity and not-a-number are no values here: write a number"))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(v.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_keeps_the_place_of_every_value() {
        let text = "revision: 5.0\nroutes:\n  - name: shop\n    variants:\n      - {name: 'a', weight: 95}\n      - name: \"no\"\n        weight: 5\n";
        let document = Document::parse("x.yaml", text).unwrap();
        assert_eq!(document.value["routes"][0]["variants"][1]["name"], "no");
        assert_eq!(document.value["routes"][0]["variants"][0]["weight"], 95);
        assert_eq!(document.value["revision"], 5.0);
        assert_eq!(document.place("routes[0].variants[1].weight"), Some((7, 9)));
        assert_eq!(document.place("routes[0].variants[0].weight"), Some((5, 21)));
        assert_eq!(document.place("routes[0].variants[1].cluster"), document.place("routes[0].variants[1]"));
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let failure = Document::parse("x.yaml", "a: 1\nb: [1,\nc: }\n").unwrap_err();
        assert_eq!(failure.findings.len(), 1);
        assert!(failure.findings[0].line.is_some(), "{:?}", failure.findings);
        let failure = Document::parse("x.yaml", "a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(failure.findings[0].line, Some(3), "{:?}", failure.findings);
    }
}
