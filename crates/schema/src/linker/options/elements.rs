//! Everything that can have options, in the order in which protoc looks at it.

use buffa::{Message, UnknownFields};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    UninterpretedOption,
};

use crate::dynamic::encode_fields;
use crate::linker::declare::join;
use crate::tag;

/// An element with options to interpret.
pub(super) struct Element {
    /// Where its options are.
    pub(super) path: Vec<i32>,
    /// Full name of the options message.
    pub(super) message: &'static str,
    /// Where names in its options are looked up from.
    pub(super) scope: String,
    pub(super) options: Vec<UninterpretedOption>,
    /// What has been set by options interpreted since the last merge, and what the options message did not know.
    pub(super) unknown: UnknownFields,
}

struct Walk {
    elements: Vec<Element>,
    path: Vec<i32>,
}

/// Adds an element to the walk if its options need interpretation, and takes them out.
macro_rules! visit {
    ($walk:expr, $element:expr, $step:expr, $message:literal, $scope:expr) => {
        if let Some(options) = $element.options.as_option_mut() {
            let uninterpreted = std::mem::take(&mut options.uninterpreted_option);
            if !uninterpreted.is_empty() {
                let path = [&$walk.path[..], &[$step]].concat();
                $walk.elements.push(Element {
                    path,
                    message: concat!("google.protobuf.", $message),
                    scope: $scope.to_owned(),
                    options: uninterpreted,
                    unknown: UnknownFields::new(),
                });
            }
        }
    };
}

impl Walk {
    /// Walks the members of a list.
    fn each<T>(&mut self, list: &mut [T], step: i32, mut visit: impl FnMut(&mut Self, &mut T)) {
        for (index, item) in list.iter_mut().enumerate() {
            self.path.extend([step, index as i32]);
            visit(self, item);
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn message(&mut self, message: &mut DescriptorProto, scope: &str) {
        let full_name = join(scope, message.name.as_deref().unwrap_or_default());
        self.each(&mut message.oneof_decl, tag::message::ONEOF, |walk, oneof| {
            let scope = join(&full_name, oneof.name.as_deref().unwrap_or_default());
            visit!(walk, oneof, tag::oneof::OPTIONS, "OneofOptions", scope);
        });
        self.each(&mut message.field, tag::message::FIELD, |walk, field| walk.field(field, &full_name));
        self.each(&mut message.enum_type, tag::message::ENUM, |walk, definition| {
            walk.enumeration(definition, &full_name);
        });
        self.each(&mut message.extension_range, tag::message::EXTENSION_RANGE, |walk, range| {
            visit!(walk, range, tag::range::OPTIONS, "ExtensionRangeOptions", full_name);
        });
        self.each(&mut message.extension, tag::message::EXTENSION, |walk, field| walk.field(field, &full_name));
        visit!(self, message, tag::message::OPTIONS, "MessageOptions", full_name);
        self.each(&mut message.nested_type, tag::message::NESTED, |walk, nested| walk.message(nested, &full_name));
    }

    fn field(&mut self, field: &mut FieldDescriptorProto, scope: &str) {
        let full_name = join(scope, field.name.as_deref().unwrap_or_default());
        visit!(self, field, tag::field::OPTIONS, "FieldOptions", full_name);
    }

    fn enumeration(&mut self, definition: &mut EnumDescriptorProto, scope: &str) {
        self.each(&mut definition.value, tag::enumeration::VALUE, |walk, value| {
            let full_name = join(scope, value.name.as_deref().unwrap_or_default());
            visit!(walk, value, tag::enum_value::OPTIONS, "EnumValueOptions", full_name);
        });
        let full_name = join(scope, definition.name.as_deref().unwrap_or_default());
        visit!(self, definition, tag::enumeration::OPTIONS, "EnumOptions", full_name);
    }

    fn service(&mut self, service: &mut ServiceDescriptorProto, scope: &str) {
        let full_name = join(scope, service.name.as_deref().unwrap_or_default());
        self.each(&mut service.method, tag::service::METHOD, |walk, method| {
            let scope = join(&full_name, method.name.as_deref().unwrap_or_default());
            visit!(walk, method, tag::method::OPTIONS, "MethodOptions", scope);
        });
        visit!(self, service, tag::service::OPTIONS, "ServiceOptions", full_name);
    }
}

/// Takes all uninterpreted options out of the file.
pub(super) fn take(file: &mut FileDescriptorProto) -> Vec<Element> {
    let mut walk = Walk { elements: Vec::new(), path: Vec::new() };
    let package = file.package.clone().unwrap_or_default();
    walk.each(&mut file.message_type, tag::file::MESSAGE, |walk, message| walk.message(message, &package));
    walk.each(&mut file.enum_type, tag::file::ENUM, |walk, definition| walk.enumeration(definition, &package));
    walk.each(&mut file.service, tag::file::SERVICE, |walk, service| walk.service(service, &package));
    walk.each(&mut file.extension, tag::file::EXTENSION, |walk, field| walk.field(field, &package));
    visit!(walk, file, tag::file::OPTIONS, "FileOptions", format!("{package}.dummy"));
    walk.elements
}

/// Merges fields into the options of one element.
macro_rules! merge_into {
    ($options:expr, $set:expr) => {{
        let mut bytes = $options.as_option().map(Message::encode_to_vec).unwrap_or_default();
        bytes.extend(encode_fields($set));
        let options = $options.get_or_insert_default();
        match Message::decode_from_slice(&bytes) {
            Ok(decoded) => *options = decoded,
            // What the typed message cannot hold (a string that is not UTF-8) is kept as bytes.
            Err(_) => $set.iter().for_each(|field| options.__buffa_unknown_fields.push(field.clone())),
        }
    }};
}

/// Merges fields into the options at `path`.
pub(super) fn merge(file: &mut FileDescriptorProto, path: &[i32], set: &UnknownFields) {
    match *path {
        [tag::file::MESSAGE, index, ref rest @ ..] => merge_message(&mut file.message_type[index as usize], rest, set),
        [tag::file::ENUM, index, ref rest @ ..] => merge_enum(&mut file.enum_type[index as usize], rest, set),
        [tag::file::EXTENSION, index, _] => merge_into!(file.extension[index as usize].options, set),
        [tag::file::SERVICE, index, _] => merge_into!(file.service[index as usize].options, set),
        [tag::file::SERVICE, index, _, method, _] => {
            merge_into!(file.service[index as usize].method[method as usize].options, set)
        }
        _ => merge_into!(file.options, set),
    }
}

fn merge_message(message: &mut DescriptorProto, path: &[i32], set: &UnknownFields) {
    match *path {
        [tag::message::NESTED, index, ref rest @ ..] => {
            merge_message(&mut message.nested_type[index as usize], rest, set);
        }
        [tag::message::ENUM, index, ref rest @ ..] => merge_enum(&mut message.enum_type[index as usize], rest, set),
        [tag::message::FIELD, index, _] => merge_into!(message.field[index as usize].options, set),
        [tag::message::EXTENSION, index, _] => merge_into!(message.extension[index as usize].options, set),
        [tag::message::EXTENSION_RANGE, index, _] => {
            merge_into!(message.extension_range[index as usize].options, set)
        }
        [tag::message::ONEOF, index, _] => merge_into!(message.oneof_decl[index as usize].options, set),
        _ => merge_into!(message.options, set),
    }
}

fn merge_enum(definition: &mut EnumDescriptorProto, path: &[i32], set: &UnknownFields) {
    match *path {
        [_, index, _] => merge_into!(definition.value[index as usize].options, set),
        _ => merge_into!(definition.options, set),
    }
}
