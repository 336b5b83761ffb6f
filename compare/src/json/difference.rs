//! Where two documents differ.

use core::cmp::Ordering;

use super::node::{Node, cut};
use super::order::{order, shape};
use crate::limits::{PATH_BYTES, PATHS};
use crate::outcome::{Difference, How};
use crate::rules::JsonRules;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The first ones, each path once; the positions of arrays are `*`.
    pub(crate) differences: Vec<Difference>,
    /// Values that differ.
    pub(crate) count: usize,
    /// Some of them are there on both sides.
    pub(crate) values: bool,
    /// Some of them are there on one side alone.
    pub(crate) missing: bool,
}

/// Compares two documents that were read by the same rules.
pub(crate) fn compare(a: &Node<'_>, b: &Node<'_>, rules: &JsonRules, values: bool) -> Found {
    let mut walk = Walk { rules, values, steps: Vec::new(), found: Found::default() };
    walk.pair(a, b);
    walk.found
}

struct Walk<'d> {
    rules: &'d JsonRules,
    /// Whether values are shown.
    values: bool,
    steps: Vec<&'d str>,
    found: Found,
}

impl<'d> Walk<'d> {
    fn pair(&mut self, a: &'d Node<'_>, b: &'d Node<'_>) {
        match (a, b) {
            (Node::Skipped, Node::Skipped) | (Node::Null, Node::Null) => {}
            (Node::Bool(x), Node::Bool(y)) if x == y => {}
            (Node::Text(x), Node::Text(y)) if x == y => {}
            (Node::Number(x, at), Node::Number(y, there)) if self.rules.same((*x, *at), (*y, *there)) => {}
            (Node::List { items: x, unordered: true }, Node::List { items: y, .. }) => self.unordered(x, y),
            (Node::List { items: x, .. }, Node::List { items: y, .. }) => {
                self.steps.push("*");
                for i in 0..x.len().max(y.len()) {
                    self.sides(x.get(i), y.get(i));
                }
                self.steps.pop();
            }
            (Node::Object(x), Node::Object(y)) => {
                merge(x, y, |(xn, _), (yn, _)| xn.cmp(yn), &mut |x, y| {
                    let Some((name, _)) = x.or(y) else { return };
                    self.steps.push(name);
                    self.sides(x.map(|(_, value)| value), y.map(|(_, value)| value));
                    self.steps.pop();
                });
            }
            _ => self.differ(Some(a), Some(b)),
        }
    }

    fn sides(&mut self, a: Option<&'d Node<'_>>, b: Option<&'d Node<'_>>) {
        match (a, b) {
            (Some(a), Some(b)) => self.pair(a, b),
            (Some(Node::Skipped) | None, Some(Node::Skipped) | None) => {}
            (a, b) => self.differ(a, b),
        }
    }

    /// Both are sorted: first takes away what is the same, then pairs what is left.
    fn unordered(&mut self, a: &'d [Node<'_>], b: &'d [Node<'_>]) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let rules = self.rules;
        let same_or_order = |a: &Node<'_>, b: &Node<'_>| {
            if shape(a, b).is_eq() && same(a, b, rules) { Ordering::Equal } else { order(a, b) }
        };
        merge(a, b, same_or_order, &mut |a, b| match (a, b) {
            (Some(a), Some(b)) if same(a, b, rules) => {}
            (a, b) => {
                left.extend(a);
                right.extend(b);
            }
        });
        self.steps.push("*");
        for i in 0..left.len().max(right.len()) {
            self.sides(left.get(i).copied(), right.get(i).copied());
        }
        self.steps.pop();
    }

    fn differ(&mut self, a: Option<&Node<'_>>, b: Option<&Node<'_>>) {
        self.found.count += 1;
        let how = match (a, b) {
            (Some(a), Some(b)) if a.kind() == b.kind() => How::Value,
            (Some(_), Some(_)) => How::Type,
            _ => How::Missing,
        };
        match how {
            How::Missing => self.found.missing = true,
            _ => self.found.values = true,
        }
        let path = path(&self.steps);
        if self.found.differences.len() >= PATHS || self.found.differences.iter().any(|known| known.path == path) {
            return;
        }
        let shown = |node: Option<&Node<'_>>| node.filter(|_| self.values).map(Node::shown);
        self.found.differences.push(Difference { path, how, primary: shown(a), shadow: shown(b) });
    }
}

/// Two sorted lists, side by side.
fn merge<'t, T>(
    a: &'t [T],
    b: &'t [T],
    order: impl Fn(&T, &T) -> Ordering,
    each: &mut impl FnMut(Option<&'t T>, Option<&'t T>),
) {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => order(x, y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let x = if next.is_le() { a.next() } else { None };
        let y = if next.is_ge() { b.next() } else { None };
        each(x, y);
    }
}

/// Whether two values are the same, numbers within their tolerance.
fn same(a: &Node<'_>, b: &Node<'_>, rules: &JsonRules) -> bool {
    match (a, b) {
        (Node::Number(a, at), Node::Number(b, there)) => rules.same((*a, *at), (*b, *there)),
        (Node::List { items: a, unordered }, Node::List { items: b, .. }) => {
            // Sorted by order, not by what is the same: within a tolerance the two may pair otherwise.
            let mut all = a.len() == b.len();
            if *unordered {
                let equal = |a: &Node<'_>, b: &Node<'_>| {
                    if same(a, b, rules) { Ordering::Equal } else { order(a, b) }
                };
                merge(a, b, equal, &mut |a, b| all &= a.is_some() && b.is_some());
            } else {
                all = all && a.iter().zip(b).all(|(a, b)| same(a, b, rules));
            }
            all
        }
        (Node::Object(a), Node::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((an, a), (bn, b))| an == bn && same(a, b, rules))
        }
        _ => order(a, b).is_eq(),
    }
}

/// A pointer to a place, cut to its limit.
fn path(steps: &[&str]) -> String {
    let mut path = String::new();
    for step in steps {
        path.push('/');
        if path.len() > PATH_BYTES {
            break;
        }
        match *step {
            step if step.contains(['~', '/']) => path.push_str(&step.replace('~', "~0").replace('/', "~1")),
            step => path.push_str(cut_step(step)),
        }
    }
    cut(&path, PATH_BYTES)
}

/// No more of a long name than can be shown.
fn cut_step(step: &str) -> &str {
    let mut end = step.len().min(PATH_BYTES + 4);
    while !step.is_char_boundary(end) {
        end -= 1;
    }
    step.get(..end).unwrap_or_default()
}
