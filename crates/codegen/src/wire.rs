//! The canonical form of option values that are kept as raw fields.

use std::collections::BTreeMap;

use buffa::encoding::encode_varint;
use buffa::unknown_fields::{UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::feature_set::{FieldPresence, RepeatedFieldEncoding};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::field_options::OptionRetention;
use buffa_descriptor::generated::descriptor::{FeatureSet, FieldDescriptorProto, FileDescriptorProto};

use crate::schema::{Declared, Schema, is_map_entry, is_repeated};

/// Deeper than any option that protoc itself accepts (its parsers stop at 100).
const MAX_DEPTH: usize = 100;

/// Rewrites `fields`, which belong to a message of type `message` (`.pkg.Msg`), as a parse into that type and a
/// serialization would: ordered by number, values of one singular field merged, packed fields packed, defaults of
/// fields without presence and source-retention fields gone. Fields that the type does not know stay as they are,
/// after the known ones.
pub(crate) fn canonicalize(schema: &Schema<'_>, message: &str, fields: &mut UnknownFields) {
    if !fields.is_empty() {
        *fields = canonical(schema, message, fields, MAX_DEPTH);
    }
}

fn canonical(schema: &Schema<'_>, message: &str, fields: &UnknownFields, depth: usize) -> UnknownFields {
    let mut known: BTreeMap<u32, (Declared<'_>, Vec<UnknownFieldData>)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for field in fields.iter() {
        match i32::try_from(field.number).ok().and_then(|number| schema.field(message, number)) {
            Some(declared) => {
                known.entry(field.number).or_insert_with(|| (declared, Vec::new())).1.push(field.data.clone());
            }
            None => unknown.push(field.clone()),
        }
    }
    // An entry of a map always has both its key and its value.
    let keep_defaults = schema.message(message).is_some_and(is_map_entry);
    let mut out = UnknownFields::default();
    for (number, (declared, values)) in known {
        for data in canonical_values(schema, declared, values, keep_defaults, depth) {
            out.push(UnknownField { number, data });
        }
    }
    for field in unknown {
        out.push(field);
    }
    out
}

fn canonical_values(
    schema: &Schema<'_>,
    Declared { field, file }: Declared<'_>,
    mut values: Vec<UnknownFieldData>,
    keep_defaults: bool,
    depth: usize,
) -> Vec<UnknownFieldData> {
    let options = field.options.as_option();
    if options.is_some_and(|options| options.retention == Some(OptionRetention::RETENTION_SOURCE)) {
        return Vec::new();
    }
    if let (Some(Type::TYPE_MESSAGE | Type::TYPE_GROUP), Some(type_name)) = (field.r#type, field.type_name.as_deref()) {
        if depth == 0 {
            return values;
        }
        if !is_repeated(field) {
            values = vec![merged(values)];
        }
        return values.into_iter().map(|value| canonical_message(schema, type_name, value, depth - 1)).collect();
    }
    if is_repeated(field) {
        return if is_packed(field, file) { vec![packed(values)] } else { values };
    }
    let last = values.pop();
    last.into_iter().filter(|value| keep_defaults || has_presence(field, file) || !is_default(value)).collect()
}

/// All values of one singular message field as one: its bytes, or its group's fields, joined.
fn merged(values: Vec<UnknownFieldData>) -> UnknownFieldData {
    let mut values = values.into_iter();
    let Some(mut whole) = values.next() else { return UnknownFieldData::LengthDelimited(Vec::new()) };
    for value in values {
        match (&mut whole, value) {
            (UnknownFieldData::LengthDelimited(whole), UnknownFieldData::LengthDelimited(more)) => whole.extend(more),
            (UnknownFieldData::Group(whole), UnknownFieldData::Group(more)) => {
                for field in more.iter() {
                    whole.push(field.clone());
                }
            }
            (_, value) => whole = value,
        }
    }
    whole
}

fn canonical_message(schema: &Schema<'_>, type_name: &str, value: UnknownFieldData, depth: usize) -> UnknownFieldData {
    match value {
        UnknownFieldData::LengthDelimited(bytes) => match UnknownFields::decode_from_slice(&bytes) {
            Ok(fields) => {
                let mut out = Vec::with_capacity(bytes.len());
                canonical(schema, type_name, &fields, depth).write_to(&mut out);
                UnknownFieldData::LengthDelimited(out)
            }
            Err(_) => UnknownFieldData::LengthDelimited(bytes),
        },
        UnknownFieldData::Group(fields) => UnknownFieldData::Group(canonical(schema, type_name, &fields, depth)),
        other => other,
    }
}

/// All values of a packed field as one; those that are packed already are joined as they are.
fn packed(values: Vec<UnknownFieldData>) -> UnknownFieldData {
    let mut out = Vec::new();
    for value in values {
        match value {
            UnknownFieldData::Varint(value) => encode_varint(value, &mut out),
            UnknownFieldData::Fixed64(value) => out.extend(value.to_le_bytes()),
            UnknownFieldData::Fixed32(value) => out.extend(value.to_le_bytes()),
            UnknownFieldData::LengthDelimited(bytes) => out.extend(bytes),
            UnknownFieldData::Group(_) => {}
        }
    }
    UnknownFieldData::LengthDelimited(out)
}

fn is_default(value: &UnknownFieldData) -> bool {
    match value {
        UnknownFieldData::Varint(value) | UnknownFieldData::Fixed64(value) => *value == 0,
        UnknownFieldData::Fixed32(value) => *value == 0,
        UnknownFieldData::LengthDelimited(bytes) => bytes.is_empty(),
        UnknownFieldData::Group(_) => false,
    }
}

fn is_packed(field: &FieldDescriptorProto, file: &FileDescriptorProto) -> bool {
    if matches!(field.r#type, Some(Type::TYPE_STRING | Type::TYPE_BYTES)) {
        return false;
    }
    let options = field.options.as_option();
    options.and_then(|options| options.packed).unwrap_or_else(|| match file.syntax.as_deref() {
        Some("proto3") => true,
        Some("editions") => {
            feature(field, file, |features| features.repeated_field_encoding) != Some(RepeatedFieldEncoding::EXPANDED)
        }
        _ => false,
    })
}

/// Whether a singular scalar field tells "unset" from its default.
fn has_presence(field: &FieldDescriptorProto, file: &FileDescriptorProto) -> bool {
    if field.extendee.is_some() || field.oneof_index.is_some() {
        return true;
    }
    match file.syntax.as_deref() {
        Some("proto3") => field.proto3_optional == Some(true),
        Some("editions") => feature(field, file, |features| features.field_presence) != Some(FieldPresence::IMPLICIT),
        _ => true,
    }
}

/// A feature as set on the field, else on the file; messages set none of those asked for here.
fn feature<T>(
    field: &FieldDescriptorProto,
    file: &FileDescriptorProto,
    read: impl Fn(&FeatureSet) -> Option<T>,
) -> Option<T> {
    let own = field.options.as_option().and_then(|options| options.features.as_option()).and_then(&read);
    own.or_else(|| file.options.as_option().and_then(|options| options.features.as_option()).and_then(&read))
}
