//! A linked file as a tree of things with names, options and features, in the order in which protoc visits it.

use buffa_descriptor::generated::descriptor::{
    EnumValueDescriptorProto, FeatureSet, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
    OneofDescriptorProto, ServiceDescriptorProto,
};

use crate::dynamic::{EnumRef, FieldRef, MessageRef};
use crate::elements::Options;
use crate::features::Features;
use crate::pool::{ExtensionId, FileId, Kind, Pool};
use crate::tag;

/// What a [`Node`] is.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    File(&'a FileDescriptorProto),
    Message(MessageRef<'a>),
    Field(FieldRef<'a>),
    Oneof(&'a OneofDescriptorProto),
    Range,
    Enum(EnumRef<'a>),
    EnumValue(&'a EnumValueDescriptorProto, EnumRef<'a>),
    Service(&'a ServiceDescriptorProto),
    Method(&'a MethodDescriptorProto),
}

impl Item<'_> {
    /// The number of the field in which its descriptor has its options.
    pub(crate) fn options_step(&self) -> i32 {
        match self {
            Item::File(_) => tag::file::OPTIONS,
            Item::Message(_) => tag::message::OPTIONS,
            Item::Field(_) => tag::field::OPTIONS,
            Item::Oneof(_) => tag::oneof::OPTIONS,
            Item::Range => tag::range::OPTIONS,
            Item::Enum(_) => tag::enumeration::OPTIONS,
            Item::EnumValue(..) => tag::enum_value::OPTIONS,
            Item::Service(_) => tag::service::OPTIONS,
            Item::Method(_) => tag::method::OPTIONS,
        }
    }
}

/// A declaration in a linked file.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a, 'w> {
    pub(crate) path: &'w [i32],
    pub(crate) item: Item<'a>,
    pub(crate) options: Option<&'a dyn Options>,
    /// Features it sets itself.
    pub(crate) own: Option<&'a FeatureSet>,
    /// Features it has: its own and those it inherits.
    pub(crate) features: Features,
}

/// Calls `visit` for the file and everything in it.
pub(crate) fn visit<'a>(pool: &'a Pool, file: FileId, visit: &mut dyn FnMut(Node<'a, '_>)) {
    let features = Features::of_edition(pool.file(file).edition());
    let name = pool.file(file).package().to_owned();
    let mut walk = Walk { pool, file, path: Vec::new(), name, visit };
    walk.file(features);
}

struct Walk<'a, 'w> {
    pool: &'a Pool,
    file: FileId,
    path: Vec<i32>,
    /// Full name of the message around, else the package.
    name: String,
    visit: &'w mut dyn FnMut(Node<'a, '_>),
}

/// Visits a node and gives its features.
macro_rules! enter {
    ($walk:expr, $item:expr, $element:expr, $inherited:expr) => {{
        let options = &$element.options;
        let own = options.as_option().and_then(|options| options.features.as_option());
        let features = $inherited.with(own);
        let options = options.is_set().then_some(options as &dyn Options);
        ($walk.visit)(Node { path: &$walk.path, item: $item, options, own, features });
        features
    }};
}

impl<'a> Walk<'a, '_> {
    fn file(&mut self, inherited: Features) {
        let proto: &'a FileDescriptorProto = &self.pool.file(self.file).proto;
        let features = enter!(self, Item::File(proto), proto, inherited);
        for (index, message) in proto.message_type.iter().enumerate() {
            self.at(tag::file::MESSAGE, index, |walk| walk.message(message.name.as_deref(), features));
        }
        for (index, definition) in proto.enum_type.iter().enumerate() {
            self.at(tag::file::ENUM, index, |walk| walk.enumeration(definition.name.as_deref(), features));
        }
        for (index, extension) in proto.extension.iter().enumerate() {
            self.at(tag::file::EXTENSION, index, |walk| walk.extension(extension, features));
        }
        for (index, service) in proto.service.iter().enumerate() {
            self.at(tag::file::SERVICE, index, |walk| {
                let features = enter!(walk, Item::Service(service), service, features);
                for (index, method) in service.method.iter().enumerate() {
                    walk.at(tag::service::METHOD, index, |walk| {
                        enter!(walk, Item::Method(method), method, features);
                    });
                }
            });
        }
    }

    fn at(&mut self, step: i32, index: usize, body: impl FnOnce(&mut Self)) {
        self.path.extend([step, index as i32]);
        body(self);
        self.path.truncate(self.path.len() - 2);
    }

    /// Runs `body` with the full name of something in scope.
    fn named<T>(&mut self, name: Option<&str>, body: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.name.len();
        if outer > 0 {
            self.name.push('.');
        }
        self.name.push_str(name.unwrap_or_default());
        let result = body(self);
        self.name.truncate(outer);
        result
    }

    /// What something in scope is.
    fn kind(&mut self, name: Option<&str>) -> Option<Kind> {
        self.named(name, |walk| walk.pool.symbol(&walk.name)).map(|symbol| symbol.kind)
    }

    fn message(&mut self, name: Option<&str>, inherited: Features) {
        self.named(name, |walk| {
            if let Some(message) = MessageRef::find(walk.pool, &walk.name) {
                walk.found_message(message, inherited);
            }
        });
    }

    fn found_message(&mut self, message: MessageRef<'a>, inherited: Features) {
        let proto = message.proto();
        let features = enter!(self, Item::Message(message), proto, inherited);
        for (index, definition) in proto.enum_type.iter().enumerate() {
            self.at(tag::message::ENUM, index, |walk| walk.enumeration(definition.name.as_deref(), features));
        }
        for (index, oneof) in proto.oneof_decl.iter().enumerate() {
            self.at(tag::message::ONEOF, index, |walk| {
                enter!(walk, Item::Oneof(oneof), oneof, features);
            });
        }
        for (index, field) in proto.field.iter().enumerate() {
            let oneof = field.oneof_index.and_then(|index| proto.oneof_decl.get(index as usize));
            let own =
                oneof.and_then(|oneof| oneof.options.as_option()).and_then(|options| options.features.as_option());
            let inherited = features.with(own);
            self.at(tag::message::FIELD, index, |walk| {
                enter!(walk, Item::Field(message.field(field)), field, inherited);
            });
        }
        for (index, nested) in proto.nested_type.iter().enumerate() {
            self.at(tag::message::NESTED, index, |walk| walk.message(nested.name.as_deref(), features));
        }
        for (index, extension) in proto.extension.iter().enumerate() {
            self.at(tag::message::EXTENSION, index, |walk| walk.extension(extension, features));
        }
        for (index, range) in proto.extension_range.iter().enumerate() {
            self.at(tag::message::EXTENSION_RANGE, index, |walk| {
                enter!(walk, Item::Range, range, features);
            });
        }
    }

    fn enumeration(&mut self, name: Option<&str>, inherited: Features) {
        let Some(Kind::Enum(id)) = self.kind(name) else { return };
        let definition = EnumRef { pool: self.pool, id };
        let proto = definition.proto();
        let features = enter!(self, Item::Enum(definition), proto, inherited);
        for (index, value) in proto.value.iter().enumerate() {
            self.at(tag::enumeration::VALUE, index, |walk| {
                enter!(walk, Item::EnumValue(value, definition), value, features);
            });
        }
    }

    fn extension(&mut self, extension: &'a FieldDescriptorProto, inherited: Features) {
        let id: Option<ExtensionId> = match self.kind(extension.name.as_deref()) {
            Some(Kind::Extension(id)) => Some(id),
            _ => None,
        };
        if let Some(field) = id.and_then(|id| FieldRef::extension(self.pool, id)) {
            enter!(self, Item::Field(field), extension, inherited);
        }
    }
}
