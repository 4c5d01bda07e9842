//! Messages whose type is known only at run time: what options are made of, and what `--encode` reads.
//!
//! Fields are written in the order of their numbers, extensions among them, and what is unknown last: the order
//! C++ gives to dynamic messages.

use std::cell::Cell;
use std::collections::BTreeMap;

use buffa::encoding::{Tag, decode_unknown_field};
use buffa::{DecodeContext, UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::descriptor_proto::ExtensionRange;
use buffa_descriptor::generated::descriptor::extension_range_options::Declaration;
use buffa_descriptor::generated::descriptor::feature_set::{
    EnumType, FieldPresence, MessageEncoding, RepeatedFieldEncoding,
};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
};

use crate::features::{Features, is_legacy};
use crate::index::Members;
use crate::limits::{OPTION_NESTING, WIRE_FIELDS};
use crate::pool::{EnumId, ExtensionId, FileId, MessageId, Pool};

/// A message type and the pool it lives in.
#[derive(Clone, Copy)]
pub(crate) struct MessageRef<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) id: MessageId,
}

/// An enum type and the pool it lives in.
#[derive(Clone, Copy)]
pub(crate) struct EnumRef<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) id: EnumId,
}

/// A field or extension and the pool it lives in.
#[derive(Clone, Copy)]
pub(crate) struct FieldRef<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) proto: &'p FieldDescriptorProto,
    /// The message it lies in or extends.
    pub(crate) parent: MessageId,
    pub(crate) extension: Option<ExtensionId>,
}

impl<'p> MessageRef<'p> {
    pub(crate) fn find(pool: &'p Pool, full_name: &str) -> Option<Self> {
        match pool.symbol(full_name)?.kind {
            crate::pool::Kind::Message(id) => Some(MessageRef { pool, id }),
            _ => None,
        }
    }

    pub(crate) fn proto(self) -> &'p DescriptorProto {
        self.pool.message(self.id)
    }

    pub(crate) fn full_name(self) -> &'p str {
        self.pool.message_name(self.id)
    }

    pub(crate) fn field(self, proto: &'p FieldDescriptorProto) -> FieldRef<'p> {
        FieldRef { pool: self.pool, proto, parent: self.id, extension: None }
    }

    pub(crate) fn fields(self) -> impl Iterator<Item = FieldRef<'p>> {
        self.proto().field.iter().map(move |proto| self.field(proto))
    }

    pub(crate) fn field_by_name(self, name: &str) -> Option<FieldRef<'p>> {
        let found = self.pool.message_index(self.id).fields.by_name(&self.proto().field, name);
        found.map(|proto| self.field(proto))
    }

    /// The field or known extension with this number.
    pub(crate) fn field_by_number(self, number: i32) -> Option<FieldRef<'p>> {
        let found = self.pool.message_index(self.id).fields.by_number(&self.proto().field, number);
        found.map(|proto| self.field(proto)).or_else(|| {
            let id = self.pool.extension_by_number(self.id, number)?;
            FieldRef::extension(self.pool, id)
        })
    }

    /// Fields that must be set. Features must be known.
    fn required_fields(self) -> impl Iterator<Item = FieldRef<'p>> {
        let fields = &self.proto().field;
        let places = self.pool.message_index(self.id).required.get_or_init(|| {
            let is_required = |place: &usize| self.field(&fields[*place]).is_required();
            (0..fields.len()).filter(is_required).collect()
        });
        places.iter().map(move |&place| self.field(&fields[place]))
    }

    pub(crate) fn is_reserved(self, name: &str) -> bool {
        let names = &self.pool.message_index(self.id).reserved_names;
        names.get_or_init(|| self.proto().reserved_name.iter().cloned().collect()).contains(name)
    }

    /// The extension range that has this number.
    pub(crate) fn extension_range(self, number: i32) -> Option<&'p ExtensionRange> {
        self.proto().extension_range.get(self.extension_range_place(number)?)
    }

    fn extension_range_place(self, number: i32) -> Option<usize> {
        self.pool.message_index(self.id).extension_ranges.holding(&self.proto().extension_range, number)
    }

    /// What the extension range with this number declares of it.
    pub(crate) fn declaration(self, number: i32) -> Option<&'p Declaration> {
        let ranges = &self.proto().extension_range;
        let place = self.extension_range_place(number)?;
        let members = &self.pool.message_index(self.id).declarations;
        let members = members.get_or_init(|| ranges.iter().map(|_| Members::default()).collect()).get(place)?;
        members.by_number(&ranges[place].options.as_option()?.declaration, number)
    }

    pub(crate) fn is_map_entry(self) -> bool {
        self.proto().options.as_option().is_some_and(|options| options.map_entry == Some(true))
    }

    /// The extension in this message that makes it an item of a message set.
    pub(crate) fn item_of(self, set: MessageRef<'p>) -> Option<FieldRef<'p>> {
        self.proto().extension.iter().find_map(|extension| {
            let full_name = format!("{}.{}", self.full_name(), extension.name.as_deref()?);
            let crate::pool::Kind::Extension(id) = self.pool.symbol(&full_name)?.kind else { return None };
            let field = FieldRef::extension(self.pool, id)?;
            let is_item = field.parent == set.id && field.message().is_some_and(|inner| inner.id == self.id);
            is_item.then_some(field)
        })
    }

    pub(crate) fn is_message_set(self) -> bool {
        self.proto().options.as_option().is_some_and(|options| options.message_set_wire_format == Some(true))
    }
}

