//! Files to compile that are in memory, for tests and fuzz targets.

#![allow(dead_code, reason = "each that includes it needs a part of it")]
#![allow(unreachable_pub, reason = "shared with the fuzz targets, which include it by its path")]

use std::collections::HashMap;

use farcall_schema::{CompileResult, Compiler, SourceError, SourceTree, wellknown};

/// Files by virtual path, beside those that every compiler brings along.
pub struct Files(pub HashMap<String, Vec<u8>>);

impl SourceTree for Files {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        self.0.read(virtual_path).or_else(|error| match wellknown::find(virtual_path) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Err(error),
        })
    }
}

/// What comes of `source` alone, as `a.proto`.
pub fn compile(source: impl Into<Vec<u8>>) -> CompileResult {
    let files = HashMap::from([("a.proto".to_owned(), source.into())]);
    Compiler::new(Files(files)).compile(&["a.proto"])
}
