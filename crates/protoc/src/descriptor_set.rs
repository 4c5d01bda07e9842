//! `--descriptor_set_in` and `--descriptor_set_out`.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use buffa::DecodeOptions;
use buffa::encoding::{Tag, WireType, encode_varint};
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, FileDescriptorSet};

use crate::read::{error_text, read_bounded};

/// The field of a set that holds its files.
const SET_FILE: u32 = 1;

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

/// Writes a set of encoded files.
pub(crate) fn write(files: &[Vec<u8>], out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut head = Vec::new();
    for file in files {
        head.clear();
        Tag::new(SET_FILE, WireType::LengthDelimited).encode(&mut head);
        encode_varint(file.len() as u64, &mut head);
        out.write_all(&head)?;
        out.write_all(file)?;
    }
    out.flush()
}
