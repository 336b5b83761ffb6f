//! What must come out: the split itself (`headgate-routing`, natively) asked about each user.

use std::borrow::Cow;

use anyhow::{Result, anyhow};
use headgate_routing::{Copy, Env, Keyring, RoutingTable, View, compile};
use serde_json::Value;

use crate::load::Person;

/// What one user must get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The variant's name.
    pub(crate) variant: String,
    /// Whether the request is one of those to copy.
    pub(crate) copied: bool,
}

/// What each of these users must get under a configuration.
pub(crate) fn expected(configuration: &Value, people: &[Person]) -> Result<Vec<Expected>> {
    let config = headgate_contract::read_strict(configuration.to_string().as_bytes())
        .map_err(|problems| anyhow!("the demo's configuration is refused: {problems}"))?;
    let table = compile(config).map_err(|problems| anyhow!("the demo's configuration is refused: {problems}"))?;
    people.iter().map(|person| one(&table, person)).collect()
}

fn one(table: &RoutingTable, person: &Person) -> Result<Expected> {
    let env = Env { now: &|| 0, random: &|| None, keyring: &Keyring::default(), trace: None };
    let length = person.body.len().to_string();
    let outcome = table.decide(&Plain { user: &person.name, length: &length }, &env);
    let decision = outcome.decision.ok_or_else(|| anyhow!("no route takes {}'s request", person.name))?;
    let variant = table.route(decision.route).and_then(|route| route.variants.get(decision.variant));
    let variant = variant.ok_or_else(|| anyhow!("the decision names a variant that is not there"))?.name.clone();
    Ok(Expected { variant, copied: decision.copy == Copy::Sent })
}

/// A user's request as Envoy sees it, without overrides.
struct Plain<'a> {
    user: &'a str,
    length: &'a str,
}

impl View for Plain<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let value = match name {
            ":path" => "/predict",
            ":method" => "POST",
            ":authority" => "model.example",
            "x-user-id" => self.user,
            "content-length" => self.length,
            _ => return None,
        };
        Some(Cow::Borrowed(value.as_bytes()))
    }

    fn ends_with_headers(&self) -> bool {
        false
    }

    fn property(&self, _path: &[&str]) -> Option<Vec<u8>> {
        None
    }
}
