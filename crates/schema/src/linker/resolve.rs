//! The second pass: what types, extendees and methods' messages refer to.

use std::collections::BTreeSet;

use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{DescriptorProto, FieldDescriptorProto, MethodDescriptorProto};

use crate::default_value::canonical_default;
use crate::dynamic::{EnumRef, MessageRef};
use crate::hash::HashMap;
use crate::limits::FIELD_NUMBER_MAX;
use crate::pool::Kind;
use crate::site::Site;
use crate::tag;
use crate::token::is_identifier;

use super::Linker;
use super::declare::join;
use super::lookup::Want;

/// What the names in one field or method turned out to mean.
#[derive(Default)]
pub(super) struct Resolution {
    r#type: Option<Type>,
    type_name: Option<String>,
    /// Of an extension its extendee; of a method its output type.
    other_name: Option<String>,
}

/// Fields of this file by message and number. Messages go by where they are, for two may have one name.
type Numbers<'f> = HashMap<(*const DescriptorProto, i32), Holder<'f>>;

/// Who has a number.
enum Holder<'f> {
    /// A field of the message, by its own name.
    Field(&'f str),
    /// An extension, by its full name.
    Extension(String),
}

impl Linker<'_> {
    /// In the order in which [`Linker::apply`] walks.
    pub(super) fn resolve(&mut self) -> Vec<Resolution> {
        let proto = self.proto();
        let package = proto.package.as_deref().unwrap_or_default();
        let mut resolutions = Vec::new();
        let mut numbers = Numbers::default();
        for (index, message) in proto.message_type.iter().enumerate() {
            let full_name = join(package, message.name.as_deref().unwrap_or_default());
            let path = [tag::file::MESSAGE, index as i32];
            self.resolve_message(message, &full_name, &path, 1, &mut numbers, &mut resolutions);
        }
        for (index, extension) in proto.extension.iter().enumerate() {
            let path = [tag::file::EXTENSION, index as i32];
            self.resolve_extension(extension, package, &path, &mut numbers, &mut resolutions);
        }
        for (index, service) in proto.service.iter().enumerate() {
            let full_name = join(package, service.name.as_deref().unwrap_or_default());
            for (method_index, method) in service.method.iter().enumerate() {
                let path = [tag::file::SERVICE, index as i32, tag::service::METHOD, method_index as i32];
                let resolution = self.resolve_method(method, &full_name, &path);
                resolutions.push(resolution);
            }
        }
        resolutions
    }

    fn resolve_message<'f>(
        &mut self,
        message: &'f DescriptorProto,
        full_name: &str,
        path: &[i32],
        depth: u32,
        numbers: &mut Numbers<'f>,
        resolutions: &mut Vec<Resolution>,
    ) {
        if depth < crate::limits::MESSAGE_NESTING {
            for (index, nested) in message.nested_type.iter().enumerate() {
                let path = [path, &[tag::message::NESTED, index as i32]].concat();
                let name = join(full_name, nested.name.as_deref().unwrap_or_default());
                self.resolve_message(nested, &name, &path, depth + 1, numbers, resolutions);
            }
        }
        let mut next = None;
        // The first fields hold their numbers whatever their types are.
        let leading = leading_fields(message);
        for (field, number) in message.field[..leading].iter().zip(1..) {
            numbers.insert((message, number), Holder::Field(field.name.as_deref().unwrap_or_default()));
        }
        for (index, field) in message.field.iter().enumerate() {
            let path = [path, &[tag::message::FIELD, index as i32]].concat();
            let field_name = join(full_name, field.name.as_deref().unwrap_or_default());
            let resolution = self.resolve_field(field, &field_name, &path, None);
            if resolution.is_some() && index >= leading {
                self.take_number(message, field, full_name, &path, (numbers, &mut next));
            }
            resolutions.push(resolution.unwrap_or_default());
        }
        for (index, extension) in message.extension.iter().enumerate() {
            let path = [path, &[tag::message::EXTENSION, index as i32]].concat();
            self.resolve_extension(extension, full_name, &path, numbers, resolutions);
        }
        self.check_oneofs(message, path);
    }

    /// Notes who has a number, or says that someone has it already. `next` keeps the advice given then.
    fn take_number<'f>(
        &mut self,
        message: &DescriptorProto,
        field: &'f FieldDescriptorProto,
        message_name: &str,
        path: &[i32],
        (numbers, next): (&mut Numbers<'f>, &mut Option<String>),
    ) {
        let number = field.number.unwrap_or(0);
        let Some(holder) = numbers.get(&(message as *const _, number)) else {
            numbers.insert((message, number), Holder::Field(field.name.as_deref().unwrap_or_default()));
            return;
        };
        let holder = match holder {
            Holder::Field(name) => name,
            Holder::Extension(full_name) => full_name.as_str(),
        };
        let next = next.get_or_insert_with(|| match next_free_number(message) {
            Some(number) => format!("Next available field number is {number}"),
            None => "There are no available field numbers".into(),
        });
        self.error(
            Site::below(path, &[tag::field::NUMBER]),
            format!("Field number {number} has already been used in \"{message_name}\" by field \"{holder}\". {next}."),
        );
    }

    fn resolve_extension(
        &mut self,
        extension: &FieldDescriptorProto,
        scope: &str,
        path: &[i32],
        numbers: &mut Numbers<'_>,
        resolutions: &mut Vec<Resolution>,
    ) {
        let full_name = join(scope, extension.name.as_deref().unwrap_or_default());
        let resolution = self.resolve_extension_parts(extension, &full_name, path, numbers);
        resolutions.push(resolution.unwrap_or_default());
    }

    fn resolve_extension_parts(
        &mut self,
        extension: &FieldDescriptorProto,
        full_name: &str,
        path: &[i32],
        numbers: &mut Numbers<'_>,
    ) -> Option<Resolution> {
        let site = Site::Extendee(path.to_vec());
        // That there is none has been said.
        let name = extension.extendee.as_deref()?;
        let Some(symbol) = self.look_up(name, full_name, Want::Anything) else {
            self.not_defined(site, name);
            return None;
        };
        let Kind::Message(extendee) = symbol.kind else {
            self.error(site, format!("\"{name}\" is not a message type."));
            return None;
        };
        if let Some(complaint) = self.hidden(symbol, "target of extend") {
            self.error(site, complaint);
            return None;
        }
        let number = extension.number.unwrap_or(0);
        let number_site = Site::below(path, &[tag::field::NUMBER]);
        let extendee_name = self.pool.message_name(extendee).to_owned();
        if (MessageRef { pool: self.pool, id: extendee }).extension_range(number).is_none() {
            let message = format!("\"{extendee_name}\" does not declare {number} as an extension number.");
            self.error(number_site.clone(), message);
        }
        let resolution = self.resolve_field(extension, full_name, path, Some(format!(".{extendee_name}")))?;
        let extended: *const DescriptorProto = self.pool.message(extendee);
        let holder = match numbers.get(&(extended, number)) {
            Some(Holder::Field(name)) => Some(join(&extendee_name, name)),
            Some(Holder::Extension(full_name)) => Some(full_name.clone()),
            None => leading_field(self.pool.message(extendee), number).map(|name| join(&extendee_name, name)),
        };
        if let Some(holder) = holder {
            let message = format!(
                "Extension number {number} has already been used in \"{extendee_name}\" by extension \"{holder}\"."
            );
            self.error(number_site, message);
            return Some(resolution);
        }
        numbers.insert((extended, number), Holder::Extension(full_name.to_owned()));
        if let Some(&id) = self.extensions.get(path)
            && let Err(holder) = self.pool.extend(id, extendee, number)
        {
            let file = self.pool.file(self.pool.extension_file(holder)).name();
            let message = format!(
                "Extension number {number} has already been used in \"{extendee_name}\" by extension \"{}\" defined in \
                 {file}.",
                self.pool.extension_name(holder)
            );
            self.warn(number_site, message);
        }
        Some(resolution)
    }

    fn resolve_field(
        &mut self,
        field: &FieldDescriptorProto,
        full_name: &str,
        path: &[i32],
        extendee: Option<String>,
    ) -> Option<Resolution> {
        if field.oneof_index.is_some() && field.label != Some(Label::LABEL_OPTIONAL) {
            let site = Site::below(path, &[tag::field::NAME]);
            self.error(site, "Fields of oneofs must themselves have label LABEL_OPTIONAL.");
        }
        let Some(name) = field.type_name.as_deref() else {
            if matches!(field.r#type, Some(Type::TYPE_MESSAGE | Type::TYPE_GROUP | Type::TYPE_ENUM)) {
                // `map<group, …>`, which has no name and no body.
                self.error(Site::FieldType(path.to_vec()), "Field with message or enum type missing type_name.");
            }
            return Some(Resolution { r#type: field.r#type, type_name: None, other_name: extendee });
        };
        let site = || Site::FieldType(path.to_vec());
        let Some(symbol) = self.look_up(name, full_name, Want::Types) else {
            self.not_defined(site(), name);
            return None;
        };
        if let Some(complaint) = self.hidden(symbol, "") {
            self.error(site(), complaint);
            return None;
        }
        let default_site = || Site::below(path, &[tag::field::DEFAULT_VALUE]);
        let (found, resolved) = match symbol.kind {
            Kind::Message(id) => (Type::TYPE_MESSAGE, self.pool.message_name(id)),
            Kind::Enum(id) => (Type::TYPE_ENUM, self.pool.enum_name(id)),
            _ => {
                self.error(site(), format!("\"{name}\" is not a type."));
                return None;
            }
        };
        let type_name = Some([".", resolved].concat());
        match (field.r#type.unwrap_or(found), symbol.kind) {
            (Type::TYPE_MESSAGE | Type::TYPE_GROUP, Kind::Message(_)) => {
                // Where the type was known before, this was said then.
                if field.default_value.is_some() && field.r#type.is_none() {
                    self.error(default_site(), "Messages can't have default values.");
                }
            }
            (Type::TYPE_MESSAGE | Type::TYPE_GROUP, _) => {
                self.error(site(), format!("\"{name}\" is not a message type."));
                return None;
            }
            (Type::TYPE_ENUM, Kind::Enum(id)) => {
                if let Some(default) = field.default_value.as_deref() {
                    self.check_enum_default(id, default, default_site());
                }
            }
            (Type::TYPE_ENUM, _) => {
                self.error(site(), format!("\"{name}\" is not an enum type."));
                return None;
            }
            _ => self.error(site(), "Field with primitive type has type_name."),
        }
        Some(Resolution { r#type: Some(field.r#type.unwrap_or(found)), type_name, other_name: extendee })
    }

    fn check_enum_default(&mut self, id: crate::pool::EnumId, default: &str, site: Site) {
        if !is_identifier(default.as_bytes()) {
            self.error(site, "Default value for an enum field must be an identifier.");
            return;
        }
        let definition = EnumRef { pool: self.pool, id };
        if definition.number_of(default).is_none() {
            let name = definition.full_name().to_owned();
            self.error(site, format!("Enum type \"{name}\" has no value named \"{default}\"."));
        }
    }

    fn check_oneofs(&mut self, message: &DescriptorProto, path: &[i32]) {
        let mut counts = vec![0u32; message.oneof_decl.len()];
        for (index, field) in message.field.iter().enumerate() {
            let Some(count) = field.oneof_index.and_then(|oneof| counts.get_mut(oneof as usize)) else { continue };
            let previous = index.checked_sub(1).map(|index| &message.field[index]);
            if *count > 0
                && let Some(previous) = previous.filter(|previous| previous.oneof_index != field.oneof_index)
            {
                let oneof = &message.oneof_decl[field.oneof_index.unwrap_or(0) as usize];
                let text = format!(
                    "Fields in the same oneof must be defined consecutively. \"{}\" cannot be defined before the \
                     completion of the \"{}\" oneof definition.",
                    previous.name.as_deref().unwrap_or_default(),
                    oneof.name.as_deref().unwrap_or_default()
                );
                let path = [path, &[tag::message::FIELD, index as i32 - 1]].concat();
                self.error(Site::FieldType(path), text);
            }
            *count += 1;
        }
        for _ in counts.iter().filter(|&&count| count == 0) {
            self.error(Site::Nowhere, "Oneof must have at least one field.");
        }
        self.check_optional_fields(message, &counts);
    }

    fn resolve_method(&mut self, method: &MethodDescriptorProto, service: &str, path: &[i32]) -> Resolution {
        let full_name = join(service, method.name.as_deref().unwrap_or_default());
        let mut find = |name: &Option<String>, step: i32| {
            let name = name.as_deref().unwrap_or_default();
            let site = || Site::below(path, &[step]);
            let Some(symbol) = self.look_up(name, &full_name, Want::Anything) else {
                self.not_defined(site(), name);
                return None;
            };
            let Kind::Message(id) = symbol.kind else {
                self.error(site(), format!("\"{name}\" is not a message type."));
                return None;
            };
            if let Some(complaint) = self.hidden(symbol, "") {
                self.error(site(), complaint);
                return None;
            }
            Some(format!(".{}", self.pool.message_name(id)))
        };
        let type_name = find(&method.input_type, tag::method::INPUT_TYPE);
        let other_name = find(&method.output_type, tag::method::OUTPUT_TYPE);
        Resolution { r#type: None, type_name, other_name }
    }

    /// Writes resolved names, defaults and JSON names into the pool's file.
    pub(super) fn apply(&mut self, resolutions: Vec<Resolution>) {
        let mut resolutions = resolutions.into_iter();
        self.change(|file| {
            if file.syntax.as_deref() == Some("proto2") {
                // Descriptors never say so.
                file.syntax = None;
            }
            for message in &mut file.message_type {
                apply_message(message, &mut resolutions);
            }
            for extension in &mut file.extension {
                apply_field(extension, resolutions.next());
            }
            for method in file.service.iter_mut().flat_map(|service| &mut service.method) {
                if let Some(resolution) = resolutions.next() {
                    method.input_type = resolution.type_name;
                    method.output_type = resolution.other_name;
                }
            }
        });
    }
}

fn apply_message(message: &mut DescriptorProto, resolutions: &mut impl Iterator<Item = Resolution>) {
    for nested in &mut message.nested_type {
        apply_message(nested, resolutions);
    }
    for field in message.field.iter_mut().chain(&mut message.extension) {
        apply_field(field, resolutions.next());
    }
}

fn apply_field(field: &mut FieldDescriptorProto, resolution: Option<Resolution>) {
    if let Some(resolution) = resolution {
        field.r#type = resolution.r#type;
        field.type_name = resolution.type_name;
        field.extendee = resolution.other_name;
    }
    if let Some(default) = &mut field.default_value
        && let Some(canonical) = field.r#type.and_then(|r#type| canonical_default(r#type, default))
    {
        *default = canonical;
    }
}

/// One past the run of taken numbers that starts at 1.
fn next_free_number(message: &DescriptorProto) -> Option<i64> {
    let fields = message.field.iter().map(|field| (field.number.unwrap_or(0), i64::from(field.number.unwrap_or(0))));
    let extensions = message.extension_range.iter().map(|range| (range.start, range.end));
    let reserved = message.reserved_range.iter().map(|range| (range.start, range.end));
    let ranges = extensions.chain(reserved).map(|(start, end)| (start.unwrap_or(0), i64::from(end.unwrap_or(0)) - 1));
    let used: BTreeSet<(i32, i64)> = fields.chain(ranges).collect();
    let mut proposed = 1;
    for (start, end) in used {
        if i64::from(start) <= proposed && proposed <= end {
            proposed = end + 1;
        } else {
            break;
        }
    }
    (proposed <= i64::from(FIELD_NUMBER_MAX)).then_some(proposed)
}

/// How many of the message's first fields have the numbers 1, 2, 3, .. in order.
fn leading_fields(message: &DescriptorProto) -> usize {
    message.field.iter().zip(1..).take_while(|(field, number)| field.number == Some(*number)).count()
}

/// The name of the field with this number, if it is one of those leading fields: protoc holds them against extensions in
/// other files.
fn leading_field(message: &DescriptorProto, number: i32) -> Option<&str> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let field = message.field.get(index)?;
    // Counted only where there is something to find: a message may have many extensions.
    (field.number == Some(number) && index < leading_fields(message)).then(|| field.name.as_deref().unwrap_or_default())
}