impl<'p> EnumRef<'p> {
    pub(crate) fn proto(self) -> &'p EnumDescriptorProto {
        self.pool.enumeration(self.id)
    }

    pub(crate) fn full_name(self) -> &'p str {
        self.pool.enum_name(self.id)
    }

    pub(crate) fn number_of(self, name: &str) -> Option<i32> {
        let value = self.pool.enum_values(self.id).by_name(&self.proto().value, name)?;
        Some(value.number.unwrap_or(0))
    }

    /// The first value with this number.
    pub(crate) fn value(self, number: i32) -> Option<&'p EnumValueDescriptorProto> {
        self.pool.enum_values(self.id).by_number(&self.proto().value, number)
    }

    /// The first name of a number.
    pub(crate) fn name_of(self, number: i32) -> Option<&'p str> {
        self.value(number)?.name.as_deref()
    }

    pub(crate) fn has_number(self, number: i32) -> bool {
        self.value(number).is_some()
    }

    pub(crate) fn is_closed(self) -> bool {
        self.pool.enum_features(self.id).enum_type == EnumType::CLOSED
    }
}

impl<'p> FieldRef<'p> {
    pub(crate) fn extension(pool: &'p Pool, id: ExtensionId) -> Option<Self> {
        Some(FieldRef { pool, proto: pool.extension(id), parent: pool.extendee(id)?, extension: Some(id) })
    }

    pub(crate) fn name(self) -> &'p str {
        self.proto.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn full_name(self) -> String {
        match self.extension {
            Some(id) => self.pool.extension_name(id).to_owned(),
            None => format!("{}.{}", self.pool.message_name(self.parent), self.name()),
        }
    }

    pub(crate) fn number(self) -> i32 {
        self.proto.number.unwrap_or(0)
    }

    /// The oneof it is a member of, by its index in the message.
    pub(crate) fn oneof(self) -> Option<i32> {
        self.proto.oneof_index.filter(|_| self.extension.is_none())
    }

    pub(crate) fn file(self) -> FileId {
        match self.extension {
            Some(id) => self.pool.extension_file(id),
            None => self.pool.message_file(self.parent),
        }
    }

    fn edition(self) -> Edition {
        self.pool.file(self.file()).edition()
    }

