//! No two fields of a message may have one name in JSON.

use std::borrow::Cow;

use buffa_descriptor::generated::descriptor::FieldDescriptorProto;
use buffa_descriptor::generated::descriptor::feature_set::JsonFormat;

use crate::dynamic::MessageRef;
use crate::hash::{HashMap, HashSet};
use crate::json_name::json_name;
use crate::nodes::Node;
use crate::site::Site;
use crate::tag;

use super::Validator;

struct JsonName<'a> {
    field: &'a FieldDescriptorProto,
    name: String,
    is_custom: bool,
}

impl<'a> JsonName<'a> {
    fn of(field: &'a FieldDescriptorProto, use_custom: bool) -> Self {
        let default = json_name(field.name.as_deref().unwrap_or_default());
        match &field.json_name {
            Some(custom) if use_custom && *custom != default => {
                JsonName { field, name: custom.clone(), is_custom: true }
            }
            _ => JsonName { field, name: default, is_custom: false },
        }
    }

    fn kind(&self) -> &'static str {
        if self.is_custom { "custom" } else { "default" }
    }

    fn field_name(&self) -> &str {
        self.field.name.as_deref().unwrap_or_default()
    }
}

/// What nearly all messages have: JSON names that follow from the fields' names, each once.
fn all_default_and_different(fields: &[FieldDescriptorProto]) -> bool {
    let mut seen = HashSet::with_capacity_and_hasher(fields.len(), Default::default());
    fields.iter().all(|field| {
        let name = field.name.as_deref().unwrap_or_default();
        let default = if name.contains('_') { Cow::Owned(json_name(name)) } else { Cow::Borrowed(name) };
        field.json_name.as_deref().is_none_or(|json| json == default) && seen.insert(default)
    })
}

impl<'a> Validator<'a> {
    pub(super) fn json_names(&mut self, message: MessageRef<'a>, node: &Node<'a, '_>) {
        let options = message.proto().options.as_option();
        if options.is_some_and(|options| options.deprecated_legacy_json_field_conflicts == Some(true)) {
            return;
        }
        if all_default_and_different(&message.proto().field) {
            return;
        }
        for use_custom in [false, true] {
            self.json_conflicts(message, node, use_custom);
        }
    }

    fn json_conflicts(&mut self, message: MessageRef<'a>, node: &Node<'a, '_>, use_custom: bool) {
        let mut seen: HashMap<String, JsonName<'a>> = HashMap::default();
        for (index, field) in message.proto().field.iter().enumerate() {
            let json = JsonName::of(field, use_custom);
            let site = || Site::below(node.path, &[tag::message::FIELD, index as i32, tag::field::NAME]);
            if json.is_custom && json.name.starts_with('[') && json.name.ends_with(']') {
                let text = format!(
                    "The custom JSON name of field \"{}\" (\"{}\") is invalid: JSON names may not start with '[' and end \
                     with ']'.",
                    json.field_name(),
                    json.name
                );
                self.error(site(), text);
                continue;
            }
            let Some(other) = seen.get(&json.name) else {
                seen.insert(json.name.clone(), json);
                continue;
            };
            if use_custom && !json.is_custom && !other.is_custom {
                // Said when default names were compared.
                continue;
            }
            let text = format!(
                "The {} JSON name of field \"{}\" (\"{}\") conflicts with the {} JSON name of field \"{}\".",
                json.kind(),
                json.field_name(),
                json.name,
                other.kind(),
                other.field_name()
            );
            let involves_default = !json.is_custom || !other.is_custom;
            if node.features.json_format == JsonFormat::LEGACY_BEST_EFFORT && involves_default {
                self.report.warn(site(), text);
            } else {
                self.error(site(), text);
            }
        }
    }
}
