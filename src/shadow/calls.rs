//! Calls that the plugin's root contexts have sent, by the token that Envoy gave them.
//!
//! A call is sent as a root context, so that it outlives the request. Its answer comes by `proxy_on_http_call_response`, once; with a root
//! context its calls go unanswered.

use core::cell::RefCell;
use std::rc::Rc;

use headgate_compare::{Rules, Side};
use proxy_wasm::types::{BufferType, MapType};
use rustc_hash::FxHashMap;

use super::desk::{Desk, Entry};
use super::pair::{Failure, Role};
use super::records::{Records, TIMEOUT};
use crate::headers::HeaderMap;
use crate::host;
use crate::series;

/// Bytes of an answer that are read at once.
const PIECE: usize = 64 << 10;

/// A call whose answer is to come.
struct Waiting {
    root: u32,
    desk: Rc<RefCell<Desk>>,
    what: What,
}

/// What an answer is of.
#[derive(Debug, Clone, Copy)]
enum What {
    /// A copy of the request of this number.
    Copy(u32, Role),
    /// A batch of so many records.
    Batch(u32),
}

thread_local! {
    static CALLS: RefCell<FxHashMap<u32, Waiting>> = RefCell::default();
}

/// Sends a copy as `root`; `false` when Envoy does not take it.
pub(crate) fn send(
    root: u32,
    desk: &Rc<RefCell<Desk>>,
    number: u32,
    role: Role,
    call: &dyn Fn() -> Result<u32, host::Failed>,
) -> bool {
    sent(root, desk, What::Copy(number, role), call)
}

fn sent(root: u32, desk: &Rc<RefCell<Desk>>, what: What, call: &dyn Fn() -> Result<u32, host::Failed>) -> bool {
    let Ok(token) = host::act_as(root).and_then(|()| call()) else { return false };
    let waiting = Waiting { root, desk: Rc::clone(desk), what };
    CALLS.with(|calls| calls.try_borrow_mut().is_ok_and(|mut calls| calls.insert(token, waiting).is_none()))
}

/// `proxy_on_http_call_response`. Without `headers` there was no answer that Envoy could hold.
pub(crate) fn answered(token: u32, headers: usize, size: usize, trailers: usize) {
    let waiting = CALLS.with(|calls| calls.try_borrow_mut().ok().and_then(|mut calls| calls.remove(&token)));
    let Some(Waiting { desk, what, .. }) = waiting else { return };
    match what {
        What::Copy(number, role) => copy_answered(&desk, number, role, headers, size, trailers),
        What::Batch(records) => {
            let map = HeaderMap::new(host::headers(MapType::HttpCallResponseHeaders).unwrap_or_default());
            arrived(&desk, records, headers > 0 && (200..300).contains(&status(&map)));
        }
    }
    let is_due = desk.try_borrow().is_ok_and(|desk| desk.records.as_ref().is_some_and(Records::is_due));
    if is_due {
        deliver(&desk);
    }
}

fn copy_answered(desk: &RefCell<Desk>, number: u32, role: Role, headers: usize, size: usize, trailers: usize) {
    let now = host::monotonic();
    let Ok(mut desk) = desk.try_borrow_mut() else { return };
    let answer = |entry: &Entry| match entry.live.table.rules(entry.route) {
        Some(rules) if headers > 0 => read(rules, size, trailers),
        _ => Err(Failure::Incomplete),
    };
    desk.answered(number, role, answer, now);
}

fn arrived(desk: &RefCell<Desk>, records: u32, whole: bool) {
    if let Ok(mut desk) = desk.try_borrow_mut()
        && let Some(of) = &mut desk.records
    {
        of.arrived(records, whole);
    }
}

/// Sends the records that wait, as the root context in force. For the plugin's own entries: what comes after it in a request's
/// entry would be about another context.
pub(crate) fn deliver(desk: &Rc<RefCell<Desk>>) {
    loop {
        let next = desk.try_borrow_mut().ok().and_then(|mut desk| Some((desk.root, desk.records.as_mut()?.take()?)));
        let Some((root, (batch, cluster, headers))) = next else { return };
        let call = || host::call(&cluster, &headers, &batch.lines, TIMEOUT);
        if !sent(root, desk, What::Batch(batch.records), &call) {
            arrived(desk, batch.records, false);
        }
    }
}

/// Reads the answer of the present entry.
fn read(rules: &Rules, size: usize, trailers: usize) -> Result<Side, Failure> {
    let map = HeaderMap::new(host::headers(MapType::HttpCallResponseHeaders).unwrap_or_default());
    let status = status(&map);
    // Envoy's own answers, which stand for none, lack what it adds to an upstream's.
    match status {
        502..=504 if map.first("x-envoy-upstream-service-time").is_some() => {}
        // 502: what came was no HTTP.
        502 | 503 => return Err(Failure::Unreachable),
        504 => return Err(Failure::Timeout),
        _ => {}
    }
    let mut side = rules.side(status, |name| map.joined(name));
    let mut at = 0;
    while at < size && side.wants_body() {
        let piece = host::body(BufferType::HttpCallResponseBody, at, PIECE.min(size - at)).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        side.chunk(&piece);
        at += piece.len();
    }
    if trailers > 0 {
        let map = HeaderMap::new(host::headers(MapType::HttpCallResponseTrailers).unwrap_or_default());
        for (name, value) in map.pairs() {
            if let Ok(name) = core::str::from_utf8(name) {
                side.trailer(name, value);
            }
        }
    }
    side.finish();
    Ok(side)
}

/// The status of a response; 0 when it has none.
pub(crate) fn status(map: &HeaderMap) -> u16 {
    map.first(":status").and_then(series::status).unwrap_or(0)
}

/// `proxy_on_delete` of a root context: its calls are cancelled by Envoy.
pub(crate) fn root_is_gone(root: u32) {
    let now = host::monotonic();
    let lost = CALLS.with(|calls| {
        let Ok(mut calls) = calls.try_borrow_mut() else { return Vec::new() };
        let tokens: Vec<u32> = calls.iter().filter(|(_, call)| call.root == root).map(|(token, _)| *token).collect();
        tokens.iter().filter_map(|token| calls.remove(token)).collect()
    });
    for Waiting { desk, what, .. } in lost {
        match what {
            What::Batch(records) => arrived(&desk, records, false),
            What::Copy(number, role) => {
                if let Ok(mut desk) = desk.try_borrow_mut() {
                    desk.answered(number, role, |_| Err(Failure::Reconfigured), now);
                }
            }
        }
    }
}
