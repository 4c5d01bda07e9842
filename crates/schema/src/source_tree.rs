//! Where files come from: the one thing this brain asks of its caller.

use std::collections::HashMap;

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// No such file in the tree; reported as protoc's `File not found.`
    NotFound,
    /// There is nowhere to look; whoever imports the file is said to lack it, and nothing is said of the file.
    NoTree,
    /// The text to report after `file: `.
    Other(String),
}

/// Maps virtual paths (`google/protobuf/any.proto`, always with `/`) to the text of files. Files may be read
/// from several threads.
pub trait SourceTree: Sync {
    /// Reads the whole file at `virtual_path`.
    ///
    /// # Errors
    /// [`SourceError`] says whether the file is missing or what else stopped it from being read.
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError>;

    /// Does `work(0)` to `work(count - 1)`, each once and in any order. A caller who has threads to spare may do them
    /// at the same time; the compiler itself has none.
    fn for_each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(work);
    }
}

impl<T: SourceTree + ?Sized> SourceTree for &T {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        (**self).read(virtual_path)
    }

    fn for_each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        (**self).for_each(count, work);
    }
}

/// Files held in memory, by virtual path.
impl SourceTree for HashMap<String, Vec<u8>> {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        self.get(virtual_path).cloned().ok_or(SourceError::NotFound)
    }
}
