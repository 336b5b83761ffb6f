//! Answers and rules, shortly said.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test takes what it needs, and may panic")]

use std::io::Write as _;

use headgate_compare::{Outcome, Rules, Side, Wanted};
use headgate_contract::{Comparison, Problems};
use serde_json::Value;

/// The problems that rules have.
pub fn problems(rules: Value) -> Vec<String> {
    let comparison: Comparison = serde_json::from_value(rules).unwrap();
    let mut problems = Problems::default();
    Rules::compile(&comparison, "compare", &mut problems);
    problems.0.iter().map(ToString::to_string).collect()
}

/// Rules that are sound.
pub fn rules(rules: Value) -> Rules {
    let comparison: Comparison = serde_json::from_value(rules).unwrap();
    let mut problems = Problems::default();
    let rules = Rules::compile(&comparison, "", &mut problems);
    assert_eq!(problems, Problems::default());
    rules
}

/// An answer, as it comes.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    pub whole: bool,
}

impl Answer {
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), trailers: Vec::new(), whole: true }
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.into()));
        self
    }

    pub fn gzip(mut self) -> Self {
        self.body = gzip(&self.body);
        self.header("content-encoding", "gzip")
    }

    /// Gathered, in pieces of these sizes and then the rest.
    pub fn side(&self, rules: &Rules, pieces: &[usize]) -> Side {
        let mut side = rules.side(self.status, |name| {
            self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone())
        });
        let mut rest = self.body.as_slice();
        for piece in pieces {
            let (chunk, more) = rest.split_at(rest.len().min(*piece));
            side.chunk(chunk);
            rest = more;
        }
        side.chunk(rest);
        for (name, value) in &self.trailers {
            side.trailer(name, value);
        }
        if self.whole {
            side.finish();
        }
        side
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One message of gRPC.
pub fn message(bytes: &[u8], compressed: bool) -> Vec<u8> {
    let bytes = if compressed { gzip(bytes) } else { bytes.to_vec() };
    let mut framed = vec![u8::from(compressed)];
    framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend(bytes);
    framed
}

/// Compared, with values.
pub fn outcome(rules: &Rules, a: &Answer, b: &Answer) -> Outcome {
    rules.compare(&a.side(rules, &[]), &b.side(rules, &[]), Wanted { values: true })
}

/// Verdict, kinds and places in one line: `mismatched json /a /b`.
pub fn told(outcome: &Outcome) -> String {
    let verdict = match outcome.verdict {
        headgate_compare::Verdict::Matched => "matched".to_owned(),
        headgate_compare::Verdict::Mismatched => "mismatched".to_owned(),
        headgate_compare::Verdict::Incomparable(reason) => format!("incomparable {}", reason.name()),
    };
    let kinds: Vec<_> = outcome.kinds.names().collect();
    let places: Vec<_> = outcome.differences.iter().map(|difference| difference.path.as_str()).collect();
    [verdict, kinds.join("+"), places.join(" ")].join(" ").trim().to_owned()
}

/// Two bodies under these rules, in one line.
pub fn check(with: Value, a: impl Into<Vec<u8>>, b: impl Into<Vec<u8>>) -> String {
    let rules = rules(with);
    told(&outcome(&rules, &Answer::of(a), &Answer::of(b)))
}
