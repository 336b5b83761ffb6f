//! What one decision has read of its request: every header and property is asked for at most once.
//!
//! In a proxy each question is a host call of 0.1 to 0.6 us, so the answers are kept: the first few in memory that is enough for
//! most requests, and some more in memory that is asked for then. A decision that needs more than fit there asks
//! again; it is never wrong, only slower.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::{View, cookie, host, query};

/// Headers kept at first.
const FEW: usize = 4;
/// Headers kept beyond them.
const MORE: usize = 10;
/// Properties kept.
const PROPERTIES: usize = 4;
/// Longest property path: three parts of Envoy's, the provider, the claim's path.
pub(crate) const PROPERTY_PATH: usize = 12;

type Kept<'t, 'v> = OnceCell<(&'t str, Option<Cow<'v, [u8]>>)>;

type KeptProperty<'t> = OnceCell<(&'t [String], Option<Vec<u8>>)>;

/// A request, each part of which is read when it is first needed.
pub(crate) struct Reads<'t, 'v> {
    view: &'v dyn View,
    /// Whether asking costs no call, so that no answer is kept.
    whole: Cell<bool>,
    headers: OnceCell<Box<[Kept<'t, 'v>; FEW]>>,
    more: OnceCell<Box<[Kept<'t, 'v>; MORE]>>,
    properties: OnceCell<Box<[KeptProperty<'t>; PROPERTIES]>>,
}

impl<'t, 'v> Reads<'t, 'v> {
    pub(crate) fn new(view: &'v dyn View) -> Self {
        Self {
            view,
            whole: Cell::new(view.keeps_headers()),
            headers: OnceCell::new(),
            more: OnceCell::new(),
            properties: OnceCell::new(),
        }
    }

    /// What follows asks for most headers, and so does who copies the request.
    #[cfg(feature = "shadow")]
    pub(crate) fn whole(&self) {
        self.whole.set(self.view.all_are_wanted());
    }

    pub(crate) fn header<'s>(&'s self, name: &'t str) -> Option<Cow<'s, [u8]>> {
        // Lines of cookies may have to be joined: that is kept.
        if self.whole.get() && name != "cookie" {
            return self.view.header(name);
        }
        self.remembered(name)
    }

    #[inline(never)]
    fn remembered<'s>(&'s self, name: &'t str) -> Option<Cow<'s, [u8]>> {
        for cell in self.headers.get_or_init(|| Box::new([const { OnceCell::new() }; FEW])).iter() {
            if let Some(value) = self.kept(cell, name) {
                return value;
            }
        }
        for cell in self.more.get_or_init(|| Box::new([const { OnceCell::new() }; MORE])).iter() {
            if let Some(value) = self.kept(cell, name) {
                return value;
            }
        }
        self.view.header(name)
    }

    /// The answer if this cell keeps it, or from now on does; `None` when it keeps another's.
    #[inline]
    #[expect(clippy::option_option, reason = "whether there is an answer, and the answer")]
    fn kept<'s>(&'s self, cell: &'s Kept<'t, 'v>, name: &'t str) -> Option<Option<Cow<'s, [u8]>>> {
        let (kept, value) = cell.get_or_init(|| (name, self.view.header(name)));
        // Names that are alike are mostly one (`Checks::share`).
        let same = core::ptr::eq(*kept, name) || *kept == name;
        same.then(|| value.as_deref().map(Cow::Borrowed))
    }

    /// Whether a header is there that nothing else of a decision reads: its answer is not kept.
    pub(crate) fn peek(&self, name: &str) -> bool {
        self.view.header(name).is_some()
    }

    pub(crate) fn has(&self, name: &'t str) -> bool {
        self.header(name).is_some()
    }

    pub(crate) fn property<'s>(&'s self, path: &'t [String]) -> Option<Cow<'s, [u8]>> {
        for cell in self.properties.get_or_init(|| Box::new([const { OnceCell::new() }; PROPERTIES])).iter() {
            let (kept, value) = cell.get_or_init(|| (path, self.ask(path)));
            if *kept == path {
                return value.as_deref().map(Cow::Borrowed);
            }
        }
        self.ask(path).map(Cow::Owned)
    }

    fn ask(&self, path: &[String]) -> Option<Vec<u8>> {
        let mut parts = [""; PROPERTY_PATH];
        for (part, name) in parts.iter_mut().zip(path) {
            *part = name;
        }
        self.view.property(parts.get(..path.len())?)
    }

    /// The host, lower case, without port.
    pub(crate) fn host(&self) -> Option<Cow<'_, [u8]>> {
        Some(match self.header(":authority")? {
            Cow::Borrowed(authority) => host::normal(authority),
            Cow::Owned(authority) => Cow::Owned(host::normal(&authority).into_owned()),
        })
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        part(self.header("cookie")?, |header| cookie::find(header, name).map(Cow::Borrowed))
    }

    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        part(self.header(":path")?, |path| query::find(path, name))
    }

    pub(crate) fn may_have_underscores(&self, lengths: u64) -> bool {
        self.view.may_have_underscores(lengths)
    }

    pub(crate) fn ends_with_headers(&self) -> bool {
        self.view.ends_with_headers()
    }
}

/// A part of a value, borrowed when the value is.
fn part(value: Cow<'_, [u8]>, find: impl for<'a> Fn(&'a [u8]) -> Option<Cow<'a, [u8]>>) -> Option<Cow<'_, [u8]>> {
    match value {
        Cow::Borrowed(value) => find(value),
        Cow::Owned(value) => find(&value).map(|found| Cow::Owned(found.into_owned())),
    }
}
