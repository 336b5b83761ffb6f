//! Two answers side by side.

use serde_json::Value as Json;

use crate::body::Body;
use crate::json::{self, Document, Fault};
use crate::limits::{PATHS, VALUE_BYTES};
use crate::outcome::{Difference, How, Kind, Kinds, Outcome, Reason, Verdict, Wanted};
use crate::rules::{BodyRules, JsonRules, Rules};
use crate::side::{Side, Value};
use crate::text;

impl Rules {
    /// Compares the answer that the user got with the shadow's. Both were made by these rules. Which of the two came
    /// first, and in what pieces, makes no difference; exchanged, they give the same verdict and the opposite numbers.
    pub fn compare(&self, primary: &Side, shadow: &Side, wanted: Wanted) -> Outcome {
        let mut pair = Pair { wanted, kinds: Kinds::default(), reason: None, outcome: Outcome::default() };
        if primary.finished() && shadow.finished() {
            pair.heads(self, primary, shadow);
            pair.bodies(self, primary, shadow);
        } else {
            pair.reason = Some(Reason::Incomplete);
        }
        let verdict = match pair.reason {
            _ if !pair.kinds.is_empty() => Verdict::Mismatched,
            Some(reason) => Verdict::Incomparable(reason),
            None => Verdict::Matched,
        };
        Outcome { verdict, kinds: pair.kinds, ..pair.outcome }
    }
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            verdict: Verdict::Matched,
            kinds: Kinds::default(),
            differences: Vec::new(),
            count: 0,
            difference: None,
            numbers: None,
            overlap: None,
            missing: Vec::new(),
        }
    }
}

struct Pair {
    wanted: Wanted,
    kinds: Kinds,
    reason: Option<Reason>,
    outcome: Outcome,
}

impl Pair {
    /// Notes one place.
    fn differ(&mut self, kind: Kind, path: &str, primary: Option<Json>, shadow: Option<Json>) {
        self.kinds.add(kind);
        self.outcome.count += 1;
        if self.outcome.differences.len() < PATHS {
            let how = if primary.is_some() && shadow.is_some() { How::Value } else { How::Missing };
            let (primary, shadow) = if self.wanted.values { (primary, shadow) } else { (None, None) };
            self.outcome.differences.push(Difference { path: path.to_owned(), how, primary, shadow });
        }
    }

    /// Notes that the bodies differ as a whole; there is no value to show.
    fn body(&mut self, kind: Kind) {
        self.kinds.add(kind);
        self.outcome.count += 1;
        if self.outcome.differences.len() < PATHS {
            let difference = Difference { path: "body".to_owned(), how: How::Value, primary: None, shadow: None };
            self.outcome.differences.push(difference);
        }
    }

    fn heads(&mut self, rules: &Rules, primary: &Side, shadow: &Side) {
        if !rules.same_status(primary.status(), shadow.status()) {
            self.differ(Kind::Status, "status", Some(primary.status().into()), Some(shadow.status().into()));
        }
        for (name, (a, b)) in rules.compared_headers().iter().zip(primary.headers().iter().zip(shadow.headers())) {
            if a != b {
                self.differ(Kind::Header, &format!("header:{name}"), shown(a.as_ref()), shown(b.as_ref()));
            }
        }
        if primary.is_grpc() && shadow.is_grpc() && primary.grpc_status() != shadow.grpc_status() {
            let [a, b] = [primary, shadow].map(|side| side.grpc_status().map(Json::from));
            self.differ(Kind::Grpc, "grpc-status", a, b);
        }
    }

    fn bodies(&mut self, rules: &Rules, primary: &Side, shadow: &Side) {
        if matches!(rules.body, BodyRules::Nothing) {
            return;
        }
        if primary.is_grpc() != shadow.is_grpc() {
            self.body(Kind::Grpc);
            return;
        }
        let (a, b) = (primary.body(), shadow.body());
        match (a.over(), b.over()) {
            (true, true) => self.reason = Some(Reason::TooLarge),
            (false, false) if a.foreign() || b.foreign() => {
                if !a.came_equal(b) {
                    self.reason = Some(Reason::Encoding);
                }
            }
            (false, false) if a.broken() || b.broken() => {
                if !a.came_equal(b) {
                    self.body(Kind::Unreadable);
                }
            }
            (false, false) if primary.is_grpc() => {
                if !a.equal(b) {
                    self.body(Kind::Grpc);
                }
            }
            (false, false) => self.contents(rules, a, b),
            _ => self.body(Kind::TooLarge),
        }
    }

