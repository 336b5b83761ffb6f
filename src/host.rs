//! The host: every call from the filter into Envoy, over the proxy-wasm ABI 0.2.1.
//!
//! Types and the logger are the SDK's. The memory of answers is ours, and the functions are declared here: a filter must survive
//! every status that a host may answer, and each wrapper in `proxy_wasm::hostcalls` (0.2.5) panics on those that it does
//! not list, which costs the request its answer. Nor can one be caught beforehand: the wrappers read the status as an
//! enum, [`Status`], that lacks five of the statuses that Envoy has names for. Here a status is a number, and a call that
//! fails is an `Err` or a `None`. Of whole maps the wrappers also make a vector of strings; ours stay as they came.
//!
//! Log lines go by the crate `log` to the SDK's logger. That one would panic too if `proxy_log` failed; Envoy's fails
//! for an unknown level and for text outside the VM's memory, which the logger has not.
//!
//! Architecture Invariant: no other file declares or calls a host function, and nothing here decides anything.
#![expect(unsafe_code, reason = "the ABI hands pointers across: each block below says why its own are good")]

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::null_mut;

#[cfg(feature = "shadow")]
use proxy_wasm::types::LogLevel;
use proxy_wasm::types::{BufferType, MapType, MetricType, Status};

/// The host did not do what it was asked for. Its status is not told: nothing here would do otherwise by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

const OK: u32 = Status::Ok as u32;
const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_len: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_len: usize, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_len: usize, value: *const u8, value_len: usize) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        argument: *const u8,
        argument_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

#[cfg(feature = "shadow")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_len: usize,
        headers: *const u8,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        trailers: *const u8,
        trailers_len: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_log(level: u32, text: *const u8, len: usize) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// Largest memory that is kept for answers, in bytes: most requests' headers fit in.
const KEPT: usize = 4_096;
/// Bytes that an answer may have to spare in memory that is not kept.
const SLACK: usize = 64;

thread_local! {
    /// Memory of an earlier answer, for the next one.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Where the memory begins that the host was given last, and its capacity.
    static GIVEN: Cell<(*mut u8, usize)> = const { Cell::new((null_mut(), 0)) };
}

/// `proxy_on_memory_allocate`: memory for an answer of `size` bytes.
#[unsafe(no_mangle)]
extern "C" fn headgate_on_memory_allocate(size: usize) -> *mut u8 {
    let spare = SPARE.take();
    let mut memory = ManuallyDrop::new(if spare.capacity() < size { Vec::with_capacity(size) } else { spare });
    GIVEN.set((memory.as_mut_ptr(), memory.capacity()));
    memory.as_mut_ptr()
}

/// Keeps the memory of an answer that is done with for the next one. Two answers are on every request's way.
pub(crate) fn keep(answer: Vec<u8>) {
    // An empty answer has none to keep.
    if (1..=KEPT).contains(&answer.capacity()) {
        SPARE.set(answer);
    }
}

/// Runs one call that answers with bytes. `None` when it fails; no bytes at all is an empty answer. What is done with should go to
/// [`keep`].
fn ask(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut len) = (null_mut::<u8>(), 0);
    if call(&raw mut data, &raw mut len) == OK { answer(data, len) } else { None }
}

#[inline(never)]
fn answer(data: *mut u8, len: usize) -> Option<Vec<u8>> {
    if data.is_null() {
        return Some(Vec::new());
    }
    let (given, capacity) = GIVEN.replace((null_mut(), 0));
    if given != data || capacity < len {
        // Memory that was never asked for: whose it is nobody knows.
        return None;
    }
    // SAFETY: `headgate_on_memory_allocate` gave away a vector that begins here and has this capacity, from the same global
    // allocator, and the host has filled `len` bytes of it. `GIVEN` is forgotten, so no second vector is made of it.
    Some(unsafe { Vec::from_raw_parts(data, len, capacity) })
}

/// An answer to be held: in memory of its own size.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    ask(call).map(exact)
}

#[inline(never)]
fn exact(answer: Vec<u8>) -> Vec<u8> {
    if answer.capacity() - answer.len() <= SLACK {
        return answer;
    }
    let exact = answer.as_slice().to_vec();
    keep(answer);
    exact
}

/// An answer to be looked at.
fn lend<T>(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
    let answer = ask(call)?;
    let seen = look(&answer);
    keep(answer);
    Some(seen)
}

fn done(status: u32) -> Result<(), Failed> {
    if status == OK { Ok(()) } else { Err(Failed) }
}

/// Unix time in seconds; 0 when the host does not tell.
pub(crate) fn now() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes eight bytes to a live `u64`.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    if status == OK { time / 1_000_000_000 } else { 0 }
}

/// Unix time in milliseconds; 0 when the host does not tell.
#[cfg(feature = "shadow")]
pub(crate) fn now_milliseconds() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes eight bytes to a live `u64`.
    let status = unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
    if status == OK { time / 1_000_000 } else { 0 }
}

/// Nanoseconds of a clock that never goes back; 0 when the host does not tell.
pub(crate) fn monotonic() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes eight bytes to a live `u64`.
    let status = unsafe { clock_time_get(MONOTONIC, 1, &raw mut time) };
    if status == OK { time } else { 0 }
}

