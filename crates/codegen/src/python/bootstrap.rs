//! `google/protobuf/descriptor_pb2.py`: the one module that cannot be built from its serialized descriptor.
//!
//! Where protobuf runs in pure Python, parsing a descriptor takes the classes that this module defines, so it spells
//! every descriptor out. Only what `descriptor.proto` has is written: no oneofs, extensions, maps or groups.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::{encoded, key};
use crate::schema::{Schema, TypeKind, is_repeated};
use crate::text::{Text, line};
use crate::{escape, schema};

/// The file this is about.
pub(super) const FILE: &str = "google/protobuf/descriptor.proto";

/// `DESCRIPTOR = ...` for pure Python, to stand under its `if`.
pub(super) fn file_descriptor(file: &FileDescriptorProto, serialized: &str, out: &mut Text) {
    out.line("DESCRIPTOR = _descriptor.FileDescriptor(");
    out.indented(1, |out| {
        line!(out, "name='{}',\npackage='{}',", schema::file_name(file), schema::package(file));
        out.line("syntax='proto2',\nedition='EDITION_PROTO2',");
        line!(out, "serialized_options={},", options_value(&encoded(file.options.as_option())));
        out.line("create_key=_descriptor._internal_create_key,");
        line!(out, "serialized_pb=b'{serialized}'");
    });
    out.line(")");
}

/// Everything else of the pure-Python branch: descriptors, the links between them, their features.
pub(super) fn descriptors(schema: &Schema<'_>, file: &FileDescriptorProto, out: &mut Text) {
    let package = schema::package(file);
    let enums = all_enums(file);
    for (name, full_name, declared) in &enums {
        enumeration(name, &format!("{package}.{full_name}"), declared, out);
    }
    for top in &file.message_type {
        visit(top, "", package, &mut |name, full_name, message| descriptor(schema, name, full_name, message, out));
        out.blank();
    }
    for message in &file.message_type {
        links(schema, message, "", out);
    }
    for message in &file.message_type {
        let name = message.name.as_deref().unwrap_or_default();
        line!(out, "DESCRIPTOR.message_types_by_name['{name}'] = {}", key("", Some(name)));
    }
    for declared in &file.enum_type {
        let name = declared.name.as_deref().unwrap_or_default();
        line!(out, "DESCRIPTOR.enum_types_by_name['{name}'] = {}", key("", Some(name)));
    }
    out.line("_sym_db.RegisterFileDescriptor(DESCRIPTOR)\n");
    features(file, out);
}

type NamedEnum<'a> = (String, String, &'a EnumDescriptorProto);

/// Global name, name within the package and declaration of each enum, in the order of their printing: the file's,
/// then those of each message after those of the messages inside it.
fn all_enums(file: &FileDescriptorProto) -> Vec<NamedEnum<'_>> {
    let mut found = Vec::new();
    push_enums(&file.enum_type, "", "", &mut found);
    for message in &file.message_type {
        nested_enums(message, "", "", &mut found);
    }
    found
}

fn push_enums<'a>(enums: &'a [EnumDescriptorProto], scope: &str, path: &str, found: &mut Vec<NamedEnum<'a>>) {
    for declared in enums {
        let name = declared.name.as_deref().unwrap_or_default();
        found.push((key(scope, Some(name)), format!("{path}{name}"), declared));
    }
}

fn nested_enums<'a>(message: &'a DescriptorProto, scope: &str, path: &str, found: &mut Vec<NamedEnum<'a>>) {
    let scope = key(scope, message.name.as_deref());
    let path = format!("{path}{}.", message.name.as_deref().unwrap_or_default());
    for nested in &message.nested_type {
        nested_enums(nested, &scope, &path, found);
    }
    push_enums(&message.enum_type, &scope, &path, found);
}

/// Calls `action` with global name, full name and message for what is inside `message`, then for itself.
fn visit(message: &DescriptorProto, scope: &str, path: &str, action: &mut impl FnMut(&str, &str, &DescriptorProto)) {
    let name = key(scope, message.name.as_deref());
    let full_name = format!("{path}.{}", message.name.as_deref().unwrap_or_default());
    for nested in &message.nested_type {
        visit(nested, &name, &full_name, action);
    }
    action(&name, &full_name, message);
}

fn options_value(options: &[u8]) -> String {
    if options.is_empty() { "None".into() } else { format!("b'{}'", escape::octal(options)) }
}

