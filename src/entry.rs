//! What Envoy calls: the SDK's entries, and the contexts that its dispatcher keeps for them.
//!
//! A root context holds the configuration in force. A request's context is made with its root's of that moment, so a
//! request in flight keeps the one that decided it, and is dropped once it is logged.
//!
//! The dispatcher (proxy-wasm 0.2.5) panics on three things, of which none can happen here: a context that it does not
//! know (Envoy makes each before it enters it), a root that makes no context (ours always makes one), and an entry
//! within an entry (nothing that the module `host` asks of Envoy calls a callback; what it asks memory for is no
//! context's). It exports all of the ABI, and each entry is on every request's way: `cargo xtask prune` leaves those
//! that do something, and `proxy_on_delete`, without which contexts would never be dropped.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

use crate::counters;
use crate::host;
use crate::live::Live;
use crate::request::Stream;

/// Milliseconds from a configuration to its acknowledgement.
const ACKNOWLEDGE_AFTER: u32 = 1;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { live: None }));
}}

/// A plugin's configurations, one after the other.
struct Root {
    /// The one in force; `None` before the first that was taken.
    live: Option<Rc<Live>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, len: usize) -> bool {
        let bytes = host::configuration(len).unwrap_or_default();
        let Some(live) = Live::from_bytes(&bytes) else { return false };
        self.live = Some(Rc::new(live));
        if host::tick_every(ACKNOWLEDGE_AFTER).is_err() {
            counters::error("tick");
        }
        true
    }

    fn on_tick(&mut self) {
        // A failure only means a tick too many.
        let _ = host::tick_every(0);
        if let Some(live) = &self.live {
            live.acknowledge();
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        match &self.live {
            Some(live) => Some(Box::new(Stream::new(Rc::clone(live)))),
            None => {
                counters::error("unconfigured");
                Some(Box::new(Unconfigured))
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, ends: bool) -> Action {
        self.decide(count, ends);
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.answered();
        Action::Continue
    }

    fn on_log(&mut self) {
        self.ended();
    }
}

/// A request before any configuration: it passes as it is.
struct Unconfigured;

impl Context for Unconfigured {}

impl HttpContext for Unconfigured {}
