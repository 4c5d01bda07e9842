//! New files in one directory, with as few calls to the system as there can be: three for each.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// What came of some files, by their indices.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Made, even if not to the end.
    pub(crate) created: Vec<usize>,
    /// There already, and untouched.
    pub(crate) existing: Vec<usize>,
    /// Where it stopped.
    pub(crate) failed: Option<(usize, io::Error)>,
}

/// Makes those of `files` that are not there; all of them lie in the same directory.
pub(crate) fn files(files: &[(String, &[u8])]) -> Outcome {
    let mut outcome = Outcome::default();
    let Some((first, _)) = files.first() else { return outcome };
    let directory = match Directory::open(Path::new(first)) {
        Ok(directory) => directory,
        Err(error) => return Outcome { failed: Some((0, error)), ..outcome },
    };
    for (index, (path, content)) in files.iter().enumerate() {
        if path.ends_with('/') || path.contains('\0') {
            // No name of a file: whoever takes what is left says so.
            outcome.existing.push(index);
            continue;
        }
        let written = directory.create(Path::new(path)).and_then(|mut file| {
            outcome.created.push(index);
            file.write_all(content)
        });
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => outcome.existing.push(index),
            Err(error) => return Outcome { failed: Some((index, error)), ..outcome },
        }
    }
    outcome
}

#[cfg(unix)]
struct Directory(std::os::fd::OwnedFd);

#[cfg(unix)]
impl Directory {
    /// The directory that `file` lies in.
    fn open(file: &Path) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, openat};
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // To be searched only: one may make files in directories that one may not list.
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory(openat(rustix::fs::CWD, parent, flags, Mode::empty())?))
    }

    fn create(&self, file: &Path) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let name = file.file_name().ok_or(ErrorKind::InvalidInput)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.0, name, flags, Mode::from_raw_mode(0o666))?.into())
    }
}

#[cfg(not(unix))]
struct Directory;

#[cfg(not(unix))]
impl Directory {
    fn open(_file: &Path) -> io::Result<Self> {
        Ok(Directory)
    }

    fn create(&self, file: &Path) -> io::Result<File> {
        File::create_new(file)
    }
}
