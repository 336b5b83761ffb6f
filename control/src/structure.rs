//! Whether a document has the form that its JSON Schema asks for: all problems at once, in plain sentences.
//!
//! The `jsonschema` crate finds them; this module says them with the way out (the nearest name for a misspelt field,
//! what a missing field is for). It knows no meaning beyond the schema: references, limits and exclusive fields are
//! `compile`'s.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::document::{Document, join};
use crate::exit::Failure;
use crate::finding::Finding;

/// A schema, compiled once for all documents.
#[derive(Debug)]
pub(crate) struct Form {
    schema: Value,
    compiled: Result<Validator, String>,
}

impl Form {
    /// The form that a JSON Schema asks for.
    pub(crate) fn of(schema: Value) -> Self {
        let compiled = jsonschema::validator_for(&schema).map_err(|e| e.to_string());
        Self { schema, compiled }
    }

    /// Compares a document with it.
    ///
    /// # Errors
    /// When the schema itself is wrong, which is a fault of this program.
    pub(crate) fn check(&self, document: &Document) -> Result<Vec<Finding>, Failure> {
        let validator =
            self.compiled.as_ref().map_err(|e| Failure::failed(format!("the schema of this build is broken: {e}")))?;
        let mut findings = Vec::new();
        for error in validator.iter_errors(&document.value) {
            explain(&error, &self.schema, document, &mut findings);
        }
        findings.sort_by_key(|finding| (finding.line, finding.column));
        Ok(findings)
    }
}

fn explain(error: &ValidationError<'_>, schema: &Value, document: &Document, findings: &mut Vec<Finding>) {
    let path = dotted(error.instance_path().as_str());
    let around = parent(error.schema_path().as_str()).and_then(|p| schema.pointer(p)).unwrap_or(&Value::Null);
    let found = error.instance();
    let mut push = |path: String, reason: String| findings.push(document.finding(path, reason));
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known: Vec<&str> = names(around);
            for field in unexpected {
                push(join(&path, field), format!("unknown field `{field}`: {}", way_out(field, &known)));
            }
        }
        ValidationErrorKind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            let what = around.get("properties").and_then(|p| p.get(field)).map(|p| description(p, schema));
            let what = what.unwrap_or_default();
            push(path, format!("the field `{field}` is missing: add it{what}"));
        }
        ValidationErrorKind::Type { .. } | ValidationErrorKind::Pattern { .. } if form(around).is_some() => {
            push(path, format!("must be {}, not {}", form(around).unwrap_or_default(), kind_of(found)));
        }
        ValidationErrorKind::Type { kind } => {
            push(path, format!("must be {}, not {}", wanted(kind), kind_of(found)));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let options = constants(around);
            if let Some(form) = form(around) {
                push(path, format!("must be {form}, not {}", kind_of(found)));
            } else if options.is_empty() {
                // An optional object: `anyOf: [it, null]`. What is wrong with the object is what the reader wants.
                let branch = context.iter().find(|errors| !errors.iter().any(wants_null)).or_else(|| context.first());
                for inner in branch.into_iter().flatten() {
                    explain(inner, schema, document, findings);
                }
            } else {
                push(path, choice(found, &options));
            }
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            push(path, choice(found, &options));
        }
        ValidationErrorKind::Constant { expected_value } => {
            push(path, format!("must be {expected_value}, not {found}"))
        }
        ValidationErrorKind::Minimum { limit } => push(path, format!("is {found}, but must be at least {limit}")),
        ValidationErrorKind::Maximum { limit } => push(path, format!("is {found}, but must be at most {limit}")),
        ValidationErrorKind::MinItems { limit } => push(path, format!("needs at least {limit} entries")),
        _ => push(path, format!("{error}")),
    }
}

/// `/routes/0/variants/1` as `routes[0].variants[1]`.
fn dotted(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{part}]"));
        } else {
            out = join(&out, &part);
        }
    }
    out
}

fn parent(pointer: &str) -> Option<&str> {
    pointer.rfind('/').map(|at| &pointer[..at])
}

