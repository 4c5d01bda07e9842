//! The `descriptor.proto` this compiler itself goes by, for files that do not import one.

use std::sync::OnceLock;

use crate::compiler::Compiler;
use crate::pool::Pool;
use crate::source_tree::{SourceError, SourceTree};
use crate::wellknown;

struct Bundled;

impl SourceTree for Bundled {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        let text = wellknown::find(virtual_path).ok_or(SourceError::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }
}

/// A pool with the bundled `descriptor.proto`, linked once in a process.
pub(crate) fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut compiler = Compiler::new(Bundled);
        let _ = compiler.compile(&["google/protobuf/descriptor.proto"]);
        compiler.into_pool()
    })
}
