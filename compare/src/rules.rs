//! From what the contract says to what is compared.

use headgate_contract::{BodyRule, Comparison, JsonRule, Problems, StatusRule, check_header_name};

use crate::body::Keep;
use crate::limits::{BODY_BYTES, HEADERS};
use crate::number::{Number, Tolerance};
use crate::pointer::{Pointer, Pointers};
use crate::side::Side;

/// Headers that every side looks at, beside those compared.
const ALWAYS: [&str; 4] = ["content-type", "content-encoding", "grpc-status", "grpc-encoding"];

/// What makes two answers the same, ready for use.
#[derive(Debug, Clone)]
pub struct Rules {
    status: StatusRule,
    /// Those compared, then [`ALWAYS`].
    headers: Vec<String>,
    compared: usize,
    pub(crate) body: BodyRules,
    limit: usize,
}

/// How bodies are compared.
#[derive(Debug, Clone)]
pub(crate) enum BodyRules {
    Nothing,
    Digest,
    Json(JsonRules),
    /// The one number; `only` names its place.
    Number(JsonRules),
    /// The least overlap.
    Text(f64),
}

/// How JSON is compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct JsonRules {
    pub(crate) ignore: Pointers,
    pub(crate) unordered: Pointers,
    pub(crate) only: Pointers,
    pub(crate) tolerance: Tolerance,
    /// Places that have a tolerance of their own, and those.
    pub(crate) tolerant: Pointers,
    pub(crate) tolerances: Vec<Tolerance>,
}

/// Which tolerance holds at a place: 0 is everywhere's, `n` that of pointer `n - 1` of `tolerant`.
pub(crate) type Within = u8;

impl JsonRules {
    /// Whether two numbers are the same, each within what holds at its place.
    pub(crate) fn same(&self, a: (Number, Within), b: (Number, Within)) -> bool {
        let holds = |within: Within| {
            let own = usize::from(within).checked_sub(1).and_then(|index| self.tolerances.get(index));
            own.unwrap_or(&self.tolerance).same(a.0, b.0)
        };
        holds(a.1) && (a.1 == b.1 || holds(b.1))
    }
}

impl Rules {
    /// Compiles rules. All that is wrong with them, and all that contradicts, goes to `problems`, whose paths begin with `path`; the rules are
    /// to be used only when nothing does.
    pub fn compile(comparison: &Comparison, path: &str, problems: &mut Problems) -> Self {
        let at = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        headers(&comparison.headers, &at("headers"), problems);
        let body = comparison.body;
        for (field, there, of) in [
            ("json", comparison.json.is_some(), BodyRule::Json),
            ("number", comparison.number.is_some(), BodyRule::Number),
            ("text", comparison.text.is_some(), BodyRule::Text),
        ] {
            if there && body != of {
                let reason = format!("says nothing unless `body` is \"{field}\": set it so, or remove `{field}`");
                problems.push(at(field), reason);
            }
        }
        if comparison.max_body_bytes == 0 || comparison.max_body_bytes > BODY_BYTES {
            problems.push(at("maxBodyBytes"), format!("must be 1 to {BODY_BYTES}"));
        }
        let body = match body {
            BodyRule::None => BodyRules::Nothing,
            BodyRule::Digest => BodyRules::Digest,
            BodyRule::Json => {
                let rule = comparison.json.clone().unwrap_or_default();
                BodyRules::Json(json(&rule, &at("json"), problems))
            }
            BodyRule::Number => {
                match &comparison.number {
                    None => {
                        problems.push(at("number"), "`\"body\": \"number\"` needs it: say where the number stands, as in {\"field\": \"/score\"}");
                        BodyRules::Digest
                    }
                    Some(rule) => {
                        let at = at("number");
                        let tolerance = tolerance(rule.absolute, rule.relative, &at, problems);
                        match Pointer::parse(&rule.field) {
                            Ok(field) if field.is_one_place() => BodyRules::Number(JsonRules {
                                only: Pointers::one(field),
                                tolerance,
                                ..JsonRules::default()
                            }),
                            Ok(_) => {
                                problems.push(
                                    format!("{at}.field"),
                                    "names one number: without `*`, or compare `\"body\": \"json\"`",
                                );
                                BodyRules::Digest
                            }
                            Err(reason) => {
                                problems.push(format!("{at}.field"), reason);
                                BodyRules::Digest
                            }
                        }
                    }
                }
            }
            BodyRule::Text => {
                let threshold = comparison.text.clone().unwrap_or_default().threshold;
                if !(threshold > 0.0 && threshold <= 1.0) {
                    problems.push(at("text.threshold"), "must be above 0, where all texts are the same, and at most 1");
                }
                BodyRules::Text(threshold)
            }
        };
        let mut names = comparison.headers.clone();
        names.extend(ALWAYS.iter().map(|&name| name.to_owned()));
        let limit = comparison.max_body_bytes as usize;
        Self { status: comparison.status, compared: comparison.headers.len(), headers: names, body, limit }
    }

    /// Names of the response headers that a side asks for: those compared, and four more, some of them twice if they are compared too.
    pub fn header_names(&self) -> &[String] {
        &self.headers
    }

