//! Rust names for fields, oneofs and extensions, where `buffa-codegen` would write what does not compile.
//!
//! It makes fields snake case by itself and escapes keywords; what is left are names of its own, and names that are
//! different to protobuf and the same to Rust. The wire and JSON know nothing of the renaming.

use std::collections::{HashMap, HashSet};

use buffa_codegen::idents::to_upper_camel_case;
use buffa_descriptor::generated::descriptor::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};

use super::letters;
use super::marks::{Marks, plain};
use super::names::module_name;

/// Names that Rust has for itself and lets nobody escape.
const RESERVED: [&str; 4] = ["self", "Self", "super", "crate"];

/// What `buffa-codegen`'s own fields begin with.
const OWN: &str = "__buffa_";

/// Renames fields and oneofs of a message, not those of messages in it. Returns old and new names.
pub(super) fn rename(message: &mut DescriptorProto, marks: &mut Marks) -> Vec<(String, String)> {
    let before = names(message);
    give_free_names(message, marks);
    before.into_iter().zip(names(message)).filter(|(old, new)| old != new).collect()
}

fn names(message: &DescriptorProto) -> Vec<String> {
    let fields = message.field.iter().map(|field| &field.name);
    fields.chain(message.oneof_decl.iter().map(|oneof| &oneof.name)).flatten().cloned().collect()
}

fn give_free_names(message: &mut DescriptorProto, marks: &mut Marks) {
    tell_json_names_apart(&mut message.field);
    let oneofs: HashSet<i32> =
        message.field.iter().filter(|field| is_in_oneof(field)).filter_map(|field| field.oneof_index).collect();
    name_struct(message, &oneofs, marks);
    for oneof in oneofs {
        name_variants(
            message.field.iter_mut().filter(|field| is_in_oneof(field) && field.oneof_index == Some(oneof)),
            marks,
        );
    }
}

/// Whether a field is a variant of an enum; one that is `optional` has a oneof that Rust knows nothing of.
fn is_in_oneof(field: &FieldDescriptorProto) -> bool {
    field.oneof_index.is_some() && field.proto3_optional != Some(true)
}

/// Names the fields of the struct apart: fields in no oneof, and oneofs.
fn name_struct(message: &mut DescriptorProto, oneofs: &HashSet<i32>, marks: &mut Marks) {
    let types = message.nested_type.iter().map(|nested| &nested.name).chain(message.enum_type.iter().map(|e| &e.name));
    let letters: Vec<String> = types.flatten().map(|name| plain(name)).filter(|name| name.len() == 1).collect();
    let fields = message.field.iter_mut().filter(|field| !is_in_oneof(field));
    let fields = fields.map(|field| (field.name.get_or_insert_default(), Some(field.number.unwrap_or_default())));
    let declared = (0..).zip(&mut message.oneof_decl).filter(|(index, _)| oneofs.contains(index));
    let members = fields.chain(declared.map(|(_, oneof)| (oneof.name.get_or_insert_default(), None)));
    let members: Vec<(&mut String, Option<i32>, String)> = members
        .map(|(name, number)| {
            let wanted = wanted(name, number.is_none());
            (name, number, wanted)
        })
        .collect();
    let mut claims: HashMap<String, usize> = HashMap::new();
    for (_, _, wanted) in &members {
        *claims.entry(wanted.clone()).or_default() += 1;
    }
    // What is as wanted already keeps its name whoever else wants it.
    let is_settled = |name: &str, wanted: &String| *wanted == snake(name) && (*wanted == name || claims[wanted] == 1);
    let settled = members.iter().filter(|(name, _, wanted)| is_settled(name, wanted));
    let mut taken: HashSet<String> = settled.map(|(_, _, wanted)| wanted.clone()).collect();
    let mut enums = HashSet::from(["Self".to_owned()]);
    // `buffa-codegen` does not see that the enum of a oneof is called like a type with a mark, or a view of it.
    for letter in letters {
        enums.extend(letters::views_of(letter.clone()));
        enums.insert(letter);
    }
    for (name, number, wanted) in members {
        let is_oneof = number.is_none();
        if is_settled(name, &wanted) && (!is_oneof || enums.insert(camel(name))) {
            continue;
        }
        let wanted = match number {
            Some(number) if wanted == snake(name) => format!("{wanted}_f{number}"),
            _ => wanted,
        };
        let new = free(&wanted, if is_oneof { "_kind" } else { "_" }, |name| {
            taken.insert(name.to_owned()) && (!is_oneof || enums.insert(camel(name)))
        });
        *name = marks.mark(&new, name);
    }
}

