//! Files below the directories of an include path.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use farcall_schema::{SourceError, SourceTree, wellknown};

use crate::Error;

/// The largest file that is read: beyond any real one, and far below what would exhaust memory.
const MAX_FILE_SIZE: u64 = 256 << 20;

/// Looks files up below `roots`, in order, then among the bundled ones, and remembers which were read.
pub(crate) struct IncludePath {
    roots: Vec<PathBuf>,
    read: Mutex<BTreeSet<PathBuf>>,
    /// Whether bundled files are those of edition 2026.
    pub(crate) for_2026: bool,
}

impl IncludePath {
    pub(crate) fn new(roots: Vec<PathBuf>, for_2026: bool) -> Self {
        Self { roots, read: Mutex::default(), for_2026 }
    }

    /// The name by which imports know the file at `path`.
    pub(crate) fn virtual_path(&self, path: &Path) -> Result<String, Error> {
        let path = without_dots(path);
        let below = self.roots.iter().find_map(|root| path.strip_prefix(without_dots(root)).ok());
        let parts: Option<Vec<&str>> =
            below.and_then(|below| below.components().map(|part| part.as_os_str().to_str()).collect());
        match parts {
            Some(parts) => Ok(parts.join("/")),
            None => {
                let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
                Err(Error(format!("{}: not below any include directory ({})", path.display(), roots.join(", "))))
            }
        }
    }

    /// Where a file is that imports know by this name, from the root of the file system on, so that whoever is shown it
    /// need not know where Cargo runs build scripts.
    pub(crate) fn disk_path(&self, virtual_path: &str) -> Option<String> {
        let path = self.roots.iter().map(|root| root.join(virtual_path)).find(|path| path.is_file())?;
        let path = std::path::absolute(&path).unwrap_or(path);
        Some(without_dots(&path).display().to_string())
    }

    pub(crate) fn files_read(&self) -> Vec<PathBuf> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

impl SourceTree for IncludePath {
    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        let plain = Path::new(virtual_path).components().all(|part| matches!(part, Component::Normal(_)));
        if !plain {
            return Err(SourceError::Other("imports must be plain relative paths".into()));
        }
        for root in &self.roots {
            let path = root.join(virtual_path);
            match read_file(&path) {
                Ok(bytes) => {
                    self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
                    return Ok(bytes);
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => return Err(SourceError::Other(format!("{}: {error}", path.display()))),
            }
        }
        let find = if self.for_2026 { wellknown::find_for_2026 } else { wellknown::find };
        find(virtual_path).map(|text| text.as_bytes().to_vec()).ok_or(SourceError::NotFound)
    }
}

pub(crate) fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "file is larger than 256 MiB"));
    }
    Ok(bytes)
}