    pub(crate) fn features(self) -> Features {
        let outer = match self.extension {
            Some(id) => self.pool.extension_scope_features(id),
            None => self.pool.message_features(self.parent),
        };
        let mut features = outer.with(self.proto.options.as_option().and_then(|options| options.features.as_option()));
        if is_legacy(self.edition()) {
            let packed = self.proto.options.as_option().and_then(|options| options.packed);
            match packed {
                Some(true) => features.repeated_field_encoding = RepeatedFieldEncoding::PACKED,
                Some(false) => features.repeated_field_encoding = RepeatedFieldEncoding::EXPANDED,
                None => {}
            }
            if self.proto.label == Some(Label::LABEL_REQUIRED) {
                features.field_presence = FieldPresence::LEGACY_REQUIRED;
            }
            if self.proto.r#type == Some(Type::TYPE_GROUP) {
                features.message_encoding = MessageEncoding::DELIMITED;
            }
        }
        features
    }

    /// The type on the wire: a message field is a group where features say so.
    pub(crate) fn wire_type(self) -> Type {
        let declared = self.proto.r#type.unwrap_or(Type::TYPE_INT32);
        let is_delimited = declared == Type::TYPE_MESSAGE
            && !is_legacy(self.edition())
            && self.features().message_encoding == MessageEncoding::DELIMITED
            && !MessageRef { pool: self.pool, id: self.parent }.is_map_entry()
            && !self.message().is_some_and(MessageRef::is_map_entry);
        if is_delimited { Type::TYPE_GROUP } else { declared }
    }

    pub(crate) fn is_message(self) -> bool {
        matches!(self.proto.r#type, Some(Type::TYPE_MESSAGE | Type::TYPE_GROUP))
    }

    pub(crate) fn is_repeated(self) -> bool {
        self.proto.label == Some(Label::LABEL_REPEATED)
    }

    pub(crate) fn is_required(self) -> bool {
        self.proto.label == Some(Label::LABEL_REQUIRED)
            || (!self.is_repeated()
                && !is_legacy(self.edition())
                && self.features().field_presence == FieldPresence::LEGACY_REQUIRED)
    }

    /// Whether it is repeated and of a type that can be packed.
    pub(crate) fn is_packable(self) -> bool {
        self.is_repeated()
            && !matches!(
                self.proto.r#type,
                Some(Type::TYPE_STRING | Type::TYPE_BYTES | Type::TYPE_MESSAGE | Type::TYPE_GROUP)
            )
    }

    fn is_packed(self) -> bool {
        self.is_packable() && self.features().repeated_field_encoding == RepeatedFieldEncoding::PACKED
    }

    /// Whether it tells unset from zero.
    pub(crate) fn has_presence(self) -> bool {
        if self.is_repeated() {
            return false;
        }
        self.is_message()
            || self.extension.is_some()
            || self.proto.oneof_index.is_some()
            || self.features().field_presence != FieldPresence::IMPLICIT
    }

    pub(crate) fn message(self) -> Option<MessageRef<'p>> {
        let id = self.pool.message_by_type_name(self.proto.type_name.as_deref())?;
        Some(MessageRef { pool: self.pool, id })
    }

    pub(crate) fn enumeration(self) -> Option<EnumRef<'p>> {
        let id = self.pool.enum_by_type_name(self.proto.type_name.as_deref())?;
        Some(EnumRef { pool: self.pool, id })
    }
}

/// A value of a field.
#[derive(Clone)]
pub(crate) enum Value<'p> {
    /// As on the wire: zigzag and sign extension are done.
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Message(Dynamic<'p>),
}

