//! Files of `google.protobuf` and the packages below it that no crate has.
//!
//! `buffa-codegen` takes all of `google.protobuf` to be in `buffa-types`, unless a file of that package is generated;
//! then it takes none to be there. Here each well-known type is named, so that both can be had.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use super::names::module_name;
use crate::schema::{file_name, is_map_entry, package};

/// What `buffa-types` has, below `google/protobuf/`.
const WELL_KNOWN: [&str; 10] = [
    "any.proto",
    "api.proto",
    "duration.proto",
    "empty.proto",
    "field_mask.proto",
    "source_context.proto",
    "struct.proto",
    "timestamp.proto",
    "type.proto",
    "wrappers.proto",
];

/// Those of them that `buffa-types` has without JSON.
const WITHOUT_JSON: [&str; 3] =
    ["google/protobuf/api.proto", "google/protobuf/source_context.proto", "google/protobuf/type.proto"];

/// What `buffa-descriptor` has.
const DESCRIPTORS: [&str; 2] = ["google/protobuf/descriptor.proto", "google/protobuf/compiler/plugin.proto"];

/// The name of a file that makes `buffa-codegen` see that `google.protobuf` is generated.
const MARK: &str = "google/protobuf/*";

/// True for the files whose types the crates `buffa-types` and `buffa-descriptor` have, with JSON if that is wanted.
pub(super) fn is_in_a_crate(file: &str, json: bool) -> bool {
    DESCRIPTORS.contains(&file) || is_well_known(file) && !(json && WITHOUT_JSON.contains(&file))
}

fn is_well_known(file: &str) -> bool {
    file.strip_prefix("google/protobuf/").is_some_and(|name| WELL_KNOWN.contains(&name))
}

/// Adds what it takes to `files`, `to_generate` and `extern_paths` if files of `google.protobuf` or below are generated.
pub(super) fn prepare(
    files: &mut Vec<FileDescriptorProto>,
    to_generate: &mut Vec<String>,
    extern_paths: &mut Vec<(String, String)>,
) {
    let wanted: HashSet<&str> = to_generate.iter().map(String::as_str).collect();
    let is_googles = |file: &FileDescriptorProto| {
        let below = package(file).strip_prefix("google.protobuf");
        wanted.contains(file_name(file)) && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if extern_paths.iter().any(|(proto, _)| proto == ".google.protobuf") || !files.iter().any(is_googles) {
        return;
    }
    let mut paths = Vec::new();
    for file in files.iter().filter(|file| is_well_known(file_name(file)) && !wanted.contains(file_name(file))) {
        add_types(
            &file.message_type,
            &file.enum_type,
            ".google.protobuf",
            "::buffa_types::google::protobuf",
            &mut paths,
        );
    }
    // Those of the user win.
    paths.retain(|(proto, _)| extern_paths.iter().all(|(given, _)| given != proto));
    extern_paths.extend(paths);
    to_generate.push(MARK.into());
    files.push(FileDescriptorProto {
        name: Some(MARK.into()),
        package: Some("google.protobuf".into()),
        ..FileDescriptorProto::default()
    });
}

fn add_types(
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
    proto: &str,
    rust: &str,
    paths: &mut Vec<(String, String)>,
) {
    let names = enums.iter().map(|declared| &declared.name).chain(messages.iter().map(|message| &message.name));
    paths.extend(names.flatten().map(|name| (format!("{proto}.{name}"), format!("{rust}::{name}"))));
    for message in messages.iter().filter(|message| !is_map_entry(message)) {
        let name = message.name.as_deref().unwrap_or_default();
        let (proto, rust) = (format!("{proto}.{name}"), format!("{rust}::{}", module_name(name)));
        add_types(&message.nested_type, &message.enum_type, &proto, &rust, paths);
    }
}
