//! Files that appear all at once or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::source_tree::error_text;

/// Written files under temporary names. [`Staging::commit`] gives them their own; without it they are removed.
#[derive(Default)]
pub(crate) struct Staging {
    files: Vec<Staged>,
}

struct Staged {
    temporary: PathBuf,
    path: PathBuf,
    /// As the user wrote it, for errors.
    shown: String,
}

impl Staging {
    /// Writes `content` to be `path`, beside which it lies until then.
    ///
    /// # Errors
    /// A line that names the path and what the operating system said.
    pub(crate) fn write(&mut self, path: &str, content: &[u8]) -> Result<(), String> {
        self.write_with(path, |file| file.write_all(content))
    }

    /// As [`Staging::write`], for what is not in memory as one piece.
    pub(crate) fn write_with(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), String> {
        self.try_write(path, write).map_err(|error| failed(path, &error))
    }

    fn try_write(&mut self, shown: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut path = PathBuf::from(shown);
        match fs::symlink_metadata(&path) {
            // What a link points to is replaced, not the link.
            Ok(metadata) if metadata.is_symlink() && path.exists() => path = fs::canonicalize(&path)?,
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            _ => {}
        }
        // Devices and pipes cannot be replaced; what goes there has no earlier content to protect.
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return write(&mut File::create(&path)?);
        }
        let temporary = temporary_name(&path, self.files.len());
        self.files.push(Staged { temporary: temporary.clone(), path, shown: shown.to_owned() });
        write(&mut File::create(temporary)?)
    }

    /// Gives every file its name.
    ///
    /// # Errors
    /// As [`Staging::write`]; files after the one that failed do not appear.
    pub(crate) fn commit(mut self) -> Result<(), String> {
        for file in std::mem::take(&mut self.files) {
            if let Err(error) = fs::rename(&file.temporary, &file.path) {
                let _ = fs::remove_file(&file.temporary);
                return Err(failed(&file.shown, &error));
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for file in &self.files {
            let _ = fs::remove_file(&file.temporary);
        }
    }
}

fn failed(path: &str, error: &io::Error) -> String {
    format!("{path}: {}", error_text(error))
}

fn temporary_name(path: &Path, index: usize) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{index}", std::process::id()))
}
