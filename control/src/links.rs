//! Signed links that answer a gate: who holds one may approve or reject that one gate, until it expires. Pure.
//!
//! HMAC-SHA256 (RFC 2104) over rollout, run, gate, word and expiry, with a key from the environment; the key never appears in a link, and a
//! link for `reject` is none for `approve`. It answers nothing itself: `server.rs` does, once.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::web::encoded;

/// One answer to one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) rollout: String,
    pub(crate) run: i64,
    pub(crate) gate: String,
    /// `approve` or `reject`.
    pub(crate) answer: String,
    /// Unix milliseconds.
    pub(crate) expires: i64,
}

fn mac(key: &[u8], word: &Word) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    let Word { rollout, run, gate, answer, expires } = word;
    // Lengths in front, so that no two words read alike.
    for part in [rollout, gate, answer] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(&run.to_be_bytes());
    mac.update(&expires.to_be_bytes());
    Some(mac)
}

/// The link's address.
pub(crate) fn link(base: &str, key: &[u8], word: &Word) -> Option<String> {
    let signature: String = mac(key, word)?.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    Some(format!(
        "{}/gates/{}/{}/{}/{}?expires={}&signature={signature}",
        base.trim_end_matches('/'),
        encoded(&word.rollout),
        word.run,
        encoded(&word.gate),
        word.answer,
        word.expires
    ))
}

/// Whether a link's signature is right and it has not expired at `now`.
///
/// # Errors
/// In words for the one who clicked.
pub(crate) fn check(key: &[u8], word: &Word, signature: &str, now: i64) -> Result<(), &'static str> {
    let given: Option<Vec<u8>> = (0..signature.len())
        .step_by(2)
        .map(|at| signature.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let right = given.and_then(|given| mac(key, word)?.verify_slice(&given).ok());
    if right.is_none() {
        return Err("this link is not signed as it should be");
    }
    if now >= word.expires {
        return Err("this link has expired: `headgate promote` and `headgate abort` work");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_for_its_own_word_until_it_expires() {
        let word =
            Word { rollout: "shop v2".into(), run: 3, gate: "half".into(), answer: "approve".into(), expires: 1_000 };
        let link = link("http://h/", b"key", &word).unwrap();
        assert!(link.starts_with("http://h/gates/shop%20v2/3/half/approve?expires=1000&signature="), "{link}");
        let signature = link.rsplit_once('=').unwrap().1;
        assert_eq!(check(b"key", &word, signature, 999), Ok(()));
        assert!(check(b"key", &word, signature, 1_000).is_err());
        assert!(check(b"other", &word, signature, 0).is_err());
        for other in [
            Word { answer: "reject".into(), ..word.clone() },
            Word { run: 4, ..word.clone() },
            Word { expires: 2_000, ..word.clone() },
            Word { rollout: "shop v2h".into(), gate: "alf".into(), ..word.clone() },
        ] {
            assert!(check(b"key", &other, signature, 0).is_err(), "{other:?}");
        }
        assert!(check(b"key", &word, "zz", 0).is_err() && check(b"key", &word, "é", 0).is_err());
    }
}