impl<'p> Value<'p> {
    /// What a field without presence has when it is not set; the first value of an open enum is 0.
    fn default_of(field: FieldRef<'p>) -> Option<Self> {
        use Type::*;
        Some(match field.wire_type() {
            TYPE_DOUBLE | TYPE_FIXED64 | TYPE_SFIXED64 => Value::Fixed64(0),
            TYPE_FLOAT | TYPE_FIXED32 | TYPE_SFIXED32 => Value::Fixed32(0),
            TYPE_STRING | TYPE_BYTES => Value::Bytes(Vec::new()),
            TYPE_MESSAGE | TYPE_GROUP => Value::Message(Dynamic::new(field.message()?)),
            _ => Value::Varint(0),
        })
    }

    pub(crate) fn as_message(&self) -> Option<&Dynamic<'p>> {
        match self {
            Value::Message(message) => Some(message),
            _ => None,
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Value::Varint(value) | Value::Fixed64(value) => *value == 0,
            Value::Fixed32(value) => *value == 0,
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Message(_) => false,
        }
    }
}

/// A field with its values; more than one only if it is repeated.
#[derive(Clone)]
pub(crate) struct Slot<'p> {
    pub(crate) field: FieldRef<'p>,
    pub(crate) values: Vec<Value<'p>>,
}

/// A message.
#[derive(Clone)]
pub(crate) struct Dynamic<'p> {
    pub(crate) message: MessageRef<'p>,
    pub(crate) fields: BTreeMap<i32, Slot<'p>>,
    /// The number of the member that was last set, by its oneof.
    oneofs: BTreeMap<i32, i32>,
    pub(crate) unknown: UnknownFields,
}

impl<'p> Dynamic<'p> {
    pub(crate) fn new(message: MessageRef<'p>) -> Self {
        Dynamic { message, fields: BTreeMap::new(), oneofs: BTreeMap::new(), unknown: UnknownFields::new() }
    }

    /// Reads a message from its wire form. `None` if it is malformed or too deep.
    pub(crate) fn decode(message: MessageRef<'p>, bytes: &[u8]) -> Option<Self> {
        let mut decoded = Dynamic::new(message);
        decoded.merge(decode_fields(bytes, OPTION_NESTING)?, OPTION_NESTING)?;
        Some(decoded)
    }

    fn merge(&mut self, fields: UnknownFields, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        for unknown in fields {
            let unknown = if self.message.is_message_set() { out_of_item(unknown) } else { unknown };
            match self.message.field_by_number(unknown.number as i32) {
                Some(field) => self.merge_field(field, unknown, depth)?,
                None => self.unknown.push(unknown),
            }
        }
        Some(())
    }

    fn merge_field(&mut self, field: FieldRef<'p>, unknown: UnknownField, depth: u32) -> Option<()> {
        let number = unknown.number;
        let wire_type = field.wire_type();
        let value = match (wire_type, unknown.data) {
            (Type::TYPE_MESSAGE, UnknownFieldData::LengthDelimited(bytes)) => {
                return self.merge_message(field, decode_fields(&bytes, depth)?, depth);
            }
            (Type::TYPE_GROUP, UnknownFieldData::Group(fields)) => return self.merge_message(field, fields, depth),
            (Type::TYPE_STRING | Type::TYPE_BYTES, UnknownFieldData::LengthDelimited(bytes)) => Value::Bytes(bytes),
            (_, UnknownFieldData::LengthDelimited(bytes)) if field.is_packable() => {
                for value in unpack(wire_type, &bytes)? {
                    self.merge_scalar(field, value);
                }
                return Some(());
            }
            (Type::TYPE_DOUBLE | Type::TYPE_FIXED64 | Type::TYPE_SFIXED64, UnknownFieldData::Fixed64(value)) => {
                Value::Fixed64(value)
            }
            (Type::TYPE_FLOAT | Type::TYPE_FIXED32 | Type::TYPE_SFIXED32, UnknownFieldData::Fixed32(value)) => {
                Value::Fixed32(value)
            }
            (wire_type, UnknownFieldData::Varint(value)) if is_varint(wire_type) => {
                Value::Varint(narrowed(wire_type, value))
            }
            (_, data) => {
                self.unknown.push(UnknownField { number, data });
                return Some(());
            }
        };
        self.merge_scalar(field, value);
        Some(())
    }