    /// Two bodies that are whole and decoded.
    fn contents(&mut self, rules: &Rules, a: &Body, b: &Body) {
        match (&rules.body, a.bytes(), b.bytes()) {
            (BodyRules::Json(json), Some(x), Some(y)) => {
                // Equal bytes are equal documents; only whether the fields are there is left to see.
                if x != y || !json.only.is_empty() {
                    self.documents(json, x, y, Pair::json);
                }
            }
            (BodyRules::Number(number), Some(x), Some(y)) => self.documents(number, x, y, Pair::number),
            (BodyRules::Text(threshold), Some(x), Some(y)) => {
                let overlap = if x == y { 1.0 } else { text::overlap(x, y) };
                self.outcome.overlap = Some(overlap);
                if overlap < *threshold {
                    self.body(Kind::Text);
                }
            }
            _ if a.equal(b) => {}
            _ => self.body(Kind::Body),
        }
    }

    fn documents(
        &mut self,
        rules: &JsonRules,
        a: &[u8],
        b: &[u8],
        compare: impl Fn(&mut Self, &JsonRules, &Document<'_>, &Document<'_>),
    ) {
        match (json::parse(a, rules), json::parse(b, rules)) {
            (Ok(x), Ok(y)) => {
                let neither = rules.only.all() & !(x.found | y.found);
                self.outcome.missing = rules.only.texts(neither).take(PATHS).collect();
                if !rules.only.is_empty() && neither == rules.only.all() {
                    self.reason = Some(Reason::MissingField);
                } else {
                    compare(self, rules, &x, &y);
                }
            }
            _ if a == b => {}
            (Err(Fault::TooMany), Err(Fault::TooMany) | Ok(_)) | (Ok(_), Err(Fault::TooMany)) => {
                self.reason = Some(Reason::TooLarge);
            }
            _ => self.body(Kind::Unreadable),
        }
    }

    fn json(&mut self, rules: &JsonRules, a: &Document<'_>, b: &Document<'_>) {
        let found = json::compare(&a.root, &b.root, rules, self.wanted.values);
        if found.values {
            self.kinds.add(Kind::Json);
        }
        if found.missing {
            self.kinds.add(Kind::MissingField);
        }
        self.outcome.count += found.count;
        let room = PATHS.saturating_sub(self.outcome.differences.len());
        self.outcome.differences.extend(found.differences.into_iter().take(room));
    }

    fn number(&mut self, rules: &JsonRules, a: &Document<'_>, b: &Document<'_>) {
        let depth = rules.only.iter().next().map_or(0, crate::Pointer::len);
        let path = rules.only.texts(rules.only.all()).next().unwrap_or_default();
        let [x, y] = [a, b].map(|side| side.single(depth));
        let shown = |node: Option<&json::Node<'_>>| node.map(json::Node::shown);
        match (x, y) {
            (Some(x), Some(y)) => match (x.number(), y.number()) {
                (Some(m), Some(n)) => {
                    let difference = n.as_f64() - m.as_f64();
                    self.outcome.difference = difference.is_finite().then_some(difference);
                    self.outcome.numbers = self.wanted.values.then(|| (m.as_f64(), n.as_f64()));
                    if !rules.tolerance.same(m, n) {
                        self.differ(Kind::Number, &path, Some(x.shown()), Some(y.shown()));
                    }
                }
                // Something stands there that is no number, on one side or on both.
                _ if x.same_as(y) => {}
                _ => self.differ(Kind::Unreadable, &path, Some(x.shown()), Some(y.shown())),
            },
            (x, y) => self.differ(Kind::MissingField, &path, shown(x), shown(y)),
        }
    }
}

fn shown(value: Option<&Value>) -> Option<Json> {
    value.map(|value| match value {
        Value::Short(bytes) => json::cut(&String::from_utf8_lossy(bytes), VALUE_BYTES).into(),
        Value::Long(length, _) => format!("[{length} bytes]").into(),
    })
}
