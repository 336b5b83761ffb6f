//! A request on its way that is copied: what passes is read, and nothing is held up.

use core::cell::RefCell;
use std::rc::Rc;

use headgate_routing::{HeaderOp, Sampled};
use proxy_wasm::types::{BufferType, MapType};

use super::backoff::Sign;
use super::budget::Over;
use super::calls;
use super::copy;
use super::desk::{Desk, Entry};
use super::notes::Notes;
use super::pair::{Ending, Failure, Request, Role};
use crate::headers::HeaderMap;
use crate::host;
use crate::live::Live;

/// A request's headers, as far as they are known when it is copied.
pub(crate) struct Seen<'s> {
    /// All of them, where they were read before anything was changed.
    pub(crate) map: Option<&'s HeaderMap>,
    /// What was changed since.
    pub(crate) changed: &'s [HeaderOp<'s>],
    /// Whether the request ends with them, or has a body.
    pub(crate) ends: bool,
}

impl Seen<'_> {
    /// What was read, where a copy of it is one of what the upstream gets: nothing was changed but what no copy carries.
    fn unchanged(&self, own: [Option<&str>; 2]) -> Option<&HeaderMap> {
        let map = self.map?;
        let same = |op: &HeaderOp<'_>| match op {
            HeaderOp::Remove(name) => own.contains(&Some(*name)) || map.first(name).is_none(),
            HeaderOp::Set(name, _) | HeaderOp::SetBytes(name, _) => own.contains(&Some(*name)),
        };
        self.changed.iter().all(same).then_some(map)
    }
}

/// The user's side of a copied request.
pub(crate) struct Watch {
    desk: Rc<RefCell<Desk>>,
    number: u32,
    /// The context of the request's plugin.
    root: u32,
    reads: bool,
}

impl Watch {
    /// A sampled request of a plugin whose context is `root`. `None` when it is not copied, which is counted. `now` is monotonic, in
    /// nanoseconds. It comes last in its entry, as what comes after a copy that is sent would be about another context.
    pub(crate) fn begin(
        live: &Rc<Live>,
        root: u32,
        route: usize,
        sampled: &Sampled,
        request: &Seen<'_>,
        now: u64,
    ) -> Option<Self> {
        let series = live.shadows.board.series(&live.table, route, sampled)?;
        series.sampled();
        if let Some(why) = sampled.refused {
            series.refused(why);
            return None;
        }
        let of = live.table.route(route)?;
        let shadow = of.shadow.as_ref()?;
        let desk = live.shadows.desk.as_ref()?;
        // What is not sent anyhow costs no look at the request.
        let early = {
            let mut desk = desk.try_borrow_mut().ok()?;
            match desk.is_full() {
                true => Some(Err(Over::InFlight)),
                false => {
                    desk.backoff.avoids(&shadow.cluster, now).then(|| desk.admit_unsent(live, route, sampled, now))
                }
            }
        };
        match early {
            None => {}
            Some(Ok(number)) => return Some(Self { desk: Rc::clone(desk), number, root, reads: false }),
            Some(Err(over)) => {
                series.dropped(over);
                return None;
            }
        }
        let own = copy::own(live.table.config(), of);
        let fresh;
        let map = match request.unchanged(own) {
            Some(map) => map,
            None => {
                fresh = HeaderMap::new(host::headers(MapType::HttpRequestHeaders).unwrap_or_default());
                &fresh
            }
        };
        let ends = request.ends;
        let headers = live.shadows.copied.get(route)?.headers(map);
        let length = match map.first("content-length").and_then(|text| core::str::from_utf8(text).ok()?.parse().ok()) {
            _ if ends => 0,
            Some(length) => shadow.max_body_bytes.min(length),
            None => 0,
        };
        let admitted = {
            let mut desk = desk.try_borrow_mut().ok()?;
            let twice = shadow.noise.as_ref().is_some_and(|noise| desk.twice(&of.name, noise.share));
            let copies = if twice { 2 } else { 1 };
            let bytes = copies * (headers.len() + length as usize);
            let request = Request { headers, body: Vec::new(), most: shadow.max_body_bytes as usize, twice };
            let notes = match &desk.records {
                Some(records) if records.is_open() => {
                    Notes::new(&shadow.record, now, &|name| map.first(name).map(<[u8]>::to_vec))
                }
                _ => Notes { started: now, ..Notes::default() },
            };
            desk.admit(live, route, sampled, request, bytes, notes)
        };
        match admitted {
            Ok(number) => {
                let watch = Self { desk: Rc::clone(desk), number, root, reads: true };
                if ends {
                    watch.send(now);
                }
                Some(watch)
            }
            Err(over) => {
                series.dropped(over);
                None
            }
        }
    }

