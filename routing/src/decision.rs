//! What a decision is made of.

use std::borrow::Cow;

/// All that a shell does with one request, as data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome<'t> {
    /// `None`: no route matched (or the configuration could not be read and its kill switch is on).
    pub decision: Option<Decision>,
    /// Changes to the request's headers, in order. Removals of forged headers are here also when no route matched.
    pub headers: Vec<HeaderOp<'t>>,
    /// Filter state to set, as (key without the `wasm.` that Envoy adds, value).
    pub state: Vec<(&'t str, &'t str)>,
    /// Whether the router must choose its route anew: filter state was set (a changed header does so by itself).
    pub clear_route_cache: bool,
    /// What is to be counted beside the decision.
    pub events: Vec<Event<'t>>,
    /// Goals that the request reaches if its answer fits: see [`crate::RoutingTable::reached`].
    pub credits: Vec<crate::Credit>,
}

/// Who gets what, and why. The numbers index the route's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Index of the route in the configuration.
    pub route: usize,
    /// Index of the variant in the route.
    pub variant: usize,
    /// Why.
    pub reason: Reason,
    /// Whether the hash of a key decided.
    pub assigned: Assigned,
    /// Segment: 0 is none (`default`), `n` is `segments[n - 1]`. Looked at only where its weights decide (reasons `exclude`,
    /// `hash`, `issued`, `random`).
    pub segment: usize,
    /// Replicate bucket of the key, 0 to 31; only of hash-assigned requests, and only when the configuration counts any.
    pub replicate: Option<u8>,
    /// Whether Envoy sends a copy.
    pub copy: Copy,
    /// The cookie to set on the response.
    pub cookie: Option<IssuedCookie>,
    /// Whether the filter sends a copy and compares its answer.
    #[cfg(feature = "shadow")]
    pub shadow: Option<crate::Sampled>,
    /// Whether the route's predictions are read from it; then its replicate bucket is known.
    #[cfg(feature = "shadow")]
    pub predicted: bool,
}

/// Why a request got its variant. The label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A kill switch is on.
    Kill,
    /// An override.
    Override,
    /// A signed decision of an earlier hop.
    Inbound,
    /// An include list.
    Include,
    /// The key is on an exclude list of a variant with a weight: the hash over the other variants. Such keys are not
    /// judged whichever way they fell.
    Exclude,
    /// The hash of the key, with the weights of a segment or of the route.
    Hash,
    /// The hash of a key that is being issued with this request.
    Issued,
    /// No key, decided at random.
    Random,
    /// No key, the stable variant.
    NoKey,
    /// Something went wrong (no randomness, no variant left): the stable variant.
    Fallback,
}

/// The label `assigned`: only what a hash assigned is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assigned {
    /// By the hash of a key and the weights: reasons `hash` and `issued`.
    Hash,
    /// By anything else.
    Forced,
}

/// Whether a copy is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Copy {
    /// The route has no mirror, a kill is on, or the request is not in the share.
    None,
    /// Envoy sends one.
    Sent,
    /// The request is in the share, but is not copied.
    Refused(CopyRefusal),
}

/// Why a request in the share of a mirror or a shadow is not copied. The label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CopyRefusal {
    /// It is a copy itself.
    Marked,
    /// It is an upgrade (WebSocket) or CONNECT.
    Upgrade,
    /// Its `content-length` is above the limit.
    TooLarge,
    /// The length of its body is not known.
    UnknownLength,
    /// Its method is none of those that are copied.
    Method,
}

/// A change to the request's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderOp<'t> {
    /// Remove every value.
    Remove(&'t str),
    /// Replace every value by this one.
    Set(&'t str, Cow<'t, str>),
    /// As `Set`, with bytes that need not be UTF-8 (a `cookie` header from which a token was cut).
    SetBytes(&'t str, Vec<u8>),
}

/// Something to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'t> {
    /// A client sent a header that is the filter's own; it was removed. Label `header`.
    Forged(&'t str),
    /// A token or signed decision was there and not believed.
    BadToken(TokenFault),
}

/// Why a token is not believed. The label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenFault {
    /// Not three base64url parts of JSON, or a wrong `alg`.
    Malformed,
    /// No key of that id is configured, or its environment variable is unset or too short.
    UnknownKey,
    /// The signature does not fit.
    Signature,
    /// For another audience.
    Audience,
    /// Expired.
    Expired,
    /// Expires more than 24 hours (a decision: two minutes) ahead.
    TooLong,
    /// For a variant or route that is not here.
    Variant,
}

/// A cookie to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCookie {
    /// The whole value of `set-cookie`.
    pub set_cookie: String,
    /// Whether a response that says nothing of caching is made `private` (else no cookie is set on it).
    pub make_private: bool,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Kill,
        Self::Override,
        Self::Inbound,
        Self::Include,
        Self::Exclude,
        Self::Hash,
        Self::Issued,
        Self::Random,
        Self::NoKey,
        Self::Fallback,
    ];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Override => "override",
            Self::Inbound => "inbound",
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Hash => "hash",
            Self::Issued => "issued",
            Self::Random => "random",
            Self::NoKey => "no_key",
            Self::Fallback => "fallback",
        }
    }
}

impl Assigned {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Forced => "forced",
        }
    }
}

impl CopyRefusal {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Upgrade => "upgrade",
            Self::TooLarge => "too_large",
            Self::UnknownLength => "unknown_length",
            Self::Method => "method",
        }
    }
}

impl TokenFault {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::TooLong => "too_long",
            Self::Variant => "variant",
        }
    }
}
