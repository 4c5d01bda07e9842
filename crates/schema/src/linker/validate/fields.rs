//! Fields and extensions, once their types and options are known.

use buffa_descriptor::generated::descriptor::Edition;
use buffa_descriptor::generated::descriptor::FieldOptions;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::field_options::JSType;

use crate::dynamic::{FieldRef, MessageRef};
use crate::features::is_legacy;
use crate::json_name::json_name;
use crate::nodes::Node;
use crate::site::Site;
use crate::tag;

use super::{Validator, is_lite};

impl<'a> Validator<'a> {
    pub(super) fn field(&mut self, field: FieldRef<'a>, node: &Node<'a, '_>) {
        self.feature_support(field, node);
        if !is_legacy(self.edition) {
            self.field_features(field, node);
        }
        let site = || Site::FieldType(node.path.to_vec());
        let parent = MessageRef { pool: self.pool, id: field.parent };
        if let Some(options) = field.proto.options.as_option() {
            self.field_options(field, options, node);
        }
        if parent.is_message_set() {
            if field.extension.is_none() {
                let site = Site::below(node.path, &[tag::field::NAME]);
                self.error(site, "MessageSets cannot have fields, only extensions.");
            } else if field.is_required() || field.is_repeated() || field.wire_type() != Type::TYPE_MESSAGE {
                self.error(site(), "Extensions of MessageSets must be optional messages.");
            }
        }
        let parent_file = &self.pool.file(self.pool.message_file(field.parent)).proto;
        if is_lite(&self.pool.file(self.file).proto) && !is_lite(parent_file) {
            self.error(
                Site::Extendee(node.path.to_vec()),
                "Extensions to non-lite types can only be declared in non-lite files.  Note that you cannot extend a \
                 non-lite type to contain a lite type, but the reverse is allowed.",
            );
        }
        if let Some(entry) = field.message().filter(|message| message.is_map_entry()) {
            self.map_entry(field, entry, node.path);
        }
        self.js_type(field, node);
        if let Some(json) = &field.proto.json_name {
            let option_name = || Site::below(node.path, &[tag::field::JSON_NAME]);
            if field.extension.is_some() && *json != json_name(field.name()) {
                self.error(option_name(), "option json_name is not allowed on extension fields.");
            }
            if json.contains('\0') {
                self.error(option_name(), "json_name cannot have embedded null characters.");
            }
        }
        if field.extension.is_some() {
            self.extension_declaration(field, parent, node);
        }
    }

    fn field_options(&mut self, field: FieldRef<'a>, options: &FieldOptions, node: &Node<'a, '_>) {
        let site = || Site::FieldType(node.path.to_vec());
        if self.edition as i32 >= Edition::EDITION_2024 as i32 && options.ctype.is_some() {
            self.error(
                site(),
                "ctype option is not allowed under edition 2024 and beyond. Use the feature string_type = \
                 VIEW|CORD|STRING|... instead.",
            );
        }
        let is_unverified = options.unverified_lazy == Some(true);
        if options.lazy == Some(true) || is_unverified {
            if field.wire_type() != Type::TYPE_MESSAGE {
                self.error(site(), "[lazy = true] can only be specified for submessage fields.");
            }
            if is_unverified && field.extension.is_some() {
                self.error(site(), "Extensions cannot be marked as unverified_lazy.");
            }
        }
        if options.packed == Some(true) && !field.is_packable() {
            self.error(site(), "[packed = true] can only be specified for repeated primitive fields.");
        }
    }

    fn js_type(&mut self, field: FieldRef<'a>, node: &Node<'a, '_>) {
        let set = field.proto.options.as_option().and_then(|options| options.jstype);
        if set.is_none_or(|set| set == JSType::JS_NORMAL) {
            return;
        }
        let is_64_bit = matches!(
            field.proto.r#type,
            Some(Type::TYPE_UINT64 | Type::TYPE_INT64 | Type::TYPE_SINT64 | Type::TYPE_FIXED64 | Type::TYPE_SFIXED64)
        );
        if !is_64_bit {
            self.error(
                Site::FieldType(node.path.to_vec()),
                "jstype is only allowed on int64, uint64, sint64, fixed64 or sfixed64 fields.",
            );
        }
    }
}
