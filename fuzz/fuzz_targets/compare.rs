//! See `compare` in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| headgate_fuzz::compare(data));
