//! The descriptor that generated code carries to run time.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, SourceCodeInfo,
};

/// Field numbers of `descriptor.proto`, as paths of source locations use them.
mod number {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_SERVICE: i32 = 6;
    pub(super) const FILE_EXTENSION: i32 = 7;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_NESTED: i32 = 3;
    pub(super) const MESSAGE_EXTENSION: i32 = 6;
    pub(super) const FIELD_JSON_NAME: i32 = 10;
}

/// Whether generators of Python look at the source location with this path: they read what is written around services
/// and methods, and which `json_name`s are spelled.
pub fn is_read_for_python(path: &[i32]) -> bool {
    path.first() == Some(&number::FILE_SERVICE) || is_json_name(path)
}

fn is_json_name(path: &[i32]) -> bool {
    path.len() > 2 && path.last() == Some(&number::FIELD_JSON_NAME)
}

/// `file` without source information, and with `json_name` only where the author spelled it.
pub(crate) fn descriptor(file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    if let Some(source) = file.source_code_info.take() {
        drop_implied_json_names(&mut file, &source);
    }
    file
}

/// Linked files hold a `json_name` for every field; one that the author wrote has a source location.
fn drop_implied_json_names(file: &mut FileDescriptorProto, source: &SourceCodeInfo) {
    let spelled: HashSet<&[i32]> =
        source.location.iter().map(|location| location.path.as_slice()).filter(|path| is_json_name(path)).collect();
    drop_in_fields(&mut file.extension, &mut vec![number::FILE_EXTENSION], &spelled);
    for (index, message) in (0..).zip(&mut file.message_type) {
        drop_in_message(message, &mut vec![number::FILE_MESSAGE, index], &spelled);
    }
}

fn drop_in_message(message: &mut DescriptorProto, path: &mut Vec<i32>, spelled: &HashSet<&[i32]>) {
    let fields = (&mut message.field, number::MESSAGE_FIELD);
    let extensions = (&mut message.extension, number::MESSAGE_EXTENSION);
    for (fields, number) in [fields, extensions] {
        path.push(number);
        drop_in_fields(fields, path, spelled);
        path.pop();
    }
    for (index, nested) in (0..).zip(&mut message.nested_type) {
        path.extend([number::MESSAGE_NESTED, index]);
        drop_in_message(nested, path, spelled);
        path.truncate(path.len() - 2);
    }
}

fn drop_in_fields(fields: &mut [FieldDescriptorProto], path: &mut Vec<i32>, spelled: &HashSet<&[i32]>) {
    for (index, field) in (0..).zip(fields) {
        path.extend([index, number::FIELD_JSON_NAME]);
        if !spelled.contains(path.as_slice()) {
            field.json_name = None;
        }
        path.truncate(path.len() - 2);
    }
}
