//! Files on disk under the roots that `-I` names.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;

use farcall_schema::{SourceError, SourceTree, wellknown};

use crate::Bundled;
use crate::arguments::Mapping;
use crate::parallel;
use crate::read::{error_text, open, read_bounded};

/// Maps virtual paths to files, the first root that has the file winning.
pub(crate) struct DiskTree {
    roots: Vec<Mapping>,
    bundled: Bundled,
    /// What descriptor sets have, which comes before what is bundled.
    supplied: HashSet<String>,
    /// Whether bundled files are those of edition 2026.
    pub(crate) for_2026: bool,
}

/// Why an input on the command line is no file of the tree.
type Refusal = String;

impl DiskTree {
    pub(crate) fn new(roots: &[Mapping], bundled: Bundled) -> Self {
        let roots = roots
            .iter()
            .map(|root| Mapping { virtual_path: root.virtual_path.clone(), disk: canonical(&root.disk) })
            .collect();
        Self { roots, bundled, supplied: HashSet::new(), for_2026: false }
    }

    /// The same, with the bundled files of these names left out.
    pub(crate) fn beside(self, supplied: HashSet<String>) -> Self {
        Self { supplied, ..self }
    }

    /// The virtual path of `input`, which the user gave as a path on disk or as a virtual path.
    pub(crate) fn virtual_path(&self, input: &str) -> Result<String, Refusal> {
        let elsewhere = self.supplied.contains(input);
        let known = |name: &str| elsewhere || self.disk_path(name).is_some() || self.bundled(name).is_some();
        if self.roots.is_empty() {
            return if known(input) {
                Ok(input.to_owned())
            } else {
                Err(format!("Could not find file in descriptor database: {input}: No such file or directory"))
            };
        }
        if !Path::new(input).exists() {
            return if known(input) {
                Ok(input.to_owned())
            } else {
                Err(format!("Could not make proto path relative: {input}: No such file or directory"))
            };
        }
        let disk = canonical(input);
        let found = self.roots.iter().enumerate().find_map(|(index, root)| {
            apply_mapping(&disk, &root.disk, &root.virtual_path).map(|virtual_path| (index, virtual_path))
        });
        let Some((index, virtual_path)) = found else {
            return if known(input) { Ok(input.to_owned()) } else { Err(outside_roots(input)) };
        };
        for root in &self.roots[..index] {
            if let Some(shadow) = apply_mapping(&virtual_path, &root.virtual_path, &root.disk)
                && Path::new(&shadow).exists()
            {
                return Err(format!(
                    "{input}: Input is shadowed in the --proto_path by \"{shadow}\".  Either use the latter file as \
                     your input or reorder the --proto_path so that the former file's location comes first."
                ));
            }
        }
        match open(Path::new(&disk)) {
            Ok(_) => Ok(virtual_path),
            Err(_) if elsewhere => Ok(input.to_owned()),
            Err(error) => Err(format!("Could not map to virtual file: {input}: {}", error_text(&error))),
        }
    }

    /// The first existing file that `virtual_path` may mean.
    pub(crate) fn disk_path(&self, virtual_path: &str) -> Option<String> {
        if !is_virtual(virtual_path) {
            return None;
        }
        self.candidates(virtual_path).find(|disk| open(Path::new(disk)).is_ok())
    }

    fn candidates(&self, virtual_path: &str) -> impl Iterator<Item = String> {
        self.roots.iter().filter_map(move |root| apply_mapping(virtual_path, &root.virtual_path, &root.disk))
    }

    fn bundled(&self, virtual_path: &str) -> Option<&'static str> {
        match self.bundled {
            Bundled::Fallback if self.supplied.contains(virtual_path) => None,
            Bundled::Fallback if self.for_2026 => wellknown::find_for_2026(virtual_path),
            Bundled::Fallback => wellknown::find(virtual_path),
            Bundled::Absent => None,
        }
    }
}

impl SourceTree for DiskTree {
    fn for_each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        parallel::map(&(0..count).collect::<Vec<_>>(), |&index| work(index));
    }

    fn read(&self, virtual_path: &str) -> Result<Vec<u8>, SourceError> {
        if !is_virtual(virtual_path) {
            return Err(SourceError::Other(
                "Backslashes, consecutive slashes, \".\", or \"..\" are not allowed in the virtual path".into(),
            ));
        }
        for disk in self.candidates(virtual_path) {
            match read_bounded(Path::new(&disk)) {
                Ok(bytes) => return Ok(bytes),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(SourceError::Other(format!("Read access is denied for file: {disk}")));
                }
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    return Err(SourceError::Other(error.to_string()));
                }
                Err(_) => {}
            }
        }
        let missing = if self.roots.is_empty() { SourceError::NoTree } else { SourceError::NotFound };
        self.bundled(virtual_path).map(|text| text.as_bytes().to_vec()).ok_or(missing)
    }
}

fn outside_roots(input: &str) -> Refusal {
    format!(
        "{input}: File does not reside within any path specified using --proto_path (or -I).  You must specify a \
         --proto_path which encompasses this file.  Note that the proto_path must be an exact prefix of the .proto \
         file names -- protoc is too dumb to figure out when two paths (e.g. absolute and relative) are equivalent \
         (it's harder than you think)."
    )
}

/// `./a//b/.` -> `a/b`; the path is not looked up.
fn canonical(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let joined = parts.join("/");
    let root = if path.starts_with('/') { "/" } else { "" };
    let slash = if path.ends_with('/') && !joined.is_empty() { "/" } else { "" };
    format!("{root}{joined}{slash}")
}

/// Whether an import may be written like this.
fn is_virtual(path: &str) -> bool {
    path == canonical(path) && !climbs(path)
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Moves `path` from under `from` to under `to`. An empty `from` holds every relative path.
fn apply_mapping(path: &str, from: &str, to: &str) -> Option<String> {
    let below = if from.is_empty() {
        if path.starts_with('/') {
            return None;
        }
        path
    } else {
        let rest = path.strip_prefix(from)?;
        if rest.is_empty() {
            return Some(to.to_owned());
        }
        match rest.strip_prefix('/') {
            Some(below) => below,
            None if from.ends_with('/') => rest,
            None => return None,
        }
    };
    if climbs(below) {
        return None;
    }
    Some(if to.is_empty() { below.to_owned() } else { format!("{to}/{below}") })
}

#[cfg(test)]
mod tests {
    use super::{apply_mapping, canonical};

    #[test]
    fn paths_are_made_canonical_without_looking_them_up() {
        for (path, expected) in
            [(".", ""), ("./a//b/.", "a/b"), ("/", "/"), ("/a/./b/", "/a/b/"), ("../x", "../x"), ("a/..", "a/..")]
        {
            assert_eq!(canonical(path), expected, "{path}");
        }
    }

    #[test]
    fn a_mapping_moves_whole_components_only() {
        let map = |path, from, to| apply_mapping(path, from, to);
        assert_eq!(map("foo/bar/baz", "foo/bar", "x").as_deref(), Some("x/baz"));
        assert_eq!(map("foo/barbaz", "foo/bar", "x"), None);
        assert_eq!(map("foo/bar", "foo/bar", "x").as_deref(), Some("x"));
        assert_eq!(map("a/b", "", "root").as_deref(), Some("root/a/b"));
        assert_eq!(map("/a/b", "", "root"), None);
        assert_eq!(map("../b", "", "root"), None);
        assert_eq!(map("root/../b", "root", ""), None);
        assert_eq!(map("/x", "/", "r").as_deref(), Some("r/x"));
    }
}
