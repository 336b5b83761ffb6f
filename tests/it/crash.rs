//! What Envoy does, as the files that users copy tell it to, when a filter crashes. Headgate's has no known way to, so this
//! is another filter: one that crashes when a request has the header `x-crash`.

use headgate_tests::{Result, wait_until};

use crate::fixture::Versions;

const CRASHES: &str = r#"
(module
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 0) "x-crash")
  (global $free (mut i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func (export "proxy_on_memory_allocate") (param $len i32) (result i32)
    (global.set $free (i32.add (global.get $free) (local.get $len)))
    (i32.sub (global.get $free) (local.get $len)))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    ;; Map 0 is the request's headers, status 0 is found.
    (if (i32.eqz (call $header (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 512) (i32.const 516)))
      (then unreachable))
    (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_crashes_fails_that_request_and_is_started_anew() -> Result<()> {
    let versions = Versions::start().await?;
    let folder = tempfile::tempdir()?;
    let wasm = folder.path().join("crashes.wasm");
    std::fs::write(&wasm, wat::parse_str(CRASHES)?)?;
    let envoy = versions.envoy()?.wasm(&wasm).without_waiting_for_filter().start().await?;
    for crash in 1..=3 {
        // Until the filter is there, nobody looks at the header.
        wait_until("a request makes the filter crash", || async {
            Ok(envoy.http1().await?.get("/", &[("x-crash", "now")]).await?.status == 503)
        })
        .await?;
        wait_until("requests are served again", || async {
            Ok(envoy.http1().await?.get("/", &[]).await?.upstream() == "stable")
        })
        .await?;
        let metrics = envoy.metrics().await?;
        let reloaded = metrics.sum("envoy_wasm_headgate_vm_reload_success", &[]);
        assert!(reloaded >= crash, "{reloaded} of {crash}: {:?}", metrics.names("envoy_wasm"));
    }
    Ok(())
}
