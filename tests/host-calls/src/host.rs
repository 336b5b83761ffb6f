//! The host's side of the ABI.

use std::collections::BTreeMap;

use wasmi::{AsContext, AsContextMut, Caller, Extern, ExternType, Linker, Memory, Module};

use crate::{Header, Result};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
/// Nanoseconds by which the clock goes on at every look.
const TICK: u64 = 1_000;

/// How the host misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    None,
    /// Every call answers this status and does nothing.
    Status(u32),
    /// Every call of this function answers this status and does nothing.
    Of(&'static str, u32),
    /// Every call that answers with bytes answers these, whatever was asked for, and every other does nothing.
    Bytes(&'static [u8]),
    /// Every answer in bytes lies at this address, which the filter was not asked for.
    Elsewhere(u32),
}

/// What the filter can ask for, what it did, and how often it asked.
#[derive(Debug)]
pub struct Host {
    /// Calls and entries by name, since they were last taken.
    pub calls: BTreeMap<String, u32>,
    /// Every metric, by its whole name: a counter's or gauge's value, a histogram's number of samples.
    pub metrics: BTreeMap<String, u64>,
    /// Lines of the log, as (level, text).
    pub log: Vec<(u32, String)>,
    /// Period of the tick in milliseconds; 0 is off.
    pub tick: u32,
    /// Whether and how it misbehaves.
    pub fault: Fault,
    /// Tokens of the calls that the filter sent and that were not answered yet.
    pub sent: Vec<u32>,
    /// By token, the context that it was sent as.
    pub(crate) sent_as: BTreeMap<u32, u32>,
    /// The context that calls are made as, since one was last chosen.
    effective: u32,
    pub(crate) configuration: Vec<u8>,
    pub(crate) maps: BTreeMap<u32, Vec<Header>>,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) bodies: BTreeMap<u32, Vec<u8>>,
    tokens: u32,
    ids: Vec<(u32, String)>,
    clock: u64,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            calls: BTreeMap::new(),
            metrics: BTreeMap::new(),
            log: Vec::new(),
            tick: 0,
            fault: Fault::None,
            sent: Vec::new(),
            sent_as: BTreeMap::new(),
            effective: 0,
            bodies: BTreeMap::new(),
            tokens: 0,
            configuration: Vec::new(),
            maps: BTreeMap::new(),
            properties: BTreeMap::new(),
            state: BTreeMap::new(),
            ids: Vec::new(),
            clock: 1_800_000_000_000_000_000,
        }
    }

    pub(crate) fn entered(&mut self, name: &str) {
        *self.calls.entry(name.to_owned()).or_insert(0) += 1;
    }

    /// The values of all metrics whose names end so, whatever their labels.
    pub fn sum(&self, name: &str) -> u64 {
        self.metrics.iter().filter(|(metric, _)| metric.ends_with(name)).map(|(_, value)| value).sum()
    }

    /// Lets the clock go on by so many microseconds.
    pub fn wait(&mut self, microseconds: u64) {
        self.clock += microseconds * 1_000;
    }

    fn look(&mut self) -> u64 {
        self.clock += TICK;
        self.clock
    }

    fn map(&mut self, map: u32) -> &mut Vec<Header> {
        self.maps.entry(map).or_default()
    }
}

type Call<'a> = Caller<'a, Host>;

fn memory(caller: &Call<'_>) -> Result<Memory> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| wasmi::Error::new("the filter exports no memory"))
}

fn read(caller: &Call<'_>, at: u32, len: u32) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    memory(caller)?.read(caller.as_context(), at as usize, &mut bytes)?;
    Ok(bytes)
}

fn write(caller: &mut Call<'_>, at: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory.write(caller.as_context_mut(), at as usize, bytes)?;
    Ok(())
}