    fn merge_scalar(&mut self, field: FieldRef<'p>, value: Value<'p>) {
        if let (Some(definition), Value::Varint(number)) = (field.enumeration(), &value)
            && definition.is_closed()
            && !definition.has_number(*number as i32)
        {
            let data = UnknownFieldData::Varint(*number);
            self.unknown.push(UnknownField { number: field.number() as u32, data });
            return;
        }
        self.set(field, value);
    }

    fn merge_message(&mut self, field: FieldRef<'p>, fields: UnknownFields, depth: u32) -> Option<()> {
        let message = field.message()?;
        self.clear_other_members(field);
        let slot = self.fields.entry(field.number()).or_insert_with(|| Slot { field, values: Vec::new() });
        if field.is_repeated() || slot.values.is_empty() {
            slot.values.push(Value::Message(Dynamic::new(message)));
        }
        match slot.values.last_mut() {
            Some(Value::Message(inner)) => {
                inner.merge(fields, depth)?;
                if message.is_map_entry() {
                    self.settle_entry(field);
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Settles the last entry of a map: it is its key and its value and nothing else. One whose value its enum does not
    /// have is unknown as a whole.
    fn settle_entry(&mut self, field: FieldRef<'p>) {
        let Some(slot) = self.fields.get_mut(&field.number()) else { return };
        let Some(Value::Message(entry)) = slot.values.last_mut() else { return };
        let unknown = std::mem::take(&mut entry.unknown);
        let is_value = |field: &&UnknownField| field.number == 2 && matches!(field.data, UnknownFieldData::Varint(_));
        let has_enum = entry.message.field_by_number(2).is_some_and(|value| value.enumeration().is_some());
        let Some(value) = unknown.iter().rfind(is_value).filter(|_| has_enum) else { return };
        entry.fields.remove(&2);
        entry.unknown.push(value.clone());
        if let Some(Value::Message(entry)) = slot.values.pop() {
            if slot.values.is_empty() {
                self.fields.remove(&field.number());
            }
            let data = UnknownFieldData::LengthDelimited(encode_fields(&entry.into_fields()));
            self.unknown.push(UnknownField { number: field.number() as u32, data });
        }
    }

    /// Sets a field, or adds to it if it is repeated. Clears the other members of its oneof.
    pub(crate) fn set(&mut self, field: FieldRef<'p>, value: Value<'p>) {
        self.clear_other_members(field);
        if !field.is_repeated() && !field.has_presence() && value.is_zero() {
            self.fields.remove(&field.number());
            return;
        }
        let slot = self.fields.entry(field.number()).or_insert_with(|| Slot { field, values: Vec::new() });
        if !field.is_repeated() {
            slot.values.clear();
        }
        slot.values.push(value);
    }

    /// At most one member of a oneof is set: from now on `field`, if it is one.
    fn clear_other_members(&mut self, field: FieldRef<'p>) {
        if let Some(oneof) = field.oneof()
            && let Some(other) = self.oneofs.insert(oneof, field.number())
            && other != field.number()
        {
            self.fields.remove(&other);
        }
    }

    /// The member of this oneof that is set.
    pub(crate) fn member(&self, oneof: i32) -> Option<FieldRef<'p>> {
        self.fields.get(self.oneofs.get(&oneof)?).map(|slot| slot.field)
    }

    /// Takes the `features` out of an options message.
    pub(crate) fn take_features(&mut self) -> Option<Self> {
        let number = self.message.field_by_name("features")?.number();
        match self.fields.remove(&number)?.values.pop()? {
            Value::Message(features) => Some(features),
            _ => None,
        }
    }

    /// Gives an entry of a map its key and its value: on the wire it always has both.
    pub(crate) fn complete_map_entry(&mut self) {
        for field in self.message.fields() {
            if let Some(value) = Value::default_of(field) {
                self.fields.entry(field.number()).or_insert_with(|| Slot { field, values: vec![value] });
            }
        }
    }

    /// Puts U+FFFD where strings are not UTF-8, here and below.
    pub(crate) fn replace_broken_text(&mut self) {
        for slot in self.fields.values_mut() {
            let is_text = slot.field.proto.r#type == Some(Type::TYPE_STRING);
            for value in &mut slot.values {
                match value {
                    Value::Bytes(bytes) if is_text && std::str::from_utf8(bytes).is_err() => {
                        *bytes = String::from_utf8_lossy(bytes).into_owned().into_bytes();
                    }
                    Value::Message(inner) => inner.replace_broken_text(),
                    _ => {}
                }
            }
        }
    }

    /// The messages in it, but not what is in them.
    pub(crate) fn inner_messages(&mut self) -> impl Iterator<Item = &mut Dynamic<'p>> {
        self.fields.values_mut().flat_map(|slot| &mut slot.values).filter_map(|value| match value {
            Value::Message(inner) => Some(inner),
            _ => None,
        })
    }

    /// The wire form, as fields.
    pub(crate) fn into_unknown(mut self) -> UnknownFields {
        if self.message.is_map_entry() {
            self.complete_map_entry();
        }
        self.into_fields()
    }

    /// The same for an entry that need not be complete.
    fn into_fields(self) -> UnknownFields {
        let is_message_set = self.message.is_message_set();
        let mut out = UnknownFields::new();
        for (number, Slot { field, values }) in self.fields {
            let number = number as u32;
            if field.is_packed() {
                let mut packed = Vec::new();
                values.iter().for_each(|value| pack(value, &mut packed));
                out.push(UnknownField { number, data: UnknownFieldData::LengthDelimited(packed) });
                continue;
            }
            let is_group = field.wire_type() == Type::TYPE_GROUP;
            for value in values {
                let data = match value {
                    Value::Varint(value) => UnknownFieldData::Varint(value),
                    Value::Fixed32(value) => UnknownFieldData::Fixed32(value),
                    Value::Fixed64(value) => UnknownFieldData::Fixed64(value),
                    Value::Bytes(bytes) => UnknownFieldData::LengthDelimited(bytes),
                    Value::Message(inner) if is_group => UnknownFieldData::Group(inner.into_unknown()),
                    Value::Message(inner) => UnknownFieldData::LengthDelimited(inner.encode()),
                };
                out.push(if is_message_set && field.extension.is_some() {
                    message_set_item(number, data)
                } else {
                    UnknownField { number, data }
                });
            }
        }
        for UnknownField { number, data } in self.unknown {
            out.push(match data {
                UnknownFieldData::LengthDelimited(_) if is_message_set => message_set_item(number, data),
                data => UnknownField { number, data },
            });
        }
        out
    }

    /// The wire form.
    pub(crate) fn encode(self) -> Vec<u8> {
        encode_fields(&self.into_unknown())
    }

    /// Names of required fields that are not set, here and below.
    pub(crate) fn missing_required(&self, prefix: &str, missing: &mut Vec<String>) {
        for field in self.message.required_fields() {
            if !self.fields.contains_key(&field.number()) {
                missing.push(format!("{prefix}{}", field.name()));
            }
        }
        for slot in self.fields.values() {
            let name = match slot.field.extension {
                Some(_) => format!("({})", slot.field.full_name()),
                None => slot.field.name().to_owned(),
            };
            for (index, value) in slot.values.iter().enumerate() {
                if let Value::Message(inner) = value {
                    let index = if slot.field.is_repeated() { format!("[{index}]") } else { String::new() };
                    inner.missing_required(&format!("{prefix}{name}{index}."), missing);
                }
            }
        }
    }
}

/// Reads fields of any type from the wire, groups nested at most `depth` deep. `None` if they are malformed.
pub(crate) fn decode_fields(mut bytes: &[u8], depth: u32) -> Option<UnknownFields> {
    let left = Cell::new(WIRE_FIELDS);
    let context = DecodeContext::new(depth, &left);
    let mut fields = UnknownFields::new();
    while !bytes.is_empty() {
        let tag = Tag::decode(&mut bytes).ok()?;
        fields.push(decode_unknown_field(tag, &mut bytes, context).ok()?);
    }
    Some(fields)
}

/// The bytes of some fields.
pub(crate) fn encode_fields(fields: &UnknownFields) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.encoded_len());
    fields.write_to(&mut bytes);
    bytes
}

