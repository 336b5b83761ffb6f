//! A digest of bytes that come in pieces: SipHash-1-3 with 128 bits and a fixed key.
//!
//! Two different bodies share a digest once in 2^128 pairs; the 64 bits of a table's hash would do so within a few
//! billion. It is no cryptographic hash: who may choose both bodies and knows the key could make two that collide,
//! which gains a shadow nothing (it does not see the user's answer). SHA-256 costs the filter about ten times as much,
//! XXH3 is no faster where 64-bit products have to be put together, as in wasm.

use core::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// A digest in the making. What it ends in does not depend on the pieces.
#[derive(Debug, Clone)]
pub(crate) struct Digest(SipHasher13);

impl Default for Digest {
    fn default() -> Self {
        Self(SipHasher13::new_with_keys(0x6865_6164_6761_7465, 0x636f_6d70_6172_6531))
    }
}

impl Digest {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(crate) fn value(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}

/// The digest of some bytes.
pub(crate) fn of(bytes: &[u8]) -> u128 {
    let mut digest = Digest::default();
    digest.update(bytes);
    digest.value()
}
