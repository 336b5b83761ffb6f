//! A request as `decide` sees it, over host calls.

use core::cell::{Cell, OnceCell};
use std::borrow::Cow;

use headgate_routing::View;
use proxy_wasm::types::MapType;

use crate::headers::HeaderMap;
use crate::host;
use crate::plan::{MANY, SINGLE_READS};

/// The headers of the request that is being decided, read one by one or as a whole, whichever costs less.
pub(crate) struct Request {
    whole: OnceCell<HeaderMap>,
    /// How many reads of headers that are there are left before the whole map is fetched.
    singles: Cell<usize>,
    ends: bool,
}

impl Request {
    /// `prefers_map` is the table's wish, `count` the number of the request's headers; it `ends` with them, or has a body.
    pub(crate) fn new(prefers_map: bool, count: usize, ends: bool) -> Self {
        let singles = match (count > MANY, prefers_map) {
            (true, _) => usize::MAX,
            (false, true) => 0,
            (false, false) => SINGLE_READS,
        };
        Self { whole: OnceCell::new(), singles: Cell::new(singles), ends }
    }

    /// Whether the request speaks gRPC. Only then does it carry `te: trailers`, which few others do.
    pub(crate) fn is_grpc(&self) -> bool {
        self.header("te").is_some()
            && self.header("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"))
    }

    /// The whole map if it was read, as it was before anything was changed.
    #[cfg(feature = "shadow")]
    pub(crate) fn read(&self) -> Option<&HeaderMap> {
        self.whole.get()
    }

    fn whole(&self) -> &HeaderMap {
        self.whole.get_or_init(|| HeaderMap::new(host::headers(MapType::HttpRequestHeaders).unwrap_or_default()))
    }

    /// All cookies, by one call. As a property Envoy joins the header's lines by a comma, which a cookie's value may have
    /// too: only then is the map read, to tell the one from the other.
    fn cookies(&self) -> Option<Cow<'_, [u8]>> {
        let joined = host::property("request\0headers\0cookie")?;
        if joined.contains(&b',') { self.whole().cookies() } else { Some(Cow::Owned(joined)) }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(map) = self.whole.take() {
            host::keep(map.into_bytes());
        }
    }
}

impl View for Request {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match self.singles.get() {
            0 if name == "cookie" => self.whole().cookies(),
            0 => self.whole().first(name).map(Cow::Borrowed),
            _ if name == "cookie" => self.cookies(),
            left => {
                let value = host::header(MapType::HttpRequestHeaders, name)?;
                self.singles.set(left - 1);
                Some(Cow::Owned(value))
            }
        }
    }

    fn keeps_headers(&self) -> bool {
        self.singles.get() == 0
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        host::property(&path.join("\0"))
    }

    /// Told where the whole map is read.
    fn may_have_underscores(&self, lengths: u64) -> bool {
        self.singles.get() != 0 || self.whole().has_underscore(lengths)
    }

    #[cfg(feature = "shadow")]
    fn all_are_wanted(&self) -> bool {
        // Of a request with very many headers, one is left to ask for each.
        if self.singles.get() != usize::MAX {
            self.singles.set(0);
        }
        self.singles.get() == 0
    }

    fn ends_with_headers(&self) -> bool {
        self.ends
    }
}
