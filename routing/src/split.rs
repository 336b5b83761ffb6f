//! The split, frozen as `hash: 1`: which variant a key gets, and the other hashes of a key.
//!
//! Weighted rendezvous hashing: each variant draws `E = -log2(u)` for the key, `u` uniform, and the variant with the
//! least `E / weight` wins. Exponential draws divided by their weights win in proportion to the weights (Schindelhauer
//! and Schomaker, "Weighted distributed hash tables", 2005, the logarithmic method), and a variant's draw does not
//! depend on the others, so that a changed weight moves keys only to or from that variant. The logarithm is
//! taken in integers: `f64::ln` differs between native and wasm for about 1 in 10,000 inputs.
//!
//! This module does not know where a key comes from. Nothing in it may ever change: golden vectors hold it.

use std::cmp::Ordering;
use std::hash::Hasher as _;

use fnv::FnvHasher;
use headgate_contract::limits::KEY_BYTES;

/// The purposes of a key's other hashes.
pub mod purpose {
    /// Which users are copied by a mirror.
    pub const MIRROR: &str = "mirror";
    /// Which users are copied by a shadow.
    #[cfg(feature = "shadow")]
    pub const SHADOW: &str = "shadow";
    /// In which replicate bucket a user is counted.
    pub const REPLICATE: &str = "replicate";
}

/// One variant's weight and the state of its hash after `salt 00 variant 00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    state: u64,
    weight: u32,
    /// Rank of the name among the names: the lesser wins a tie.
    rank: u32,
}

/// A split made ready: only the key is hashed per request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    contenders: Vec<Contender>,
}

impl Split {
    /// A split by `salt` over `variants`, each a name and a weight of 0 (never) to 2^20. Neither the salt nor a name may have a
    /// NUL, which `compile` sees to.
    pub fn new<'a>(salt: &str, variants: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let variants: Vec<(&str, u32)> = variants.into_iter().collect();
        let rank = |name: &str| variants.iter().filter(|(other, _)| *other < name).count();
        let contenders = variants
            .iter()
            .map(|&(name, weight)| Contender {
                state: prefix(&[salt.as_bytes(), b"\0", name.as_bytes(), b"\0"]),
                weight,
                rank: u32::try_from(rank(name)).unwrap_or(u32::MAX),
            })
            .collect();
        Self { contenders }
    }

    /// The index of the variant that `key` gets, or `None` when every weight is 0.
    pub fn choose(&self, key: &[u8]) -> Option<usize> {
        self.choose_except(key, 0)
    }

    /// As [`Self::choose`], over the variants whose bit in `excluded` is not set (bit 0 is the first variant).
    pub fn choose_except(&self, key: &[u8], excluded: u32) -> Option<usize> {
        let key = cut(key);
        let mut best: Option<(usize, Draw, &Contender)> = None;
        for (index, contender) in self.contenders.iter().enumerate() {
            if contender.weight == 0 || excluded & bit(index) != 0 {
                continue;
            }
            let mut mine = Draw::new(finish(contender.state, key));
            let wins = match &mut best {
                None => true,
                Some((_, theirs, holder)) => match mine.compare(contender.weight, theirs, holder.weight) {
                    Ordering::Equal => contender.rank < holder.rank,
                    order => order == Ordering::Less,
                },
            };
            if wins {
                best = Some((index, mine, contender));
            }
        }
        best.map(|(index, ..)| index)
    }

    /// The variants with a weight, one bit each.
    pub fn weighted(&self) -> u32 {
        self.contenders.iter().enumerate().filter(|(_, c)| c.weight > 0).fold(0, |mask, (i, _)| mask | bit(i))
    }

    /// A variant by weight from a uniform number instead of a key, or `None` when every weight is 0.
    pub fn pick(&self, uniform: u64) -> Option<usize> {
        let total: u64 = self.contenders.iter().map(|c| u64::from(c.weight)).sum();
        let mut point = reduce(uniform, total);
        self.contenders.iter().position(|c| {
            let hit = point < u64::from(c.weight);
            point = point.wrapping_sub(if hit { 0 } else { u64::from(c.weight) });
            hit
        })
    }
}