/// Answers with bytes: in memory that the filter is asked for.
fn answer(caller: &mut Call<'_>, bytes: &[u8], data: u32, len: u32) -> Result<u32> {
    let size = u32::try_from(bytes.len()).map_err(|e| wasmi::Error::new(e.to_string()))?;
    let mut at = 0;
    if let Fault::Elsewhere(address) = caller.data().fault {
        at = address;
    } else if size > 0 {
        let allocate = caller.get_export("proxy_on_memory_allocate").and_then(Extern::into_func);
        let allocate = allocate.ok_or_else(|| wasmi::Error::new("the filter exports no allocator"))?;
        caller.data_mut().entered("proxy_on_memory_allocate");
        at = allocate.typed::<u32, u32>(caller.as_context())?.call(caller.as_context_mut(), size)?;
        write(caller, at, bytes)?;
    }
    write(caller, data, &at.to_le_bytes())?;
    write(caller, len, &size.to_le_bytes())?;
    Ok(OK)
}

/// Counts a call; `Some` is what a misbehaving host answers instead of doing it.
fn begin(caller: &mut Call<'_>, name: &str, out: Option<(u32, u32)>) -> Result<Option<u32>> {
    caller.data_mut().entered(name);
    match (caller.data().fault, out) {
        (Fault::Of(which, status), _) if which == name => Ok(Some(status)),
        (Fault::None | Fault::Of(..) | Fault::Elsewhere(_), _) => Ok(None),
        (Fault::Status(status), _) => Ok(Some(status)),
        (Fault::Bytes(bytes), Some((data, len))) => answer(caller, bytes, data, len).map(Some),
        (Fault::Bytes(_), None) => Ok(Some(OK)),
    }
}

fn serialize(headers: &[Header]) -> Vec<u8> {
    let le = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = le(headers.len()).to_vec();
    for (name, value) in headers {
        out.extend(le(name.len()));
        out.extend(le(value.len()));
    }
    for (name, value) in headers {
        out.extend([name.as_slice(), b"\0", value, b"\0"].concat());
    }
    out
}

/// What the SDK's traits name in methods that the filter never calls. Their tables of methods keep them imported.
pub const NEVER_CALLED: [&str; 14] = [
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_set_shared_data",
];

/// The entry that a filter has if it sends calls.
const ANSWERED: &str = "proxy_on_http_call_response";

/// Every function that the filter may import. One that is missing here fails the filter's start; calling one of
/// [`NEVER_CALLED`] fails the entry that did.
pub(crate) fn link(linker: &mut Linker<Host>, module: &Module) -> Result<()> {
    let sends = module.get_export(ANSWERED).is_some();
    let never = |name: &str| NEVER_CALLED.contains(&name) && !(sends && name == "proxy_http_call");
    for import in module.imports().filter(|i| i.module() == "env" && never(i.name())) {
        if let ExternType::Func(kind) = import.ty() {
            let name = import.name().to_owned();
            linker.func_new("env", import.name(), kind.clone(), move |_, _, _| {
                Err(wasmi::Error::new(format!("the filter called {name}")))
            })?;
        }
    }
    if sends {
        calls(linker)?;
    }
    headers(linker)?;
    metrics(linker)?;
    wasi(linker)?;
    linker.func_wrap("env", "proxy_log", |mut caller: Call<'_>, level: u32, text: u32, len: u32| -> Result<u32> {
        caller.data_mut().entered("proxy_log");
        let text = String::from_utf8_lossy(&read(&caller, text, len)?).into_owned();
        caller.data_mut().log.push((level, text));
        Ok(OK)
    })?;
    let name = "proxy_get_current_time_nanoseconds";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, at: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        let time = caller.data_mut().look();
        write(&mut caller, at, &time.to_le_bytes())?;
        Ok(OK)
    })?;
    let name = "proxy_set_tick_period_milliseconds";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, period: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        caller.data_mut().tick = period;
        Ok(OK)
    })?;
    let name = "proxy_get_buffer_bytes";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, kind: u32, start: u32, most: u32, data: u32, len: u32| -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, Some((data, len)))? {
                return Ok(status);
            }
            if kind == 7 {
                let bytes = caller.data().configuration.clone();
                return answer(&mut caller, &bytes, data, len);
            }
            let Some(body) = caller.data().bodies.get(&kind) else { return Ok(NOT_FOUND) };
            let bytes: Vec<u8> = body.iter().skip(start as usize).take(most as usize).copied().collect();
            answer(&mut caller, &bytes, data, len)
        },
    )?;
    let name = "proxy_get_property";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, path: u32, path_len: u32, data: u32, len: u32| -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, Some((data, len)))? {
                return Ok(status);
            }
            let path = read(&caller, path, path_len)?;
            match caller.data().properties.get(&path).cloned() {
                Some(value) => answer(&mut caller, &value, data, len),
                None => Ok(NOT_FOUND),
            }
        },
    )?;
    let name = "proxy_set_property";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, path: u32, path_len: u32, value: u32, value_len: u32| -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, None)? {
                return Ok(status);
            }
            let path = String::from_utf8_lossy(&read(&caller, path, path_len)?).into_owned();
            let value = String::from_utf8_lossy(&read(&caller, value, value_len)?).into_owned();
            caller.data_mut().state.insert(path, value);
            Ok(OK)
        },
    )?;
    let name = "proxy_call_foreign_function";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, _: u32, _: u32, _: u32, _: u32, data: u32, len: u32| -> Result<u32> {
            match begin(&mut caller, name, Some((data, len)))? {
                Some(status) => Ok(status),
                None => Ok(OK),
            }
        },
    )?;
    Ok(())
}

