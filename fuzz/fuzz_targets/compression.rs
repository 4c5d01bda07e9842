#![no_main]

use farcall_engine::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::compression(data));
