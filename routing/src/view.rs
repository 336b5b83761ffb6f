//! What a decision may look at.

use std::borrow::Cow;

use crate::Keyring;

/// A request as a decision sees it. Every call may cost a host call, so `decide` asks for nothing that the request's
/// route does not use, and for nothing twice.
pub trait View {
    /// First value of a header, pseudo-headers (`:path`, `:authority`, `:method`) included; of `cookie` all values, joined
    /// by `; `. `name` is lower case.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Whether headers are in memory, so that asking again costs next to nothing.
    fn keeps_headers(&self) -> bool {
        false
    }

    /// A property of Envoy's (the `metadata` of `jwt_authn`, `source.address`), as bytes.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;

    /// Whether a header may be there whose name has an underscore, among names of certain lengths: of a name of `n` bytes if bit `n % 64`
    /// of `lengths` is set. Who cannot tell without asking says that it may.
    fn may_have_underscores(&self, lengths: u64) -> bool {
        let _ = lengths;
        true
    }

    /// Told when every header may be asked for, because the request is going to be copied. Whether asking is free from now on: a shell
    /// that can reads them all at once.
    fn all_are_wanted(&self) -> bool {
        false
    }

    /// Whether the request ends with its headers: it has no body (Envoy's `end_of_stream`).
    fn ends_with_headers(&self) -> bool;
}

/// What comes from outside of a request. Each closure is called only when the decision needs it.
pub struct Env<'a> {
    /// Unix time in seconds.
    pub now: &'a dyn Fn() -> u64,
    /// 128 random bits; `None` when the system has none, which makes the request stable.
    pub random: &'a dyn Fn() -> Option<u128>,
    /// The HMAC keys that this process could load.
    pub keyring: &'a Keyring,
    /// Where every rule passed on the way is written, for `headgate explain`; `None` in a proxy. Heeded with the feature `trace` alone.
    pub trace: Option<&'a dyn Trace>,
}

impl<'a> Env<'a> {
    /// Who listens. Without the feature nobody does, which the compiler knows.
    #[inline]
    pub(crate) fn listener(&self) -> Option<&'a dyn Trace> {
        if cfg!(feature = "trace") { self.trace } else { None }
    }
}

/// Takes the rules that a decision passes, in order.
pub trait Trace {
    /// `rule` is where in the configuration (`routes[0].overrides[1]`), `result` what came of it, in words.
    fn step(&self, rule: &str, result: &str);
}