    /// Sends what was gathered. `now` is monotonic, in nanoseconds. The rest of the entry is about the plugin's context, not the
    /// request's.
    fn send(&self, now: u64) {
        let Some((request, live, route)) = self.take_request(now) else { return };
        let Some(of) = live.table.route(route) else { return };
        let Some(shadow) = &of.shadow else { return };
        let send = |role, cluster: &str| {
            let mut told = self.desk.try_borrow_mut().map_err(|_| Failure::NotSent)?;
            if !told.backoff.may_send(cluster, now) {
                return Err(Failure::BackedOff);
            }
            drop(told);
            let call = || host::call(cluster, &request.headers, &request.body, shadow.timeout_ms);
            if calls::send(self.root, &self.desk, self.number, role, &call) {
                return Ok(());
            }
            if let Ok(mut desk) = self.desk.try_borrow_mut() {
                desk.backoff.told(cluster, now, Sign::Unreached, now);
            }
            Err(Failure::NotSent)
        };
        let sent = send(Role::Shadow, &shadow.cluster);
        let noise = (shadow.noise.as_ref().filter(|_| request.twice && sent.is_ok()))
            .map(|noise| send(Role::Noise, &noise.cluster));
        let size = request.headers.len() + request.body.len();
        self.with(|entry| {
            entry.pair.called(Role::Shadow, sent);
            entry.notes.body(&request.body, shadow.record.body_bytes);
            entry.sent_bytes = if sent.is_ok() { size } else { 0 };
            if let Some(sent) = noise {
                entry.pair.called(Role::Noise, sent);
                entry.sent_bytes += if sent.is_ok() { size } else { 0 };
            }
        });
    }

    /// The request, unless a kill came since it was taken in.
    fn take_request(&self, now: u64) -> Option<(Request, Rc<Live>, usize)> {
        let mut desk = self.desk.try_borrow_mut().ok()?;
        let entry = desk.entry(self.number)?;
        let (live, route) = (Rc::clone(&entry.live), entry.route);
        let request = entry.pair.send(now)?;
        if desk.is_killed(live.table.route(route).map(|of| of.name.as_str()).unwrap_or_default()) {
            desk.with(self.number, |entry| entry.pair.spoil(Ending::Failed(Failure::Killed)));
            return None;
        }
        Some((request, live, route))
    }

    /// Does something to this request, unless it has ended.
    fn with<T>(&self, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.desk.try_borrow_mut().ok()?.with(self.number, change)
    }

    /// A piece of the request's body passes; it is the last if it `ends`.
    pub(crate) fn request_body(&self, size: usize, ends: bool) {
        let gathers = self.with(|Entry { pair, .. }| {
            let gathers = pair.gathers();
            if gathers && size > 0 {
                pair.gather(host::body(BufferType::HttpRequestBody, 0, size).unwrap_or_default());
            }
            gathers
        });
        if ends && gathers == Some(true) {
            self.send(host::monotonic());
        }
    }

    /// The request's trailers pass: it has ended.
    pub(crate) fn request_trailers(&self) {
        self.send(host::monotonic());
    }

    /// The response's headers are there; it `ends` with them, or has a body. The answer is its status, if it has one.
    pub(crate) fn answered(&mut self, ends: bool) -> Option<u16> {
        let map = HeaderMap::new(host::headers(MapType::HttpResponseHeaders).unwrap_or_default());
        let status = calls::status(&map);
        let begun = self.with(|Entry { live, route, pair, .. }| {
            let Some(rules) = live.table.rules(*route) else { return false };
            pair.begins(rules.side(status, |name| map.joined(name)));
            if ends {
                pair.ends(host::monotonic());
            }
            pair.reads_primary()
        });
        self.reads = begun.unwrap_or(false);
        (status != 0).then_some(status)
    }

    /// A piece of the response's body passes; it is the last if it `ends`.
    pub(crate) fn response_body(&mut self, size: usize, ends: bool) {
        if (!self.reads || size == 0) && !ends {
            return;
        }
        let reads = self.reads && size > 0;
        let passed = self.with(|Entry { pair, .. }| {
            if reads && let Some(side) = pair.primary() {
                side.chunk(&host::body(BufferType::HttpResponseBody, 0, size).unwrap_or_default());
            }
            if ends {
                pair.ends(host::monotonic());
            }
            pair.reads_primary()
        });
        self.reads = passed.unwrap_or(false);
    }

    /// The response's trailers pass: it has ended.
    pub(crate) fn response_trailers(&self) {
        let map = HeaderMap::new(host::headers(MapType::HttpResponseTrailers).unwrap_or_default());
        self.with(|entry| {
            if let Some(side) = entry.pair.primary() {
                for (name, value) in map.pairs() {
                    if let Ok(name) = core::str::from_utf8(name) {
                        side.trailer(name, value);
                    }
                }
            }
            entry.pair.ends(host::monotonic());
        });
    }

    /// The stream is over, whole or not.
    pub(crate) fn is_over(&self) {
        self.with(|entry| entry.pair.is_gone());
    }
}
