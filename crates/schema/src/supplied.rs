//! Files that come as descriptors instead of text, in the form in which protoc's pool gives them back.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

/// The field of `FileDescriptorProto` that holds the edition. One that the typed message does not know is among its
/// unknown fields, where the linker looks for it.
const EDITION: u32 = 14;

/// Drops what no descriptor holds: unknown fields, but for those of options, which are their extensions, and flags that
/// say no. Writes down what is left open.
pub(crate) fn normalise(file: &mut FileDescriptorProto) {
    file.__buffa_unknown_fields.retain(|field| field.number == EDITION);
    file.package.take_if(|package| package.is_empty());
    if file.edition.is_some() {
        file.syntax = Some("editions".into());
    }
    file.syntax.take_if(|syntax| syntax.is_empty());
    file.message_type.iter_mut().for_each(message);
    file.enum_type.iter_mut().for_each(enumeration);
    file.service.iter_mut().for_each(service);
    file.extension.iter_mut().for_each(field);
}

fn message(message: &mut DescriptorProto) {
    message.__buffa_unknown_fields = Default::default();
    message.field.iter_mut().chain(&mut message.extension).for_each(field);
    message.nested_type.iter_mut().for_each(self::message);
    message.enum_type.iter_mut().for_each(enumeration);
    for range in &mut message.extension_range {
        range.__buffa_unknown_fields = Default::default();
        range.start.get_or_insert(0);
        range.end.get_or_insert(0);
    }
    for range in &mut message.reserved_range {
        range.__buffa_unknown_fields = Default::default();
        range.start.get_or_insert(0);
        range.end.get_or_insert(0);
    }
    message.oneof_decl.iter_mut().for_each(|oneof| oneof.__buffa_unknown_fields = Default::default());
}

fn field(field: &mut FieldDescriptorProto) {
    field.__buffa_unknown_fields = Default::default();
    field.label.get_or_insert(Label::LABEL_OPTIONAL);
    field.number.get_or_insert(0);
    if field.type_name.is_none() {
        // The first of all types.
        field.r#type.get_or_insert(Type::TYPE_DOUBLE);
    }
    field.proto3_optional.take_if(|optional| !*optional);
}

fn enumeration(enumeration: &mut EnumDescriptorProto) {
    enumeration.__buffa_unknown_fields = Default::default();
    for value in &mut enumeration.value {
        value.__buffa_unknown_fields = Default::default();
        value.number.get_or_insert(0);
    }
    for range in &mut enumeration.reserved_range {
        range.__buffa_unknown_fields = Default::default();
        range.start.get_or_insert(0);
        range.end.get_or_insert(0);
    }
}

fn service(service: &mut ServiceDescriptorProto) {
    service.__buffa_unknown_fields = Default::default();
    for method in &mut service.method {
        method.__buffa_unknown_fields = Default::default();
        method.client_streaming.take_if(|streaming| !*streaming);
        method.server_streaming.take_if(|streaming| !*streaming);
    }
}
