//! Include and exclude lists: sorted hashes, so that 100,000 keys cost seventeen steps and 1.2 MB.

use headgate_contract::KeyList;

use crate::checks::Checks;
use crate::split::{bit, list_hash};

/// Faults of one list that are told one by one; the others are counted.
const TOLD: usize = 20;

/// Hashes of keys, sorted, and beside each a number: a variant's index, or a set of variants as bits.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    hashes: Vec<u64>,
    values: Vec<u32>,
}

impl Listed {
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(crate) fn get(&self, hash: u64) -> Option<u32> {
        self.hashes.binary_search(&hash).ok().and_then(|at| self.values.get(at)).copied()
    }

    /// From pairs; `merge` joins the values of one hash.
    fn new(mut pairs: Vec<(u64, u32)>, merge: impl Fn(u32, u32) -> u32) -> Self {
        pairs.sort_unstable();
        let mut out = Self { hashes: Vec::with_capacity(pairs.len()), values: Vec::with_capacity(pairs.len()) };
        for (hash, value) in pairs {
            match (out.hashes.last() == Some(&hash), out.values.last_mut()) {
                (true, Some(last)) => *last = merge(*last, value),
                _ => {
                    out.hashes.push(hash);
                    out.values.push(value);
                }
            }
        }
        out
    }
}

/// Both kinds of lists of a route.
pub(crate) fn compile(
    include: &[KeyList],
    exclude: &[KeyList],
    path: &str,
    variants: &[&str],
    checks: &mut Checks,
) -> (Listed, Listed) {
    let included = pairs(include, &format!("{path}.include"), variants, checks);
    let excluded = pairs(exclude, &format!("{path}.exclude"), variants, checks);
    let mut sorted: Vec<(u64, u32, usize)> =
        included.iter().map(|&(hash, variant, list)| (hash, variant, list)).collect();
    sorted.sort_unstable();
    let both = sorted.windows(2).filter_map(|pair| match pair {
        [a, b] if a.0 == b.0 && a.1 != b.1 => Some((a, b)),
        _ => None,
    });
    for (a, b) in both.take(TOLD) {
        let name = |variant: u32| variants.get(variant as usize).copied().unwrap_or_default();
        checks.push(
            format!("{path}.include[{}]", a.2.max(b.2)),
            format!(
                "the key with the hash {:016x} is listed for `{}` and for `{}`: take it off one list",
                a.0,
                name(a.1),
                name(b.1)
            ),
        );
    }
    let excluding = Listed::new(excluded.iter().map(|&(h, v, _)| (h, bit(v as usize))).collect(), |a, b| a | b);
    let torn = included
        .iter()
        .filter(|(hash, variant, _)| excluding.get(*hash).is_some_and(|mask| mask & bit(*variant as usize) != 0));
    for (hash, variant, list) in torn.take(TOLD) {
        let name = variants.get(*variant as usize).copied().unwrap_or_default();
        checks.push(
            format!("{path}.include[{list}]"),
            format!(
                "the key with the hash {hash:016x} is included in and excluded from `{name}`: take it off one list"
            ),
        );
    }
    (Listed::new(included.into_iter().map(|(h, v, _)| (h, v)).collect(), |first, _| first), excluding)
}

/// (hash, variant, index of the list) of every entry.
fn pairs(lists: &[KeyList], path: &str, variants: &[&str], checks: &mut Checks) -> Vec<(u64, u32, usize)> {
    let mut out = Vec::with_capacity(lists.iter().map(|l| l.keys.len() + l.hashes.len()).sum());
    for (i, list) in lists.iter().enumerate() {
        let found = checks.find(&format!("{path}[{i}].variant"), "variant", &list.variant, variants);
        let variant = found.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
        let mut faults = 0;
        let mut fault = |checks: &mut Checks, kind: &str, at: usize, reason: &str| {
            faults += 1;
            if faults <= TOLD {
                checks.push(format!("{path}[{i}].{kind}[{at}]"), reason);
            }
        };
        for (at, key) in list.keys.iter().enumerate() {
            if key.is_empty() {
                fault(checks, "keys", at, "is empty, and an empty value is no key: take it off the list");
            }
            out.push((list_hash(key.as_bytes()), variant, i));
        }
        for (at, hash) in list.hashes.iter().enumerate() {
            let digits = hash.len() == 16 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            match u64::from_str_radix(hash, 16) {
                Ok(hash) if digits => out.push((hash, variant, i)),
                _ => fault(checks, "hashes", at, "a hash is 16 lower-case hexadecimal digits"),
            }
        }
        if faults > TOLD {
            checks.push(format!("{path}[{i}]"), format!("{} more entries are at fault", faults - TOLD));
        }
    }
    out
}
