//! Query parameters of a path: `name=value` pairs after `?`, percent-decoded.
//!
//! A `+` stays a `+`: whether it means a space is a form's matter (WHATWG URL, section 5), and keys such as mail addresses
//! carry it as it is.

use std::borrow::Cow;

/// The path without its query.
pub fn path_of(path: &[u8]) -> &[u8] {
    path.split(|&b| b == b'?').next().unwrap_or_default()
}

/// The value of the first parameter named `name`, percent-decoded; one without `=` is empty.
pub fn find<'p>(path: &'p [u8], name: &str) -> Option<Cow<'p, [u8]>> {
    let start = path.iter().position(|&b| b == b'?')? + 1;
    let query = path.get(start..)?;
    let query = query.split(|&b| b == b'#').next().unwrap_or_default();
    query.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).find_map(|piece| {
        let mut parts = piece.splitn(2, |&b| b == b'=');
        let key = decode(parts.next().unwrap_or_default());
        (*key == *name.as_bytes()).then(|| decode(parts.next().unwrap_or_default()))
    })
}

/// Percent-decodes (RFC 3986, section 2.1); what is no `%` and two hexadecimal digits stays as it is.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = match tail {
            [high, low, after @ ..] if first == b'%' => hex(*high).zip(hex(*low)).map(|(h, l)| (h << 4 | l, after)),
            _ => None,
        };
        let (byte, after) = byte.unwrap_or((first, tail));
        out.push(byte);
        rest = after;
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    fn check(path: &str, expect: Option<&[u8]>) {
        assert_eq!(super::find(path.as_bytes(), "u").as_deref(), expect, "{path}");
    }

    #[test]
    fn the_first_parameter_of_a_name_counts_decoded() {
        check("/p?u=7", Some(b"7"));
        check("/p?a=1&u=7&u=8", Some(b"7"));
        check("/p?%75=a%40b+c", Some(b"a@b+c"));
        check("/p?u", Some(b""));
        check("/p?u=%ff%", Some(b"\xff%"));
        check("/p?u=%zz%4", Some(b"%zz%4"));
        check("/p?u=1#u=2", Some(b"1"));
        check("/p?a=?u=7", None);
        check("/u=7", None);
        check("", None);
        check("?&&u=7", Some(b"7"));
        assert_eq!(super::path_of(b"/a?b?c"), b"/a");
    }
}