/// What only a filter calls that sends calls.
fn calls(linker: &mut Linker<Host>) -> Result<()> {
    let name = "proxy_set_effective_context";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, context: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        caller.data_mut().effective = context;
        Ok(OK)
    })?;
    let name = "proxy_http_call";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>,
              cluster: u32,
              cluster_len: u32,
              headers: u32,
              headers_len: u32,
              body: u32,
              body_len: u32,
              _: u32,
              _: u32,
              _: u32,
              token: u32|
              -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, None)? {
                return Ok(status);
            }
            for (at, len) in [(cluster, cluster_len), (headers, headers_len), (body, body_len)] {
                read(&caller, at, len)?;
            }
            let host = caller.data_mut();
            host.tokens += 1;
            let number = host.tokens;
            host.sent.push(number);
            host.sent_as.insert(number, host.effective);
            write(&mut caller, token, &number.to_le_bytes())?;
            Ok(OK)
        },
    )?;
    Ok(())
}

fn headers(linker: &mut Linker<Host>) -> Result<()> {
    let name = "proxy_get_header_map_pairs";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, map: u32, data: u32, len: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, Some((data, len)))? {
            return Ok(status);
        }
        let bytes = serialize(caller.data_mut().map(map));
        answer(&mut caller, &bytes, data, len)
    })?;
    let name = "proxy_get_header_map_value";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, map: u32, key: u32, key_len: u32, data: u32, len: u32| -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, Some((data, len)))? {
                return Ok(status);
            }
            let key = read(&caller, key, key_len)?;
            let value =
                caller.data_mut().map(map).iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
            match value {
                Some(value) => answer(&mut caller, &value, data, len),
                None => Ok(NOT_FOUND),
            }
        },
    )?;
    for name in ["proxy_replace_header_map_value", "proxy_add_header_map_value"] {
        linker.func_wrap(
            "env",
            name,
            move |mut caller: Call<'_>, map: u32, key: u32, key_len: u32, value: u32, value_len: u32| -> Result<u32> {
                if let Some(status) = begin(&mut caller, name, None)? {
                    return Ok(status);
                }
                let key = read(&caller, key, key_len)?;
                let value = read(&caller, value, value_len)?;
                let headers = caller.data_mut().map(map);
                if name.contains("replace") {
                    headers.retain(|(name, _)| *name != key);
                }
                headers.push((key, value));
                Ok(OK)
            },
        )?;
    }
    let name = "proxy_remove_header_map_value";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, map: u32, key: u32, key_len: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        let key = read(&caller, key, key_len)?;
        caller.data_mut().map(map).retain(|(name, _)| *name != key);
        Ok(OK)
    })?;
    Ok(())
}

