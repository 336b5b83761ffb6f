//! Single values out of one body that streams past: what a prediction is read from.
//!
//! The same reading as a comparison's (decompressed, up to a limit, of at most 10,000 values), of one body and for a few places in
//! it. What a value means is the caller's.

use headgate_contract::Problems;

use crate::body::{Body, Coding, Keep};
use crate::json::{self, Fault, Node};
use crate::number::Number;
use crate::pointer::{Pointer, Pointers};
use crate::rules::JsonRules;

/// Places in a body, compiled.
#[derive(Debug, Clone, Default)]
pub struct Places {
    rules: JsonRules,
    pointers: Vec<Pointer>,
}

impl Places {
    /// Adds one; its number counts from 0. What is wrong with it goes to `problems` at `path`.
    pub fn add(&mut self, text: &str, path: &str, problems: &mut Problems) -> usize {
        match Pointer::parse(text) {
            Ok(pointer) if pointer.is_one_place() => self.pointers.push(pointer),
            Ok(_) => problems.push(path, "names one place: without `*`"),
            Err(reason) => problems.push(path, reason),
        }
        self.rules = JsonRules { only: Pointers::of(self.pointers.clone()), ..JsonRules::default() };
        self.pointers.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A number that is whole, as it stands there.
    Whole(i128),
    /// A string.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// An array or an object.
    Many,
}

impl Value {
    /// The number that it is, or that it holds as a string.
    #[expect(clippy::cast_precision_loss, reason = "as JSON's numbers are read everywhere")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Whole(value) => Some(*value as f64),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Bool(_) | Self::Many => None,
        }
        .filter(|value| value.is_finite())
    }

    /// The text that it is, or that it would be written as.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Number(value) => Some(value.to_string()),
            Self::Whole(value) => Some(value.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Many => None,
        }
    }
}

/// Why nothing can be read from a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// There is none.
    Empty,
    /// It is longer than the limit once decompressed, or has more values than are looked at.
    TooLarge,
    /// Its coding is not known, or it could not be decompressed.
    Coded,
    /// It is not JSON.
    NotJson,
}

/// One body on its way.
#[derive(Debug)]
pub struct Reader {
    body: Body,
}

impl Reader {
    /// Begins a body of this `content-encoding`, of which at most `limit` bytes are read.
    pub fn new(coding: Option<&[u8]>, limit: usize) -> Self {
        Self { body: Body::new(Keep::Bytes, limit, Coding::of(coding)) }
    }

    /// The next piece, of any size.
    pub fn chunk(&mut self, bytes: &[u8]) {
        self.body.chunk(bytes);
    }

    /// Whether more of it could change anything.
    pub const fn wants_body(&self) -> bool {
        self.body.wanted()
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.body.held()
    }

    /// The body has ended as it should: what stands at each of the places. `null` is nothing.
    ///
    /// # Errors
    /// When none of them can be read.
    pub fn finish(mut self, places: &Places) -> Result<Vec<Option<Value>>, Unreadable> {
        self.body.finish();
        if self.body.over() {
            return Err(Unreadable::TooLarge);
        }
        if self.body.foreign() || self.body.broken() {
            return Err(Unreadable::Coded);
        }
        let bytes = self.body.bytes().unwrap_or_default();
        if bytes.is_empty() {
            return Err(Unreadable::Empty);
        }
        let document = json::parse(bytes, &places.rules).map_err(|fault| match fault {
            Fault::NotJson => Unreadable::NotJson,
            Fault::TooMany => Unreadable::TooLarge,
        })?;
        Ok(places.pointers.iter().map(|pointer| value(document.at(pointer)?)).collect())
    }
}

