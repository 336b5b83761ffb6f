//! A proxy with the filter in it: configurations, ticks and requests, one after the other.

use std::collections::BTreeMap;
use std::path::Path;

use wasmi::{Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

use crate::host::{Host, link};
use crate::{Header, Result};

/// The first root context's number; requests and later ones count on from it.
const ROOT: u32 = 1;
pub(crate) const REQUEST: u32 = 0;
pub(crate) const RESPONSE: u32 = 2;
/// Of a call's answer: its headers, and its body.
pub(crate) const CALL_HEADERS: u32 = 6;
pub(crate) const CALL_BODY: u32 = 4;
/// Bodies of a request and of its response.
pub(crate) const REQUEST_BODY: u32 = 0;
pub(crate) const RESPONSE_BODY: u32 = 1;

/// The compiled filter, started.
#[derive(Debug)]
pub struct Proxy {
    store: Store<Host>,
    instance: Instance,
    root: u32,
    next: u32,
}

/// What becomes of a request behind the filter.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The response's headers; `None` is a reset without an answer.
    pub headers: Option<Vec<Header>>,
    /// Envoy's properties, by their path joined by NUL.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Microseconds that it takes.
    pub microseconds: u64,
}

/// What was seen of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Calls into the host and entries into the filter, by name.
    pub calls: BTreeMap<String, u32>,
    /// The request's headers as the upstream gets them.
    pub request: Vec<Header>,
    /// The response's headers as the client gets them.
    pub response: Vec<Header>,
    /// The filter state, by key.
    pub state: BTreeMap<String, String>,
}

impl Answer {
    /// A response of this status, with these headers.
    pub fn status(status: &str, headers: &[(&str, &str)]) -> Self {
        let status = [(":status", status)];
        let headers = status.iter().chain(headers).map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()));
        Self { headers: Some(headers.collect()), ..Self::default() }
    }

    /// With a property.
    #[must_use]
    pub fn property(mut self, path: &str, value: &[u8]) -> Self {
        self.properties.insert(path.as_bytes().to_vec(), value.to_vec());
        self
    }
}

impl Proxy {
    /// Loads the module and starts its VM.
    pub fn load(wasm: &Path) -> Result<Self> {
        let bytes = std::fs::read(wasm).map_err(|e| wasmi::Error::new(format!("{}: {e}", wasm.display())))?;
        let engine = Engine::default();
        let module = Module::new(&engine, bytes)?;
        let mut store = Store::new(&engine, Host::new());
        let mut linker = Linker::new(&engine);
        link(&mut linker, &module)?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut proxy = Self { store, instance, root: ROOT, next: ROOT + 1 };
        proxy.enter::<(), ()>("_initialize", ())?;
        proxy.enter::<_, ()>("proxy_on_context_create", (ROOT, 0))?;
        Ok(proxy)
    }

    pub(crate) fn enter<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> Result<R> {
        self.store.data_mut().entered(name);
        self.instance.get_typed_func::<P, R>(&self.store, name)?.call(&mut self.store, parameters)
    }

    /// A number that no context has.
    pub(crate) const fn number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// The root context in force, and another one in its place if there is one.
    pub(crate) const fn root(&mut self, next: Option<u32>) -> u32 {
        if let Some(next) = next {
            self.root = next;
        }
        self.root
    }

    /// The host.
    pub fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Pushes a configuration; whether the filter took it. A tick that it asks for comes at once.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<bool> {
        configuration.clone_into(&mut self.host().configuration);
        let len = u32::try_from(configuration.len()).unwrap_or(u32::MAX);
        let taken = self.enter::<_, u32>("proxy_on_configure", (self.root, len))? == 1;
        if self.host().tick > 0 {
            self.enter::<_, ()>("proxy_on_tick", self.root)?;
        }
        Ok(taken)
    }

    /// Answers a call that the filter sent; without headers, as when Envoy could not hold the answer. What the filter called for it.
    pub fn answer(&mut self, token: u32, headers: &[Header], body: &[u8]) -> Result<BTreeMap<String, u32>> {
        let host = self.host();
        host.calls.clear();
        host.sent.retain(|sent| *sent != token);
        host.maps.insert(CALL_HEADERS, headers.to_vec());
        host.bodies.insert(CALL_BODY, body.to_vec());
        let size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let parameters = (self.root, token, size(headers.len()), size(body.len()), 0);
        self.enter::<_, ()>("proxy_on_http_call_response", parameters)?;
        Ok(std::mem::take(&mut self.host().calls))
    }

