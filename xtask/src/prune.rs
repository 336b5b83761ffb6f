//! Takes out of a compiled filter what no proxy needs.
//!
//! Envoy enters the VM for every callback that a module exports, used or not, and each entry is time of every request.
//! So only the callbacks named here stay exported, whatever a dependency adds. The section of function names, which
//! only makes panics readable, goes too: it is an eighth of the file. Functions are left where they are; what nothing
//! can reach was left out by the linker already.

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection, SectionId};
use wasmparser::{ExternalKind, Parser, Payload};

/// The exports of a filter: its memory, the C library's start, the allocator that the host answers through, and the
/// callbacks of the proxy-wasm ABI that do something.
pub(crate) const EXPORTS: [&str; 12] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_log",
    "proxy_on_delete",
];

/// The same module with no exports but [`EXPORTS`] and no custom sections.
///
/// # Errors
/// When the bytes are no module, or one of [`EXPORTS`] is missing.
pub(crate) fn prune(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = Module::new();
    let mut missing: Vec<&str> = EXPORTS.to_vec();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|e| e.to_string())?;
        if let Payload::ExportSection(exports) = &payload {
            let mut kept = ExportSection::new();
            for export in exports.clone() {
                let export = export.map_err(|e| e.to_string())?;
                if EXPORTS.contains(&export.name) {
                    missing.retain(|name| *name != export.name);
                    kept.export(export.name, kind(export.kind)?, export.index);
                }
            }
            module.section(&kept);
        } else if let Some((id, range)) = payload.as_section()
            && id != SectionId::Custom as u8
        {
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let data = range.and_then(|(start, end)| wasm.get(start..end)).ok_or("a section beyond the file")?;
            module.section(&RawSection { id, data });
        }
    }
    if missing.is_empty() {
        Ok(module.finish())
    } else {
        Err(format!("the module does not export {}: is it the filter?", missing.join(", ")))
    }
}

fn kind(kind: ExternalKind) -> Result<ExportKind, String> {
    match kind {
        ExternalKind::Func => Ok(ExportKind::Func),
        ExternalKind::Memory => Ok(ExportKind::Memory),
        other => Err(format!("exports a {other:?} by the name of a function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{CodeSection, CustomSection, Function, FunctionSection, MemorySection, MemoryType, TypeSection};

    fn module(exports: &[&str]) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        module.section(&types);
        let mut functions = FunctionSection::new();
        functions.function(0);
        module.section(&functions);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        module.section(&memories);
        let mut section = ExportSection::new();
        for name in exports {
            let kind = if *name == "memory" { ExportKind::Memory } else { ExportKind::Func };
            section.export(name, kind, 0);
        }
        module.section(&section);
        let mut code = CodeSection::new();
        let mut function = Function::new([]);
        function.instructions().end();
        code.function(&function);
        module.section(&code);
        module.section(&CustomSection { name: "name".into(), data: [][..].into() });
        module.finish()
    }

    fn exports(wasm: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    names.extend(section.into_iter().map(|e| e.unwrap().name.to_owned()))
                }
                Payload::CustomSection(section) => panic!("custom section {}", section.name()),
                _ => {}
            }
        }
        names
    }

    #[test]
    fn only_what_is_used_stays_exported() {
        let mut all = EXPORTS.to_vec();
        all.extend(["proxy_on_request_body", "proxy_on_done", "__data_end"]);
        assert_eq!(exports(&prune(&module(&all)).unwrap()), EXPORTS);
    }

    #[test]
    fn a_module_that_lacks_a_callback_is_refused_by_name() {
        let reason = prune(&module(&EXPORTS[..11])).unwrap_err();
        assert!(reason.contains("proxy_on_delete"), "{reason}");
        assert!(prune(b"\0asm").is_err());
    }
}
