//! Everything that can have options, in the order in which protoc looks at it.

use buffa::{Inline, Message, MessageField, UnknownField, UnknownFields};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueOptions, ExtensionRangeOptions, FieldDescriptorProto,
    FieldOptions, FileDescriptorProto, FileOptions, MessageOptions, MethodOptions, OneofOptions,
    ServiceDescriptorProto, ServiceOptions, UninterpretedOption,
};

use crate::dynamic::encode_fields;
use crate::features;
use crate::tag;

/// The options of an element.
pub(crate) trait Options {
    /// Full name of the options message.
    fn message_name(&self) -> &'static str;
    fn take_uninterpreted(&mut self) -> Vec<UninterpretedOption>;
    /// Whether there is nothing in them but fields that have nothing to do with features or extensions.
    fn is_plain(&self) -> bool;
    /// Numbers of fields that the typed message does not know, extensions among them.
    fn unknown_numbers(&self) -> Vec<i32>;
    fn encode(&self) -> Vec<u8>;
    fn replace(&mut self, bytes: &[u8]);
    fn clear(&mut self);

    fn merge(&mut self, set: &UnknownFields) {
        let mut bytes = self.encode();
        bytes.extend(encode_fields(set));
        self.replace(&bytes);
    }
}

fn encode_one(field: &UnknownField) -> Vec<u8> {
    let mut fields = UnknownFields::new();
    fields.push(field.clone());
    encode_fields(&fields)
}

macro_rules! options {
    ($($message:ident, $is_always_special:literal;)*) => {$(
        impl Options for MessageField<$message, Inline<$message>> {
            fn message_name(&self) -> &'static str {
                concat!("google.protobuf.", stringify!($message))
            }

            fn take_uninterpreted(&mut self) -> Vec<UninterpretedOption> {
                self.as_option_mut().map(|options| std::mem::take(&mut options.uninterpreted_option)).unwrap_or_default()
            }

            fn is_plain(&self) -> bool {
                self.as_option().is_none_or(|options| {
                    !$is_always_special && options.features.is_unset() && options.__buffa_unknown_fields.is_empty()
                })
            }

            fn unknown_numbers(&self) -> Vec<i32> {
                let Some(options) = self.as_option() else { return Vec::new() };
                options.__buffa_unknown_fields.iter().filter_map(|field| i32::try_from(field.number).ok()).collect()
            }

            fn encode(&self) -> Vec<u8> {
                self.as_option().map(Message::encode_to_vec).unwrap_or_default()
            }

            fn replace(&mut self, bytes: &[u8]) {
                let options = self.get_or_insert_default();
                *options = match Message::decode_from_slice(bytes) {
                    Ok(decoded) => decoded,
                    // What the typed message cannot hold (a string that is not UTF-8) is kept as bytes.
                    Err(_) => {
                        let fields = UnknownFields::decode_from_slice(bytes).unwrap_or_default();
                        let holds = |field: &_| <$message>::decode_from_slice(&encode_one(field)).is_ok();
                        let (good, raw): (Vec<_>, Vec<_>) = fields.into_iter().partition(holds);
                        let good: Vec<u8> = good.iter().flat_map(encode_one).collect();
                        let mut decoded = <$message>::decode_from_slice(&good).unwrap_or_default();
                        raw.into_iter().for_each(|field| decoded.__buffa_unknown_fields.push(field));
                        decoded
                    }
                };
                if let Some(features) = options.features.as_option_mut() {
                    features::merge_known_extensions(features);
                }
            }

            fn clear(&mut self) {
                self.take();
            }
        }
    )*};
}

options! {
    FileOptions, false;
    MessageOptions, false;
    FieldOptions, false;
    OneofOptions, false;
    EnumOptions, false;
    EnumValueOptions, false;
    ExtensionRangeOptions, true;
    ServiceOptions, false;
    MethodOptions, false;
}

/// Calls `visit` for each element with options: where the options are, the names from the file's package to the
/// element, and the options.
pub(crate) fn each_options(file: &mut FileDescriptorProto, visit: &mut Visit<'_>) {
    let mut walk = Walk { path: Vec::new(), scope: Vec::new(), visit };
    walk.each(&mut file.message_type, tag::file::MESSAGE, Walk::message);
    walk.each(&mut file.enum_type, tag::file::ENUM, Walk::enumeration);
    walk.each(&mut file.service, tag::file::SERVICE, Walk::service);
    walk.each(&mut file.extension, tag::file::EXTENSION, Walk::field);
    walk.options(&mut file.options, tag::file::OPTIONS);
}

type Visit<'v> = dyn FnMut(&[i32], &[String], &mut dyn Options) + 'v;

struct Walk<'w, 'v> {
    path: Vec<i32>,
    scope: Vec<String>,
    visit: &'w mut Visit<'v>,
}

impl Walk<'_, '_> {
    /// Walks the members of a list.
    fn each<T>(&mut self, list: &mut [T], step: i32, visit: impl Fn(&mut Self, &mut T)) {
        for (index, item) in list.iter_mut().enumerate() {
            self.path.extend([step, index as i32]);
            visit(self, item);
            self.path.truncate(self.path.len() - 2);
        }
    }

    /// Walks what lies in something with a name.
    fn named(&mut self, name: &Option<String>, visit: impl FnOnce(&mut Self)) {
        self.scope.push(name.clone().unwrap_or_default());
        visit(self);
        self.scope.pop();
    }

    fn options<T>(&mut self, options: &mut MessageField<T, Inline<T>>, step: i32)
    where
        T: Default,
        MessageField<T, Inline<T>>: Options,
    {
        if options.is_set() {
            self.path.push(step);
            (self.visit)(&self.path, &self.scope, options);
            self.path.pop();
        }
    }

    fn message(&mut self, message: &mut DescriptorProto) {
        let name = message.name.clone();
        self.named(&name, |walk| {
            walk.each(&mut message.oneof_decl, tag::message::ONEOF, |walk, oneof| {
                walk.named(&oneof.name, |walk| walk.options(&mut oneof.options, tag::oneof::OPTIONS));
            });
            walk.each(&mut message.field, tag::message::FIELD, Walk::field);
            walk.each(&mut message.enum_type, tag::message::ENUM, Walk::enumeration);
            walk.each(&mut message.extension_range, tag::message::EXTENSION_RANGE, |walk, range| {
                walk.options(&mut range.options, tag::range::OPTIONS);
            });
            walk.each(&mut message.extension, tag::message::EXTENSION, Walk::field);
            walk.options(&mut message.options, tag::message::OPTIONS);
            walk.each(&mut message.nested_type, tag::message::NESTED, Walk::message);
        });
    }

    fn field(&mut self, field: &mut FieldDescriptorProto) {
        self.named(&field.name, |walk| walk.options(&mut field.options, tag::field::OPTIONS));
    }

    fn enumeration(&mut self, definition: &mut EnumDescriptorProto) {
        // Values are siblings of their enum.
        self.each(&mut definition.value, tag::enumeration::VALUE, |walk, value| {
            walk.named(&value.name, |walk| walk.options(&mut value.options, tag::enum_value::OPTIONS));
        });
        self.named(&definition.name, |walk| walk.options(&mut definition.options, tag::enumeration::OPTIONS));
    }

    fn service(&mut self, service: &mut ServiceDescriptorProto) {
        self.named(&service.name, |walk| {
            walk.each(&mut service.method, tag::service::METHOD, |walk, method| {
                walk.named(&method.name, |walk| walk.options(&mut method.options, tag::method::OPTIONS));
            });
            walk.options(&mut service.options, tag::service::OPTIONS);
        });
    }
}
