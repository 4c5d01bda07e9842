//! The files of one run, with every name looked up once.

use std::collections::HashMap;

use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, field_descriptor_proto,
};

/// A type that a field or method can name.
#[derive(Clone)]
pub(crate) struct TypeEntry<'a> {
    /// The file it is declared in.
    pub(crate) file: &'a FileDescriptorProto,
    /// Its name and those of the messages around it, outermost first.
    pub(crate) path: Vec<&'a str>,
    pub(crate) kind: TypeKind<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum TypeKind<'a> {
    Message(&'a DescriptorProto),
    Enum(&'a EnumDescriptorProto),
}

/// Linked files and an index over them.
///
/// The files must be complete: every import present, every `type_name` fully qualified (`.pkg.Msg`), as
/// `farcall-schema` and protoc's descriptor sets have them. As in protoc's requests to plugins, options that are
/// retained in source only are already gone from the files to write code for. Names that lead nowhere are treated as
/// if the declaration were absent; nothing panics.
pub struct Schema<'a> {
    files: Vec<&'a FileDescriptorProto>,
    file_by_name: HashMap<&'a str, &'a FileDescriptorProto>,
    types: HashMap<String, TypeEntry<'a>>,
}

impl<'a> Schema<'a> {
    /// Indexes `files`.
    pub fn new(files: impl IntoIterator<Item = &'a FileDescriptorProto>) -> Self {
        let mut schema = Self { files: Vec::new(), file_by_name: HashMap::new(), types: HashMap::new() };
        for file in files {
            schema.files.push(file);
            schema.file_by_name.insert(file_name(file), file);
            let scope = match package(file) {
                "" => String::new(),
                package => format!(".{package}"),
            };
            schema.add_enums(file, &file.enum_type, &scope, &[]);
            schema.add_messages(file, &file.message_type, &scope, &[]);
        }
        schema
    }

    /// All files, in the order given.
    pub fn files(&self) -> &[&'a FileDescriptorProto] {
        &self.files
    }

    /// The file named `name`, as imports write it.
    pub fn file(&self, name: &str) -> Option<&'a FileDescriptorProto> {
        self.file_by_name.get(name).copied()
    }

    /// The message or enum with this full name (`.pkg.Outer.Inner`).
    pub(crate) fn type_entry(&self, full_name: &str) -> Option<&TypeEntry<'a>> {
        self.types.get(full_name)
    }

    pub(crate) fn message(&self, full_name: &str) -> Option<&'a DescriptorProto> {
        match self.types.get(full_name)?.kind {
            TypeKind::Message(message) => Some(message),
            TypeKind::Enum(_) => None,
        }
    }

    /// The key and value fields, if `field` is a map.
    pub(crate) fn map_entry(
        &self,
        field: &FieldDescriptorProto,
    ) -> Option<(&'a FieldDescriptorProto, &'a FieldDescriptorProto)> {
        if !is_repeated(field) || field.r#type != Some(field_descriptor_proto::Type::TYPE_MESSAGE) {
            return None;
        }
        let entry = self.message(field.type_name.as_deref()?)?;
        if !is_map_entry(entry) {
            return None;
        }
        Some((entry.field.first()?, entry.field.get(1)?))
    }

    fn add_messages(
        &mut self,
        file: &'a FileDescriptorProto,
        messages: &'a [DescriptorProto],
        scope: &str,
        outer: &[&'a str],
    ) {
        for message in messages {
            let (full_name, path) = extend(scope, outer, message.name.as_deref());
            self.add_enums(file, &message.enum_type, &full_name, &path);
            self.add_messages(file, &message.nested_type, &full_name, &path);
            self.types.insert(full_name, TypeEntry { file, path, kind: TypeKind::Message(message) });
        }
    }

    fn add_enums(
        &mut self,
        file: &'a FileDescriptorProto,
        enums: &'a [EnumDescriptorProto],
        scope: &str,
        outer: &[&'a str],
    ) {
        for declared in enums {
            let (full_name, path) = extend(scope, outer, declared.name.as_deref());
            self.types.insert(full_name, TypeEntry { file, path, kind: TypeKind::Enum(declared) });
        }
    }
}

fn extend<'a>(scope: &str, outer: &[&'a str], name: Option<&'a str>) -> (String, Vec<&'a str>) {
    let name = name.unwrap_or_default();
    let mut path = outer.to_vec();
    path.push(name);
    (format!("{scope}.{name}"), path)
}

pub(crate) fn file_name(file: &FileDescriptorProto) -> &str {
    file.name.as_deref().unwrap_or_default()
}

pub(crate) fn package(file: &FileDescriptorProto) -> &str {
    file.package.as_deref().unwrap_or_default()
}

/// The imports of `file` that it passes on to its importers.
pub(crate) fn public_dependencies(file: &FileDescriptorProto) -> impl Iterator<Item = &str> {
    file.public_dependency
        .iter()
        .filter_map(|&index| file.dependency.get(usize::try_from(index).ok()?))
        .map(String::as_str)
}

pub(crate) fn is_repeated(field: &FieldDescriptorProto) -> bool {
    field.label == Some(field_descriptor_proto::Label::LABEL_REPEATED)
}

pub(crate) fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_option().is_some_and(|options| options.map_entry == Some(true))
}

/// True for `py_generic_services`, if there is anything for it to act on.
pub(crate) fn has_generic_services(file: &FileDescriptorProto) -> bool {
    !file.service.is_empty()
        && file.options.as_option().is_some_and(|options| options.py_generic_services == Some(true))
}
