//! Signed decisions from hop to hop: a header of `route=variant;e=<unix s>;k=<key id>;s=<signature>` pairs.
//!
//! The signature is base64url of HMAC-SHA256 over `decision 00 audience 00 route 00 variant 00 e`. A pair ends at most two
//! minutes ahead, rounded to whole minutes so that a proxy's pairs stay the same for a minute. What is not signed for this
//! audience is removed; what is, passes on to the hops behind.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

use crate::TokenFault;
use crate::keyring::Ring;

/// Longest validity of a pair, in seconds.
pub const SECONDS: u64 = 120;
/// Pairs of a header that are verified; those beyond are removed.
const PAIRS: usize = 16;
/// Bytes of a header beyond which it is removed as a whole.
const HEADER_BYTES: usize = 8 << 10;

/// One pair that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'h> {
    /// The route's name.
    pub route: &'h str,
    /// The variant's name.
    pub variant: &'h str,
    /// As it stands in the header.
    pub text: &'h str,
}

/// Signs a pair at Unix time `now` with the key `kid` of the ring; `None` when it is not there.
pub fn sign(audience: &str, route: &str, variant: &str, now: u64, ring: &Ring, kid: &str) -> Option<String> {
    let end = now.checked_add(SECONDS)? / 60 * 60;
    let signature = BASE64.encode(ring.sign(kid, &message(audience, route, variant, end))?);
    Some(format!("{route}={variant};e={end};k={kid};s={signature}"))
}

/// The pairs of a header that are to be believed at Unix time `now`, and why others are not.
pub fn verify<'h>(header: &'h [u8], audience: &str, now: u64, ring: &Ring) -> (Vec<Pair<'h>>, Vec<TokenFault>) {
    let (mut pairs, mut faults) = (Vec::new(), Vec::new());
    let Some(header) = std::str::from_utf8(header).ok().filter(|h| h.len() <= HEADER_BYTES) else {
        return (pairs, vec![TokenFault::Malformed]);
    };
    for (i, text) in header.split(',').map(str::trim).filter(|text| !text.is_empty()).enumerate() {
        if i == PAIRS {
            faults.push(TokenFault::Malformed);
            break;
        }
        match verify_pair(text, audience, now, ring) {
            Ok(pair) => pairs.push(pair),
            Err(fault) => faults.push(fault),
        }
    }
    (pairs, faults)
}

fn verify_pair<'h>(text: &'h str, audience: &str, now: u64, ring: &Ring) -> Result<Pair<'h>, TokenFault> {
    let mut parts = text.split(';').map(|part| part.split_once('=').unwrap_or((part, "")));
    let (Some((route, variant)), Some(("e", end)), Some(("k", kid)), Some(("s", signature)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenFault::Malformed);
    };
    let (Ok(end), Ok(signature)) = (end.parse::<u64>(), BASE64.decode(signature)) else {
        return Err(TokenFault::Malformed);
    };
    match ring.verify(kid, &message(audience, route, variant, end), &signature) {
        // A signature for another audience cannot be told from a false one: the audience is in what is signed.
        Some(false) => Err(TokenFault::Signature),
        None => Err(TokenFault::UnknownKey),
        Some(true) if end <= now => Err(TokenFault::Expired),
        Some(true) if end - now > SECONDS => Err(TokenFault::TooLong),
        Some(true) => Ok(Pair { route, variant, text }),
    }
}

fn message(audience: &str, route: &str, variant: &str, end: u64) -> Vec<u8> {
    ["decision", audience, route, variant, &end.to_string()].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_030;

    fn ring() -> Ring {
        Ring::new([("d1", &b"0123456789abcdef0123456789abcdef"[..])])
    }

    fn check(header: &str, now: u64, pairs: &[(&str, &str)], faults: &[TokenFault]) {
        let ring = ring();
        let (got, why) = verify(header.as_bytes(), "mesh", now, &ring);
        assert_eq!(got.iter().map(|p| (p.route, p.variant)).collect::<Vec<_>>(), pairs, "{header}");
        assert_eq!(why, faults, "{header}");
    }

    #[test]
    fn a_signed_pair_is_believed_for_up_to_two_minutes() {
        let pair = sign("mesh", "shop", "canary", NOW, &ring(), "d1").unwrap();
        assert!(pair.starts_with("shop=canary;e=1800000120;k=d1;s="), "{pair}");
        assert_eq!(sign("mesh", "shop", "canary", NOW + 29, &ring(), "d1").unwrap(), pair);
        check(&pair, NOW, &[("shop", "canary")], &[]);
        check(&pair, NOW + 89, &[("shop", "canary")], &[]);
        check(&pair, NOW + 90, &[], &[TokenFault::Expired]);
        check(&pair, NOW - 31, &[], &[TokenFault::TooLong]);
        check(&pair.replace("canary", "stable"), NOW, &[], &[TokenFault::Signature]);
        check(&pair.replace("k=d1", "k=d2"), NOW, &[], &[TokenFault::UnknownKey]);
        let foreign = sign("other", "shop", "canary", NOW, &ring(), "d1").unwrap();
        check(
            &format!("shop=stable, {foreign},, {pair}"),
            NOW,
            &[("shop", "canary")],
            &[TokenFault::Malformed, TokenFault::Signature],
        );
        check("", NOW, &[], &[]);
        check(&"x,".repeat(9_000), NOW, &[], &[TokenFault::Malformed]);
    }
}
