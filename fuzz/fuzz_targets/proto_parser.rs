#![no_main]

use farcall_schema::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::parser(data));
