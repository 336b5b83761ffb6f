//! May a cookie be set on this response? (RFC 9111)
//!
//! A shared cache that stores a response with an issued cookie hands one user's key to everybody behind it. A response
//! that says `private` or `no-store` is stored by none (RFC 9111, section 5.2.2); any other that says something about
//! caching is left as it is and gets no cookie; one that says nothing may be stored by heuristics (section 4.2.2), so it
//! gets the cookie together with `private`, if the configuration wants that. Contradictions count against the cookie.
//!
//! It does not decide whether a response could be stored by its method or status: what a cache believes it may do is
//! not always what it should, and the question here is what happens when it errs.

/// What the response headers say about caching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storable {
    /// By no shared cache.
    No,
    /// By a shared cache, or so it may be read.
    Yes,
    /// Nothing is said.
    Unsaid,
}

/// Whether a field is heeded by some caches instead of `cache-control`: a targeted field, by convention named
/// `<target>-cache-control` (RFC 9213, section 2.1), or the older `surrogate-control`.
fn is_targeted(name: &[u8]) -> bool {
    name.ends_with(b"-cache-control") || name == b"surrogate-control"
}

/// Reads the response's headers, as (name in lower case, value).
pub(crate) fn storable<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Storable {
    let (mut forbidden, mut allowed, mut said, mut targeted) = (false, false, false, false);
    for (name, value) in headers {
        if name == b"cache-control" {
            said = true;
            for directive in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                // `private="x-header"` limits that header alone, so only the bare forms count.
                forbidden |= [&b"no-store"[..], b"private"].iter().any(|d| directive.eq_ignore_ascii_case(d));
                let word = directive.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
                allowed |= [&b"public"[..], b"s-maxage"].iter().any(|d| word.eq_ignore_ascii_case(d));
            }
        } else if name == b"expires" || name == b"pragma" {
            said = true;
        } else if is_targeted(name) {
            targeted = true;
        } else if name == b":status" && value == b"304" {
            // Its headers are merged into a response that a cache has already stored (section 3.2).
            targeted = true;
        }
    }
    match (targeted || allowed, forbidden, said) {
        (true, ..) => Storable::Yes,
        (false, true, _) => Storable::No,
        (false, false, true) => Storable::Yes,
        (false, false, false) => Storable::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)], expect: Storable) {
        let seen = storable(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        assert_eq!(seen, expect, "{headers:?}");
    }

    #[test]
    fn private_and_no_store_forbid_in_any_case_and_line() {
        check(&[("cache-control", "private")], Storable::No);
        check(&[("cache-control", "max-age=60 , PRIVATE")], Storable::No);
        check(&[("cache-control", "max-age=0"), ("cache-control", "No-Store")], Storable::No);
        check(&[("cache-control", "no-store"), ("expires", "0"), ("pragma", "no-cache")], Storable::No);
    }

    #[test]
    fn whatever_else_is_said_leaves_the_response_to_shared_caches() {
        for value in ["public", "max-age=60", "no-cache", "s-maxage=1", "must-revalidate", "", "private=\"set-cookie\""]
        {
            check(&[("cache-control", value)], Storable::Yes);
        }
        check(&[("expires", "Thu, 01 Dec 1994 16:00:00 GMT")], Storable::Yes);
        check(&[("pragma", "no-cache")], Storable::Yes);
    }

    #[test]
    fn contradictions_and_fields_for_other_caches_count_against_the_cookie() {
        check(&[("cache-control", "private, public")], Storable::Yes);
        check(&[("cache-control", "private"), ("cache-control", "s-maxage=5")], Storable::Yes);
        check(&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")], Storable::Yes);
        check(&[(":status", "304"), ("cache-control", "private")], Storable::Yes);
    }

    #[test]
    fn silence_is_neither() {
        check(&[], Storable::Unsaid);
        check(&[(":status", "200"), ("content-type", "text/html"), ("set-cookie", "a=b")], Storable::Unsaid);
    }
}
