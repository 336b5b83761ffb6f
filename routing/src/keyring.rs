//! The HMAC keys that a process could load.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::RoutingTable;

/// Bytes below which a secret is not taken for a key: HS256's own strength (RFC 7518, section 3.2).
pub const KEY_BYTES: usize = 32;

/// HMAC keys by key id, for tokens and for decisions apart.
#[derive(Debug, Default)]
pub struct Keyring {
    pub(crate) tokens: Ring,
    pub(crate) decisions: Ring,
    /// The key id that signs decisions, when its key could be loaded.
    pub(crate) signer: Option<String>,
    missing: Vec<String>,
}

/// Keys of one purpose.
#[derive(Default, Clone)]
pub struct Ring(Vec<(String, Hmac<Sha256>)>);

impl Ring {
    /// A ring of (key id, secret) pairs; secrets shorter than 32 bytes are left out.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self(keys.into_iter().filter_map(|(id, secret)| Some((id.to_owned(), key(secret)?))).collect())
    }

    fn get(&self, id: &str) -> Option<Hmac<Sha256>> {
        self.0.iter().find(|(key, _)| key == id).map(|(_, mac)| mac.clone())
    }

    /// The HMAC of `message` under the key `id`; `None` without that key.
    pub(crate) fn sign(&self, id: &str, message: &[u8]) -> Option<Vec<u8>> {
        Some(self.get(id)?.chain_update(message).finalize().into_bytes().to_vec())
    }

    /// Whether `signature` is the HMAC of `message`, compared in constant time; `None` without that key.
    pub(crate) fn verify(&self, id: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        Some(self.get(id)?.chain_update(message).verify_slice(signature).is_ok())
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl Keyring {
    /// Asks `secret` for the value of each environment variable that the table names. One that is unset or shorter than
    /// 32 bytes is left out (see [`Self::missing`]): what it signed is then not believed.
    pub fn load(table: &RoutingTable, secret: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let mut out = Self::default();
        let config = table.config();
        let tokens = config.tokens.as_ref().map(|tokens| tokens.keys.as_slice()).unwrap_or_default();
        let decisions = config.decisions.as_ref().map(|decisions| decisions.keys.as_slice()).unwrap_or_default();
        for (ring, keys) in [(&mut out.tokens, tokens), (&mut out.decisions, decisions)] {
            for named in keys {
                match secret(&named.env).as_deref().and_then(key) {
                    Some(mac) => ring.0.push((named.id.clone(), mac)),
                    None => out.missing.push(named.env.clone()),
                }
            }
        }
        out.signer = decisions.first().map(|first| first.id.clone()).filter(|id| out.decisions.get(id).is_some());
        out
    }

    /// The environment variables that are unset or too short.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

fn key(secret: &[u8]) -> Option<Hmac<Sha256>> {
    if secret.len() < KEY_BYTES { None } else { Hmac::new_from_slice(secret).ok() }
}
