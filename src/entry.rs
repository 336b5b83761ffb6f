//! What Envoy calls.
//!
//! A plugin's context, the root context, holds the configuration in force; a request keeps the one that its root had when it began, to its
//! end.
//!
//! The SDK's dispatcher is not used. Each entry into the VM is on every request's way, and those below do no more than they must; and the
//! dispatcher (proxy-wasm 0.2.5) panics on a context that it does not know, and is 8 KB of code for kinds of contexts that are not here.
//! The entries are exported by names of their own, because the SDK's archive has the ABI's; `cargo xtask prune`
//! gives them the ABI's names and takes away the SDK's, and with them every callback that does nothing here. There is no
//! `proxy_on_vm_start`, for nothing is to be done then, and no `proxy_on_log`: what is counted at a request's end is counted when Envoy deletes its
//! context, which it does at the same moment and must do anyhow.

use core::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::LogLevel;

use crate::counters;
use crate::host;
use crate::live::Live;
use crate::request::Stream;
use crate::streams::Streams;

/// Milliseconds from a configuration to its acknowledgement.
const ACKNOWLEDGE_AFTER: u32 = 1;
/// Nanoseconds.
const MILLISECOND: u64 = 1_000_000;
/// The ABI's `Action::Continue`.
const CONTINUE: u32 = 0;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
}}

/// A plugin.
struct Root {
    id: u32,
    /// Its configuration in force: `None` before the first that was taken.
    live: Option<Rc<Live>>,
    /// Milliseconds from one tick of its configuration to the next; 0 is that it wants none.
    period: u32,
    /// When that is, in nanoseconds of the clock that never goes back.
    due: u64,
}

/// What the VM holds, by the numbers that Envoy gives its contexts. No number is ever given twice.
#[derive(Default)]
struct Contexts {
    /// Mostly one.
    roots: Vec<Root>,
    /// Requests whose headers are not there yet, and their plugins. Envoy tells of a request's headers right after it has told of the
    /// request, so there is one at most.
    begun: Vec<(u32, u32)>,
    /// Requests on their way.
    streams: Streams<Stream>,
}

impl Contexts {
    /// A plugin.
    fn root(&mut self, id: u32) -> Option<&mut Root> {
        self.roots.iter_mut().find(|root| root.id == id)
    }

    /// The plugin of a request that begins; it is asked once.
    fn root_of(&mut self, id: u32) -> Option<u32> {
        match self.begun.pop()? {
            (begun, root) if begun == id => Some(root),
            other => {
                self.begun.push(other);
                let at = self.begun.iter().position(|(begun, _)| *begun == id)?;
                Some(self.begun.swap_remove(at).1)
            }
        }
    }

    /// A request's headers are there.
    fn begin(&mut self, id: u32, count: usize, ends: bool) -> Option<()> {
        let root = self.root_of(id)?;
        let live = Rc::clone(self.root(root)?.live.as_ref()?);
        let stream = Stream::new(
            live,
            #[cfg(feature = "shadow")]
            root,
        );
        self.streams.insert(id, stream).map(|stream| stream.decide(count, ends))
    }
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// The contexts, unless they are in use: then Envoy would have entered the VM from within a call of ours, which it does
/// for memory alone.
fn contexts<T>(with: impl FnOnce(&mut Contexts) -> T) -> Option<T> {
    CONTEXTS.with(|contexts| contexts.try_borrow_mut().ok().map(|mut contexts| with(&mut contexts)))
}

/// `proxy_on_configure`: a plugin's configuration, of `len` bytes; the answer is whether it is in force now.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_configure(id: u32, len: usize) -> bool {
    let bytes = host::configuration(len).unwrap_or_default();
    let Some(live) = Live::from_bytes(&bytes).map(Rc::new) else { return false };
    #[cfg(feature = "shadow")]
    live.come_into_force(id);
    let former = contexts(|contexts| {
        let root = contexts.root(id)?;
        root.period = 0;
        Some(root.live.replace(live))
    });
    // What was in force goes here, if no request holds it.
    drop(former);
    if host::tick_every(ACKNOWLEDGE_AFTER).is_ok() {
        counters::awaits_tick();
    } else {
        counters::error("tick");
    }
    true
}

/// `proxy_on_tick`, of a plugin. Counts are handed over before a configuration is acknowledged: what starts and is counted after that, it decided.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_tick(id: u32) {
    counters::hand_over();
    let root = contexts(|contexts| contexts.root(id).map(|root| (root.live.clone(), root.period, root.due))).flatten();
    let Some((Some(live), mut period, mut due)) = root else { return };
    let now = host::monotonic();
    if period == 0 || now >= due {
        period = live.tick(id);
        due = now.saturating_add(u64::from(period) * MILLISECOND);
        contexts(|contexts| contexts.root(id).map(|root| (root.period, root.due) = (period, due)));
    }
    let left = u32::try_from(due.saturating_sub(now).div_ceil(MILLISECOND)).unwrap_or(period);
    // A failure only means a tick too many.
    let _ = host::tick_every(left);
}

