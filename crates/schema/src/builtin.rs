//! The `descriptor.proto` this compiler itself goes by, for files that do not import one.

use std::sync::OnceLock;

use crate::compiler::Compiler;
use crate::pool::Pool;
use crate::source_tree::{SourceError, SourceTree};
use crate::wellknown;

struct Bundled {
    for_2026: bool,
}

impl SourceTree for Bundled {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        let find = if self.for_2026 { wellknown::find_for_2026 } else { wellknown::find };
        let text = find(virtual_path).ok_or(SourceError::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }
}

/// A pool with the bundled `descriptor.proto`, linked once in a process: that of edition 2026, or the one before.
pub(crate) fn pool(for_2026: bool) -> &'static Pool {
    static POOLS: [OnceLock<Pool>; 2] = [OnceLock::new(), OnceLock::new()];
    POOLS[usize::from(for_2026)].get_or_init(|| {
        let mut compiler = Compiler::new(Bundled { for_2026 });
        if for_2026 {
            compiler.accept_edition_2026();
        }
        let _ = compiler.compile(&["google/protobuf/descriptor.proto"]);
        compiler.into_pool()
    })
}
