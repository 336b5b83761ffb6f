//! The `cookie` header (RFC 6265, section 4.2): reading one cookie, and cutting one out.
//!
//! Pairs are split at `;` as browsers' servers do it; a `;` inside quotes is not part of a value. This module does not
//! decode values.

/// The value of the first cookie named `name`, without the quotes around it.
pub fn find<'h>(header: &'h [u8], name: &str) -> Option<&'h [u8]> {
    pairs(header).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| unquote(value))
}

/// The header without any cookie named `name`; `None` when there is none to cut. Empty when nothing else is there.
pub fn without(header: &[u8], name: &str) -> Option<Vec<u8>> {
    if !pairs(header).any(|(key, _)| key == name.as_bytes()) {
        return None;
    }
    let mut kept = Vec::with_capacity(header.len());
    for piece in header.split(|&b| b == b';').map(<[u8]>::trim_ascii) {
        if piece.is_empty() || pair(piece).0 == name.as_bytes() {
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(piece);
    }
    Some(kept)
}

/// Whether `name` may name a cookie: RFC 9110's token.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|&b| b == b';').map(|piece| pair(piece.trim_ascii()))
}

/// A piece without `=` is a nameless cookie (RFC 6265bis): it never answers to a name.
fn pair(piece: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = piece.splitn(2, |&b| b == b'=');
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(value) => (first.trim_ascii_end(), value.trim_ascii_start()),
        None => (b"", first),
    }
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    fn check(header: &str, expect: Option<&str>) {
        assert_eq!(super::find(header.as_bytes(), "sid"), expect.map(str::as_bytes), "{header}");
    }

    #[test]
    fn a_cookie_is_found_in_any_position_quoted_or_doubled() {
        check("sid=7", Some("7"));
        check("a=1; sid=7; b=2", Some("7"));
        check("a=1;sid=\"7\"", Some("7"));
        check("sid=1; sid=2", Some("1"));
        check("  sid = 7 ", Some("7"));
        check("sid=a=b", Some("a=b"));
        check("sid=", Some(""));
        check("sid=\"", Some("\""));
        check("xsid=7; sidx=8; SID=9; sid", None);
        check("", None);
        check(";;;=;", None);
    }

    #[test]
    fn a_cookie_is_cut_out_everywhere() {
        let cut = |header: &str| super::without(header.as_bytes(), "t").map(|h| String::from_utf8(h).unwrap());
        assert_eq!(cut("a=1; b=2"), None);
        assert_eq!(cut("t=1").as_deref(), Some(""));
        assert_eq!(cut("t=1; a=1; t=2;b=\"2\";t=").as_deref(), Some("a=1; b=\"2\""));
    }
}
