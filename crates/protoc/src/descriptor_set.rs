//! `--descriptor_set_in` and `--descriptor_set_out`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use buffa::{DecodeOptions, Message};
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, FileDescriptorSet};

use crate::source_tree::{error_text, read_bounded};

/// Memory for the elements of one descriptor set; a set of 160 MB needs about this much.
const ELEMENT_MEMORY: usize = 1 << 30;

/// Reads descriptor sets; of files that occur twice the first counts.
///
/// # Errors
/// protoc's line for a set that cannot be read.
pub(crate) fn read(names: &[String]) -> Result<Vec<FileDescriptorProto>, String> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    for name in names {
        let bytes = read_bounded(Path::new(name)).map_err(|error| format!("{name}: {}", error_text(&error)))?;
        let options = DecodeOptions::new().with_element_memory_limit(ELEMENT_MEMORY);
        let set: FileDescriptorSet =
            options.decode_from_slice(&bytes).map_err(|_| format!("{name}: Unable to parse."))?;
        files.extend(set.file.into_iter().filter(|file| seen.insert(file.name.clone())));
    }
    Ok(files)
}

/// `inputs` and all their imports, each after its imports.
///
/// # Errors
/// A line that names the file that is not there.
pub(crate) fn closure(files: Vec<FileDescriptorProto>, inputs: &[String]) -> Result<Vec<FileDescriptorProto>, String> {
    let mut by_name: HashMap<String, FileDescriptorProto> =
        files.into_iter().map(|file| (file.name.clone().unwrap_or_default(), file)).collect();
    let mut ordered = Vec::new();
    let mut started = HashSet::new();
    // Depth first without recursion: a file is taken when it comes up a second time, after its imports.
    let mut stack: Vec<(String, bool)> = inputs.iter().rev().map(|name| (name.clone(), false)).collect();
    while let Some((name, imports_done)) = stack.pop() {
        if imports_done {
            ordered.extend(by_name.remove(&name));
            continue;
        }
        if !started.insert(name.clone()) {
            continue;
        }
        let file = by_name.get(&name).ok_or_else(|| format!("{name}: File not found."))?;
        let imports = file.dependency.iter().chain(&file.option_dependency).rev();
        let imports: Vec<(String, bool)> = imports.map(|import| (import.clone(), false)).collect();
        stack.push((name, true));
        stack.extend(imports);
    }
    Ok(ordered)
}

/// The bytes of a set of `files`.
pub(crate) fn encode(files: Vec<FileDescriptorProto>) -> Vec<u8> {
    FileDescriptorSet { file: files, ..FileDescriptorSet::default() }.encode_to_vec()
}
