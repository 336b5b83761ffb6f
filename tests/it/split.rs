//! The split, written once more from its definition, so that what Envoy serves is compared with the definition and not with
//! the code under test.

/// FNV-1a, 64 bits, and the finalizer of MurmurHash3.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().copied().flatten() {
        h = (h ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// `-log2` of a uniform number that salt, variant and key give, in units of 2^-32.
fn exponential(salt: &str, variant: &str, key: &[u8]) -> u64 {
    let x = hash(&[salt.as_bytes(), &[0], variant.as_bytes(), &[0], key]) | 1;
    let z = x.leading_zeros();
    let mut m = (x << z) >> 32;
    let mut f = 0;
    for _ in 0..32 {
        m = (m * m) >> 31;
        let bit = m >> 32;
        f = 2 * f + bit;
        m >>= bit;
    }
    ((u64::from(z) + 1) << 32) - f
}

/// Who serves this key.
pub(crate) fn split<'v>(salt: &str, weights: &[(&'v str, u32)], key: impl AsRef<[u8]>) -> &'v str {
    let drawn = weights.iter().filter(|(_, weight)| *weight > 0);
    let drawn = drawn.map(|&(name, weight)| (exponential(salt, name, key.as_ref()), u64::from(weight), name));
    drawn.min_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(a.2.cmp(b.2))).expect("a weight").2
}

/// A number below `n` that salt, purpose and key give.
pub(crate) fn bucket(salt: &str, purpose: &str, key: &str, n: u64) -> u64 {
    let h = hash(&[salt.as_bytes(), &[0, 0], purpose.as_bytes(), &[0], key.as_bytes()]);
    u64::try_from((u128::from(h) * u128::from(n)) >> 64).expect("below n")
}

/// A key in a list, by its hash.
pub(crate) fn listed(key: &str) -> String {
    format!("{:016x}", hash(&[&[0, 0], b"list", &[0], key.as_bytes()]))
}
