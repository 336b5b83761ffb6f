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

    /// From sorted entries, each with its value; `merge` joins the values of one hash.
    fn new(entries: &[Entry], value: impl Fn(Entry) -> u32, merge: impl Fn(u32, u32) -> u32) -> Self {
        let mut out = Self { hashes: Vec::with_capacity(entries.len()), values: Vec::with_capacity(entries.len()) };
        for entry in entries {
            let value = value(*entry);
            match (out.hashes.last() == Some(&entry.hash), out.values.last_mut()) {
                (true, Some(last)) => *last = merge(*last, value),
                _ => {
                    out.hashes.push(entry.hash);
                    out.values.push(value);
                }
            }
        }
        out
    }
}

/// One key on one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u64,
    variant: u32,
    list: u32,
}

impl Entry {
    fn bit(self) -> u32 {
        bit(self.variant as usize)
    }

    fn name<'n>(self, variants: &[&'n str]) -> &'n str {
        variants.get(self.variant as usize).copied().unwrap_or_default()
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
    let included = entries(include, &format!("{path}.include"), variants, checks);
    let excluded = entries(exclude, &format!("{path}.exclude"), variants, checks);
    let both = included.windows(2).filter_map(|pair| match pair {
        [a, b] if a.hash == b.hash && a.variant != b.variant => Some((a, b)),
        _ => None,
    });
    for (a, b) in both.take(TOLD) {
        let (hash, one, other) = (a.hash, a.name(variants), b.name(variants));
        checks.push(
            format!("{path}.include[{}]", a.list.max(b.list)),
            format!("the key with the hash {hash:016x} is listed for `{one}` and for `{other}`: take it off one list"),
        );
    }
    let exclude = Listed::new(&excluded, Entry::bit, |a, b| a | b);
    let torn = |entry: &&Entry| exclude.get(entry.hash).is_some_and(|mask| mask & entry.bit() != 0);
    for entry in included.iter().filter(torn).take(TOLD) {
        let (hash, name) = (entry.hash, entry.name(variants));
        checks.push(
            format!("{path}.include[{}]", entry.list),
            format!(
                "the key with the hash {hash:016x} is included in and excluded from `{name}`: take it off one list"
            ),
        );
    }
    (Listed::new(&included, |entry| entry.variant, |first, _| first), exclude)
}

/// Every entry, sorted.
fn entries(lists: &[KeyList], path: &str, variants: &[&str], checks: &mut Checks) -> Vec<Entry> {
    let mut out = Vec::with_capacity(lists.iter().map(|l| l.keys.len() + l.hashes.len()).sum());
    for (i, list) in lists.iter().enumerate() {
        let found = checks.find(&format!("{path}[{i}].variant"), "variant", &list.variant, variants);
        let variant = found.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
        let number = u32::try_from(i).unwrap_or(u32::MAX);
        let mut add = |hash| out.push(Entry { hash, variant, list: number });
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
            add(list_hash(key.as_bytes()));
        }
        for (at, hash) in list.hashes.iter().enumerate() {
            let digits = hash.len() == 16 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            match u64::from_str_radix(hash, 16) {
                Ok(hash) if digits => add(hash),
                _ => fault(checks, "hashes", at, "a hash is 16 lower-case hexadecimal digits"),
            }
        }
        if faults > TOLD {
            checks.push(format!("{path}[{i}]"), format!("{} more entries are at fault", faults - TOLD));
        }
    }
    out.sort_unstable();
    out
}
