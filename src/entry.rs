//! What Envoy calls: the functions of the proxy-wasm ABI 0.2.1 that the filter exports, and the contexts they name.
//!
//! They are written out rather than left to the SDK's dispatcher because every entry into the VM is on every request's
//! way: the SDK exports all of the ABI and finds a context through boxed traits in three maps; this exports the entries
//! that are used. Its dispatcher also panics on a context that it does not know, which here is a call that does nothing.
//!
//! A request's context is made with its root's configuration of that moment, so a request in flight keeps the one that
//! decided it, and dropped once it is logged.
#![expect(unsafe_code, reason = "an exported name is an unsafe attribute, and the C runtime's start is an unsafe call")]

use core::cell::RefCell;
use core::hash::{BuildHasherDefault, Hasher};
use std::collections::HashMap;
use std::rc::Rc;

use crate::counters;
use crate::host;
use crate::live::Live;
use crate::request::Stream;

/// Milliseconds from a configuration to its acknowledgement.
const ACKNOWLEDGE_AFTER: u32 = 1;

/// Envoy numbers contexts upwards, so the number times an odd constant is hash enough.
#[derive(Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

type ById32<T> = HashMap<u32, T, BuildHasherDefault<ById>>;

thread_local! {
    static ROOTS: RefCell<ById32<Rc<Live>>> = const { RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())) };
    static STREAMS: RefCell<ById32<Stream>> = const { RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())) };
}

/// Runs `f` on a request's context, if there is one.
fn on_stream(id: u32, f: impl FnOnce(&mut Stream)) {
    STREAMS.with(|streams| {
        if let Ok(mut streams) = streams.try_borrow_mut()
            && let Some(stream) = streams.get_mut(&id)
        {
            f(stream);
        }
    });
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else; it prepares the C library (the environment).
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    host::allocate(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _len: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, len: usize) -> u32 {
    let bytes = host::configuration(len).unwrap_or_default();
    let Some(live) = Live::from_bytes(&bytes) else { return 0 };
    ROOTS.with(|roots| {
        if let Ok(mut roots) = roots.try_borrow_mut() {
            roots.insert(root, Rc::new(live));
        }
    });
    if host::tick_every(ACKNOWLEDGE_AFTER).is_err() {
        counters::error("tick");
    }
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    // A failure only means a tick too many.
    let _ = host::tick_every(0);
    let live = ROOTS.with(|roots| roots.try_borrow().ok().and_then(|roots| roots.get(&root).cloned()));
    if let Some(live) = live {
        live.acknowledge();
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    if root == 0 {
        return;
    }
    let live = ROOTS.with(|roots| roots.try_borrow().ok().and_then(|roots| roots.get(&root).cloned()));
    let Some(live) = live else {
        counters::error("unconfigured");
        return;
    };
    STREAMS.with(|streams| {
        if let Ok(mut streams) = streams.try_borrow_mut() {
            streams.insert(id, Stream::new(live));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, count: usize, ends: u32) -> u32 {
    on_stream(id, |stream| stream.on_request_headers(count, ends != 0));
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _count: usize, _end: u32) -> u32 {
    on_stream(id, Stream::on_response_headers);
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    on_stream(id, |stream| stream.on_log());
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    let stream = STREAMS.with(|streams| streams.try_borrow_mut().ok().and_then(|mut streams| streams.remove(&id)));
    if stream.is_none() {
        ROOTS.with(|roots| {
            if let Ok(mut roots) = roots.try_borrow_mut() {
                roots.remove(&id);
            }
        });
    }
}
