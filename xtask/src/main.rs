//! Chores of the build that cargo does not do.
//!
//! `cargo run -p xtask -- prune <in.wasm> <out.wasm>`: makes of what the compiler wrote what a proxy loads.

mod prune;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["prune", input, output] => prune_file(Path::new(input), Path::new(output)),
        _ => Err("usage: xtask prune <in.wasm> <out.wasm>".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn prune_file(input: &Path, output: &Path) -> Result<(), String> {
    let before = std::fs::read(input).map_err(|e| format!("{}: {e}: build the filter first", input.display()))?;
    let after = prune::prune(&before).map_err(|e| format!("{}: {e}", input.display()))?;
    // A proxy may have the old file open: it keeps it.
    let fresh = output.with_extension("wasm.new");
    std::fs::write(&fresh, &after).map_err(|e| format!("{}: {e}", fresh.display()))?;
    std::fs::rename(&fresh, output).map_err(|e| format!("{}: {e}", output.display()))?;
    println!("{}: {} bytes, before {}", output.display(), after.len(), before.len());
    Ok(())
}