fn metrics(linker: &mut Linker<Host>) -> Result<()> {
    let name = "proxy_define_metric";
    linker.func_wrap(
        "env",
        name,
        move |mut caller: Call<'_>, kind: u32, text: u32, len: u32, id: u32| -> Result<u32> {
            if let Some(status) = begin(&mut caller, name, None)? {
                return Ok(status);
            }
            let text = String::from_utf8_lossy(&read(&caller, text, len)?).into_owned();
            let host = caller.data_mut();
            host.metrics.entry(text.clone()).or_insert(0);
            host.ids.push((kind, text));
            let number = u32::try_from(host.ids.len()).unwrap_or(u32::MAX);
            write(&mut caller, id, &number.to_le_bytes())?;
            Ok(OK)
        },
    )?;
    let name = "proxy_increment_metric";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, id: u32, by: i64| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        Ok(change(caller.data_mut(), id, |_, value| value.saturating_add_signed(by)))
    })?;
    let name = "proxy_record_metric";
    linker.func_wrap("env", name, move |mut caller: Call<'_>, id: u32, to: u64| -> Result<u32> {
        if let Some(status) = begin(&mut caller, name, None)? {
            return Ok(status);
        }
        Ok(change(caller.data_mut(), id, |kind, value| if kind == 2 { value + 1 } else { to }))
    })?;
    Ok(())
}

fn change(host: &mut Host, id: u32, f: impl FnOnce(u32, u64) -> u64) -> u32 {
    let metric = usize::try_from(id).ok().and_then(|id| host.ids.get(id.checked_sub(1)?));
    match metric.and_then(|(kind, name)| Some((*kind, host.metrics.get_mut(name)?))) {
        Some((kind, value)) => {
            *value = f(kind, *value);
            OK
        }
        None => BAD_ARGUMENT,
    }
}

/// The part of WASI that Rust's standard library and getrandom use: an empty environment, no files, and bytes that
/// count up as randomness.
fn wasi(linker: &mut Linker<Host>) -> Result<()> {
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(wasi, "clock_time_get", |mut caller: Call<'_>, _: u32, _: u64, at: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, "clock_time_get", None)? {
            return Ok(status);
        }
        let time = caller.data_mut().look();
        write(&mut caller, at, &time.to_le_bytes())?;
        Ok(OK)
    })?;
    linker.func_wrap(wasi, "random_get", |mut caller: Call<'_>, at: u32, len: u32| -> Result<u32> {
        if let Some(status) = begin(&mut caller, "random_get", None)? {
            return Ok(status);
        }
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len as usize).collect();
        write(&mut caller, at, &bytes)?;
        Ok(OK)
    })?;
    linker.func_wrap(wasi, "environ_sizes_get", |mut caller: Call<'_>, count: u32, size: u32| -> Result<u32> {
        write(&mut caller, count, &[0; 4])?;
        write(&mut caller, size, &[0; 4])?;
        Ok(OK)
    })?;
    linker.func_wrap(wasi, "environ_get", |_: Call<'_>, _: u32, _: u32| OK)?;
    linker.func_wrap(
        wasi,
        "fd_write",
        |mut caller: Call<'_>, _: u32, vectors: u32, count: u32, written: u32| -> Result<u32> {
            let mut total = 0;
            for i in 0..count {
                let pair = read(&caller, vectors + 8 * i, 8)?;
                let word =
                    |at: usize| pair.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
                let text = read(&caller, word(0), word(4))?;
                total += word(4);
                caller.data_mut().log.push((4, String::from_utf8_lossy(&text).into_owned()));
            }
            write(&mut caller, written, &total.to_le_bytes())?;
            Ok(OK)
        },
    )?;
    linker.func_wrap(wasi, "proc_exit", |_: Call<'_>, code: u32| -> Result<()> {
        Err(wasmi::Error::new(format!("the filter exited with {code}")))
    })?;
    Ok(())
}
