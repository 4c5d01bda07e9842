//! One option: which field it names, and that it is named once.

use buffa::{UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::UninterpretedOption;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::uninterpreted_option::NamePart;

use crate::builtin;
use crate::dynamic::{FieldRef, MessageRef, encode_fields};
use crate::hash::HashMap;
use crate::limits::OPTION_NESTING;
use crate::linker::Report;
use crate::linker::lookup::{Names, Want};
use crate::pool::{FileId, Kind, Pool};
use crate::site::Site;
use crate::tag;

use super::values::Values;
use super::{Element, Moves};

pub(super) struct Interpreter<'a> {
    pub(super) pool: &'a Pool,
    pub(super) file: FileId,
    pub(super) names: &'a mut Names,
    pub(super) report: &'a mut Report,
    pub(super) moves: &'a mut Moves,
    /// How many values each repeated option has, by its path.
    pub(super) repeated: &'a mut HashMap<Vec<i32>, i32>,
}

/// The options of one element so far.
#[derive(Default)]
struct Set {
    fields: UnknownFields,
    /// What is set in `fields`.
    values: Values,
}

/// An option that makes no sense; why has been reported.
pub(super) struct Failed;

impl<'a> Interpreter<'a> {
    /// Interprets those options of an element that are extensions, or those that are not. `None` if there are none
    /// or one of them is wrong.
    pub(super) fn interpret(&mut self, element: &Element, extensions: bool) -> Option<UnknownFields> {
        let mut set = Set::default();
        let mut failed = false;
        for (index, option) in element.options.iter().enumerate() {
            let path = [&element.path[..], &[tag::options::UNINTERPRETED, index as i32]].concat();
            let Some(first) = option.name.first() else {
                if !extensions {
                    let _ = self.name_error::<()>(&path, "Option must have a name.".to_owned());
                    failed = true;
                }
                continue;
            };
            // Names that no option can have are reported with the extensions.
            let is_reserved = first.name_part == "uninterpreted_option";
            if (first.is_extension || is_reserved) != extensions {
                continue;
            }
            if self.option(option, &path, element, &mut set).is_err() {
                failed = true;
                break;
            }
        }
        (!failed && !set.fields.is_empty()).then_some(set.fields)
    }

    pub(super) fn name_error<T>(&mut self, path: &[i32], message: String) -> Result<T, Failed> {
        self.report.error(Site::OptionName(path.to_vec()), message);
        Err(Failed)
    }

    pub(super) fn value_error<T>(&mut self, path: &[i32], message: String) -> Result<T, Failed> {
        self.report.error(Site::OptionValue(path.to_vec()), message);
        Err(Failed)
    }

    fn option(
        &mut self,
        option: &UninterpretedOption,
        path: &[i32],
        element: &Element,
        set: &mut Set,
    ) -> Result<(), Failed> {
        if option.name[0].name_part == "uninterpreted_option" {
            let message = "Option must not use reserved name \"uninterpreted_option\".".to_owned();
            return self.name_error(path, message);
        }
        let Some(options_type) = self.options_type(element.message) else {
            return self.name_error(path, format!("\"{}\" is not defined.", element.message));
        };
        let (outer, field) = self.find_field(option, path, element, options_type)?;
        let numbers: Vec<i32> = outer.iter().chain([&field]).map(|field| field.number()).collect();
        if !field.is_repeated() && set.values.holds(&numbers) {
            return self.name_error(path, format!("Option \"{}\" was already set.", shown(&option.name)));
        }
        let mut value = UnknownFields::new();
        value.push(self.value(option, path, field)?);
        // One that is alone is not set again.
        if element.options.len() > 1 {
            set.values.add(&numbers, value.iter().map(|field| field.data.clone()));
        }
        for field in outer.iter().rev() {
            let number = field.number() as u32;
            let data = match field.wire_type() {
                Type::TYPE_GROUP => UnknownFieldData::Group(value),
                _ => UnknownFieldData::LengthDelimited(encode_fields(&value)),
            };
            value = UnknownFields::new();
            value.push(UnknownField { number, data });
        }
        value.into_iter().for_each(|field| set.fields.push(field));

        let mut destination = [&element.path[..], &numbers].concat();
        if field.is_repeated() {
            let count = self.repeated.entry(destination.clone()).or_insert(0);
            destination.push(*count);
            *count += 1;
        }
        self.moves.insert(path.to_vec(), destination);
        Ok(())
    }

