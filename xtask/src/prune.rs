//! Takes out of a compiled filter what no proxy needs.
//!
//! Envoy enters the VM for every callback that a module exports, used or not, and each entry is time of every request.
//! The SDK exports all of the ABI; only the callbacks named here stay exported. What then nothing can reach goes with
//! them, functions and imports, which the linker had to keep for the exports' sake. The section of function names,
//! which only makes panics readable, goes too.

use walrus::{ModuleConfig, passes};

/// The exports of a filter: its memory, the C library's start, the allocator that the host answers through, and the
/// callbacks of the proxy-wasm ABI that do something.
pub(crate) const EXPORTS: [&str; 11] = [
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_memory_allocate",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_delete",
];

/// Exports that take the place of the SDK's: ours, and the ABI's name.
const OURS: [(&str, &str); 8] = [
    ("headgate_on_configure", "proxy_on_configure"),
    ("headgate_on_tick", "proxy_on_tick"),
    ("headgate_on_context_create", "proxy_on_context_create"),
    ("headgate_on_request_headers", "proxy_on_request_headers"),
    ("headgate_on_response_headers", "proxy_on_response_headers"),
    ("headgate_on_response_trailers", "proxy_on_response_trailers"),
    ("headgate_on_delete", "proxy_on_delete"),
    ("headgate_on_memory_allocate", "proxy_on_memory_allocate"),
];

/// Exports that a filter may have: of the feature `shadow`.
const MORE: [(&str, &str); 4] = [
    ("headgate_on_request_body", "proxy_on_request_body"),
    ("headgate_on_request_trailers", "proxy_on_request_trailers"),
    ("headgate_on_response_body", "proxy_on_response_body"),
    ("headgate_on_http_call_response", "proxy_on_http_call_response"),
];

/// The same module with [`OURS`], and what it has of [`MORE`], by the ABI's names, no other exports but [`EXPORTS`], nothing that cannot be reached from them, and no custom sections.
///
/// # Errors
/// When the bytes are no module, or one of [`EXPORTS`] or [`OURS`] is missing.
pub(crate) fn prune(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    let mut module = config.parse(wasm).map_err(|e| format!("{e:#}"))?;
    let more: Vec<_> = MORE.into_iter().filter(|(ours, _)| module.exports.iter().any(|e| e.name == *ours)).collect();
    for (ours, name) in OURS.into_iter().chain(more.iter().copied()) {
        let id = |name: &str| module.exports.iter().find(|export| export.name == name).map(|export| export.id());
        let (Some(ours), Some(theirs)) = (id(ours), id(name)) else {
            return Err(format!("the module does not export {ours} and {name}: is it the filter?"));
        };
        module.exports.delete(theirs);
        module.exports.get_mut(ours).name = name.to_owned();
    }
    let exported = |name: &str| module.exports.iter().any(|export| export.name == name);
    let missing: Vec<&str> = EXPORTS.into_iter().filter(|name| !exported(name)).collect();
    if !missing.is_empty() {
        return Err(format!("the module does not export {}: is it the filter?", missing.join(", ")));
    }
    let used = |name: &str| EXPORTS.contains(&name) || more.iter().any(|(_, theirs)| *theirs == name);
    let unused: Vec<_> = module.exports.iter().filter(|e| !used(&e.name)).map(|e| e.id()).collect();
    for export in unused {
        module.exports.delete(export);
    }
    let customs: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for custom in customs {
        module.customs.delete(custom);
    }
    passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use wasm_encoder::{
        CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection, MemoryType,
        Module, TypeSection,
    };
    use wasmparser::{Parser, Payload};

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
        all.extend(OURS.map(|(ours, _)| ours));
        all.extend(["proxy_on_vm_start", "proxy_on_request_body", "proxy_on_done", "__data_end"]);
        let seen: BTreeSet<String> = exports(&prune(&module(&all)).unwrap()).into_iter().collect();
        assert_eq!(seen, EXPORTS.map(str::to_owned).into());
    }

    #[test]
    fn a_module_that_lacks_a_callback_is_refused_by_name() {
        let reason = prune(&module(&EXPORTS)).unwrap_err();
        assert!(reason.contains("headgate_on_configure"), "{reason}");
        let ours = OURS.map(|(ours, _)| ours);
        let reason = prune(&module(&[&EXPORTS[1..], &ours].concat())).unwrap_err();
        assert!(reason.contains("memory"), "{reason}");
        assert!(prune(b"\0asm").is_err());
    }
}