/// Asks for a tick of the root context every `period` milliseconds; 0 stops them.
pub(crate) fn tick_every(period: u32) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_set_tick_period_milliseconds(period) })
}

/// The plugin configuration of the root context that is being configured.
pub(crate) fn configuration(len: usize) -> Option<Vec<u8>> {
    // SAFETY: `ask` passes pointers to live locals. (True of every use of it below, by `take` and `lend` too.)
    take(|data, size| unsafe { proxy_get_buffer_bytes(BufferType::PluginConfiguration as u32, 0, len, data, size) })
}

/// All headers, in the ABI's serialization: see the module `headers`. Soon done with, they should go to [`keep`].
pub(crate) fn headers(map: MapType) -> Option<Vec<u8>> {
    ask(|data, len| unsafe { proxy_get_header_map_pairs(map as u32, data, len) })
}

/// First value of one header.
pub(crate) fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    take(|data, len| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, len) })
}

/// What `look` makes of the first value of one header.
pub(crate) fn header_as<T>(map: MapType, name: &str, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
    lend(|data, len| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, len) }, look)
}

/// Replaces every value of a header by one.
pub(crate) fn set_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: slices.
    done(unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Adds a value beside those that a header has.
pub(crate) fn add_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: slices.
    done(unsafe { proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Removes every value of a header.
pub(crate) fn remove_header(map: MapType, name: &str) -> Result<(), Failed> {
    // SAFETY: slices.
    done(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// A property of Envoy's. `path` is joined by NUL: `"response\0flags"`.
pub(crate) fn property(path: &str) -> Option<Vec<u8>> {
    take(|data, len| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, len) })
}

/// What `look` makes of a property.
pub(crate) fn property_as<T>(path: &str, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
    lend(|data, len| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, len) }, look)
}

/// A property that is an integer: eight bytes, little-endian.
pub(crate) fn property_number(path: &str) -> Option<u64> {
    property_as(path, |bytes| bytes.try_into().ok().map(u64::from_le_bytes))?
}

/// Sets filter state `wasm.<key>`.
pub(crate) fn set_state(key: &str, value: &str) -> Result<(), Failed> {
    // SAFETY: slices.
    done(unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) })
}

/// Makes the router choose its route anew.
pub(crate) fn clear_route_cache() -> Result<(), Failed> {
    let name = "clear_route_cache";
    let status = Cell::new(OK);
    // SAFETY: slices, and `ask`'s pointers.
    let _ = ask(|data, len| {
        status.set(unsafe { proxy_call_foreign_function(name.as_ptr(), name.len(), name.as_ptr(), 0, data, len) });
        status.get()
    });
    done(status.get())
}

/// Defines a metric of this VM; the answer is its id, which is not 0.
pub(crate) fn define(kind: MetricType, name: &str) -> Result<u32, Failed> {
    let mut id = 0;
    // SAFETY: a slice, and the host writes four bytes to a live `u32`.
    done(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter.
pub(crate) fn increment(id: u32, by: u64) {
    // SAFETY: no pointers. A failure would have nowhere to be counted.
    let _ = unsafe { proxy_increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)) };
}

/// Sets a gauge, or takes a sample of a histogram.
pub(crate) fn record(id: u32, value: u64) {
    // SAFETY: no pointers. A failure would have nowhere to be counted.
    let _ = unsafe { proxy_record_metric(id, value) };
}

/// What follows is done as this context: a call that a plugin sends outlives the request it is for. Holds until this entry into the
/// VM ends.
#[cfg(feature = "shadow")]
pub(crate) fn act_as(context: u32) -> Result<(), Failed> {
    // SAFETY: no pointers.
    done(unsafe { proxy_set_effective_context(context) })
}

/// Sends a request to a cluster; the answer comes to the context that sends it, by the token. `headers` are serialized: see the
/// module `headers`. `timeout` is in milliseconds. Envoy takes no call for a cluster that it does not know, that has no
/// host, or whose circuit breaker is open.
#[cfg(feature = "shadow")]
pub(crate) fn call(cluster: &str, headers: &[u8], body: &[u8], timeout: u32) -> Result<u32, Failed> {
    // No pairs, serialized.
    let none = [0_u8; 4];
    let mut token = 0;
    // SAFETY: slices, and the host writes four bytes to a live `u32`.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            none.as_ptr(),
            none.len(),
            timeout,
            &raw mut token,
        )
    };
    done(status).map(|()| token)
}

/// Part of a body that the present entry is about.
#[cfg(feature = "shadow")]
pub(crate) fn body(of: BufferType, start: usize, len: usize) -> Option<Vec<u8>> {
    take(|data, size| unsafe { proxy_get_buffer_bytes(of as u32, start, len, data, size) })
}

/// A line of Envoy's log, at level info.
#[cfg(feature = "shadow")]
pub(crate) fn tell(line: &str) -> Result<(), Failed> {
    // SAFETY: a slice.
    done(unsafe { proxy_log(LogLevel::Info as u32, line.as_ptr(), line.len()) })
}
