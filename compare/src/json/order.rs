//! A total order of values, by which arrays whose order does not count are sorted.
//!
//! What is no number comes first, so that two items that differ by numbers alone are neighbours and get paired, however
//! their numbers differ; then numbers by their size.

use core::cmp::Ordering;

use super::node::Node;

/// Compares two values.
pub(crate) fn order(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    shape(a, b).then_with(|| numbers(a, b))
}

/// Compares all but numbers.
pub(crate) fn shape(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    walk(a, b, &|a, b| match (a, b) {
        (Node::Bool(a), Node::Bool(b)) => a.cmp(b),
        (Node::Text(a), Node::Text(b)) => a.cmp(b),
        _ => Ordering::Equal,
    })
}

/// Compares numbers alone, of two values of one shape.
fn numbers(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    walk(a, b, &|a, b| match (a, b) {
        (Node::Number(a, _), Node::Number(b, _)) => a.order(*b),
        _ => Ordering::Equal,
    })
}

fn walk(a: &Node<'_>, b: &Node<'_>, leaves: &impl Fn(&Node<'_>, &Node<'_>) -> Ordering) -> Ordering {
    match (a, b) {
        (Node::List { items: a, .. }, Node::List { items: b, .. }) => {
            let pairs = a.iter().zip(b).map(|(a, b)| walk(a, b, leaves));
            a.len().cmp(&b.len()).then_with(|| first(pairs))
        }
        (Node::Object(a), Node::Object(b)) => {
            let pairs = a.iter().zip(b).map(|((an, a), (bn, b))| an.cmp(bn).then_with(|| walk(a, b, leaves)));
            a.len().cmp(&b.len()).then_with(|| first(pairs))
        }
        _ => rank(a).cmp(&rank(b)).then_with(|| leaves(a, b)),
    }
}

/// The first that is not equal.
fn first(mut pairs: impl Iterator<Item = Ordering>) -> Ordering {
    pairs.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

const fn rank(node: &Node<'_>) -> u8 {
    match node {
        Node::Skipped => 0,
        Node::Null => 1,
        Node::Bool(_) => 2,
        Node::Number(..) => 3,
        Node::Text(_) => 4,
        Node::List { .. } => 5,
        Node::Object(_) => 6,
    }
}
