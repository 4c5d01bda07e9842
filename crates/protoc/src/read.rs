//! Files that are read: how far, and what is said when they cannot be.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The largest file that is read: beyond any real one, and far below what would exhaust memory.
pub(crate) const MAX_FILE_SIZE: u64 = 256 << 20;

/// Opens a file; a directory is none.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(io::Error::other("Input file is a directory.")) } else { Ok(file) }
}

/// Reads a file of at most [`MAX_FILE_SIZE`] bytes, whatever it claims its size to be.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        let limit = MAX_FILE_SIZE >> 20;
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("File is larger than {limit} MiB.")));
    }
    Ok(bytes)
}

/// The operating system's words, without Rust's ` (os error 2)`.
pub(crate) fn error_text(error: &io::Error) -> String {
    if error.kind() == ErrorKind::IsADirectory {
        return "Is a directory".to_owned();
    }
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}
