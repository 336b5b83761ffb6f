//! Names that appear in metrics, headers and hashes.

use crate::limits::NAME_BYTES;

/// Whether `name` may name a stage, route, variant, segment or key: 1 to 100 of `A-Z a-z 0-9 _ - .`, starting with a
/// letter or digit. It then needs no escaping in a metric's name, a header's value or a hash's input.
///
/// # Errors
/// The reason, ready for a [`crate::Problem`].
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("a name has 1 to {NAME_BYTES} characters, this one has {}", name.len()));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!("`{name}` must start with a letter or a digit"));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
        Some(c) => Err(format!("`{name}` has {c:?}; a name is made of letters, digits, `_`, `-` and `.`")),
        None => Ok(()),
    }
}

/// Whether `name` may name a header: RFC 9110's token, in lower case, no pseudo-header.
///
/// # Errors
/// The reason, ready for a [`crate::Problem`].
pub fn check_header_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("a header's name has 1 to {NAME_BYTES} characters, this one has {}", name.len()));
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("write `{}`: header names are lower case here", name.to_ascii_lowercase()));
    }
    match name.bytes().find(|b| !(b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))) {
        Some(b) => Err(format!("`{name}` has {:?}, which no header's name may have", char::from(b))),
        None => Ok(()),
    }
}