    /// One request with a body, and its answer with one, in two pieces each. For a filter that reads bodies.
    pub fn exchange(&mut self, headers: &[Header], body: &[u8], answer: &Answer, answered: &[u8]) -> Result<()> {
        let id = self.next;
        self.next += 1;
        let host = self.host();
        host.maps = BTreeMap::from([(REQUEST, headers.to_vec())]);
        host.properties.clone_from(&answer.properties);
        self.enter::<_, ()>("proxy_on_context_create", (id, self.root))?;
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.enter::<_, u32>("proxy_on_request_headers", (id, count(headers.len()), 0))?;
        self.pieces(id, "proxy_on_request_body", REQUEST_BODY, body)?;
        if let Some(response) = &answer.headers {
            self.host().maps.insert(RESPONSE, response.clone());
            self.enter::<_, u32>("proxy_on_response_headers", (id, count(response.len()), 0))?;
            self.pieces(id, "proxy_on_response_body", RESPONSE_BODY, answered)?;
        }
        self.enter::<_, ()>("proxy_on_delete", id)
    }

    fn pieces(&mut self, id: u32, entry: &str, kind: u32, body: &[u8]) -> Result<()> {
        let (first, last) = body.split_at(body.len() / 2);
        for (piece, ends) in [(first, 0), (last, 1)] {
            self.host().bodies.insert(kind, piece.to_vec());
            let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            self.enter::<_, u32>(entry, (id, size, ends))?;
        }
        Ok(())
    }

    /// Requests that are all on their way at once: they begin in this order, then come their headers, and every other one ends
    /// in this order, then the rest in the opposite one. Of each, its headers as the filter left them.
    pub fn overlapping(&mut self, requests: &[Vec<Header>], answer: &Answer) -> Result<Vec<Vec<Header>>> {
        let ids: Vec<u32> = requests.iter().map(|_| self.number()).collect();
        for id in &ids {
            self.enter::<_, ()>("proxy_on_context_create", (*id, self.root))?;
        }
        let mut seen = Vec::new();
        for (id, headers) in ids.iter().zip(requests) {
            self.host().maps = BTreeMap::from([(REQUEST, headers.clone())]);
            self.enter::<_, u32>(
                "proxy_on_request_headers",
                (*id, u32::try_from(headers.len()).unwrap_or(u32::MAX), 1),
            )?;
            seen.extend(self.host().maps.remove(&REQUEST));
        }
        let (even, odd) = (ids.iter().step_by(2), ids.iter().skip(1).step_by(2));
        for id in even.chain(odd.rev()) {
            if let Some(response) = &answer.headers {
                self.host().maps = BTreeMap::from([(RESPONSE, response.clone())]);
                self.enter::<_, u32>("proxy_on_response_headers", (*id, 1, 1))?;
            }
            self.enter::<_, ()>("proxy_on_delete", *id)?;
        }
        Ok(seen)
    }

    /// One request and its answer.
    pub fn request(&mut self, headers: &[Header], answer: &Answer) -> Result<Seen> {
        let id = self.next;
        self.next += 1;
        let host = self.host();
        host.calls.clear();
        host.state.clear();
        host.maps = BTreeMap::from([(REQUEST, headers.to_vec())]);
        host.properties.clone_from(&answer.properties);
        let cookies: Vec<&[u8]> = headers.iter().filter(|(name, _)| name == b"cookie").map(|(_, v)| &v[..]).collect();
        if !cookies.is_empty() {
            // As Envoy joins them.
            host.properties.insert(b"request\0headers\0cookie".to_vec(), cookies.join(&b','));
        }
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        self.enter::<_, ()>("proxy_on_context_create", (id, self.root))?;
        // Those of gRPC have a body.
        let ends = u32::from(!headers.iter().any(|(name, _)| name == b"te"));
        self.enter::<_, u32>("proxy_on_request_headers", (id, count, ends))?;
        self.host().wait(answer.microseconds);
        if let Some(response) = &answer.headers {
            self.host().maps.insert(RESPONSE, response.clone());
            let count = u32::try_from(response.len()).unwrap_or(u32::MAX);
            self.enter::<_, u32>("proxy_on_response_headers", (id, count, 1))?;
        }
        self.enter::<_, ()>("proxy_on_delete", id)?;
        let host = self.host();
        Ok(Seen {
            calls: std::mem::take(&mut host.calls),
            request: host.maps.remove(&REQUEST).unwrap_or_default(),
            response: host.maps.remove(&RESPONSE).unwrap_or_default(),
            state: std::mem::take(&mut host.state),
        })
    }
}

impl Seen {
    /// How often each was called, as `name*n name*n`, without the ABI's prefix; to be compared with what a test expects.
    pub fn calls(&self) -> String {
        let calls = self.calls.iter().map(|(name, n)| format!("{}*{n}", name.trim_start_matches("proxy_")));
        calls.collect::<Vec<_>>().join(" ")
    }
}
