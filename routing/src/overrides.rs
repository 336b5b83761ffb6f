//! Overrides: rules that put a request on a variant whatever its key.

use std::borrow::Cow;
use std::sync::Arc;

use headgate_contract::Override;

use crate::checks::Checks;
use crate::condition::Condition;
use crate::cookie::is_name;
use crate::reads::Reads;

#[derive(Debug)]
enum Place {
    Header(Arc<str>),
    Cookie(Arc<str>),
    Query(Arc<str>),
}

/// One override, ready.
#[derive(Debug)]
pub(crate) struct Rule {
    place: Option<(Place, Condition)>,
    pub(crate) variant: usize,
    pub(crate) open: bool,
}

impl Rule {
    pub(crate) fn compile(of: &Override, path: &str, variants: &[&str], tokens: bool, checks: &mut Checks) -> Self {
        let places = [("header", &of.header), ("cookie", &of.cookie), ("query", &of.query)];
        let given: Vec<&str> = places.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
        if given.len() > 1 {
            checks.push(path, format!("has {}: keep one of them", given.join(" and ")));
        }
        if given.is_empty() && of.open_to_anyone {
            checks
                .push(path, "puts everybody on its variant: name a header, cookie or query parameter, or set weights");
        }
        if !of.open_to_anyone && !tokens {
            checks.push(
                path,
                "is for holders of a token, but the document has no `tokens`: add them, or set `openToAnyone` to true",
            );
        }
        let condition = Condition::of_override(of, path, checks);
        let place = if let Some(name) = &of.header {
            checks.read_header(&format!("{path}.header"), name);
            Some(Place::Header(checks.share(name)))
        } else if let Some(name) = &of.cookie {
            if !is_name(name) {
                checks
                    .push(format!("{path}.cookie"), format!("`{name}` is no cookie's name (RFC 6265, section 4.1.1)"));
            }
            Some(Place::Cookie(checks.share(name)))
        } else {
            if of.query.as_ref().is_some_and(String::is_empty) {
                checks.push(format!("{path}.query"), "a query parameter has a name");
            }
            of.query.as_ref().map(|name| Place::Query(checks.share(name)))
        };
        let variant = checks.find(&format!("{path}.variant"), "variant", &of.variant, variants);
        Self { place: place.zip(condition), variant: variant.unwrap_or_default(), open: of.open_to_anyone }
    }

    /// Whether the request asks for it; whether it may is the token's matter.
    pub(crate) fn asked<'t>(&'t self, reads: &Reads<'t, '_>) -> bool {
        let Some((place, condition)) = &self.place else { return true };
        let value: Option<Cow<'_, [u8]>> = match place {
            Place::Header(name) => reads.header(name),
            Place::Cookie(name) => reads.cookie(name),
            Place::Query(name) => reads.query(name),
        };
        condition.holds(value.as_deref())
    }

    /// The header it reads.
    pub(crate) fn header(&self) -> Option<&str> {
        self.place.as_ref().map(|(place, _)| match place {
            Place::Header(name) => name,
            Place::Cookie(_) => "cookie",
            Place::Query(_) => ":path",
        })
    }
}