fn enumeration(name: &str, full_name: &str, declared: &EnumDescriptorProto, out: &mut Text) {
    line!(out, "{name} = _descriptor.EnumDescriptor(");
    out.indented(1, |out| {
        line!(out, "name='{}',\nfull_name='{full_name}',", declared.name.as_deref().unwrap_or_default());
        out.line("filename=None,\nfile=DESCRIPTOR,\ncreate_key=_descriptor._internal_create_key,\nvalues=[");
        out.indented(1, |out| {
            for (index, value) in declared.value.iter().enumerate() {
                let name = value.name.as_deref().unwrap_or_default();
                let options = options_value(&encoded(value.options.as_option()));
                out.line("_descriptor.EnumValueDescriptor(");
                line!(out, "  name='{name}', index={index}, number={},", value.number.unwrap_or_default());
                line!(out, "  serialized_options={options},\n  type=None,");
                out.line("  create_key=_descriptor._internal_create_key),");
            }
        });
        out.line("],\ncontaining_type=None,");
        line!(out, "serialized_options={},", options_value(&encoded(declared.options.as_option())));
    });
    line!(out, ")\n_sym_db.RegisterEnumDescriptor({name})\n");
}

fn descriptor(schema: &Schema<'_>, name: &str, full_name: &str, message: &DescriptorProto, out: &mut Text) {
    line!(out, "\n{name} = _descriptor.Descriptor(");
    out.indented(1, |out| {
        line!(out, "name='{}',\nfull_name='{full_name}',", message.name.as_deref().unwrap_or_default());
        out.line("filename=None,\nfile=DESCRIPTOR,\ncontaining_type=None,");
        out.line("create_key=_descriptor._internal_create_key,\nfields=[");
        out.indented(1, |out| {
            for (index, declared) in message.field.iter().enumerate() {
                field(schema, full_name, index, declared, out);
            }
        });
        out.line("],\nextensions=[\n],");
        let nested: Vec<String> = message.nested_type.iter().map(|nested| key(name, nested.name.as_deref())).collect();
        line!(out, "nested_types=[{}],", nested.iter().map(|name| format!("{name}, ")).collect::<String>());
        out.line("enum_types=[");
        for declared in &message.enum_type {
            line!(out, "  {},", key(name, declared.name.as_deref()));
        }
        out.line("],");
        line!(out, "serialized_options={},", options_value(&encoded(message.options.as_option())));
        let ranges = message.extension_range.iter();
        let ranges = ranges.map(|range| (range.start.unwrap_or_default(), range.end.unwrap_or_default()));
        let ranges: String = ranges.map(|(start, end)| format!("({start}, {end}), ")).collect();
        line!(out, "is_extendable={},", if ranges.is_empty() { "False" } else { "True" });
        line!(out, "extension_ranges=[{ranges}],\noneofs=[\n],");
    });
    out.line(")");
}

fn field(schema: &Schema<'_>, owner: &str, index: usize, field: &FieldDescriptorProto, out: &mut Text) {
    let name = field.name.as_deref().unwrap_or_default();
    let wire_type = field.r#type.map_or(0, |wire_type| wire_type as i32);
    let label = field.label.map_or(1, |label| label as i32);
    let default = default_value(schema, field);
    let has_default = if field.default_value.is_some() { "True" } else { "False" };
    let options = options_value(&encoded(field.options.as_option()));
    out.line("_descriptor.FieldDescriptor(");
    line!(out, "  name='{name}', full_name='{owner}.{name}', index={index},");
    line!(
        out,
        "  number={}, type={wire_type}, cpp_type={}, label={label},",
        field.number.unwrap_or_default(),
        cpp_type(field)
    );
    line!(out, "  has_default_value={has_default}, default_value={default},");
    out.line("  message_type=None, enum_type=None, containing_type=None,");
    out.line("  is_extension=False, extension_scope=None,");
    line!(out, "  serialized_options={options}, file=DESCRIPTOR,  create_key=_descriptor._internal_create_key),");
}

/// `FieldDescriptor.CPPTYPE_*` of protobuf's Python.
fn cpp_type(field: &FieldDescriptorProto) -> i32 {
    use Type::*;
    match field.r#type {
        Some(TYPE_INT32 | TYPE_SINT32 | TYPE_SFIXED32) => 1,
        Some(TYPE_INT64 | TYPE_SINT64 | TYPE_SFIXED64) => 2,
        Some(TYPE_UINT32 | TYPE_FIXED32) => 3,
        Some(TYPE_UINT64 | TYPE_FIXED64) => 4,
        Some(TYPE_DOUBLE) => 5,
        Some(TYPE_FLOAT) => 6,
        Some(TYPE_BOOL) => 7,
        Some(TYPE_ENUM) => 8,
        Some(TYPE_STRING | TYPE_BYTES) => 9,
        Some(TYPE_MESSAGE | TYPE_GROUP) | None => 10,
    }
}

/// The default as a Python expression.
fn default_value(schema: &Schema<'_>, field: &FieldDescriptorProto) -> String {
    use Type::*;
    if is_repeated(field) {
        return "[]".into();
    }
    let spelled = field.default_value.as_deref();
    match field.r#type {
        Some(TYPE_BOOL) => if spelled == Some("true") { "True" } else { "False" }.into(),
        Some(TYPE_STRING) => {
            format!("b\"{}\".decode('utf-8')", escape::octal(spelled.unwrap_or_default().as_bytes()))
        }
        Some(TYPE_BYTES) => format!("b\"{}\"", spelled.unwrap_or_default()),
        Some(TYPE_ENUM) => enum_number(schema, field).unwrap_or_default().to_string(),
        Some(TYPE_DOUBLE | TYPE_FLOAT) => format!("float({})", spelled.unwrap_or("0")),
        Some(TYPE_MESSAGE | TYPE_GROUP) | None => "None".into(),
        _ => spelled.unwrap_or("0").to_owned(),
    }
}

