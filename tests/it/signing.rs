//! Tokens and signed decisions, made here from their definition.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// A key that is long enough.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Another one.
pub(crate) const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn mac(key: &str, bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(bytes);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// A JWS with these claims.
pub(crate) fn jws(key: &str, kid: &str, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": kid}).to_string());
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{text}.{}", mac(key, text.as_bytes()))
}

/// An override token that is valid for a minute.
pub(crate) fn token(variant: &str) -> String {
    jws(KEY, "k1", &json!({"aud": "model", "variant": variant, "exp": now() + 60}))
}

/// A signed decision that is valid for a minute.
pub(crate) fn decision(key: &str, kid: &str, audience: &str, route: &str, variant: &str) -> String {
    let expiry = now() + 60;
    let text = format!("decision\0{audience}\0{route}\0{variant}\0{expiry}");
    format!("{route}={variant};e={expiry};k={kid};s={}", mac(key, text.as_bytes()))
}
