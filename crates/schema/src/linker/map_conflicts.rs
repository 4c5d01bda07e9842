//! What to say when the message behind a map has the name of something else. Only asked once there are errors.

use std::collections::HashMap;

use buffa_descriptor::generated::descriptor::DescriptorProto;

use crate::site::Site;
use crate::tag;

use super::Linker;

impl Linker<'_> {
    pub(super) fn detect_map_conflicts(&mut self) {
        let proto = self.proto();
        for (index, message) in proto.message_type.iter().enumerate() {
            self.detect_conflicts(message, &[tag::file::MESSAGE, index as i32]);
        }
    }

    fn detect_conflicts(&mut self, message: &DescriptorProto, path: &[i32]) {
        let site = || Site::below(path, &[tag::message::NAME]);
        let mut seen: HashMap<&str, bool> = HashMap::new();
        for (index, nested) in message.nested_type.iter().enumerate() {
            let name = nested.name.as_deref().unwrap_or_default();
            let is_entry = is_map_entry(nested);
            if let Some(&other) = seen.get(name) {
                if other || is_entry {
                    let text =
                        format!("Expanded map entry type {name} conflicts with an existing nested message type.");
                    self.error(site(), text);
                    break;
                }
            } else {
                seen.insert(name, is_entry);
            }
            self.detect_conflicts(nested, &[path, &[tag::message::NESTED, index as i32]].concat());
        }
        let fields = message.field.iter().map(|field| (&field.name, "field"));
        let enums = message.enum_type.iter().map(|definition| (&definition.name, "enum type"));
        let oneofs = message.oneof_decl.iter().map(|oneof| (&oneof.name, "oneof type"));
        for (name, kind) in fields.chain(enums).chain(oneofs) {
            let name = name.as_deref().unwrap_or_default();
            if seen.get(name) == Some(&true) {
                self.error(site(), format!("Expanded map entry type {name} conflicts with an existing {kind}."));
            }
        }
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_option().is_some_and(|options| options.map_entry == Some(true))
}