/// An extension of a message set: a group of type and message.
fn message_set_item(number: u32, data: UnknownFieldData) -> UnknownField {
    let mut item = UnknownFields::new();
    item.push(UnknownField { number: 2, data: UnknownFieldData::Varint(u64::from(number)) });
    item.push(UnknownField { number: 3, data });
    UnknownField { number: 1, data: UnknownFieldData::Group(item) }
}

/// An item of a message set as the extension it is; anything else as it was.
fn out_of_item(unknown: UnknownField) -> UnknownField {
    let UnknownFieldData::Group(item) = &unknown.data else { return unknown };
    let number = item.iter().find_map(|field| match (field.number, &field.data) {
        (2, UnknownFieldData::Varint(number)) => u32::try_from(*number).ok().filter(|number| *number > 0),
        _ => None,
    });
    let message = item.iter().find_map(|field| match (field.number, &field.data) {
        (3, UnknownFieldData::LengthDelimited(bytes)) => Some(bytes.clone()),
        _ => None,
    });
    match (unknown.number, number.zip(message)) {
        (1, Some((number, bytes))) => UnknownField { number, data: UnknownFieldData::LengthDelimited(bytes) },
        _ => unknown,
    }
}

fn is_varint(wire_type: Type) -> bool {
    matches!(
        wire_type,
        Type::TYPE_INT32
            | Type::TYPE_INT64
            | Type::TYPE_UINT32
            | Type::TYPE_UINT64
            | Type::TYPE_SINT32
            | Type::TYPE_SINT64
            | Type::TYPE_BOOL
            | Type::TYPE_ENUM
    )
}