fn names(object: &Value) -> Vec<&str> {
    object
        .get("properties")
        .and_then(Value::as_object)
        .map(|p| p.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// What a value of a special form looks like, where its schema has examples of it.
fn form(around: &Value) -> Option<String> {
    around.get("examples")?;
    let text = around.get("description")?.as_str()?.trim_end_matches('.');
    let mut letters = text.chars();
    Some(letters.next()?.to_lowercase().chain(letters).collect())
}

fn constants(around: &Value) -> Vec<&str> {
    let branches = around.get("oneOf").and_then(Value::as_array);
    branches.into_iter().flatten().filter_map(|b| b.get("const").and_then(Value::as_str)).collect()
}

fn wants_null(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(jsonschema::JsonType::Null) })
}

/// The nearest of the known names, or all of them.
pub(crate) fn way_out(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("remove it; here are known {}", list(known)),
    }
}

/// The nearest of the known names, if any is near enough to be a slip.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace(['_', '-'], "");
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(&plain(name), &plain(k)), *k))
        .filter(|(score, _)| *score >= 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// Names in backticks.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|n| format!("`{}`", n.as_ref())).collect::<Vec<_>>().join(", ")
}

fn choice(found: &Value, options: &[&str]) -> String {
    let near = found.as_str().and_then(|text| nearest(text, options));
    let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    format!("must be one of {}, not {}{hint}", list(options), kind_of(found))
}

/// ` (what it is for)`: the first sentence of a field's description.
fn description(field: &Value, schema: &Value) -> String {
    let referred = || schema.pointer(field.get("$ref")?.as_str()?.strip_prefix('#')?)?.get("description")?.as_str();
    let text = field.get("description").and_then(Value::as_str).or_else(referred).unwrap_or_default();
    let text = text.replace('\n', " ");
    let sentence = text.split(". ").next().unwrap_or_default().trim_end_matches('.');
    if sentence.is_empty() { String::new() } else { format!(" ({sentence})") }
}

fn wanted(kind: &TypeKind) -> String {
    let names: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![a_kind(&one.to_string())],
        TypeKind::Multiple(set) => set.iter().map(|t| a_kind(&t.to_string())).filter(|n| *n != "null").collect(),
    };
    names.join(" or ")
}

fn a_kind(name: &str) -> &'static str {
    match name {
        "array" => "a list",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "an object",
        "string" => "text",
        _ => "null",
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("{value}"),
        Value::String(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
        Value::String(_) => "a long text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let document = Document::parse("p.yaml", text).unwrap();
        Form::of(headgate_contract::json_schema()).check(&document).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_line_and_the_way_out() {
        let text = "\
contract: 1
revision: 1
routes:
  - name: shop
    stabel: a
    variants:
      - {name: a, weight: heavy}
      - {name: b, weigth: 5}
    key:
      sources: [{hedaer: x-user}]
      absent: issuecookie
    mirror: {share: -1}
    salt: 7
";
        let found = problems(text);
        let expected = [
            "p.yaml:4:5 routes[0]: the field `stable` is missing",
            "p.yaml:5:5 routes[0].stabel: unknown field `stabel`: did you mean `stable`?",
            "p.yaml:7:19 routes[0].variants[0].weight: must be a whole number, not the text \"heavy\"",
            "p.yaml:8:9 routes[0].variants[1]: the field `weight` is missing",
            "p.yaml:8:19 routes[0].variants[1].weigth: unknown field `weigth`: did you mean `weight`?",
            "p.yaml:10:18 routes[0].key.sources[0].hedaer: unknown field `hedaer`: did you mean `header`?",
            "p.yaml:11:7 routes[0].key.absent: must be one of `stable`, `random`, `issueCookie`, not the text \"issuecookie\"; did you mean `issueCookie`?",
            "p.yaml:12:14 routes[0].mirror.share: is -1, but must be at least 0",
            "p.yaml:13:5 routes[0].salt: must be text, not 7",
        ];
        for line in expected {
            assert!(found.iter().any(|f| f.starts_with(line)), "missing: {line}\nfound:\n{}", found.join("\n"));
        }
        assert_eq!(found.len(), expected.len(), "{}", found.join("\n"));
    }

    #[test]
    fn doubles_that_are_whole_and_nulls_for_absent_objects_are_fine() {
        let text = "{contract: 1.0, revision: 2.0, tokens: null, routes: [{name: s, stable: a, match: null, variants: [{name: a, weight: 5.0}]}]}";
        assert_eq!(problems(text), Vec::<String>::new());
    }
}