/// `proxy_on_context_create`: a plugin's (`root` is 0), or a request's.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_context_create(id: u32, root: u32) {
    contexts(|contexts| match root {
        0 if contexts.root(id).is_none() => contexts.roots.push(Root { id, live: None, period: 0, due: 0 }),
        0 => {}
        _ => contexts.begun.push((id, root)),
    });
}

/// `proxy_on_request_headers`.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_request_headers(id: u32, count: usize, ends: bool) -> u32 {
    if contexts(|contexts| contexts.begin(id, count, ends)) == Some(None) {
        // Before any configuration: it passes as it is.
        counters::error("unconfigured");
    }
    CONTINUE
}

/// `proxy_on_response_headers`.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_response_headers(id: u32, _count: usize, ends: bool) -> u32 {
    // A filter without shadows does not ask.
    let _ = ends;
    contexts(|contexts| {
        if let Some(stream) = contexts.streams.get_mut(id) {
            #[cfg(feature = "shadow")]
            let status = stream.watch.as_mut().and_then(|watch| watch.answered(ends));
            #[cfg(not(feature = "shadow"))]
            let status = None;
            stream.answered(status);
            #[cfg(feature = "shadow")]
            {
                let status = stream.status();
                if let Some(reading) = &mut stream.reading {
                    reading.answered(status, ends);
                }
            }
        }
    });
    CONTINUE
}

/// `proxy_on_response_trailers`.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_response_trailers(id: u32, _count: usize) -> u32 {
    contexts(|contexts| {
        if let Some(stream) = contexts.streams.get_mut(id) {
            #[cfg(feature = "shadow")]
            if let Some(watch) = &stream.watch {
                watch.response_trailers();
            }
            #[cfg(feature = "shadow")]
            if let Some(reading) = &mut stream.reading {
                reading.response_trailers();
            }
            stream.trailed();
        }
    });
    CONTINUE
}

/// `proxy_on_delete`: a request is over, answered or not; or a plugin is.
#[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
#[unsafe(no_mangle)]
extern "C" fn headgate_on_delete(id: u32) {
    let Some(mut place) = contexts(|contexts| contexts.streams.remove(id)).flatten() else { return gone(id) };
    if let Some(stream) = place.as_ref() {
        stream.ended();
    }
    *place = None;
    contexts(|contexts| contexts.streams.keep(place));
}

/// What was no request that was decided: one without headers, or a plugin.
#[inline(never)]
fn gone(id: u32) {
    let root = contexts(|contexts| {
        contexts.root_of(id);
        let at = contexts.roots.iter().position(|root| root.id == id)?;
        Some(contexts.roots.swap_remove(at))
    });
    if root.flatten().is_some() {
        #[cfg(feature = "shadow")]
        crate::shadow::root_is_gone(id);
        // The tick that was to come may have been its own.
        counters::hand_over();
    }
}

/// The callbacks that only shadows and predictions need.
#[cfg(feature = "shadow")]
mod shadows {
    use super::{CONTINUE, contexts};
    use crate::predict::Reading;
    use crate::shadow::{self, Watch};

    /// Does something to a request that is copied, or whose predictions are read; every other one is let go by at once.
    fn watched(id: u32, with: impl FnOnce(&mut Watch), read: impl FnOnce(&mut Reading)) -> u32 {
        contexts(|contexts| {
            let Some(stream) = contexts.streams.get_mut(id) else { return };
            if let Some(reading) = &mut stream.reading {
                read(reading);
            }
            // Last: what comes after a copy that is sent would be about another context.
            if let Some(watch) = &mut stream.watch {
                with(watch);
            }
        });
        CONTINUE
    }

    /// `proxy_on_request_body`.
    #[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
    #[unsafe(no_mangle)]
    extern "C" fn headgate_on_request_body(id: u32, size: usize, ends: bool) -> u32 {
        watched(id, |watch| watch.request_body(size, ends), |reading| reading.request_body(size, ends))
    }

    /// `proxy_on_request_trailers`.
    #[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
    #[unsafe(no_mangle)]
    extern "C" fn headgate_on_request_trailers(id: u32, _count: usize) -> u32 {
        watched(id, |watch| watch.request_trailers(), Reading::request_trailers)
    }

    /// `proxy_on_response_body`.
    #[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
    #[unsafe(no_mangle)]
    extern "C" fn headgate_on_response_body(id: u32, size: usize, ends: bool) -> u32 {
        watched(id, |watch| watch.response_body(size, ends), |reading| reading.response_body(size, ends))
    }

    /// `proxy_on_http_call_response`: to the root context that sent the call.
    #[expect(unsafe_code, reason = "a name that the build gives to the ABI; nothing else has it")]
    #[unsafe(no_mangle)]
    extern "C" fn headgate_on_http_call_response(_root: u32, token: u32, headers: usize, size: usize, trailers: usize) {
        shadow::answered(token, headers, size, trailers);
    }
}
