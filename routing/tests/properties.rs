//! Any bytes anywhere in a request: a decision never panics and yields a variant of the configuration.
#![cfg(not(target_arch = "wasm32"))]

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, dead_code, clippy::panic, reason = "it is a library of its own for cargo fuzz")]
mod targets;

/// A runner with a fixed seed: the same cases on every machine.
fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        // What parsers look for, in any order.
        proptest::collection::vec(prop::sample::select(&b"ab01=;,.:\"%?&/[]{} \xff\x00-"[..]), 0..60),
        prop::sample::select(vec![
            b"shop.example".to_vec(),
            b"/?user=1&force=a".to_vec(),
            b"qa".to_vec(),
            b"vip".to_vec(),
            b"gold".to_vec(),
            b"v1".to_vec(),
            b"CONNECT".to_vec(),
            b"sid=qa; tok=a.b.c".to_vec(),
            b"shop=canary;e=1;k=k1;s=AA".to_vec(),
            b"10.0.0.1:1".to_vec(),
        ]),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        ":authority",
        ":path",
        ":method",
        "cookie",
        "x-user",
        "x-force",
        "x-tier",
        "x-bad",
        "x-agent",
        "x-variant",
        "x_variant",
        "x-mirror",
        "x-headgate-token",
        "x-headgate-decisions",
        "x_headgate_token",
        "authorization",
        "x-forwarded-for",
        "content-length",
        "upgrade",
        "x-headgate-copy",
        "@sub",
        "@id",
        "@tier",
        "@address",
    ]);
    (any::<bool>(), proptest::collection::vec((name, bytes()), 0..16)).prop_map(|(body, fields)| {
        let mut data = if body { b"!\n:authority: shop.example\n:path: /\n".to_vec() } else { Vec::new() };
        for (name, value) in fields {
            data.extend_from_slice(name.as_bytes());
            data.extend_from_slice(b": ");
            data.extend(value.into_iter().filter(|&b| b != b'\n'));
            data.push(b'\n');
        }
        data
    })
}

#[test]
fn any_request_gets_a_variant_of_the_configuration() -> Result<(), impl std::fmt::Debug> {
    runner(4_000).run(&request(), |data| {
        targets::decide(&data);
        Ok(())
    })
}

#[test]
fn any_bytes_pass_every_target() -> Result<(), impl std::fmt::Debug> {
    runner(1_000).run(&bytes(), |data| {
        targets::TARGETS.iter().for_each(|(_, target)| target(&data));
        Ok(())
    })
}