/// The bit of a variant's index; 0 beyond 31, which `compile` refuses.
pub(crate) fn bit(index: usize) -> u32 {
    u32::try_from(index).ok().and_then(|shift| 1u32.checked_shl(shift)).unwrap_or(0)
}

/// A key's hash for one purpose: hashes of different purposes, or of different salts, are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucketer {
    state: u64,
}

impl Bucketer {
    /// Hashes `salt 00 00 purpose 00 key`.
    pub fn new(salt: &str, purpose: &str) -> Self {
        Self { state: prefix(&[salt.as_bytes(), b"\0\0", purpose.as_bytes(), b"\0"]) }
    }

    /// The key's bucket in `0..buckets`, by multiply-shift.
    pub fn bucket(&self, key: &[u8], buckets: u64) -> u64 {
        reduce(finish(self.state, cut(key)), buckets)
    }
}

/// The hash by which key lists name a key: `fmix64(fnv1a64(00 00 "list" 00 key))`, the same for every salt.
pub fn list_hash(key: &[u8]) -> u64 {
    finish(prefix(&[b"\0\0list\0"]), cut(key))
}

/// `-log2` of a uniform number in fixed point with 32 bits of fraction, from 64 uniform bits: 0 (excluded) to 2^38.
pub fn draw(hash: u64) -> u64 {
    let mut draw = Draw::new(hash);
    draw.refine(EXACT);
    draw.bounds().0
}

/// Bits of fraction of a draw.
const EXACT: u32 = 32;
/// Bits that are worked out first: they decide all but a few comparisons, and each bit costs a multiplication.
const COARSE: u32 = 6;

/// A draw of which some bits are known: `(z + 1) * 2^32 - f`, `f` its first `bits` bits so far.
#[derive(Debug, Clone, Copy)]
struct Draw {
    /// `(z + 1) * 2^32`.
    whole: u64,
    m: u64,
    f: u64,
    bits: u32,
}

impl Draw {
    fn new(hash: u64) -> Self {
        let x = hash | 1;
        let z = x.leading_zeros();
        Self { whole: (u64::from(z) + 1) << 32, m: (x << z) >> 32, f: 0, bits: 0 }
    }

    fn refine(&mut self, bits: u32) {
        while self.bits < bits {
            self.m = (self.m * self.m) >> 31;
            let b = self.m >> 32;
            self.f = 2 * self.f + b;
            self.m >>= b;
            self.bits += 1;
        }
    }

    /// The least and the greatest that it can be; the same when all bits are known.
    fn bounds(&self) -> (u64, u64) {
        let left = EXACT - self.bits;
        (self.whole - (((self.f + 1) << left) - 1), self.whole - (self.f << left))
    }

    /// `self / weight` against `other / other_weight`, exactly. The products stay below 2^38 * 2^20.
    fn compare(&mut self, weight: u32, other: &mut Self, other_weight: u32) -> Ordering {
        let (weight, other_weight) = (u64::from(weight), u64::from(other_weight));
        // Often the whole part decides alone.
        for bits in [0, COARSE, EXACT] {
            self.refine(bits);
            other.refine(bits);
            let ((low, high), (other_low, other_high)) = (self.bounds(), other.bounds());
            if high * other_weight < other_low * weight {
                return Ordering::Less;
            }
            if low * other_weight > other_high * weight {
                return Ordering::Greater;
            }
        }
        Ordering::Equal
    }
}

/// The finalizer of MurmurHash3 (64 bits): every bit of the input moves every bit of the output.
pub const fn fmix64(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// A uniform 64-bit number reduced to `0..n`: `hash * n / 2^64`.
pub const fn reduce(hash: u64, n: u64) -> u64 {
    // The product's upper half; `as` drops nothing.
    ((hash as u128 * n as u128) >> 64) as u64
}

/// The part of a key that takes part.
fn cut(key: &[u8]) -> &[u8] {
    key.get(..KEY_BYTES).unwrap_or(key)
}

fn prefix(parts: &[&[u8]]) -> u64 {
    let mut hasher = FnvHasher::default();
    for part in parts {
        hasher.write(part);
    }
    hasher.finish()
}

fn finish(state: u64, key: &[u8]) -> u64 {
    let mut hasher = FnvHasher::with_key(state);
    hasher.write(key);
    fmix64(hasher.finish())
}
