//! What generators wrote, held in memory until everything has succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use farcall_codegen::OutputFile;

use crate::archive;
use crate::read::error_text;
use crate::staging::Staging;

/// The files that go into one output directory.
#[derive(Default)]
pub(crate) struct OutputDirectory {
    files: BTreeMap<String, String>,
    /// Whether directories with Python in them become packages.
    packages: bool,
}

impl OutputDirectory {
    /// What goes to `location`, a directory or an archive.
    pub(crate) fn at(location: &str) -> Self {
        let mut directory = Self::default();
        if archive::Kind::of(location) == Some(archive::Kind::Jar) {
            let (name, content) = archive::MANIFEST;
            directory.files.insert(name.to_owned(), content.to_owned());
        }
        directory
    }

    /// Makes packages of directories with Python in them: `__init__.py` is written where there is none.
    pub(crate) fn make_packages(&mut self) {
        self.packages = true;
    }

    /// The `__init__.py` that `files` lack.
    fn package_markers(&self) -> BTreeSet<String> {
        let is_python = |name: &&String| name.ends_with(".py") || name.ends_with(".pyi");
        let modules = self.files.keys().filter(|_| self.packages).filter(is_python);
        let directories = modules
            .flat_map(|name| name.match_indices('/').map(|(slash, _)| &name[..=slash]).chain(std::iter::once("")));
        let markers = directories.map(|directory| format!("{directory}__init__.py"));
        markers.filter(|marker| !self.files.contains_key(marker)).collect()
    }

    /// Takes one generator's files. On errors says what is wrong with each and takes the rest.
    pub(crate) fn add(&mut self, outputs: Vec<OutputFile>) -> Vec<String> {
        outputs.into_iter().filter_map(|output| self.add_one(output).err()).collect()
    }

    fn add_one(&mut self, output: OutputFile) -> Result<(), String> {
        let OutputFile { name, insertion_point, content } = output;
        match insertion_point {
            None if self.files.contains_key(&name) => Err(format!("{name}: Tried to write the same file twice.")),
            None => {
                self.files.insert(name, content);
                Ok(())
            }
            Some(point) => match self.files.get_mut(&name) {
                None => Err(format!("{name}: Tried to insert into file that doesn't exist.")),
                Some(file) => insert(file, &point, &content)
                    .ok_or_else(|| format!("{name}: insertion point \"{point}\" not found.")),
            },
        }
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// The paths of all files, under `directory`.
    pub(crate) fn paths(&self, directory: &str) -> impl Iterator<Item = String> {
        self.files.keys().map(move |name| format!("{directory}{name}"))
    }

    /// Stages all files under `directory`, which must exist, or as the one archive it names.
    ///
    /// # Errors
    /// A line that names the path and what the operating system said.
    pub(crate) fn stage(&self, directory: &str, staging: &mut Staging) -> Result<(), String> {
        if archive::Kind::of(directory).is_some() {
            let mut files = self.files.clone();
            files.extend(self.package_markers().into_iter().map(|marker| (marker, String::new())));
            let bytes = archive::pack(&files).map_err(|error| format!("{directory}: {error}"))?;
            return staging.write(directory, &bytes);
        }
        fs::metadata(directory).map_err(|error| format!("{directory}: {}", error_text(&error)))?;
        let mut files = Vec::with_capacity(self.files.len());
        for (name, content) in &self.files {
            let path = format!("{directory}{name}");
            if let Some(parent) = Path::new(&path).parent() {
                staging.make_directories(parent)?;
            }
            files.push((path, content.as_bytes()));
        }
        staging.write_many(&files)?;
        for marker in self.package_markers() {
            let path = format!("{directory}{marker}");
            // One that is there may say something.
            if fs::symlink_metadata(&path).is_err() {
                staging.write(&path, b"")?;
            }
        }
        Ok(())
    }
}

/// The key of an output directory or archive: directives that name the same one share it.
pub(crate) fn with_trailing_slash(directory: &str) -> String {
    let is_whole = directory.is_empty() || directory.ends_with('/') || archive::Kind::of(directory).is_some();
    if is_whole { directory.to_owned() } else { format!("{directory}/") }
}

/// Puts `content` before the line of the insertion point, indented like it; of one in a comment `/* */`, before that,
/// within the line.
fn insert(file: &mut String, point: &str, content: &str) -> Option<()> {
    let marker = file.find(&format!("@@protoc_insertion_point({point})"))?;
    let comment = marker.checked_sub(3).filter(|&start| start > 0 && file.as_bytes()[start..].starts_with(b"/*"));
    let line = comment.unwrap_or_else(|| file[..marker].rfind('\n').map_or(0, |feed| feed + 1));
    let indent: String = file[line..].chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    let mut block = String::with_capacity(content.len() + 1);
    for text in content.split_inclusive('\n') {
        block.push_str(&indent);
        block.push_str(text);
    }
    if !block.is_empty() && !block.ends_with('\n') {
        block.push('\n');
    }
    file.insert_str(line, &block);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(content: &str) -> OutputDirectory {
        let mut directory = OutputDirectory::default();
        assert!(directory.add(vec![OutputFile::new("a.py", content)]).is_empty());
        directory
    }

    fn insertion(point: &str, content: &str) -> Vec<OutputFile> {
        vec![OutputFile { name: "a.py".into(), insertion_point: Some(point.into()), content: content.into() }]
    }

    #[test]
    fn insertions_go_above_their_point_and_take_its_indent() {
        let mut directory = directory("x\n  # @@protoc_insertion_point(here)\ny\n");
        assert!(directory.add(insertion("here", "one\ntwo")).is_empty());
        assert!(directory.add(insertion("here", "three\n")).is_empty());
        assert_eq!(directory.files["a.py"], "x\n  one\n  two\n  three\n  # @@protoc_insertion_point(here)\ny\n");
    }

    #[test]
    fn insertions_into_a_line_go_before_the_comment() {
        let mut directory = directory("  a /* @@protoc_insertion_point(here) */ b\n");
        assert!(directory.add(insertion("here", "one\ntwo")).is_empty());
        assert_eq!(directory.files["a.py"], "  a one\ntwo\n/* @@protoc_insertion_point(here) */ b\n");
        let mut first = super::tests::directory("/* @@protoc_insertion_point(here) */ b\n");
        assert!(first.add(insertion("here", "one")).is_empty());
        assert_eq!(first.files["a.py"], "one\n/* @@protoc_insertion_point(here) */ b\n");
        // A character of more than one byte stands where the blank would.
        let mut odd = super::tests::directory("x/*\u{20ac}@@protoc_insertion_point(here)\n");
        assert!(odd.add(insertion("here", "one")).is_empty());
        assert_eq!(odd.files["a.py"], "one\nx/*\u{20ac}@@protoc_insertion_point(here)\n");
    }

    #[test]
    fn a_missing_point_and_a_second_file_are_errors() {
        let mut directory = directory("x\n");
        assert_eq!(directory.add(insertion("here", "1")), ["a.py: insertion point \"here\" not found."]);
        assert_eq!(directory.add(vec![OutputFile::new("a.py", "")]), ["a.py: Tried to write the same file twice."]);
    }
}
