#![no_main]

#[path = "../../crates/security/tests/script.rs"]
mod script;

libfuzzer_sys::fuzz_target!(|data: &[u8]| script::play(data));
