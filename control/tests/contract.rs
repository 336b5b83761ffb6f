//! Configurations that were published once stay good for ever: `tests/contract/`.

use std::path::Path;

#[test]
fn every_published_configuration_still_compiles() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/contract");
    let mut read = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let name = path.display();
        let bytes = std::fs::read(&path).unwrap();
        let config = headgate_contract::read_strict(&bytes).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        headgate_routing::compile(config).map(drop).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        read += 1;
    }
    assert!(read >= 8, "only {read} files in {}", folder.display());
}
