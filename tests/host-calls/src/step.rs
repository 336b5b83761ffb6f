//! A proxy step by step: streams that are open side by side, and configurations that come and go meanwhile.
//!
//! It keeps no order: what Envoy never does, a test must not do.

use std::collections::BTreeMap;

use crate::host::Host;
use crate::proxy::{REQUEST, REQUEST_BODY, RESPONSE, RESPONSE_BODY};
use crate::{Header, Proxy, Result};

/// The two directions of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the user.
    Request,
    /// To the user.
    Response,
}

impl Proxy {
    /// A configuration in a root context of its own, as Envoy has it for each push; the one before goes on for its requests. Whether it was taken, and
    /// the root context that was in force.
    pub fn push(&mut self, configuration: &[u8]) -> Result<(bool, u32)> {
        let before = self.root(None);
        let root = self.number();
        self.enter::<_, ()>("proxy_on_context_create", (root, 0))?;
        self.root(Some(root));
        Ok((self.configure(configuration)?, before))
    }

    /// A root context goes, and with it go the calls that it sent.
    pub fn forget(&mut self, root: u32) -> Result<()> {
        let host = self.host();
        let sent_as = &host.sent_as;
        host.sent.retain(|token| sent_as.get(token) != Some(&root));
        self.enter::<_, ()>("proxy_on_delete", root)
    }

    /// A tick of the root context in force, if it asked for ticks.
    pub fn tick(&mut self) -> Result<()> {
        let root = self.root(None);
        if self.host().tick == 0 {
            return Ok(());
        }
        self.enter::<_, ()>("proxy_on_tick", root)
    }

    /// The host, with what its metrics say when a tick has come.
    pub fn counted(&mut self) -> Result<&Host> {
        let root = self.root(None);
        self.enter::<_, ()>("proxy_on_tick", root)?;
        Ok(self.host())
    }

    /// A stream begins: its number.
    pub fn open(&mut self, headers: &[Header], ends: bool) -> Result<u32> {
        let (id, root) = (self.number(), self.root(None));
        self.host().maps = BTreeMap::from([(REQUEST, headers.to_vec())]);
        self.enter::<_, ()>("proxy_on_context_create", (id, root))?;
        self.enter::<_, u32>("proxy_on_request_headers", (id, count(headers.len()), u32::from(ends)))?;
        Ok(id)
    }

    /// The headers of its response.
    pub fn respond(&mut self, id: u32, headers: &[Header], ends: bool) -> Result<()> {
        self.host().maps = BTreeMap::from([(RESPONSE, headers.to_vec())]);
        self.enter::<_, u32>("proxy_on_response_headers", (id, count(headers.len()), u32::from(ends)))?;
        Ok(())
    }

    /// A piece of a body.
    pub fn piece(&mut self, id: u32, way: Way, body: &[u8], ends: bool) -> Result<()> {
        let (kind, entry) = match way {
            Way::Request => (REQUEST_BODY, "proxy_on_request_body"),
            Way::Response => (RESPONSE_BODY, "proxy_on_response_body"),
        };
        self.host().bodies.insert(kind, body.to_vec());
        self.enter::<_, u32>(entry, (id, count(body.len()), u32::from(ends)))?;
        Ok(())
    }

    /// Trailers, with which it ends.
    pub fn trailers(&mut self, id: u32, way: Way) -> Result<()> {
        let entry = match way {
            Way::Request => "proxy_on_request_trailers",
            Way::Response => "proxy_on_response_trailers",
        };
        self.enter::<_, u32>(entry, (id, 1))?;
        Ok(())
    }

    /// It is over, whole or not.
    pub fn close(&mut self, id: u32) -> Result<()> {
        self.enter::<_, ()>("proxy_on_delete", id)
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