    /// Begins an answer whose headers have come. `header` gives the value of one by its name (lower case); of one that came several times, its values
    /// joined by `,` as HTTP means them.
    pub fn side<V: AsRef<[u8]>>(&self, status: u16, header: impl FnMut(&str) -> Option<V>) -> Side {
        Side::new(self, status, header)
    }

    pub(crate) fn compared_headers(&self) -> &[String] {
        self.headers.get(..self.compared).unwrap_or_default()
    }

    pub(crate) const fn body_bytes(&self) -> usize {
        self.limit
    }

    pub(crate) const fn keep(&self) -> Keep {
        match self.body {
            BodyRules::Nothing => Keep::Nothing,
            BodyRules::Digest => Keep::Digest,
            BodyRules::Json(_) | BodyRules::Number(_) | BodyRules::Text(_) => Keep::Bytes,
        }
    }

    pub(crate) const fn same_status(&self, a: u16, b: u16) -> bool {
        match self.status {
            StatusRule::Exact => a == b,
            StatusRule::Class => a / 100 == b / 100,
        }
    }
}

fn headers(names: &[String], path: &str, problems: &mut Problems) {
    if names.len() > HEADERS {
        problems.push(path, format!("{} headers, at most {HEADERS} are taken", names.len()));
    }
    for (i, name) in names.iter().enumerate() {
        let at = format!("{path}[{i}]");
        if let Err(reason) = check_header_name(name) {
            problems.push(at, reason);
        } else if names.iter().take(i).any(|before| before == name) {
            problems.push(at, format!("`{name}` is there already: remove it"));
        }
    }
}

fn tolerance(absolute: f64, relative: f64, path: &str, problems: &mut Problems) -> Tolerance {
    if !(absolute >= 0.0 && absolute.is_finite()) {
        problems.push(format!("{path}.absolute"), "must be a number of at least 0");
    }
    if !(0.0..1.0).contains(&relative) {
        problems.push(
            format!("{path}.relative"),
            "must be at least 0 and below 1, where all numbers of one sign are the same",
        );
    }
    Tolerance { absolute, relative }
}

fn json(rule: &JsonRule, path: &str, problems: &mut Problems) -> JsonRules {
    let ignore = Pointers::compile(&rule.ignore, &format!("{path}.ignore"), problems);
    let unordered = Pointers::compile(&rule.unordered, &format!("{path}.unordered"), problems);
    let only = Pointers::compile(&rule.only, &format!("{path}.only"), problems);
    if rule.ignore.iter().any(String::is_empty) {
        problems
            .push(format!("{path}.ignore"), "the empty pointer is the whole document: set `body` to \"none\" instead");
    }
    let (tolerant, tolerances) = tolerances(rule, path, problems);
    let place = |name: &str, i: usize| match name {
        "tolerances" => format!("{path}.{name}[{i}].path"),
        _ => format!("{path}.{name}[{i}]"),
    };
    for (list, name) in [(&only, "only"), (&unordered, "unordered"), (&tolerant, "tolerances")] {
        for (i, pointer) in list.iter().enumerate() {
            if let Some(by) = ignore.covering(pointer) {
                let reason = format!("is ignored by `ignore[{by}]`: remove one of them");
                problems.push(place(name, i), reason);
            }
        }
    }
    for (i, pointer) in tolerant.iter().enumerate() {
        if let Some(by) = unordered.iter().position(|array| array.numbers(pointer)) {
            let reason = format!("counts positions in `unordered[{by}]`, whose order does not count: write `*`");
            problems.push(place("tolerances", i), reason);
        }
    }
    if !only.is_empty() {
        for (list, name) in [(&unordered, "unordered"), (&ignore, "ignore"), (&tolerant, "tolerances")] {
            for (i, pointer) in list.iter().enumerate() {
                if !only.meets(pointer) {
                    let reason = "does not count by `only`: name it there too, or remove it here";
                    problems.push(place(name, i), reason);
                }
            }
        }
        for (i, pointer) in only.iter().enumerate() {
            if only.iter().enumerate().any(|(j, other)| j != i && *other != *pointer && other.covers(pointer)) {
                problems.push(format!("{path}.only[{i}]"), "is within another pointer of the list: remove one of them");
            }
        }
    }
    let tolerance = tolerance(rule.absolute, rule.relative, path, problems);
    JsonRules { ignore, unordered, only, tolerance, tolerant, tolerances }
}

/// Places that have a tolerance of their own.
fn tolerances(rule: &JsonRule, path: &str, problems: &mut Problems) -> (Pointers, Vec<Tolerance>) {
    let at = format!("{path}.tolerances");
    let places: Vec<String> = rule.tolerances.iter().map(|of| of.path.clone()).collect();
    let places = Pointers::compile_at(&places, &at, ".path", problems);
    let bounds = rule.tolerances.iter().enumerate();
    let bounds = bounds.map(|(i, of)| tolerance(of.absolute, of.relative, &format!("{at}[{i}]"), problems)).collect();
    for (i, pointer) in places.iter().enumerate() {
        let earlier = places
            .iter()
            .take(i)
            .position(|other| other != pointer && other.len() == pointer.len() && other.covers(pointer));
        if let Some(by) = earlier {
            let reason =
                format!("never holds, since `tolerances[{by}]` leads there too and comes first: put it before that");
            problems.push(format!("{at}[{i}].path"), reason);
        }
    }
    (places, bounds)
}