/// What a type of 32 bits makes of more, and a flag of any number.
fn narrowed(wire_type: Type, value: u64) -> u64 {
    match wire_type {
        Type::TYPE_INT32 | Type::TYPE_ENUM => i64::from(value as i32) as u64,
        // Of zigzag, too, the lower half counts.
        Type::TYPE_UINT32 | Type::TYPE_SINT32 => u64::from(value as u32),
        Type::TYPE_BOOL => u64::from(value != 0),
        _ => value,
    }
}

fn pack(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Varint(value) => buffa::encoding::encode_varint(*value, out),
        Value::Fixed32(value) => out.extend(value.to_le_bytes()),
        Value::Fixed64(value) => out.extend(value.to_le_bytes()),
        Value::Bytes(_) | Value::Message(_) => {}
    }
}

fn unpack<'p>(wire_type: Type, mut bytes: &[u8]) -> Option<Vec<Value<'p>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(match wire_type {
            Type::TYPE_DOUBLE | Type::TYPE_FIXED64 | Type::TYPE_SFIXED64 => {
                let (value, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Value::Fixed64(u64::from_le_bytes(*value))
            }
            Type::TYPE_FLOAT | Type::TYPE_FIXED32 | Type::TYPE_SFIXED32 => {
                let (value, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Value::Fixed32(u32::from_le_bytes(*value))
            }
            _ => Value::Varint(narrowed(wire_type, buffa::encoding::decode_varint(&mut bytes).ok()?)),
        });
    }
    Some(values)
}
