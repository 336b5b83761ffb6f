//! The file itself: how large it is, what it wants from a host, what it offers.

use std::collections::BTreeSet;

use headgate_host_calls::NEVER_CALLED;
use wasmi::{Engine, Module};

/// Bytes of the file that users load, at most: 400 KB.
const LARGEST: usize = 400_000;

fn bytes() -> Vec<u8> {
    std::fs::read(headgate_tests::wasm().unwrap()).unwrap()
}

#[test]
fn it_does_not_grow() {
    let size = bytes().len();
    assert!(size <= LARGEST, "{size} bytes");
}

#[test]
fn it_imports_what_is_listed_here_and_no_more() {
    let unused: Vec<String> = NEVER_CALLED.iter().map(|name| format!("env.{name}")).collect();
    let mut expect: BTreeSet<&str> = unused.iter().map(String::as_str).collect();
    expect.extend([
        "env.proxy_add_header_map_value",
        "env.proxy_call_foreign_function",
        "env.proxy_define_metric",
        "env.proxy_get_buffer_bytes",
        "env.proxy_get_current_time_nanoseconds",
        "env.proxy_get_header_map_pairs",
        "env.proxy_get_header_map_value",
        "env.proxy_get_property",
        "env.proxy_increment_metric",
        "env.proxy_log",
        "env.proxy_record_metric",
        "env.proxy_remove_header_map_value",
        "env.proxy_replace_header_map_value",
        "env.proxy_set_property",
        "env.proxy_set_tick_period_milliseconds",
        "wasi_snapshot_preview1.clock_time_get",
        "wasi_snapshot_preview1.environ_get",
        "wasi_snapshot_preview1.environ_sizes_get",
        "wasi_snapshot_preview1.fd_write",
        "wasi_snapshot_preview1.proc_exit",
        "wasi_snapshot_preview1.random_get",
    ]);
    let module = Module::new(&Engine::default(), bytes()).unwrap();
    let seen: Vec<String> = module.imports().map(|i| format!("{}.{}", i.module(), i.name())).collect();
    assert_eq!(seen.iter().map(String::as_str).collect::<BTreeSet<_>>(), expect);
}

#[test]
fn it_exports_what_a_request_needs_and_no_more() {
    let expect = BTreeSet::from([
        "_initialize",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_memory_allocate",
        "proxy_on_request_headers",
        "proxy_on_response_headers",
        "proxy_on_response_trailers",
        "proxy_on_tick",
    ]);
    let module = Module::new(&Engine::default(), bytes()).unwrap();
    let seen: Vec<String> = module.exports().map(|e| e.name().to_owned()).collect();
    assert_eq!(seen.iter().map(String::as_str).collect::<BTreeSet<_>>(), expect);
}
