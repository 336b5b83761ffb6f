//! A whole header map as the ABI serializes it, read in place.
//!
//! Layout (little-endian): `u32` number of pairs; for each pair `u32` length of the name, `u32` length of the value;
//! then for each pair the name, NUL, the value, NUL. What does not fit the layout ends the map; nothing panics. It joins
//! values of one name for `cookie` alone.

use std::borrow::Cow;

/// The bytes of a header map.
#[derive(Debug, Default)]
pub(crate) struct HeaderMap {
    bytes: Vec<u8>,
    /// Bit `n % 64` is set if a name of `n` bytes is among them: most headers that are asked for are not there.
    lengths: u64,
}

impl HeaderMap {
    /// A map over what the host answered.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut map = Self { bytes, lengths: 0 };
        map.lengths = lengths_of(map.pairs().sizes).fold(0, |lengths, (name, _)| lengths | 1 << (name % 64));
        map
    }

    /// What the host answered.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Every pair, in order.
    pub(crate) fn pairs(&self) -> Pairs<'_> {
        let (count, rest) = split_u32(&self.bytes).unwrap_or((0, &[]));
        let sizes_len = (count as usize).saturating_mul(8);
        match rest.split_at_checked(sizes_len) {
            Some((sizes, text)) => Pairs { sizes, text },
            None => Pairs { sizes: &[], text: &[] },
        }
    }

    /// First value of a header; `name` is in lower case, as the map's names are.
    ///
    /// On every request's way, several times: lengths alone rule out most names, so text is looked at where they fit.
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        if self.lengths >> (name.len() % 64) & 1 == 0 {
            return None;
        }
        let Pairs { sizes, text } = self.pairs();
        // Wide enough for any sum of sizes that a map in memory can hold; what lies beyond the text is found by no `get`.
        let mut at = 0_u64;
        for (name_len, value_len) in lengths_of(sizes) {
            if name_len as usize == name.len() {
                let rest = text.get(usize::try_from(at).ok()?..)?;
                if rest.starts_with(name.as_bytes()) {
                    let (value, end) = rest.get(name.len() + 1..)?.split_at_checked(value_len as usize)?;
                    return (!end.is_empty()).then_some(value);
                }
            }
            at += u64::from(name_len) + u64::from(value_len) + 2;
        }
        None
    }

    /// Whether a name has an underscore, among those of `n` bytes where bit `n % 64` of `lengths` is set.
    pub(crate) fn has_underscore(&self, lengths: u64) -> bool {
        if self.lengths & lengths == 0 {
            return false;
        }
        let Pairs { sizes, text } = self.pairs();
        let mut at = 0_u64;
        for (name_len, value_len) in lengths_of(sizes) {
            if lengths >> (name_len % 64) & 1 == 1 {
                let name = usize::try_from(at).ok().and_then(|at| text.get(at..)?.get(..name_len as usize));
                match name {
                    Some(name) if name.contains(&b'_') => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
            at += u64::from(name_len) + u64::from(value_len) + 2;
        }
        false
    }

    /// Every value of a header, joined by `,` (RFC 9110, section 5.3).
    #[cfg(feature = "shadow")]
    pub(crate) fn joined(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let Pairs { sizes, text } = self.pairs();
        let mut all: Option<Cow<'_, [u8]>> = None;
        let mut at = 0_u64;
        for (name_len, value_len) in lengths_of(sizes) {
            if name_len as usize == name.len() {
                let Some(rest) = usize::try_from(at).ok().and_then(|at| text.get(at..)) else { break };
                let value = rest.strip_prefix(name.as_bytes()).and_then(|rest| rest.get(1..));
                match (value.and_then(|rest| rest.get(..value_len as usize)), &mut all) {
                    (None, _) => {}
                    (Some(value), None) => all = Some(Cow::Borrowed(value)),
                    (Some(value), Some(all)) => {
                        all.to_mut().push(b',');
                        all.to_mut().extend_from_slice(value);
                    }
                }
            }
            at += u64::from(name_len) + u64::from(value_len) + 2;
        }
        all
    }

    /// The pairs but for those that `leaves_out` names, and `more` behind them, serialized. What stays side by side is copied
    /// at once.
    #[cfg(feature = "shadow")]
    pub(crate) fn edited<'m>(
        &self,
        leaves_out: impl Fn(&[u8], &[u8]) -> bool,
        more: impl Iterator<Item = (&'m [u8], &'m [u8])> + Clone,
    ) -> Vec<u8> {
        let Pairs { sizes, text } = self.pairs();
        let longer: usize = more.clone().map(|(name, value)| 8 + name.len() + value.len() + 2).sum();
        let mut out = Vec::with_capacity(4 + sizes.len() + text.len() + longer);
        out.extend_from_slice(&[0; 4]);
        let mut runs: Vec<core::ops::Range<usize>> = Vec::with_capacity(8);
        let mut at = 0;
        for ((name, value), size) in self.pairs().zip(sizes.as_chunks::<8>().0) {
            let end = at + name.len() + value.len() + 2;
            if !leaves_out(name, value) {
                out.extend_from_slice(size);
                match runs.last_mut().filter(|run| run.end == at) {
                    Some(run) => run.end = end,
                    None => runs.push(at..end),
                }
            }
            at = end;
        }
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        for (name, value) in more.clone() {
            out.extend_from_slice(&size(name.len()));
            out.extend_from_slice(&size(value.len()));
        }
        let count = size((out.len() - 4) / 8);
        for run in runs {
            out.extend_from_slice(text.get(run).unwrap_or_default());
        }
        for text in more.flat_map(|(name, value)| [name, value]) {
            out.extend_from_slice(text);
            out.push(0);
        }
        if let Some(first) = out.first_chunk_mut() {
            *first = count;
        }
        out
    }

    /// The `cookie` header; several lines of it are joined by `; ` (RFC 9113, section 8.2.3).
    pub(crate) fn cookies(&self) -> Option<Cow<'_, [u8]>> {
        let mut lines = self.pairs().filter(|(name, _)| *name == b"cookie").map(|(_, value)| value);
        let first = lines.next()?;
        let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
        let mut all = first.to_vec();
        for line in std::iter::once(second).chain(lines) {
            all.extend_from_slice(b"; ");
            all.extend_from_slice(line);
        }
        Some(Cow::Owned(all))
    }
}

