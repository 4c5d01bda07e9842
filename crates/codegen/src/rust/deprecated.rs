//! What the author marked as deprecated.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use crate::schema::package;

/// Paths, with a leading dot; those of members of a oneof lead through it.
#[derive(Default)]
pub(super) struct Deprecated {
    pub(super) messages: Vec<String>,
    pub(super) enums: Vec<String>,
    pub(super) fields: Vec<String>,
    /// Rust names whose use the compiler will warn of.
    pub(super) words: HashSet<String>,
}

impl Deprecated {
    pub(super) fn find(files: &[FileDescriptorProto]) -> Self {
        let mut found = Self::default();
        for file in files {
            let scope = if package(file).is_empty() { String::new() } else { format!(".{}", package(file)) };
            found.in_enums(&file.enum_type, &scope);
            for message in &file.message_type {
                found.in_message(message, &scope);
            }
        }
        found
    }

    fn in_message(&mut self, message: &DescriptorProto, scope: &str) {
        let name = message.name.as_deref().unwrap_or_default();
        let path = format!("{scope}.{name}");
        if message.options.as_option().is_some_and(|options| options.deprecated == Some(true)) {
            self.add_all_words(message);
            self.messages.push(path.clone());
        }
        for field in &message.field {
            if field.options.as_option().is_none_or(|options| options.deprecated != Some(true)) {
                continue;
            }
            let oneof = field
                .oneof_index
                .filter(|_| field.proto3_optional != Some(true))
                .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?)?.name.as_deref());
            let name = field.name.as_deref().unwrap_or_default();
            self.fields.push(match oneof {
                Some(oneof) => format!("{path}.{oneof}.{name}"),
                None => format!("{path}.{name}"),
            });
            self.add_words(name);
        }
        self.in_enums(&message.enum_type, &path);
        for nested in &message.nested_type {
            self.in_message(nested, &path);
        }
    }

    fn in_enums(&mut self, enums: &[EnumDescriptorProto], scope: &str) {
        for declared in enums {
            if declared.options.as_option().is_some_and(|options| options.deprecated == Some(true)) {
                let name = declared.name.as_deref().unwrap_or_default();
                self.enums.push(format!("{scope}.{name}"));
                self.add_words(name);
            }
        }
    }

    /// What is nested in a deprecated message is deprecated with it.
    fn add_all_words(&mut self, message: &DescriptorProto) {
        self.add_words(message.name.as_deref().unwrap_or_default());
        for declared in &message.enum_type {
            self.add_words(declared.name.as_deref().unwrap_or_default());
        }
        for nested in &message.nested_type {
            self.add_all_words(nested);
        }
    }

    /// A field is known by its name and, in a oneof, by that of a variant: this errs on the side of too many.
    fn add_words(&mut self, name: &str) {
        use heck::{ToSnakeCase, ToUpperCamelCase};
        self.words.extend([name.to_owned(), name.to_snake_case(), name.to_upper_camel_case()]);
    }
}
