//! Files on disk: written as protoc writes them, with a way back until all of them are there.
//!
//! A new file gets its name at once. One that is there is written into, so that its mode, its owner, its other hard
//! links, the mounts on it and the links to it stay. If anything fails, what was made is removed and what was changed
//! is put back.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::read::error_text;
use crate::{create, parallel};

/// Bytes of earlier content that are kept in memory, all files together. Generated code is far smaller; a file past it
/// is written over without a way back.
const KEPT: u64 = 256 << 20;

/// What was written. [`Staging::commit`] lets it stay; without it everything becomes as it was.
pub(crate) struct Staging {
    steps: Vec<Step>,
    /// Directories that are known to be there.
    directories: HashSet<PathBuf>,
    /// Bytes of earlier content that may still be kept.
    left: u64,
}

/// Something to undo.
enum Step {
    Created(PathBuf),
    CreatedDirectory(PathBuf),
    Changed { path: PathBuf, content: Vec<u8>, modified: Option<SystemTime> },
}

impl Default for Staging {
    fn default() -> Self {
        Self { steps: Vec::new(), directories: HashSet::new(), left: KEPT }
    }
}

impl Staging {
    /// Writes `content` to `path`.
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
        self.try_write(Path::new(path), write).map_err(|error| failed(path, &error))
    }

    /// Writes files whose directories are there, several at once.
    ///
    /// # Errors
    /// As [`Staging::write`], for one of the files that fail.
    pub(crate) fn write_many(&mut self, files: &[(String, &[u8])]) -> Result<(), String> {
        // The files of one directory are made one after the other anyway.
        let groups: Vec<&[(String, &[u8])]> =
            files.chunk_by(|(one, _), (other, _)| Path::new(one).parent() == Path::new(other).parent()).collect();
        let outcomes = parallel::map(&groups, |group| create::files(group));
        let mut left = Vec::new();
        let mut failure = None;
        for (group, outcome) in groups.into_iter().zip(outcomes) {
            let create::Outcome { created, existing, failed: stopped } = outcome;
            self.steps.extend(created.into_iter().map(|index| Step::Created(group[index].0.clone().into())));
            left.extend(existing.into_iter().map(move |index| &group[index]));
            failure = failure.or(stopped.map(|(index, error)| failed(&group[index].0, &error)));
        }
        failure.map_or(Ok(()), Err)?;
        left.into_iter().try_for_each(|(path, content)| self.write(path, content))
    }

    /// Makes the directory at `path` and those it lies in, unless they are there.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub(crate) fn make_directories(&mut self, path: &Path) -> Result<(), String> {
        let mut missing = Vec::new();
        let mut directory = path;
        while !directory.as_os_str().is_empty() && !self.directories.contains(directory) && !directory.is_dir() {
            missing.push(directory);
            match directory.parent() {
                Some(parent) => directory = parent,
                None => break,
            }
        }
        for directory in missing.into_iter().rev() {
            match fs::create_dir(directory) {
                Ok(()) => self.steps.push(Step::CreatedDirectory(directory.to_owned())),
                // Another run of the compiler was faster.
                Err(_) if directory.is_dir() => {}
                Err(error) => return Err(failed(&path.display().to_string(), &error)),
            }
        }
        if !self.directories.contains(path) {
            self.directories.insert(path.to_owned());
        }
        Ok(())
    }

    fn try_write(&mut self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        match File::create_new(path) {
            Ok(mut file) => {
                self.steps.push(Step::Created(path.to_owned()));
                write(&mut file)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.write_over(path, write),
            Err(error) => Err(error),
        }
    }

    fn write_over(&mut self, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(metadata) if metadata.is_file() => self.change(path, &metadata, write),
            // Devices, pipes and sockets: what goes there does not come back. Opening one to read may be a deed.
            Ok(_) => write(&mut OpenOptions::new().write(true).open(path)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A link to nothing: its target is made.
                let mut file = File::create(path)?;
                self.steps.push(Step::Created(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())));
                write(&mut file)
            }
            Err(error) => Err(error),
        }
    }

    fn change(
        &mut self,
        path: &Path,
        metadata: &fs::Metadata,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        // One may write what one may not read.
        let earlier = if metadata.len() <= self.left {
            OpenOptions::new().read(true).write(true).open(path)
        } else {
            Err(ErrorKind::FileTooLarge.into())
        };
        let mut file = match earlier {
            Ok(mut file) => {
                let mut content = Vec::new();
                (&mut file).take(self.left).read_to_end(&mut content)?;
                self.left -= content.len() as u64;
                file.rewind()?;
                self.steps.push(Step::Changed { path: path.to_owned(), content, modified: metadata.modified().ok() });
                file
            }
            Err(_) => OpenOptions::new().write(true).open(path)?,
        };
        write(&mut file)?;
        let end = file.stream_position()?;
        file.set_len(end)
    }

    /// Lets everything stay.
    pub(crate) fn commit(mut self) {
        self.steps.clear();
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            // Where the way back is closed there is nothing better to do, and the error that led here is the one to
            // report.
            let _ = undo(step);
        }
    }
}

fn undo(step: Step) -> io::Result<()> {
    match step {
        Step::Created(path) => fs::remove_file(path),
        Step::CreatedDirectory(path) => fs::remove_dir(path),
        Step::Changed { path, content, modified } => {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.write_all(&content)?;
            file.set_len(content.len() as u64)?;
            // For make, the file is as old as it was.
            modified.map_or(Ok(()), |modified| file.set_modified(modified))
        }
    }
}

fn failed(path: &str, error: &io::Error) -> String {
    format!("{path}: {}", error_text(error))
}
