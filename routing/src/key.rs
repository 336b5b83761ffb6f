//! What identifies a user: the sources of a key in order, and what happens without one.

use std::borrow::Cow;
use std::sync::Arc;

use headgate_contract::limits::KEY_SOURCES;
use headgate_contract::{Absent, ClaimSource, ClaimType, ClientAddress, CookieIssue, KeyPolicy, KeySource, SameSite};

use crate::checks::Checks;
use crate::cookie::is_name;
use crate::reads::{PROPERTY_PATH, Reads};
use crate::{address, jwt};

/// Longest `Max-Age` that browsers keep: 400 days (RFC 6265bis, section 5.5).
const MAX_AGE: u32 = 34_560_000;

#[derive(Debug)]
enum Source {
    Header(Arc<str>),
    Cookie(Arc<str>),
    Query(Arc<str>),
    Claim { path: Vec<String>, number: bool },
    Unverified { header: Arc<str>, path: Vec<String>, number: bool },
    Address { path: Vec<String>, hops: u32, prefix_v4: u8, prefix_v6: u8 },
}

/// A route's key policy, ready.
#[derive(Debug)]
pub(crate) struct Keys {
    sources: Vec<Source>,
    pub(crate) absent: Absent,
    issue: Issue,
}

/// A cookie in two parts, between which its value goes.
#[derive(Debug, Default)]
struct Issue {
    name: String,
    attributes: String,
    make_private: bool,
}

impl Keys {
    pub(crate) fn compile(of: &KeyPolicy, client: &ClientAddress, path: &str, checks: &mut Checks) -> Self {
        checks.at_most(&format!("{path}.sources"), "key sources", of.sources.len(), KEY_SOURCES);
        if of.sources.is_empty() && of.absent == Absent::Stable {
            checks.push(format!("{path}.sources"), "names no source, so nobody would ever have a key: add one");
        }
        let mut sources: Vec<Source> = Vec::with_capacity(of.sources.len() + 1);
        for (i, source) in of.sources.iter().enumerate() {
            sources.extend(compile_source(source, client, &format!("{path}.sources[{i}]"), checks));
        }
        let issuing = of.absent == Absent::IssueCookie;
        if of.cookie.is_some() && !issuing {
            checks.push(format!("{path}.cookie"), "is never issued: set `absent` to `issueCookie`, or leave it out");
        }
        let cookie = of.cookie.clone().unwrap_or_default();
        check_cookie(&cookie, &format!("{path}.cookie"), checks);
        if issuing && !of.sources.iter().any(|s| s.cookie.as_deref() == Some(&cookie.name)) {
            sources.push(Source::Cookie(checks.share(&cookie.name)));
        }
        Self { sources, absent: of.absent, issue: Issue::new(&cookie) }
    }

    /// The first value that is not empty.
    pub(crate) fn find<'s, 't>(&'t self, reads: &'s Reads<'t, '_>) -> Option<Cow<'s, [u8]>> {
        for source in &self.sources {
            let value = source.read(reads);
            if value.as_ref().is_some_and(|value| !value.is_empty()) {
                return value;
            }
        }
        None
    }

    /// The cookies that sources read.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match source {
            Source::Cookie(name) => Some(&**name),
            _ => None,
        })
    }

    /// The header that the first source reads.
    pub(crate) fn first_header(&self) -> Option<&str> {
        self.sources.first().and_then(Source::header)
    }

    /// The headers that sources read.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(Source::header)
    }

    /// Whether a request without a key is issued one.
    pub(crate) fn issues(&self) -> bool {
        self.absent == Absent::IssueCookie
    }

    /// The whole `set-cookie` for a value, and whether a response may be made private for it.
    pub(crate) fn issue(&self, value: &str) -> crate::IssuedCookie {
        let Issue { name, attributes, make_private } = &self.issue;
        crate::IssuedCookie { set_cookie: format!("{name}={value}{attributes}"), make_private: *make_private }
    }
}

impl Source {
    fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) | Self::Unverified { header: name, .. } => Some(name),
            Self::Cookie(_) => Some("cookie"),
            Self::Query(_) => Some(":path"),
            Self::Address { hops: 1.., .. } => Some("x-forwarded-for"),
            Self::Claim { .. } | Self::Address { .. } => None,
        }
    }

    fn read<'s, 't>(&'t self, reads: &'s Reads<'t, '_>) -> Option<Cow<'s, [u8]>> {
        match self {
            Self::Header(name) => reads.header(name),
            Self::Cookie(name) => reads.cookie(name),
            Self::Query(name) => reads.query(name),
            Self::Claim { path, number: false } => reads.property(path),
            Self::Claim { path, number: true } => {
                jwt::from_property(reads.property(path)?.into_owned(), true).map(Cow::Owned)
            }
            Self::Unverified { header, path, number } => {
                jwt::unverified(&reads.header(header)?, path, *number).map(Cow::Owned)
            }
            Self::Address { path, hops, prefix_v4, prefix_v6 } => {
                let connection = reads.property(path);
                let forwarded = (*hops > 0).then(|| reads.header("x-forwarded-for")).flatten();
                let ip = address::client(connection.as_deref(), forwarded.as_deref(), *hops)?;
                Some(Cow::Owned(address::network(ip, *prefix_v4, *prefix_v6).into_bytes()))
            }
        }
    }
}

