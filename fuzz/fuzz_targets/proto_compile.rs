#![no_main]

use std::collections::HashMap;

use farcall_schema::{Compiler, SourceError, SourceTree, wellknown};

struct Files(HashMap<String, Vec<u8>>);

impl SourceTree for Files {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        match wellknown::find(virtual_path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => self.0.read(virtual_path),
        }
    }
}

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
