#![no_main]

use farcall_protoc::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::plugin_reply(data));
