//! Every file of `fuzz/corpus/` through the very functions that `cargo fuzz` runs.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that finds something else than it expects must stop")]
#![allow(clippy::disallowed_methods, reason = "the corpora are files")]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code, clippy::panic, reason = "it is a library of its own for cargo fuzz")]
mod targets;

#[test]
fn every_corpus_file_passes_its_target() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let files: Vec<_> = std::fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 3, "{name} has {} files", files.len());
        for file in files {
            let data = std::fs::read(&file).unwrap();
            if let Err(e) = std::panic::catch_unwind(|| target(&data)) {
                panic!("{}: {:?}", file.display(), e.downcast_ref::<String>());
            }
        }
    }
}

#[test]
fn a_token_of_the_corpus_that_is_signed_is_believed() {
    // Signed by another implementation (Python's hmac), so that the target's happy path is reached.
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tokens/signed");
    let ring = headgate_routing::Ring::new([("k1", &b"0123456789abcdef0123456789abcdef"[..])]);
    let token = std::fs::read(corpus).unwrap();
    let claims = headgate_routing::token::verify(&token, &ring, "shop", 1_800_000_000).unwrap();
    assert_eq!(claims.variant, "canary");
}
