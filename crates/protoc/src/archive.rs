//! `.zip`, `.srcjar` and `.jar` outputs: files stored as they are, dated 1980, byte for byte as protoc packs them.

use std::collections::BTreeMap;

/// 1 January 1980, the first day an archive can name.
const DATE: u16 = 1 << 5 | 1;

/// The version of the format that a reader must know.
const VERSION: u16 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.zip` and `.srcjar`.
    Zip,
    /// With a [`MANIFEST`].
    Jar,
}

impl Kind {
    /// What an output directory's name says it is, if it is no directory.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name.ends_with(".zip") || name.ends_with(".srcjar") {
            return Some(Kind::Zip);
        }
        name.ends_with(".jar").then_some(Kind::Jar)
    }
}

/// What every `.jar` holds: its name and its content.
pub(crate) const MANIFEST: (&str, &str) =
    ("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nCreated-By: 1.6.0 (protoc)\n\n");

/// The archive of `files`, in the order of their names.
///
/// # Errors
/// There are more files or bytes than an archive holds: 65,535 and 4 GiB.
pub(crate) fn pack(files: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    let mut archive = Archive::default();
    for (name, content) in files {
        archive.add(name, content.as_bytes())?;
    }
    archive.finish()
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Archive {
    fn add(&mut self, name: &str, content: &[u8]) -> Result<(), String> {
        let offset = length(self.bytes.len())?;
        let mut entry = Vec::new();
        entry.extend(VERSION.to_le_bytes());
        // No flags, stored, midnight.
        entry.extend([0; 6]);
        entry.extend(DATE.to_le_bytes());
        entry.extend(crc32fast::hash(content).to_le_bytes());
        entry.extend(length(content.len())?.to_le_bytes());
        entry.extend(length(content.len())?.to_le_bytes());
        entry.extend(u16::try_from(name.len()).map_err(|_| "A file's name is too long for an archive.")?.to_le_bytes());
        // No extra field.
        entry.extend([0; 2]);

        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&entry);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(content);

        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION.to_le_bytes());
        self.directory.extend(&entry);
        // No comment, first disk, no attributes.
        self.directory.extend([0; 10]);
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.count = self.count.checked_add(1).ok_or("There are more than 65535 files for one archive.")?;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, String> {
        let start = length(self.bytes.len())?;
        let size = length(self.directory.len())?;
        self.bytes.append(&mut self.directory);
        self.bytes.extend(b"PK\x05\x06");
        // All on one disk.
        self.bytes.extend([0; 4]);
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(self.count.to_le_bytes());
        self.bytes.extend(size.to_le_bytes());
        self.bytes.extend(start.to_le_bytes());
        // No comment.
        self.bytes.extend([0; 2]);
        Ok(self.bytes)
    }
}

fn length(length: usize) -> Result<u32, String> {
    u32::try_from(length).map_err(|_| "There is more than 4 GiB for one archive.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_as_many_files_as_its_count_can_say() {
        let files = |count: u32| (0..count).map(|index| (index.to_string(), String::new())).collect();
        assert!(pack(&files(65_535)).is_ok());
        assert!(pack(&files(65_536)).is_err());
    }
}
