//! Which options reach the run time.
//!
//! `_pb2.py` embeds the file without source information and without options of source retention. protoc gets there
//! by sending the descriptor through a dynamic message whenever `descriptor.proto` is among the files; custom options
//! come out of that merged and ordered by number, which [`crate::wire`] reproduces.

use buffa::Message;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FeatureSet, FieldDescriptorProto, FileDescriptorProto, SourceCodeInfo,
};

use crate::schema::Schema;
use crate::wire;

/// Field numbers of `descriptor.proto`, as paths of source locations use them.
mod number {
    pub(super) const FILE_MESSAGE: i32 = 4;
    pub(super) const FILE_EXTENSION: i32 = 7;
    pub(super) const MESSAGE_FIELD: i32 = 2;
    pub(super) const MESSAGE_NESTED: i32 = 3;
    pub(super) const MESSAGE_EXTENSION: i32 = 6;
    pub(super) const FIELD_JSON_NAME: i32 = 10;
}

/// The descriptor that generated code carries: no source information, no source-retention options, and `json_name`
/// only where the file spells it.
pub(crate) fn runtime_descriptor(schema: &Schema<'_>, file: &FileDescriptorProto) -> FileDescriptorProto {
    let mut file = file.clone();
    if let Some(source) = file.source_code_info.take() {
        drop_implied_json_names(&mut file, &source);
    }
    let canonical = schema.file("google/protobuf/descriptor.proto").is_some().then_some(schema);
    Stripper { canonical }.file(&mut file);
    file
}

/// Descriptor sets hold a `json_name` for every field; one that the author wrote has a source location.
fn drop_implied_json_names(file: &mut FileDescriptorProto, source: &SourceCodeInfo) {
    let spelled: std::collections::HashSet<&[i32]> = source
        .location
        .iter()
        .map(|location| location.path.as_slice())
        .filter(|path| path.last() == Some(&number::FIELD_JSON_NAME) && path.len() > 2)
        .collect();
    let keep = |path: &[i32]| spelled.contains(path);
    drop_in_fields(&mut file.extension, &mut vec![number::FILE_EXTENSION], &keep);
    for (index, message) in (0..).zip(&mut file.message_type) {
        drop_in_message(message, &mut vec![number::FILE_MESSAGE, index], &keep);
    }
}

fn drop_in_message(message: &mut DescriptorProto, path: &mut Vec<i32>, keep: &impl Fn(&[i32]) -> bool) {
    for (fields, number) in
        [(&mut message.field, number::MESSAGE_FIELD), (&mut message.extension, number::MESSAGE_EXTENSION)]
    {
        path.push(number);
        drop_in_fields(fields, path, keep);
        path.pop();
    }
    for (index, nested) in (0..).zip(&mut message.nested_type) {
        path.extend([number::MESSAGE_NESTED, index]);
        drop_in_message(nested, path, keep);
        path.truncate(path.len() - 2);
    }
}

fn drop_in_fields(fields: &mut [FieldDescriptorProto], path: &mut Vec<i32>, keep: &impl Fn(&[i32]) -> bool) {
    for (index, field) in (0..).zip(fields) {
        path.extend([index, number::FIELD_JSON_NAME]);
        if !keep(path) {
            field.json_name = None;
        }
        path.truncate(path.len() - 2);
    }
}

struct Stripper<'a> {
    /// Set when custom options are to be rewritten in their canonical form.
    canonical: Option<&'a Schema<'a>>,
}

/// Strips the options of one declaration: its features, then its custom options. Options of which nothing is left go
/// as a whole.
macro_rules! strip_options {
    ($self:ident, $owner:expr, $name:literal) => {
        strip_options!($self, $owner, $name, |_options| {})
    };
    ($self:ident, $owner:expr, $name:literal, |$options:ident| $more:block) => {
        if let Some(options) = $owner.options.as_option_mut()
            && options.encoded_len() > 0
        {
            if let Some(features) = options.features.as_option_mut() {
                $self.features(features);
            }
            if let Some(schema) = $self.canonical {
                wire::canonicalize(schema, concat!(".google.protobuf.", $name), &mut options.__buffa_unknown_fields.0);
            }
            let $options = &mut *options;
            $more
            if options.encoded_len() == 0 {
                $owner.options.take();
            }
        }
    };
}

impl Stripper<'_> {
    fn file(&self, file: &mut FileDescriptorProto) {
        strip_options!(self, file, "FileOptions");
        self.fields(&mut file.extension);
        for message in &mut file.message_type {
            self.message(message);
        }
        for declared in &mut file.enum_type {
            self.enumeration(declared);
        }
        for service in &mut file.service {
            strip_options!(self, service, "ServiceOptions");
            for method in &mut service.method {
                strip_options!(self, method, "MethodOptions");
            }
        }
    }

    fn message(&self, message: &mut DescriptorProto) {
        strip_options!(self, message, "MessageOptions");
        self.fields(&mut message.field);
        self.fields(&mut message.extension);
        for oneof in &mut message.oneof_decl {
            strip_options!(self, oneof, "OneofOptions");
        }
        for declared in &mut message.enum_type {
            self.enumeration(declared);
        }
        for nested in &mut message.nested_type {
            self.message(nested);
        }
        for range in &mut message.extension_range {
            strip_options!(self, range, "ExtensionRangeOptions", |options| {
                options.declaration.clear();
                options.verification = None;
            });
        }
    }

    fn fields(&self, fields: &mut [FieldDescriptorProto]) {
        for field in fields {
            strip_options!(self, field, "FieldOptions");
        }
    }

    fn enumeration(&self, declared: &mut EnumDescriptorProto) {
        strip_options!(self, declared, "EnumOptions");
        for value in &mut declared.value {
            strip_options!(self, value, "EnumValueOptions");
        }
    }

    fn features(&self, features: &mut FeatureSet) {
        features.enforce_naming_style = None;
        features.default_symbol_visibility = None;
        if let Some(schema) = self.canonical {
            wire::canonicalize(schema, ".google.protobuf.FeatureSet", &mut features.__buffa_unknown_fields.0);
        }
    }
}