    /// The options message: as imported, else as built in.
    fn options_type(&mut self, full_name: &str) -> Option<MessageRef<'a>> {
        match self.names.find_anywhere(self.pool, full_name).map(|symbol| symbol.kind) {
            Some(Kind::Message(id)) => Some(MessageRef { pool: self.pool, id }),
            _ => MessageRef::find(builtin::pool(self.pool.accepts_2026), full_name),
        }
    }

    /// Follows the parts of the option's name. Returns the fields on the way and the field at the end.
    fn find_field(
        &mut self,
        option: &UninterpretedOption,
        path: &[i32],
        element: &Element,
        options_type: MessageRef<'a>,
    ) -> Result<(Vec<FieldRef<'a>>, FieldRef<'a>), Failed> {
        let mut message = options_type;
        let mut outer = Vec::new();
        let is_feature = option.name[0].name_part == "features" && !option.name[0].is_extension;
        for (index, part) in option.name.iter().enumerate() {
            let shown = || shown(&option.name[..=index]);
            self.names.miss.resolved = None;
            let field = if part.is_extension {
                self.find_extension(&part.name_part, &element.scope)
            } else {
                message.field_by_name(&part.name_part)
            };
            let Some(field) = field else {
                let message = self.unknown_option(&shown());
                return self.name_error(path, message);
            };
            if field.parent != message.id || !std::ptr::eq(field.pool, message.pool) {
                let name = message.proto().name.as_deref().unwrap_or_default();
                let text = format!("Option field \"{}\" is not a field or extension of message \"{name}\".", shown());
                return self.name_error(path, text);
            }
            if is_feature && std::ptr::eq(field.pool, self.pool) && field.file() == self.file {
                let text = format!("Feature \"{}\" can't be used in the same file it's defined in.", shown());
                return self.name_error(path, text);
            }
            if index + 1 == option.name.len() {
                return Ok((outer, field));
            }
            if !field.is_message() {
                return self.name_error(path, format!("Option \"{}\" is an atomic type, not a message.", shown()));
            }
            if field.is_repeated() {
                let text = format!(
                    "Option field \"{}\" is a repeated message. Repeated message options must be initialized using \
                     an aggregate value.",
                    shown()
                );
                return self.name_error(path, text);
            }
            outer.push(field);
            if outer.len() > OPTION_NESTING as usize {
                let text = format!("Option \"{}\" lies deeper than {OPTION_NESTING} messages.", shown());
                return self.name_error(path, text);
            }
            let Some(inner) = field.message() else { return Err(Failed) };
            message = inner;
        }
        Err(Failed)
    }

    fn find_extension(&mut self, name: &str, scope: &str) -> Option<FieldRef<'a>> {
        let symbol = self.names.look_up(self.pool, name, scope, Want::Anything)?;
        field_of(self.pool, symbol.kind)
    }

    fn unknown_option(&mut self, shown: &str) -> String {
        match self.names.miss.resolved.take() {
            Some(resolved) => format!(
                "Option \"{shown}\" is resolved to \"({resolved})\", which is not defined. The innermost scope is \
                 searched first in name resolution. Consider using a leading '.'(i.e., \"(.{}\") to start from the \
                 outermost scope.",
                shown.get(1..).unwrap_or_default()
            ),
            None => format!(
                "Option \"{shown}\" unknown. Ensure that your proto definition file imports the proto which defines the \
                 option (i.e. via import option after edition 2024)."
            ),
        }
    }
}

/// An option's name as messages show it.
fn shown(parts: &[NamePart]) -> String {
    let part = |part: &NamePart| match part.is_extension {
        true => format!("({})", part.name_part),
        false => part.name_part.clone(),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(".")
}

/// The field or extension a symbol is.
pub(super) fn field_of(pool: &Pool, kind: Kind) -> Option<FieldRef<'_>> {
    match kind {
        Kind::Extension(id) => FieldRef::extension(pool, id),
        Kind::Field(id, index) => {
            let message = MessageRef { pool, id };
            Some(message.field(message.proto().field.get(index as usize)?))
        }
        _ => None,
    }
}
