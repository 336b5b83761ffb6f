//! Where the parts are that tests drive. A part that is missing is a fault that names the command that makes it, never a
//! skipped test.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::fault::fault;

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Envoy: `HEADGATE_ENVOY`, else the one that `make test` installs.
pub fn envoy_binary() -> Result<PathBuf> {
    part("HEADGATE_ENVOY", repository().join(".tools/venv/bin/envoy"), "Envoy")
}

/// Prometheus: `HEADGATE_PROMETHEUS`, else the one that `make test` installs.
pub fn prometheus_binary() -> Result<PathBuf> {
    part("HEADGATE_PROMETHEUS", repository().join(".tools/bin/prometheus"), "Prometheus")
}

/// The filter: `HEADGATE_WASM`, else the one that `make wasm` builds.
pub fn wasm() -> Result<PathBuf> {
    part("HEADGATE_WASM", repository().join("target/headgate.wasm"), "the compiled filter")
}

/// The filter that compares shadows: `HEADGATE_SHADOW_WASM`, else the one that `make wasm` builds.
pub fn shadow_wasm() -> Result<PathBuf> {
    part("HEADGATE_SHADOW_WASM", repository().join("target/headgate-shadow.wasm"), "the compiled filter with shadows")
}

/// The control program: `HEADGATE_BIN`, else the one of the build that the running test belongs to.
pub fn headgate_binary() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let beside = exe.ancestors().skip(1).map(|dir| dir.join("headgate")).find(|path| path.is_file());
    part("HEADGATE_BIN", beside.unwrap_or_else(|| repository().join("target/debug/headgate")), "the program `headgate`")
}

fn part(variable: &str, default: PathBuf, what: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or(default, PathBuf::from);
    if path.is_file() {
        return Ok(path);
    }
    Err(fault(format!("{what} is not at {}: run `make test`, or set {variable}", path.display())))
}
