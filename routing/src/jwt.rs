//! JWT claims as keys: those that Envoy's `jwt_authn` left in its metadata, and those of a payload nobody verified.
//!
//! This module verifies nothing. An unverified payload may serve as a hash key and as nothing else; `compile` knows no
//! place in a configuration where it could.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Bytes of a header's token beyond which it is not looked at.
const TOKEN_BYTES: usize = 16 << 10;

/// The claim at `path` in the payload of the token in a header's value, with or without `Bearer `. A `number` is read
/// as its shortest decimal form. `None` when there is no such claim, or it is of the other type, or empty.
pub fn unverified(header: &[u8], path: &[String], number: bool) -> Option<Vec<u8>> {
    if header.len() > TOKEN_BYTES {
        return None;
    }
    let token = header.trim_ascii();
    let token = match token.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"bearer ") => token.get(7..)?.trim_ascii_start(),
        _ => token,
    };
    let mut parts = token.split(|&b| b == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let claim = path.iter().try_fold(&claims, |value, key| value.as_object()?.get(key))?;
    let text = if number { decimal(claim.as_f64()?)? } else { claim.as_str()?.to_owned() };
    (!text.is_empty()).then(|| text.into_bytes())
}

/// A claim as Envoy's property gives it: text is its bytes, a number is a little-endian double.
pub fn from_property(value: Vec<u8>, number: bool) -> Option<Vec<u8>> {
    if number {
        let bytes: [u8; 8] = value.try_into().ok()?;
        return decimal(f64::from_le_bytes(bytes)).map(String::into_bytes);
    }
    (!value.is_empty()).then_some(value)
}

/// The shortest decimal form that reads back as the same number: `42`, `0.1`; beyond 2^53 as JSON writes it, `1e+21`.
fn decimal(number: f64) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and the way back tells")]
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared below 2^53 alone")]
    if whole.unsigned_abs() < 1 << 53 && whole as f64 == number {
        return Some(whole.to_string());
    }
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    fn check(header: &str, path: &[&str], number: bool, expect: Option<&str>) {
        let path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
        let got = unverified(header.as_bytes(), &path, number);
        assert_eq!(got.as_deref(), expect.map(str::as_bytes), "{header}");
    }

    #[test]
    fn a_claim_is_read_by_path_and_type() {
        let t = token(r#"{"sub":"alice","id":42,"big":1e21,"empty":"","in":{"er":"x"},"list":["a"]}"#);
        check(&t, &["sub"], false, Some("alice"));
        check(&format!("Bearer {t}"), &["sub"], false, Some("alice"));
        check(&format!("bEARER  {t}"), &["in", "er"], false, Some("x"));
        check(&t, &["id"], true, Some("42"));
        check(&t, &["big"], true, Some("1e+21"));
        check(&t, &["id"], false, None);
        check(&t, &["sub"], true, None);
        check(&t, &["empty"], false, None);
        check(&t, &["list", "0"], false, None);
        check(&t, &["none"], false, None);
        check("a.b", &["sub"], false, None);
        check("a.!!!.c", &["sub"], false, None);
        check(&token("{"), &["sub"], false, None);
        check(&token(&"[".repeat(9_000)), &["sub"], false, None);
    }

    #[test]
    fn properties_are_raw_text_or_little_endian_doubles() {
        assert_eq!(from_property(b"al\xff".to_vec(), false).as_deref(), Some(&b"al\xff"[..]));
        assert_eq!(from_property(7.5f64.to_le_bytes().to_vec(), true).as_deref(), Some(&b"7.5"[..]));
        assert_eq!(from_property((-0.0f64).to_le_bytes().to_vec(), true).as_deref(), Some(&b"0"[..]));
        assert_eq!(from_property(f64::NAN.to_le_bytes().to_vec(), true), None);
        assert_eq!(from_property(b"7".to_vec(), true), None);
        assert_eq!(from_property(Vec::new(), false), None);
    }
}
