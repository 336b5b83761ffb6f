//! One condition on one value.

use headgate_contract::{ClaimMatch, FieldMatch, Override, PathMatch};
use regex_lite::Regex;

use crate::checks::{Checks, path_match};

/// Bytes of a value beyond which no regular expression is tried on it and none matches: matching takes time in
/// proportion to the value times the expression.
pub const REGEX_VALUE_BYTES: usize = 4 << 10;

#[derive(Debug)]
enum Test {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    OneOf(Vec<Vec<u8>>),
    Regex(Regex),
    Present(bool),
    /// Of a configuration with problems, which is never in force.
    Never,
}

/// A test and whether its answer is turned around.
#[derive(Debug)]
pub(crate) struct Condition {
    test: Test,
    invert: bool,
}

impl Condition {
    pub(crate) fn field(field: &FieldMatch, path: &str, checks: &mut Checks) -> Self {
        checks.exactly_one(
            path,
            &[
                ("exact", field.exact.is_some()),
                ("prefix", field.prefix.is_some()),
                ("suffix", field.suffix.is_some()),
                ("contains", field.contains.is_some()),
                ("regex", field.regex.is_some()),
                ("oneOf", !field.one_of.is_empty()),
                ("present", field.present.is_some()),
            ],
        );
        for (name, text) in [("prefix", &field.prefix), ("suffix", &field.suffix), ("contains", &field.contains)] {
            if text.as_ref().is_some_and(String::is_empty) {
                checks.push(format!("{path}.{name}"), "is empty and so in every value: use `present`");
            }
        }
        let test = first(&[
            bytes(&field.exact, Test::Exact),
            bytes(&field.prefix, Test::Prefix),
            bytes(&field.suffix, Test::Suffix),
            bytes(&field.contains, Test::Contains),
        ])
        .or_else(|| regex(&field.regex, path, checks))
        .or_else(|| one_of(&field.one_of))
        .or_else(|| field.present.map(Test::Present));
        Self { test: test.unwrap_or(Test::Never), invert: field.invert }
    }

    pub(crate) fn path(of: &PathMatch, path: &str, checks: &mut Checks) -> Self {
        path_match(checks, path, of);
        let test = first(&[bytes(&of.exact, Test::Exact), bytes(&of.prefix, Test::Prefix)])
            .or_else(|| regex(&of.regex, path, checks));
        Self { test: test.unwrap_or(Test::Never), invert: of.invert }
    }

    pub(crate) fn claim(claim: &ClaimMatch, path: &str, checks: &mut Checks) -> Self {
        checks.exactly_one(
            path,
            &[
                ("exact", claim.exact.is_some()),
                ("oneOf", !claim.one_of.is_empty()),
                ("present", claim.present.is_some()),
            ],
        );
        let test = first(&[bytes(&claim.exact, Test::Exact)])
            .or_else(|| one_of(&claim.one_of))
            .or_else(|| claim.present.map(Test::Present));
        Self { test: test.unwrap_or(Test::Never), invert: claim.invert }
    }

    /// The value's condition of an override; `None` when it has none.
    pub(crate) fn of_override(rule: &Override, path: &str, checks: &mut Checks) -> Option<Self> {
        let given = [
            ("exact", rule.exact.is_some()),
            ("prefix", rule.prefix.is_some()),
            ("regex", rule.regex.is_some()),
            ("oneOf", !rule.one_of.is_empty()),
        ];
        let somewhere = [&rule.header, &rule.cookie, &rule.query].into_iter().any(Option::is_some);
        if !somewhere {
            if let Some((name, _)) = given.iter().find(|(_, given)| *given) {
                checks.push(format!("{path}.{name}"), "says nothing without header, cookie or query: name one of them");
            }
            return None;
        }
        checks.exactly_one(path, &given);
        let test = first(&[bytes(&rule.exact, Test::Exact), bytes(&rule.prefix, Test::Prefix)])
            .or_else(|| regex(&rule.regex, path, checks))
            .or_else(|| one_of(&rule.one_of));
        Some(Self { test: test.unwrap_or(Test::Never), invert: false })
    }

    /// Whether the condition holds for a value, or for there being none.
    pub(crate) fn holds(&self, value: Option<&[u8]>) -> bool {
        let holds = match (&self.test, value) {
            (Test::Present(present), value) => value.is_some() == *present,
            (_, None) | (Test::Never, _) => false,
            (Test::Exact(text), Some(value)) => value == text,
            (Test::Prefix(text), Some(value)) => value.starts_with(text),
            (Test::Suffix(text), Some(value)) => value.ends_with(text),
            (Test::Contains(text), Some(value)) => value.windows(text.len().max(1)).any(|part| part == text),
            (Test::OneOf(texts), Some(value)) => texts.iter().any(|text| text == value),
            (Test::Regex(regex), Some(value)) => {
                value.len() <= REGEX_VALUE_BYTES && std::str::from_utf8(value).is_ok_and(|text| regex.is_match(text))
            }
        };
        holds != self.invert
    }
}

type Make = fn(Vec<u8>) -> Test;

fn bytes(text: &Option<String>, make: Make) -> Option<(&str, Make)> {
    text.as_deref().map(|text| (text, make))
}

fn first(tests: &[Option<(&str, Make)>]) -> Option<Test> {
    tests.iter().flatten().next().map(|(text, make)| make(text.as_bytes().to_vec()))
}

fn regex(text: &Option<String>, path: &str, checks: &mut Checks) -> Option<Test> {
    let text = text.as_deref()?;
    checks.regex(&format!("{path}.regex"), text).map(Test::Regex)
}

fn one_of(texts: &[String]) -> Option<Test> {
    (!texts.is_empty()).then(|| Test::OneOf(texts.iter().map(|text| text.as_bytes().to_vec()).collect()))
}