/// What a field of the struct is best called, keywords that can be escaped among it.
fn wanted(name: &str, is_oneof: bool) -> String {
    let snake = if is_oneof { snake(&with_letter(name)) } else { snake(name) };
    match snake.as_str() {
        "_" => "underscore".to_owned(),
        // These get the underscore anyway.
        reserved if RESERVED.contains(&reserved) => format!("{reserved}_"),
        own if own.starts_with(OWN) => own.trim_start_matches('_').to_owned(),
        _ => snake,
    }
}

/// Names the fields of a oneof apart.
fn name_variants<'a>(fields: impl Iterator<Item = &'a mut FieldDescriptorProto>, marks: &mut Marks) {
    let mut variants = HashSet::from(["Self".to_owned()]);
    for field in fields {
        let suffix = format!("_{}", field.number.unwrap_or_default());
        let name = field.name.get_or_insert_default();
        let wanted = with_letter(if name.starts_with(OWN) { name.trim_start_matches('_') } else { name });
        if wanted != *name || !variants.insert(camel(name)) {
            *name = marks.mark(&free(&wanted, &suffix, |name| variants.insert(camel(name))), name);
        }
    }
}

/// Renames values of an enum. Returns old and new names.
pub(super) fn rename_values(declared: &mut EnumDescriptorProto, marks: &mut Marks) -> Vec<(String, String)> {
    // A value is a variant by its own name, and a constant by another.
    let forms = |name: &str| [name.to_owned(), to_upper_camel_case(name)];
    let values = declared.value.iter().filter_map(|value| value.name.as_deref());
    let mut taken: HashSet<String> = values.filter(|name| !RESERVED.contains(name)).flat_map(forms).collect();
    taken.insert("Self".to_owned());
    let mut is_free = |name: &str| {
        let is_free = !forms(name).iter().any(|form| taken.contains(form));
        if is_free {
            taken.extend(forms(name));
        }
        is_free
    };
    let mut renamed = Vec::new();
    for name in declared.value.iter_mut().filter_map(|value| value.name.as_mut()) {
        let wanted = match name.as_str() {
            "_" => "UNDERSCORE".to_owned(),
            reserved if RESERVED.contains(&reserved) => format!("{reserved}_"),
            _ => continue,
        };
        let new = if is_free(&wanted) {
            wanted
        } else {
            free(&format!("{}_value", wanted.trim_end_matches('_')), "_value", &mut is_free)
        };
        let new = marks.mark(&new, name);
        renamed.push((std::mem::replace(name, new.clone()), new));
    }
    renamed
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

/// A name of which something is left without underscores, and no digit first: `_1` as `x_1`.
fn with_letter(name: &str) -> String {
    if camel(name).starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("x{name}")
    }
}

/// Renames extensions whose constants would be called the same. Returns the full names, new and old, given those of
/// what they are declared in, old and new. `taken` are the constants of that module.
pub(super) fn rename_extensions(
    extensions: &mut [FieldDescriptorProto],
    old_scope: &str,
    new_scope: &str,
    taken: &mut HashSet<String>,
) -> Vec<(String, String)> {
    let full = |scope: &str, name: &str| if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
    let constant = |name: &str| module_name(name).to_uppercase();
    let mut renamed = Vec::new();
    for extension in extensions {
        let suffix = format!("_{}", extension.number.unwrap_or_default());
        let name = extension.name.get_or_insert_default();
        if name != "_" && taken.insert(constant(name)) {
            continue;
        }
        let new = free(if name == "_" { "underscore" } else { name }, &suffix, |name| taken.insert(constant(name)));
        renamed.push((full(new_scope, &new), full(old_scope, name)));
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

/// The field of a struct, as `buffa-codegen` names it before it escapes keywords: an underscore before each word that
/// begins with a capital, and all of it small.
fn snake(name: &str) -> String {
    let chars: Vec<char> = plain(name).chars().collect();
    let mut out = String::with_capacity(chars.len() + 4);
    // The last letter of the word; digits are none.
    let mut last: Option<char> = None;
    for (index, &char) in chars.iter().enumerate() {
        if char == '_' {
            last = None;
        } else if char.is_alphabetic() {
            let ends_capitals = chars.get(index + 1).is_some_and(|next| next.is_lowercase());
            let begins_word = last.is_some_and(|last| last.is_lowercase() || last.is_uppercase() && ends_capitals);
            if char.is_uppercase() && begins_word {
                out.push('_');
            }
            last = Some(char);
        }
        out.extend(char.to_lowercase());
    }
    out
}

/// The enum of a oneof and the variants in it, as `buffa-codegen` names them.
fn camel(name: &str) -> String {
    let name = plain(name);
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
