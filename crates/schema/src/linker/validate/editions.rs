//! What editions allow: features where they mean something, and none of what they replace.

use buffa_descriptor::generated::descriptor::feature_set::visibility_feature::DefaultSymbolVisibility;
use buffa_descriptor::generated::descriptor::feature_set::{FieldPresence, RepeatedFieldEncoding};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, SymbolVisibility};

use crate::dynamic::{FieldRef, MessageRef};
use crate::feature_support::Support;
use crate::limits::FIELD_NUMBER_MAX;
use crate::nodes::{Item, Node};
use crate::site::Site;
use crate::tag;

use super::{Validator, name_site};

impl<'a> Validator<'a> {
    pub(super) fn file_features(&mut self, file: &'a FileDescriptorProto, node: &Node<'a, '_>) {
        let site = Site::At(vec![tag::file::SYNTAX]);
        if node.features.field_presence == FieldPresence::LEGACY_REQUIRED {
            self.error(site.clone(), "Required presence can't be specified by default.");
        }
        if file.options.as_option().is_some_and(|options| options.java_string_check_utf8 == Some(true)) {
            self.error(
                site,
                "File option java_string_check_utf8 is not allowed under editions. Use the (pb.java).utf8_validation \
                 feature to control this behavior.",
            );
        }
    }

    pub(super) fn field_features(&mut self, field: FieldRef<'a>, node: &Node<'a, '_>) {
        let mut complain = |text: &str| self.report.error(name_site(node), text);
        let options = field.proto.options.as_option();
        if field.proto.label == Some(Label::LABEL_REQUIRED) {
            complain(
                "Required label is not allowed under editions.  Use the feature field_presence = LEGACY_REQUIRED to \
                 control this behavior.",
            );
        }
        if field.proto.r#type == Some(Type::TYPE_GROUP) {
            complain(
                "Group types are not allowed under editions.  Use the feature message_encoding = DELIMITED to control \
                 this behavior.",
            );
        }
        if options.is_some_and(|options| options.packed.is_some()) {
            complain(
                "Field option packed is not allowed under editions.  Use the repeated_field_encoding feature to control \
                 this behavior.",
            );
        }
        let definition = field.enumeration();
        if !field.is_repeated() && !field.has_presence() {
            if field.proto.default_value.is_some() {
                complain("Implicit presence fields can't specify defaults.");
            }
            if definition.is_some_and(|definition| definition.is_closed()) {
                complain("Implicit presence enum fields must always be open.");
            }
        }
        if field.extension.is_some() && field.is_required() {
            complain("Extensions can't be required.");
        }
        if (MessageRef { pool: self.pool, id: field.parent }).is_map_entry() {
            return;
        }
        let Some(own) = node.own else { return };
        if let Some(presence) = own.field_presence {
            if field.proto.oneof_index.is_some() && field.extension.is_none() {
                complain("Oneof fields can't specify field presence.");
            } else if field.is_repeated() {
                complain("Repeated fields can't specify field presence.");
            } else if field.extension.is_some() && presence != FieldPresence::LEGACY_REQUIRED {
                complain("Extensions can't specify field presence.");
            } else if field.is_message() && presence == FieldPresence::IMPLICIT {
                complain("Message fields can't specify implicit presence.");
            }
        }
        if !field.is_repeated() && own.repeated_field_encoding.is_some() {
            complain("Only repeated fields can specify repeated field encoding.");
        }
        let map = field.message().filter(|message| message.is_map_entry());
        let is_string = |field: FieldRef<'_>| field.proto.r#type == Some(Type::TYPE_STRING);
        let has_strings = is_string(field) || map.is_some_and(|map| map.fields().any(is_string));
        if !has_strings && own.utf8_validation.is_some() {
            complain("Only string fields can specify utf8 validation.");
        }
        if !field.is_packable() && own.repeated_field_encoding == Some(RepeatedFieldEncoding::PACKED) {
            complain("Only repeated primitive fields can specify PACKED repeated field encoding.");
        }
        if (!field.is_message() || map.is_some()) && own.message_encoding.is_some() {
            complain("Only message fields can specify message encoding.");
        }
    }

    pub(super) fn feature_support(&mut self, field: FieldRef<'a>, node: &Node<'a, '_>) {
        let options = field.proto.options.as_option();
        let Some(support) = options.and_then(|options| options.feature_support.as_option()) else { return };
        let support = Support::of(support);
        let complaint = support.complaint(&field.full_name()).or_else(|| value_complaint(field, &support));
        if let Some(complaint) = complaint {
            // protoc points at the JSON name, the only option name it keeps for a field.
            self.error(Site::below(node.path, &[tag::field::JSON_NAME]), complaint);
        }
    }

    /// `export` on a nested message, where the file says that only what is at the top may be seen.
    pub(super) fn message_visibility(&mut self, node: &Node<'a, '_>) {
        let Item::Message(message) = node.item else { return };
        let is_exported = message.proto().visibility == Some(SymbolVisibility::VISIBILITY_EXPORT);
        if is_strict(node) && is_exported && self.pool.is_nested(message.id) {
            let text = format!(
                "\"{}\" is a nested message and cannot be `export` with STRICT default_symbol_visibility. It must be moved \
                 to top-level, ideally in its own file in order to be `export`.",
                message.full_name()
            );
            self.error(Site::Nowhere, text);
        }
    }

    /// The same for enums, unless they lie in a message that is there only to hold them.
    pub(super) fn enum_visibility(&mut self, node: &Node<'a, '_>) {
        let Item::Enum(definition) = node.item else { return };
        let is_exported = definition.proto().visibility == Some(SymbolVisibility::VISIBILITY_EXPORT);
        let name = definition.full_name();
        let parent = name.rsplit_once('.').and_then(|(scope, _)| MessageRef::find(self.pool, scope));
        let Some(parent) = parent.filter(|_| is_strict(node) && is_exported) else { return };
        if self.pool.is_nested(parent.id) || !is_namespace(parent) {
            let text = format!(
                "\"{name}\" is a nested enum and cannot be marked `export` with STRICT default_symbol_visibility. It must \
                 be moved to top-level, ideally in its own file in order to be `export`. For C++ namespacing of enums in \
                 a messages use: `local message <OuterNamespace> {{ export enum {name} {{...}} reserved 1 to max; }}`"
            );
            self.error(Site::Nowhere, text);
        }
    }
}

