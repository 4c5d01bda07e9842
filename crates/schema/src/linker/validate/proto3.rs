//! What proto3 does without.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};

use crate::dynamic::{FieldRef, MessageRef};
use crate::nodes::{Item, Node, visit};
use crate::site::Site;
use crate::tag;

use super::Validator;

/// Messages that proto3 files may extend.
const OPTIONS_MESSAGES: [&str; 9] = [
    "EnumOptions",
    "EnumValueOptions",
    "ExtensionRangeOptions",
    "FieldOptions",
    "FileOptions",
    "MessageOptions",
    "MethodOptions",
    "OneofOptions",
    "ServiceOptions",
];

fn is_options_message(full_name: &str) -> bool {
    ["google.protobuf.", "proto2."]
        .iter()
        .any(|package| full_name.strip_prefix(package).is_some_and(|name| OPTIONS_MESSAGES.contains(&name)))
}

impl<'a> Validator<'a> {
    pub(super) fn proto3_file(&mut self) {
        // Extensions first, then messages from the inside out.
        let mut extensions = Vec::new();
        let mut messages: Vec<(MessageRef<'a>, Vec<i32>)> = Vec::new();
        visit(self.pool, self.file, &mut |node: Node<'a, '_>| match node.item {
            Item::Field(field) if field.extension.is_some() && node.path.len() == 2 => {
                extensions.push((field, node.path.to_vec()));
            }
            Item::Message(message) if node.path.len() == 2 => messages.push((message, node.path.to_vec())),
            _ => {}
        });
        for (field, path) in extensions {
            self.proto3_field(field, &path);
        }
        for (message, path) in messages {
            self.proto3_message(message, &path);
        }
    }

    fn proto3_message(&mut self, message: MessageRef<'a>, path: &[i32]) {
        let proto = message.proto();
        for (index, nested) in proto.nested_type.iter().enumerate() {
            let name = format!("{}.{}", message.full_name(), nested.name.as_deref().unwrap_or_default());
            if let Some(nested) = MessageRef::find(self.pool, &name) {
                self.proto3_message(nested, &[path, &[tag::message::NESTED, index as i32]].concat());
            }
        }
        for (index, field) in proto.field.iter().enumerate() {
            self.proto3_field(message.field(field), &[path, &[tag::message::FIELD, index as i32]].concat());
        }
        for (index, extension) in proto.extension.iter().enumerate() {
            let name = format!("{}.{}", message.full_name(), extension.name.as_deref().unwrap_or_default());
            if let Some(crate::pool::Kind::Extension(id)) = self.pool.symbol(&name).map(|symbol| symbol.kind)
                && let Some(field) = FieldRef::extension(self.pool, id)
            {
                self.proto3_field(field, &[path, &[tag::message::EXTENSION, index as i32]].concat());
            }
        }
        if !proto.extension_range.is_empty() {
            let site = Site::below(path, &[tag::message::EXTENSION_RANGE, 0]);
            self.error(site, "Extension ranges are not allowed in proto3.");
        }
        if message.is_message_set() {
            self.error(Site::below(path, &[1]), "MessageSet is not supported in proto3.");
        }
    }

    fn proto3_field(&mut self, field: FieldRef<'a>, path: &[i32]) {
        let type_site = || Site::FieldType(path.to_vec());
        let parent = self.pool.message_name(field.parent);
        if field.extension.is_some() && !is_options_message(parent) {
            self.error(Site::Extendee(path.to_vec()), "Extensions in proto3 are only allowed for defining options.");
        }
        if field.proto.label == Some(Label::LABEL_REQUIRED) {
            self.error(type_site(), "Required fields are not allowed in proto3.");
        }
        if field.proto.default_value.is_some() {
            let site = Site::below(path, &[tag::field::DEFAULT_VALUE]);
            self.error(site, "Explicit default values are not allowed in proto3.");
        }
        if field.proto.r#type == Some(Type::TYPE_ENUM)
            && let Some(definition) = field.enumeration().filter(|definition| definition.is_closed())
        {
            let message = format!(
                "Enum type \"{}\" is not an open enum, but is used in \"{parent}\" which is a proto3 message type.",
                definition.full_name()
            );
            self.error(type_site(), message);
        }
        if field.proto.r#type == Some(Type::TYPE_GROUP) {
            self.error(type_site(), "Groups are not supported in proto3 syntax.");
        }
    }
}
