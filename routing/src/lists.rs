//! Include and exclude lists: sorted hashes, so that 100,000 keys cost seventeen steps and 1.2 MB.

use headgate_contract::KeyList;

use crate::checks::Checks;
use crate::split::{bit, list_hash, reduce};

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
        self.find(hash).and_then(|at| self.values.get(at)).copied()
    }

    /// Hashes are uniform, so one stands near `hash / 2^64` of the way: the search begins there and widens until it must hold it,
    /// which touches less memory than halving the whole list. Hashes that are not uniform only cost more steps.
    fn find(&self, hash: u64) -> Option<usize> {
        let guess = usize::try_from(reduce(hash, self.hashes.len() as u64)).ok()?;
        let mut width = 4usize;
        loop {
            let from = guess.saturating_sub(width);
            let to = guess.saturating_add(width).min(self.hashes.len());
            let window = self.hashes.get(from..to)?;
            let starts = from == 0 || window.first().is_some_and(|first| *first <= hash);
            let ends = to == self.hashes.len() || window.last().is_some_and(|last| *last >= hash);
            if starts && ends {
                return window.binary_search(&hash).ok().map(|at| from + at);
            }
            width = width.saturating_mul(4);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every listed hash is found, and its neighbours only where they are listed too.
    fn check(mut hashes: Vec<u64>) {
        hashes.sort_unstable();
        hashes.dedup();
        let entries: Vec<Entry> = hashes.iter().map(|&hash| Entry { hash, variant: 0, list: 0 }).collect();
        let listed = Listed::new(&entries, |entry| u32::try_from(entry.hash % 1_000).unwrap(), |first, _| first);
        let near = |hash: &u64| [hash.wrapping_sub(1), *hash, hash.wrapping_add(1)];
        for hash in hashes.iter().flat_map(near).chain([0, 1, u64::MAX]) {
            let expect = hashes.binary_search(&hash).is_ok().then(|| u32::try_from(hash % 1_000).unwrap());
            assert_eq!(listed.get(hash), expect, "{hash} of {}", hashes.len());
        }
    }

    #[test]
    fn a_hash_is_found_whether_hashes_are_uniform_or_not() {
        for n in [0, 1, 2, 3, 9, 100, 10_000] {
            check((0..n).map(|i| list_hash(&[i as u8, (i >> 8) as u8])).collect());
            check((0..n).collect());
            check((0..n).map(|i| u64::MAX - i * 3).collect());
            check((0..n).map(|i| (i & 1) << 63 | i).collect());
        }
    }
}
