//! Requests and answers in few words.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use headgate_contract::Problems;
use headgate_routing::{Copy, Env, Keyring, Outcome, Ring, RoutingTable, Trace, View};

/// The Unix time of every request.
pub(crate) const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A ring with one key.
pub(crate) fn ring(kid: &str) -> Ring {
    Ring::new([(kid, SECRET)])
}

/// Reads strictly and compiles.
pub(crate) fn table(json: &str) -> Result<RoutingTable, Problems> {
    headgate_routing::compile(headgate_contract::read_strict(json.as_bytes())?)
}

/// A request that remembers what it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Request {
    headers: BTreeMap<String, Vec<u8>>,
    properties: BTreeMap<String, Vec<u8>>,
    body: bool,
    random: Option<u128>,
    asked: RefCell<Vec<String>>,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        let request = Self { random: Some(0), ..Self::default() };
        request.header(":method", "GET").header(":path", path).header(":authority", "h.example")
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(name.to_owned(), value.as_ref().to_vec());
        self
    }

    pub(crate) fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.properties.insert(path.to_owned(), value.as_ref().to_vec());
        self
    }

    pub(crate) fn body(mut self) -> Self {
        self.body = true;
        self
    }

    pub(crate) fn random(mut self, random: u128) -> Self {
        self.random = Some(random);
        self
    }

    pub(crate) fn no_random(mut self) -> Self {
        self.random = None;
        self
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

impl View for Request {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.asked.borrow_mut().push(name.to_owned());
        self.headers.get(name).map(|value| Cow::Borrowed(value.as_slice()))
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        let path = path.join("/");
        self.asked.borrow_mut().push(path.clone());
        self.properties.get(&path).cloned()
    }

    fn ends_with_headers(&self) -> bool {
        !self.body
    }
}

#[derive(Default)]
struct Steps(RefCell<Vec<String>>);

impl Trace for Steps {
    fn step(&self, rule: &str, result: &str) {
        self.0.borrow_mut().push(format!("{rule}: {result}"));
    }
}

fn run<'t>(table: &'t RoutingTable, request: &Request, trace: Option<&dyn Trace>) -> Outcome<'t> {
    let keyring = Keyring::load(table, &|_| Some(SECRET.to_vec()));
    let env = Env { now: &|| NOW, random: &|| request.random, keyring: &keyring, trace };
    table.decide(request, &env)
}

/// Decides as a proxy does.
pub(crate) fn decide<'t>(table: &'t RoutingTable, request: &Request) -> Outcome<'t> {
    run(table, request, None)
}

/// Decides as `headgate explain` does.
pub(crate) fn decide_traced<'t>(table: &'t RoutingTable, request: &Request) -> (Outcome<'t>, Vec<String>) {
    let steps = Steps::default();
    let outcome = run(table, request, Some(&steps));
    (outcome, steps.0.into_inner())
}

/// The steps, one a line.
pub(crate) fn trace(table: &RoutingTable, request: &Request) -> String {
    decide_traced(table, request).1.join("\n")
}

/// `variant reason assigned segment copy`, or `no route`.
pub(crate) fn told(table: &RoutingTable, outcome: &Outcome<'_>) -> String {
    let Some(d) = &outcome.decision else { return "no route".to_owned() };
    let variant = &table.route(d.route).unwrap().variants[d.variant].name;
    let copy = match d.copy {
        Copy::None => "none",
        Copy::Sent => "sent",
        Copy::Refused(why) => why.as_str(),
    };
    format!("{variant} {} {} {} {copy}", d.reason.as_str(), d.assigned.as_str(), d.segment)
}
