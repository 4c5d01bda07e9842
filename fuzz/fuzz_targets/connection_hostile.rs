#![no_main]

#[path = "../../crates/engine/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|data: &[u8]| support::hostile(data));