/// The number of an enum field's default, else of the enum's first value.
fn enum_number(schema: &Schema<'_>, field: &FieldDescriptorProto) -> Option<i32> {
    let TypeKind::Enum(declared) = schema.type_entry(field.type_name.as_deref()?)?.kind else { return None };
    let spelled =
        declared.value.iter().find(|value| field.default_value.is_some() && value.name == field.default_value);
    spelled.or(declared.value.first())?.number
}

/// Points fields at their types, and what is nested at what contains it.
fn links(schema: &Schema<'_>, message: &DescriptorProto, scope: &str, out: &mut Text) {
    let name = key(scope, message.name.as_deref());
    for nested in &message.nested_type {
        links(schema, nested, &name, out);
    }
    for field in &message.field {
        let Some(entry) = field.type_name.as_deref().and_then(|name| schema.type_entry(name)) else { continue };
        let target = entry.path.iter().fold(String::new(), |scope, part| key(&scope, Some(part)));
        let attribute = if matches!(entry.kind, TypeKind::Enum(_)) { "enum_type" } else { "message_type" };
        let field = field.name.as_deref().unwrap_or_default();
        line!(out, "{name}.fields_by_name['{field}'].{attribute} = {target}");
    }
    if !scope.is_empty() {
        line!(out, "{name}.containing_type = {scope}");
    }
    for declared in &message.enum_type {
        line!(out, "{}.containing_type = {name}", key(&name, declared.name.as_deref()));
    }
}

fn features(file: &FileDescriptorProto, out: &mut Text) {
    out.push(
        "\
class _ResolvedFeatures:
  def __init__(self, features = None, **kwargs):
    if features:
      for k, v in features.FIELDS.items():
        setattr(self, k, getattr(features, k))
    else:
      for k, v in kwargs.items():
        setattr(self, k, v)
",
    );
    let plain = resolved(false, false);
    line!(out, "DESCRIPTOR._features = {plain}");
    for message in &file.message_type {
        message_features(message, "", out);
    }
    for message in &file.message_type {
        enum_features_inside(message, "", out);
    }
    for declared in &file.enum_type {
        enum_features(declared, "", out);
    }
}

/// The features of a proto2 descriptor; a field may be required or packed.
fn resolved(required: bool, packed: bool) -> String {
    let presence = if required { "LEGACY_REQUIRED" } else { "EXPLICIT" };
    let encoding = if packed { "PACKED" } else { "EXPANDED" };
    let values = [
        ("field_presence", "FIELDPRESENCE", presence),
        ("enum_type", "ENUMTYPE", "CLOSED"),
        ("repeated_field_encoding", "REPEATEDFIELDENCODING", encoding),
        ("utf8_validation", "UTF8VALIDATION", "NONE"),
        ("message_encoding", "MESSAGEENCODING", "LENGTH_PREFIXED"),
        ("json_format", "JSONFORMAT", "LEGACY_BEST_EFFORT"),
    ];
    let arguments: Vec<String> = values
        .iter()
        .map(|(name, global, value)| format!("{name}=_FEATURESET_{global}.values_by_name[\"{value}\"].number"))
        .collect();
    format!("_ResolvedFeatures({})", arguments.join(","))
}

fn message_features(message: &DescriptorProto, scope: &str, out: &mut Text) {
    let name = key(scope, message.name.as_deref());
    line!(out, "{name}._features = {}", resolved(false, false));
    for (index, field) in message.field.iter().enumerate() {
        let packed = field.options.as_option().is_some_and(|options| options.packed == Some(true));
        let required = field.label == Some(Label::LABEL_REQUIRED);
        line!(out, "{name}.fields[{index}]._features = {}", resolved(required, packed));
    }
    for nested in &message.nested_type {
        message_features(nested, &name, out);
    }
}

fn enum_features_inside(message: &DescriptorProto, scope: &str, out: &mut Text) {
    let name = key(scope, message.name.as_deref());
    for declared in &message.enum_type {
        enum_features(declared, &name, out);
    }
    for nested in &message.nested_type {
        enum_features_inside(nested, &name, out);
    }
}

fn enum_features(declared: &EnumDescriptorProto, scope: &str, out: &mut Text) {
    let name = key(scope, declared.name.as_deref());
    line!(out, "{name}._features = {}", resolved(false, false));
    for index in 0..declared.value.len() {
        line!(out, "{name}.values[{index}]._features = {}", resolved(false, false));
    }
}
