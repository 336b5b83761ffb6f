//! Every segment for itself beside all of them together, where copies are compared.
//!
//! A small segment that is broken would drown in a large one that is well. So half of the error probability watches all segments
//! together, and the other half is shared out evenly over them. A segment can only fail; that it passes is said by the whole.

use super::Evidence;
use super::sides::{Side, Sides};

/// What all parts say together, or the first part that fails by itself. `of` measures some parts at an error probability, with bounds
/// worked out also where nothing can fail if the flag says so.
pub(super) fn each<T>(
    parts: &[T],
    name: impl Fn(&T) -> &str,
    alpha: f64,
    full: bool,
    of: impl Fn(&[T], f64, bool) -> Evidence,
) -> Evidence {
    let all = of(parts, alpha / 2.0, full);
    if all.exceeded || parts.len() < 2 {
        return all;
    }
    let alpha = alpha / 2.0 / super::f(parts.len() as u64);
    let failing = parts.iter().find_map(|part| {
        let found = of(std::slice::from_ref(part), alpha, false);
        found.exceeded.then(|| Evidence { segment: Some(name(part).to_owned()), ..found })
    });
    failing.unwrap_or(all)
}

/// The same of two versions: by segment where copies are compared, else all at once.
pub(super) fn of_sides<'a>(
    sides: &Sides<'a>,
    alpha: f64,
    full: bool,
    of: impl Fn(&Sides<'a>, f64, bool) -> Evidence,
) -> Evidence {
    if !sides.compared {
        return of(sides, alpha, full);
    }
    let some = |parts: &[Side<'a>], alpha: f64, full: bool| of(&sides.of(parts), alpha, full);
    each(&sides.each, |side| side.segment, alpha, full, some)
}