/// Iterator over the pairs of a [`HeaderMap`].
pub(crate) struct Pairs<'a> {
    sizes: &'a [u8],
    text: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, sizes) = split_u32(self.sizes)?;
        let (value_len, sizes) = split_u32(sizes)?;
        let (name, text) = self.text.split_at_checked(name_len as usize)?;
        let (value, text) = text.get(1..)?.split_at_checked(value_len as usize)?;
        self.sizes = sizes;
        self.text = text.get(1..)?;
        Some((name, value))
    }
}

/// Lengths of each pair's name and value.
#[inline]
fn lengths_of(sizes: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let pairs = sizes.as_chunks().0.iter();
    pairs.map(|&[a, b, c, d, e, f, g, h]| (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialize(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = u32::try_from(pairs.len()).unwrap().to_le_bytes().to_vec();
        for (name, value) in pairs {
            out.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
            out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        }
        for (name, value) in pairs {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    #[test]
    fn values_are_found_in_order_empty_and_binary_ones_too() {
        let pairs: &[(&[u8], &[u8])] = &[(b":path", b"/a"), (b"x", b""), (b"x", b"\xff\0z"), (b"", b"n")];
        let map = HeaderMap::new(serialize(pairs));
        assert_eq!(map.pairs().collect::<Vec<_>>(), pairs);
        assert_eq!(map.first("x"), Some(&b""[..]));
        assert_eq!(map.first("y"), None);
        assert_eq!(map.first(""), Some(&b"n"[..]));
    }

    #[test]
    fn a_value_is_found_where_its_pair_is_whole_and_nowhere_else() {
        let pairs: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"bb", b"22"), (b"a", b"3"), (b"c", b"")];
        let whole = serialize(pairs);
        for cut in 0..=whole.len() {
            let map = HeaderMap::new(whole[..cut].to_vec());
            for name in ["a", "bb", "c", "d"] {
                let expect = map.pairs().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value);
                assert_eq!(map.first(name), expect, "{name}, cut at {cut}");
            }
        }
        let mut huge = whole;
        huge[4..8].fill(0xff);
        assert_eq!(HeaderMap::new(huge).first("bb"), None);
        assert_eq!(HeaderMap::new(vec![0xff; 64]).first("bb"), None);
    }

    #[cfg(feature = "shadow")]
    #[test]
    fn values_of_one_name_are_joined() {
        let map = HeaderMap::new(serialize(&[(b"a", b"1"), (b"b", b"2"), (b"a", b""), (b"a", b"3"), (b"c", b"")]));
        assert_eq!(map.joined("a").as_deref(), Some(&b"1,,3"[..]));
        assert_eq!(map.joined("b"), Some(Cow::Borrowed(&b"2"[..])));
        assert_eq!((map.joined("c").as_deref(), map.joined("d")), (Some(&b""[..]), None));
    }

    #[cfg(feature = "shadow")]
    #[test]
    fn an_edited_map_is_what_stays_and_what_is_added_cut_anywhere_or_not() {
        let pairs: &[(&[u8], &[u8])] =
            &[(b":path", b"/"), (b"x", b"1"), (b"y", b""), (b"x", b"2"), (b"z", b"\0"), (b"x", b"3")];
        let whole = serialize(pairs);
        let more: [(&[u8], &[u8]); 2] = [(b"n", b"new"), (b"", b"")];
        for cut in 0..=whole.len() {
            let map = HeaderMap::new(whole[..cut].to_vec());
            let expect: Vec<_> = map.pairs().filter(|(name, _)| *name != b"x").chain(more).collect();
            assert_eq!(map.edited(|name, _| name == b"x", more.into_iter()), serialize(&expect), "cut at {cut}");
            let expect: Vec<_> = map.pairs().filter(|(_, value)| *value != b"2").collect();
            assert_eq!(map.edited(|_, value| value == b"2", [].into_iter()), serialize(&expect), "cut at {cut}");
        }
        assert_eq!(HeaderMap::new(vec![0xff; 64]).edited(|_, _| false, [].into_iter()), [0; 4]);
    }

    #[test]
    fn an_underscore_is_seen_in_names_of_the_lengths_that_are_asked_for() {
        let map = HeaderMap::new(serialize(&[(b"a_b", b"_"), (b"c-de", b"1_2"), (b"", b"")]));
        let of = |lengths: &[usize]| map.has_underscore(lengths.iter().map(|n| 1 << n).sum());
        assert!(of(&[3]) && of(&[3, 4, 63]));
        assert!(!of(&[]) && !of(&[0, 1, 2, 4]));
        let long = [b"x_".as_slice(), &[b'y'; 65]].concat();
        assert!(HeaderMap::new(serialize(&[(&long, b"")])).has_underscore(1 << 3));
    }

    #[test]
    fn lines_of_cookies_are_joined() {
        let cookies = |lines: &[&[u8]]| {
            let mut pairs: Vec<(&[u8], &[u8])> = vec![(b":path", b"/"), (b"x-cookie", b"n")];
            pairs.extend(lines.iter().map(|line| (&b"cookie"[..], *line)));
            HeaderMap::new(serialize(&pairs)).cookies().map(Cow::into_owned)
        };
        assert_eq!(cookies(&[]), None);
        assert_eq!(cookies(&[b"a=1, b; c"]).as_deref(), Some(&b"a=1, b; c"[..]));
        assert_eq!(cookies(&[b"a=1", b"", b"b=2,\xff"]).as_deref(), Some(&b"a=1; ; b=2,\xff"[..]));
    }

    #[test]
    fn a_map_cut_short_anywhere_yields_a_prefix_of_its_pairs() {
        let pairs: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"bb", b"22")];
        let whole = serialize(pairs);
        for cut in 0..whole.len() {
            let map = HeaderMap::new(whole[..cut].to_vec());
            let seen: Vec<_> = map.pairs().collect();
            assert!(pairs.starts_with(&seen), "cut at {cut}: {seen:?}");
            assert!(seen.len() < 2, "cut at {cut}: {seen:?}");
        }
        let map = HeaderMap::new(vec![0xff; 64]);
        assert_eq!(map.pairs().count(), 0);
    }
}