fn is_strict(node: &Node<'_, '_>) -> bool {
    node.features.default_symbol_visibility == DefaultSymbolVisibility::STRICT
}

/// A local message that only lends its name to the enums in it.
fn is_namespace(message: MessageRef<'_>) -> bool {
    let proto = message.proto();
    proto.visibility != Some(SymbolVisibility::VISIBILITY_EXPORT)
        && matches!(&proto.reserved_range[..], [range] if range.start == Some(1) && range.end == Some(FIELD_NUMBER_MAX + 1))
}

/// What is wrong with the life of a value in a field of that type.
fn value_complaint(field: FieldRef<'_>, parent: &Support) -> Option<String> {
    let definition = field.enumeration()?;
    let scope = definition.full_name().rsplit_once('.').map_or(String::new(), |(scope, _)| format!("{scope}."));
    definition.proto().value.iter().find_map(|value| {
        let own = value.options.as_option()?.feature_support.as_option()?;
        let full_name = format!("{scope}{}", value.name.as_deref().unwrap_or_default());
        let support = parent.clone().with(Support::of(own));
        if let Some(complaint) = support.complaint(&full_name) {
            return Some(complaint);
        }
        let name = field.full_name();
        if support.introduced < parent.introduced {
            return Some(format!("value {full_name} was introduced before {name} was."));
        }
        if parent.removed.is_some() && support.removed > parent.removed {
            return Some(format!("value {full_name} was removed after {name} was."));
        }
        (parent.deprecated.is_some() && support.deprecated > parent.deprecated)
            .then(|| format!("value {full_name} was deprecated after {name} was."))
    })
}
