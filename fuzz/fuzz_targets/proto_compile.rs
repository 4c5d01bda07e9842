#![no_main]

#[path = "../../crates/schema/tests/support/mod.rs"]
mod support;

use std::collections::HashMap;

use farcall_schema::Compiler;
use support::Files;

// Two files, split at a NUL, that may import each other and the bundled ones.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (first, second) = match data.iter().position(|&byte| byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let files = [("a.proto", first), ("b.proto", second)].map(|(name, text)| (name.to_owned(), text.to_vec()));
    let mut compiler = Compiler::new(Files(HashMap::from(files)));
    let result = compiler.compile(&["a.proto", "b.proto"]);
    assert!(result.ok || !result.diagnostics.is_empty());
    for file in &result.files {
        let _ = compiler.strip_source_retention(file);
    }
});