fn compile_source(of: &KeySource, client: &ClientAddress, path: &str, checks: &mut Checks) -> Option<Source> {
    checks.exactly_one(
        path,
        &[
            ("header", of.header.is_some()),
            ("cookie", of.cookie.is_some()),
            ("query", of.query.is_some()),
            ("claim", of.claim.is_some()),
            ("clientAddress", of.client_address.is_some()),
        ],
    );
    if let Some(name) = &of.header {
        checks.read_header(&format!("{path}.header"), name);
        return Some(Source::Header(checks.share(name)));
    }
    if let Some(name) = &of.cookie {
        if !is_name(name) {
            checks.push(format!("{path}.cookie"), format!("`{name}` is no cookie's name (RFC 6265, section 4.1.1)"));
        }
        return Some(Source::Cookie(checks.share(name)));
    }
    if let Some(name) = &of.query {
        if name.is_empty() {
            checks.push(format!("{path}.query"), "a query parameter has a name");
        }
        return Some(Source::Query(checks.share(name)));
    }
    if let Some(claim) = &of.claim {
        return Some(compile_claim(claim, &format!("{path}.claim"), checks));
    }
    let address = of.client_address.as_ref()?;
    let bits = |bits: Option<u8>, most: u8, default: u8, name: &str, checks: &mut Checks| {
        let bits = bits.unwrap_or(default);
        if bits == 0 || bits > most {
            checks.push(format!("{path}.clientAddress.{name}"), format!("{bits} bits: an address has 1 to {most}"));
        }
        bits
    };
    Some(Source::Address {
        path: vec!["source".to_owned(), "address".to_owned()],
        hops: client.trusted_hops,
        prefix_v4: bits(address.prefix_v4, 32, 32, "prefixV4", checks),
        prefix_v6: bits(address.prefix_v6, 128, 64, "prefixV6", checks),
    })
}

fn compile_claim(claim: &ClaimSource, path: &str, checks: &mut Checks) -> Source {
    let number = claim.r#type == ClaimType::Number;
    match (&claim.provider, claim.unverified) {
        (Some(provider), false) => {
            if claim.header.is_some() {
                checks.push(
                    format!("{path}.header"),
                    "goes with `unverified` alone: a verified claim comes from `provider`",
                );
            }
            return Source::Claim { path: claim_path(provider, &claim.claim, path, checks), number };
        }
        (Some(_), true) => {
            checks.push(path, "has provider and unverified: a provider's claims are verified, keep one of them");
        }
        (None, false) => {
            checks.push(path, "needs `provider`, or says `\"unverified\": true` for a token that nobody verified");
        }
        (None, true) => {}
    }
    claim_path("-", &claim.claim, path, checks);
    let header = claim.header.clone().unwrap_or_else(|| "authorization".to_owned());
    checks.read_header(&format!("{path}.header"), &header);
    Source::Unverified { header: checks.share(&header), path: claim.claim.clone(), number }
}

/// The property that holds a verified claim.
pub(crate) fn claim_path(provider: &str, claim: &[String], path: &str, checks: &mut Checks) -> Vec<String> {
    if provider.is_empty() {
        checks.push(format!("{path}.provider"), "is empty: it is the provider's `payload_in_metadata` in Envoy");
    }
    if claim.is_empty() || claim.iter().any(|part| part.is_empty() || part.contains('\0')) {
        checks.push(format!("{path}.claim"), "needs the path to a claim, as `[\"sub\"]`, of parts that are not empty");
    }
    checks.at_most(&format!("{path}.claim"), "parts", claim.len(), PROPERTY_PATH - 4);
    let fixed = ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", provider].map(str::to_owned);
    fixed.into_iter().chain(claim.iter().cloned()).collect()
}

fn check_cookie(cookie: &CookieIssue, path: &str, checks: &mut Checks) {
    let visible = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';' && b != b',');
    if !is_name(&cookie.name) {
        checks.push(format!("{path}.name"), format!("`{}` is no cookie's name (RFC 6265, section 4.1.1)", cookie.name));
    }
    if !cookie.path.starts_with('/') || !visible(&cookie.path) {
        checks.push(format!("{path}.path"), format!("`{}` must start with `/` and have no `;`", cookie.path));
    }
    let host = |d: &str| d.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if let Some(domain) = cookie.domain.as_deref().filter(|d| d.is_empty() || !host(d)) {
        checks.push(format!("{path}.domain"), format!("`{domain}` is no domain: leave it out for this host alone"));
    }
    if cookie.max_age == 0 || cookie.max_age > MAX_AGE {
        checks.push(
            format!("{path}.maxAge"),
            format!("{} seconds: 1 to {MAX_AGE} (400 days), longer ones browsers cut", cookie.max_age),
        );
    }
    if cookie.same_site == SameSite::None && !cookie.secure {
        checks.push(format!("{path}.sameSite"), "browsers drop `SameSite=None` without `Secure`: set `secure` to true");
    }
    let prefixed = |prefix: &str| cookie.name.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    if (prefixed("__secure-") || prefixed("__host-")) && !cookie.secure {
        checks.push(format!("{path}.secure"), "browsers drop a cookie of this name without `Secure`: set it to true");
    }
    if prefixed("__host-") && (cookie.domain.is_some() || cookie.path != "/") {
        checks.push(format!("{path}.name"), "browsers keep a `__Host-` cookie only with path `/` and no domain");
    }
}

impl Issue {
    fn new(cookie: &CookieIssue) -> Self {
        let domain = cookie.domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let same_site = match cookie.same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        let secure = if cookie.secure { "; Secure" } else { "" };
        let http_only = if cookie.http_only { "; HttpOnly" } else { "" };
        let (path, max_age) = (&cookie.path, cookie.max_age);
        Self {
            name: cookie.name.clone(),
            attributes: format!("; Path={path}{domain}; Max-Age={max_age}; SameSite={same_site}{secure}{http_only}"),
            make_private: cookie.make_private,
        }
    }
}
