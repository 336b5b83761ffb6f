//! The cookie that a response carries to a client that had no key.

use headgate_routing::IssuedCookie;
use proxy_wasm::types::MapType;

use crate::cache::{Storable, storable};
use crate::counters;
use crate::headers::HeaderMap;
use crate::host;

/// Sets the cookie on this response if no shared cache may store it: see the module `cache`.
pub(crate) fn issue(cookie: &IssuedCookie) {
    let Some(bytes) = host::headers(MapType::HttpResponseHeaders) else {
        counters::error("response_headers");
        return;
    };
    let response = HeaderMap::new(bytes);
    let result = match storable(response.pairs()) {
        Storable::No => host::add_header(MapType::HttpResponseHeaders, "set-cookie", cookie.set_cookie.as_bytes()),
        // `private` first: if that fails, no cookie is set.
        Storable::Unsaid if cookie.make_private => {
            host::set_header(MapType::HttpResponseHeaders, "cache-control", b"private").and_then(|()| {
                host::add_header(MapType::HttpResponseHeaders, "set-cookie", cookie.set_cookie.as_bytes())
            })
        }
        Storable::Unsaid | Storable::Yes => return,
    };
    if result.is_err() {
        counters::error("cookie");
    }
}
