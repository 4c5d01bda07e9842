//! Messages that stand behind maps.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::dynamic::{FieldRef, MessageRef};
use crate::parser::map_entry_name;
use crate::site::Site;

use super::Validator;

impl<'a> Validator<'a> {
    pub(super) fn map_entry(&mut self, field: FieldRef<'a>, entry: MessageRef<'a>, path: &[i32]) {
        let site = || Site::FieldType(path.to_vec());
        let proto = entry.proto();
        let scope = entry.full_name().rsplit_once('.').map(|(scope, _)| scope);
        let [key, value] = &proto.field[..] else {
            return self.error(site(), NOT_A_MAP);
        };
        let is_genuine = field.is_repeated()
            && proto.name.as_deref() == Some(&map_entry_name(field.name()))
            && scope == Some(self.pool.message_name(field.parent))
            && field.extension.is_none();
        if !is_genuine {
            return self.error(site(), NOT_A_MAP);
        }
        match key.r#type {
            Some(Type::TYPE_ENUM) => self.error(site(), "Key in map fields cannot be enum types."),
            Some(Type::TYPE_FLOAT | Type::TYPE_DOUBLE | Type::TYPE_MESSAGE | Type::TYPE_GROUP | Type::TYPE_BYTES) => {
                self.error(site(), "Key in map fields cannot be float/double, bytes or message types.");
            }
            _ => {}
        }
        let definition = entry.field(value).enumeration().filter(|_| value.r#type == Some(Type::TYPE_ENUM));
        let first = definition.and_then(|definition| definition.proto().value.first());
        if first.is_some_and(|first| first.number.unwrap_or(0) != 0) {
            self.error(site(), "Enum value in map must define 0 as the first value.");
        }
    }
}

const NOT_A_MAP: &str = "map_entry should not be set explicitly. Use map<KeyType, ValueType> instead.";
