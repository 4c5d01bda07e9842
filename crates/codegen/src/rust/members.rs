//! Rust names for fields, oneofs and extensions, where `buffa-codegen` would write what does not compile.
//!
//! It makes fields snake case by itself and escapes keywords; what is left are names of its own, and names that are
//! different to protobuf and the same to Rust. The wire and JSON know nothing of the renaming.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::names::module_name;

/// Renames fields and oneofs of a message, not those of messages in it. Returns old and new names.
pub(super) fn rename(message: &mut DescriptorProto) -> Vec<(String, String)> {
    let before = names(message);
    give_free_names(message);
    before.into_iter().zip(names(message)).filter(|(old, new)| old != new).collect()
}

fn names(message: &DescriptorProto) -> Vec<String> {
    let fields = message.field.iter().map(|field| &field.name);
    fields.chain(message.oneof_decl.iter().map(|oneof| &oneof.name)).flatten().cloned().collect()
}

fn give_free_names(message: &mut DescriptorProto) {
    tell_json_names_apart(&mut message.field);
    let mut taken: HashSet<String> = names(message).into_iter().collect();
    for field in &mut message.field {
        let name = field.name.get_or_insert_default();
        if name == "_" {
            *name = free("underscore", "_", |name| taken.insert(name.to_owned()));
        } else if name.starts_with("__buffa_") {
            *name = free(name.trim_start_matches('_'), "_", |name| taken.insert(name.to_owned()));
        } else if matches!(name.as_str(), "self" | "Self" | "super" | "crate") {
            // These cannot be escaped, and get the underscore anyway.
            *name = free(&format!("{}_", name.to_lowercase()), "_", |name| taken.insert(name.to_owned()));
        }
    }
    name_oneofs_apart(message, &mut taken);
}

/// Lets the field that is really called so have a JSON name that several share, else the first; the others go by their own
/// names. Only proto2 has such fields.
fn tell_json_names_apart(fields: &mut [FieldDescriptorProto]) {
    let is_so_called = |field: &FieldDescriptorProto| field.json_name.is_none() || field.json_name == field.name;
    let called_so = fields.iter().filter(|field| is_so_called(field));
    let mut taken: HashSet<String> = called_so.filter_map(|field| field.name.clone()).collect();
    for field in fields.iter_mut().filter(|field| !is_so_called(field)) {
        if field.json_name.clone().is_some_and(|name| !taken.insert(name)) {
            let name = field.name.clone().unwrap_or_default();
            field.json_name = Some(free(&name, "_", |name| taken.insert(name.to_owned())));
        }
    }
}

fn name_oneofs_apart(message: &mut DescriptorProto, taken: &mut HashSet<String>) {
    let mut enums = HashSet::from(["Self".to_owned()]);
    for (index, oneof) in (0..).zip(&mut message.oneof_decl) {
        let name = oneof.name.get_or_insert_default();
        if !enums.insert(camel(name)) {
            *name = free(name, "_kind", |name| enums.insert(camel(name)) && taken.insert(name.to_owned()));
        }
        let mut variants = HashSet::from(["Self".to_owned()]);
        for field in message.field.iter_mut().filter(|field| field.oneof_index == Some(index)) {
            let suffix = format!("_{}", field.number.unwrap_or_default());
            let name = field.name.get_or_insert_default();
            if !variants.insert(camel(name)) {
                *name = free(name, &suffix, |name| variants.insert(camel(name)) && taken.insert(name.to_owned()));
            }
        }
    }
}

/// Renames extensions whose constants would be called the same. Returns the full names, new and old, given that of
/// what they are declared in. `taken` are the constants of that module.
pub(super) fn rename_extensions(
    extensions: &mut [FieldDescriptorProto],
    scope: &str,
    taken: &mut HashSet<String>,
) -> Vec<(String, String)> {
    let constant = |name: &str| module_name(name).to_uppercase();
    let mut renamed = Vec::new();
    for extension in extensions {
        let suffix = format!("_{}", extension.number.unwrap_or_default());
        let name = extension.name.get_or_insert_default();
        if name != "_" && taken.insert(constant(name)) {
            continue;
        }
        let new = free(if name == "_" { "underscore" } else { name }, &suffix, |name| taken.insert(constant(name)));
        renamed.push((format!("{scope}.{new}"), format!("{scope}.{name}")));
        *name = new;
    }
    renamed
}

/// `name` with as many suffixes as it takes.
fn free(name: &str, suffix: &str, mut claim: impl FnMut(&str) -> bool) -> String {
    let mut name = name.to_owned();
    while !claim(&name) {
        name.push_str(suffix);
    }
    name
}

/// The enum of a oneof and the variants in it, as `buffa-codegen` names them.
fn camel(name: &str) -> String {
    let capitalized = |part: &str| {
        let mut chars = part.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
    };
    name.split('_').filter_map(capitalized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_share_a_json_name_are_told_apart() {
        let field = |name: &str, json: &str| FieldDescriptorProto {
            name: Some(name.into()),
            json_name: Some(json.into()),
            ..FieldDescriptorProto::default()
        };
        let mut fields = [("a_b", "aB"), ("aB", "aB"), ("c_d", "cD"), ("c__d", "cD"), ("e_", "e"), ("f", "e_")]
            .map(|(name, json)| field(name, json));
        tell_json_names_apart(&mut fields);
        let names = fields.map(|field| field.json_name.unwrap_or_default());
        assert_eq!(names, ["a_b", "aB", "cD", "c__d", "e", "e_"]);
    }
}
