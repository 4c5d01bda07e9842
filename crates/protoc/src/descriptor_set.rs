//! `--descriptor_set_in` and `--descriptor_set_out`.

use std::collections::HashSet;
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

/// The bytes of a set of `files`.
pub(crate) fn encode(files: Vec<FileDescriptorProto>) -> Vec<u8> {
    FileDescriptorSet { file: files, ..FileDescriptorSet::default() }.encode_to_vec()
}
