//! Override tokens: JWS compact serialization (RFC 7515) with HS256, and nothing else of it.
//!
//! A token says: who holds me may have this variant, for this audience, until then. The algorithm is not negotiable, so
//! that no token can choose a weaker one (RFC 8725, section 3.1). Whether a token's variant fits a rule is the override's matter.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use headgate_contract::limits::TOKEN_SECONDS;
use serde::{Deserialize, Serialize};

use crate::TokenFault;
use crate::keyring::Ring;

/// Bytes of a token beyond which it is not looked at.
const TOKEN_BYTES: usize = 4 << 10;

/// What a token claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The audience.
    pub aud: String,
    /// The variant that its holder may have.
    pub variant: String,
    /// Unix time in seconds at which it ends, at most 24 hours ahead.
    pub exp: u64,
    /// The one route it is for; `None`: every route with such a variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// Extensions that a reader must understand; this one understands none (RFC 7515, section 4.1.11).
    #[serde(default, skip_serializing)]
    crit: Option<serde::de::IgnoredAny>,
}

/// Signs a token with the key `kid` of the ring; `None` when it is not there.
pub fn sign(claims: &Claims, ring: &Ring, kid: &str) -> Option<String> {
    let header = Header { alg: "HS256".to_owned(), kid: kid.to_owned(), crit: None };
    let part = |json: serde_json::Result<Vec<u8>>| json.ok().map(|json| BASE64.encode(json));
    let signed = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
    let signature = ring.sign(kid, signed.as_bytes())?;
    Some(format!("{signed}.{}", BASE64.encode(signature)))
}

/// What a token claims, when it is to be believed at Unix time `now`.
///
/// # Errors
/// Why it is not believed; never [`TokenFault::Variant`], which only a route can tell.
pub fn verify(token: &[u8], ring: &Ring, audience: &str, now: u64) -> Result<Claims, TokenFault> {
    if token.len() > TOKEN_BYTES {
        return Err(TokenFault::Malformed);
    }
    let token = token.trim_ascii();
    let mut parts = token.split(|&b| b == b'.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenFault::Malformed);
    };
    let decode = |part: &[u8]| BASE64.decode(part).map_err(|_| TokenFault::Malformed);
    let head: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
    if head.alg != "HS256" || head.crit.is_some() {
        return Err(TokenFault::Malformed);
    }
    let signed = token.get(..header.len() + 1 + payload.len()).ok_or(TokenFault::Malformed)?;
    match ring.verify(&head.kid, signed, &decode(signature)?) {
        None => return Err(TokenFault::UnknownKey),
        Some(false) => return Err(TokenFault::Signature),
        Some(true) => {}
    }
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| TokenFault::Malformed)?;
    if claims.aud != audience {
        return Err(TokenFault::Audience);
    }
    if claims.exp <= now {
        return Err(TokenFault::Expired);
    }
    if claims.exp - now > TOKEN_SECONDS {
        return Err(TokenFault::TooLong);
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims { aud: "shop".to_owned(), variant: "canary".to_owned(), exp: NOW + 60, route: None }
    }

    fn check(token: &str, expect: Result<Claims, TokenFault>) {
        let ring = Ring::new([("k1", SECRET)]);
        assert_eq!(verify(token.as_bytes(), &ring, "shop", NOW), expect, "{token}");
    }

    fn made(change: impl Fn(&mut Claims)) -> String {
        let mut claims = claims();
        change(&mut claims);
        sign(&claims, &Ring::new([("k1", SECRET)]), "k1").unwrap()
    }

    #[test]
    fn a_signed_token_is_believed_until_it_ends() {
        check(&made(|_| ()), Ok(claims()));
        check(&made(|c| c.exp = NOW), Err(TokenFault::Expired));
        check(&made(|c| c.exp = NOW + TOKEN_SECONDS), Ok(Claims { exp: NOW + TOKEN_SECONDS, ..claims() }));
        check(&made(|c| c.exp = NOW + TOKEN_SECONDS + 1), Err(TokenFault::TooLong));
        check(&made(|c| c.exp = u64::MAX), Err(TokenFault::TooLong));
        check(&made(|c| c.aud = "other".to_owned()), Err(TokenFault::Audience));
    }

    #[test]
    fn a_token_that_was_touched_is_not_believed() {
        let good = made(|_| ());
        let parts: Vec<&str> = good.split('.').collect();
        let other = BASE64.encode(r#"{"aud":"shop","variant":"stable","exp":1800000060}"#);
        check(&format!("{}.{other}.{}", parts[0], parts[2]), Err(TokenFault::Signature));
        check(&format!("{}.{}.{}", parts[0], parts[1], BASE64.encode([0; 32])), Err(TokenFault::Signature));
        check(&format!("{}.{}.", parts[0], parts[1]), Err(TokenFault::Signature));
        check(&format!("{}.{}", parts[0], parts[1]), Err(TokenFault::Malformed));
        check(&format!("{good}.x"), Err(TokenFault::Malformed));
        check("", Err(TokenFault::Malformed));
        let head = |json: &str| format!("{}.{}.{}", BASE64.encode(json), parts[1], parts[2]);
        check(&head(r#"{"alg":"none","kid":"k1"}"#), Err(TokenFault::Malformed));
        check(&head(r#"{"alg":"HS512","kid":"k1"}"#), Err(TokenFault::Malformed));
        check(&head(r#"{"alg":"HS256"}"#), Err(TokenFault::Malformed));
        check(&head(r#"{"alg":"HS256","kid":"k1","crit":["exp"]}"#), Err(TokenFault::Malformed));
        check(&head(r#"{"alg":"HS256","kid":"k9"}"#), Err(TokenFault::UnknownKey));
    }

    #[test]
    fn a_short_secret_is_no_key() {
        assert_eq!(sign(&claims(), &Ring::new([("k1", &SECRET[..31])]), "k1"), None);
    }
}
