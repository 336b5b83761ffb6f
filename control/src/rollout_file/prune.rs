//! A document without the places that are wrong, so that the rest can be checked in the same run.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value without what stands at these paths; where that leaves something out which is needed, without the list around
/// it. As little as possible is left out.
///
/// # Errors
/// Of the whole value's reading, when it cannot be read even so.
pub(super) fn readable<T: DeserializeOwned>(value: &Value, paths: &[&str]) -> serde_json::Result<T> {
    let read = |paths: &[&str]| serde_json::from_value::<T>(without(value, paths.iter().copied()));
    let mut left_out = paths.to_vec();
    let first = read(&left_out);
    if first.is_ok() {
        return first;
    }
    for (left_out, path) in left_out.iter_mut().zip(paths) {
        *left_out = list_around(path).unwrap_or(path);
    }
    let mut best = read(&left_out)?;
    // Of a file that is wrong all over, less may be told at once.
    for (i, path) in paths.iter().enumerate().take(100) {
        let mut less = left_out.clone();
        if let Some(one) = less.get_mut(i) {
            *one = path;
        }
        if let Ok(read) = read(&less) {
            (best, left_out) = (read, less);
        }
    }
    Ok(best)
}

/// The list that a path goes through last.
fn list_around(path: &str) -> Option<&str> {
    path.get(..path.rfind('[')?)
}

/// A copy of `value` without what stands at these paths (`a.b[2].c`). A list's entry stays, as an empty object, so that
/// the places of the others stay what they are.
fn without<'p>(value: &Value, paths: impl Iterator<Item = &'p str>) -> Value {
    let mut out = value.clone();
    for path in paths {
        if let Some((around, last)) = split(path) {
            match (at(&mut out, around), last) {
                (Some(Value::Object(fields)), Last::Field(name)) => drop(fields.remove(name)),
                (Some(Value::Array(items)), Last::Entry(i)) => {
                    if let Some(item) = items.get_mut(i)
                        && !item.is_object()
                    {
                        *item = Value::Object(serde_json::Map::new());
                    }
                }
                _ => {}
            }
        }
    }
    out
}

/// Whether one path lies within the other: what is said of one may only follow from the other.
pub(super) fn related(a: &str, b: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    within(a, b) || within(b, a)
}

enum Last<'p> {
    Field(&'p str),
    Entry(usize),
}

/// The path around the last part, and the last part. A field's name may hold a dot only if nothing else helps.
fn split(path: &str) -> Option<(&str, Last<'_>)> {
    if path.is_empty() {
        return None;
    }
    match path.rfind(['.', '[']) {
        Some(i) if path.get(i..=i) == Some("[") => {
            Some((path.get(..i)?, Last::Entry(path.get(i + 1..)?.strip_suffix(']')?.parse().ok()?)))
        }
        Some(i) => Some((path.get(..i)?, Last::Field(path.get(i + 1..)?))),
        None => Some(("", Last::Field(path))),
    }
}

fn at<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    let (around, last) = split(path)?;
    let around = at(value, around)?;
    match last {
        Last::Field(name) => around.get_mut(name),
        Last::Entry(i) => around.get_mut(i),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_left_out_and_everything_else_stays() {
        let value = json!({"a": {"b": [{"c": 1, "d": 2}, 7]}, "e": 3});
        let paths = ["a.b[0].c", "a.b[1]", "e", "nowhere.at[9].all", ""];
        assert_eq!(without(&value, paths.into_iter()), json!({"a": {"b": [{"d": 2}, {}]}}));
    }

    #[test]
    fn paths_are_related_by_their_parts() {
        assert!(related("a.b", "a.b[0].c"));
        assert!(related("a.b[0].c", "a.b"));
        assert!(related("a", "a"));
        assert!(!related("a.b", "a.bc"));
        assert!(!related("a.b[0]", "a.b[1]"));
    }
}