fn value(node: &Node<'_>) -> Option<Value> {
    match node {
        Node::Skipped | Node::Null => None,
        Node::Bool(value) => Some(Value::Bool(*value)),
        Node::Number(Number::Whole(value), _) => Some(Value::Whole(*value)),
        Node::Number(Number::Float(value), _) => Some(Value::Number(*value)),
        Node::Text(text) => Some(Value::Text(text.clone().into_owned())),
        Node::List { .. } | Node::Object(_) => Some(Value::Many),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn places(texts: &[&str]) -> Places {
        let mut problems = Problems::default();
        let mut places = Places::default();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(places.add(text, "p", &mut problems), i);
        }
        assert!(problems.0.is_empty(), "{problems}");
        places
    }

    fn read(body: &[u8], texts: &[&str]) -> Result<Vec<Option<Value>>, Unreadable> {
        let mut reader = Reader::new(None, 1_000);
        body.chunks(3).for_each(|piece| reader.chunk(piece));
        reader.finish(&places(texts))
    }

    #[test]
    fn values_are_found_at_their_places_whatever_stands_around_them() {
        let body =
            br#"{"a":[1,{"score":0.25,"x":[[[]]]},"7.5"],"label":"caf\u00e9","t":true,"n":null,"":-3,"score":9}"#;
        let texts = ["/a/1/score", "/a/2", "/label", "/t", "/n", "/", "/a/3", "/a/1", "/score/0", "/b"];
        let found = read(body, &texts).unwrap();
        assert_eq!(
            found,
            [
                Some(Value::Number(0.25)),
                Some(Value::Text("7.5".to_owned())),
                Some(Value::Text("café".to_owned())),
                Some(Value::Bool(true)),
                None,
                Some(Value::Whole(-3)),
                None,
                Some(Value::Many),
                None,
                None
            ]
        );
        let numbers: Vec<Option<f64>> = found.iter().flatten().map(Value::number).collect();
        assert_eq!(numbers, [Some(0.25), Some(7.5), None, None, Some(-3.0), None]);
        assert_eq!(read(b"0.5", &[""]), Ok(vec![Some(Value::Number(0.5))]));
        assert_eq!(Value::Text("1e999".to_owned()).number(), None, "no number is infinite");
    }

    #[test]
    fn why_nothing_can_be_read_is_told() {
        assert_eq!(read(b"", &["/a"]), Err(Unreadable::Empty));
        assert_eq!(read(b"<html>", &["/a"]), Err(Unreadable::NotJson));
        assert_eq!(read(b"{\"a\":1}{", &["/a"]), Err(Unreadable::NotJson));
        assert_eq!(read(&[b' '; 1_001], &["/a"]), Err(Unreadable::TooLarge));
        let many = format!("[{}0]", "0,".repeat(10_000));
        let mut reader = Reader::new(None, 1 << 20);
        reader.chunk(many.as_bytes());
        assert_eq!(reader.finish(&places(&["/9999"])), Err(Unreadable::TooLarge));
        let mut reader = Reader::new(Some(b"br"), 1_000);
        reader.chunk(b"{}");
        assert_eq!(reader.finish(&places(&["/a"])), Err(Unreadable::Coded));
    }

    #[test]
    fn gzip_is_unpacked_and_a_bomb_no_further_than_the_limit() {
        let pack = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut reader = Reader::new(Some(b"gzip"), 1_000);
        pack(b"{\"score\":3}").chunks(5).for_each(|piece| reader.chunk(piece));
        assert_eq!(reader.finish(&places(&["/score"])), Ok(vec![Some(Value::Whole(3))]));
        let mut reader = Reader::new(Some(b"gzip"), 100_000);
        reader.chunk(&pack(&vec![b' '; 10 << 20]));
        assert!(!reader.wants_body() && reader.held() < 400_000, "{}", reader.held());
        assert_eq!(reader.finish(&places(&["/score"])), Err(Unreadable::TooLarge));
        let mut reader = Reader::new(Some(b"gzip"), 1_000);
        reader.chunk(b"no gzip at all");
        assert_eq!(reader.finish(&places(&["/score"])), Err(Unreadable::Coded));
    }

    #[test]
    fn a_place_is_one_place() {
        let mut problems = Problems::default();
        let mut places = Places::default();
        places.add("/a/*", "fields[0]", &mut problems);
        places.add("score", "fields[1]", &mut problems);
        assert_eq!(problems.0.len(), 2);
        assert!(problems.0[1].reason.contains("/score"), "{problems}");
    }
}
