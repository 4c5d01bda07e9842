//! The value of an option, checked against the field it is for.

use buffa::{UnknownField, UnknownFieldData};
use buffa_descriptor::generated::descriptor::UninterpretedOption;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::dynamic::{EnumRef, FieldRef, MessageRef};
use crate::linker::lookup::{Names, Want};
use crate::pool::{Kind, Pool};
use crate::text_format::{Finder, parse_message, zigzag32, zigzag64};

use super::interpreter::{Failed, Interpreter, field_of};

impl<'a> Interpreter<'a> {
    /// The field with the option's value.
    pub(super) fn value(
        &mut self,
        option: &UninterpretedOption,
        path: &[i32],
        field: FieldRef<'a>,
    ) -> Result<UnknownField, Failed> {
        let data = match field.proto.r#type.unwrap_or(Type::TYPE_INT32) {
            Type::TYPE_MESSAGE | Type::TYPE_GROUP => self.aggregate(option, path, field),
            Type::TYPE_ENUM => self.enum_value(option, path, field),
            scalar => match scalar_value(option, scalar, &field.full_name()) {
                Ok(data) => Ok(data),
                Err(complaint) => self.value_error(path, complaint),
            },
        }?;
        Ok(UnknownField { number: field.number() as u32, data })
    }

    fn enum_value(
        &mut self,
        option: &UninterpretedOption,
        path: &[i32],
        field: FieldRef<'a>,
    ) -> Result<UnknownFieldData, Failed> {
        let full_name = field.full_name();
        let Some(name) = &option.identifier_value else {
            let complaint = format!("Value must be identifier for enum-valued option \"{full_name}\".");
            return self.value_error(path, complaint);
        };
        let Some(definition) = field.enumeration() else { return Err(Failed) };
        if let Some(number) = definition.number_of(name) {
            self.names.find_anywhere(self.pool, definition.full_name());
            return Ok(UnknownFieldData::Varint(i64::from(number) as u64));
        }
        let is_imported = std::ptr::eq(definition.pool, self.pool);
        let hint = if is_imported && is_sibling_value(definition, name) {
            " This appears to be a value from a sibling type."
        } else {
            ""
        };
        let complaint = format!(
            "Enum type \"{}\" has no value named \"{name}\" for option \"{full_name}\".{hint}",
            definition.full_name()
        );
        self.value_error(path, complaint)
    }

    fn aggregate(
        &mut self,
        option: &UninterpretedOption,
        path: &[i32],
        field: FieldRef<'a>,
    ) -> Result<UnknownFieldData, Failed> {
        let name = field.name();
        let Some(text) = &option.aggregate_value else {
            let complaint = format!(
                "Option \"{}\" is a message. To set the entire message, use syntax like \"{name} = {{ <proto text \
                 format> }}\". To set fields within it, use syntax like \"{name}.foo = value\".",
                field.full_name()
            );
            return self.value_error(path, complaint);
        };
        let Some(message) = field.message() else { return Err(Failed) };
        let mut finder = AggregateFinder { pool: self.pool, names: self.names };
        let parsed = parse_message(message, text, &mut finder).map(|mut value| {
            // What options themselves have is read as text from here on; for extensions it is bytes.
            if option.name.first().is_some_and(|part| !part.is_extension) {
                value.replace_broken_text();
            }
            value
        });
        match parsed {
            Ok(value) if field.wire_type() == Type::TYPE_GROUP => Ok(UnknownFieldData::Group(value.into_unknown())),
            Ok(value) => Ok(UnknownFieldData::LengthDelimited(value.encode())),
            Err(complaints) => {
                self.value_error(path, format!("Error while parsing option value for \"{name}\": {complaints}"))
            }
        }
    }
}

/// Whether another enum beside this one has the value.
fn is_sibling_value(definition: EnumRef<'_>, name: &str) -> bool {
    let full_name = definition.full_name();
    let sibling = match full_name.rsplit_once('.') {
        Some((scope, _)) => format!("{scope}.{name}"),
        None => name.to_owned(),
    };
    matches!(definition.pool.symbol(&sibling).map(|symbol| symbol.kind), Some(Kind::EnumValue(_)))
}

fn out_of_range(kind: &str, (min, max): (i128, i128), option: &str) -> String {
    format!("Value out of range, {min} to {max}, for {kind} option \"{option}\".")
}

fn integer(option: &UninterpretedOption, kind: &str, range: (i128, i128), full_name: &str) -> Result<i128, String> {
    let is_signed = range.0 < 0;
    let positive = option.positive_int_value.map(i128::from);
    let value = positive.or(option.negative_int_value.filter(|_| is_signed).map(i128::from));
    match value {
        None => {
            Err(format!("Value must be integer, from {} to {}, for {kind} option \"{full_name}\".", range.0, range.1))
        }
        Some(value) if value < range.0 || value > range.1 => Err(out_of_range(kind, range, full_name)),
        Some(value) => Ok(value),
    }
}

fn number(option: &UninterpretedOption, kind: &str, full_name: &str) -> Result<f64, String> {
    let integer = option.positive_int_value.map(|value| value as f64);
    let number = option.double_value.or(integer).or(option.negative_int_value.map(|value| value as f64));
    match (number, option.identifier_value.as_deref()) {
        (Some(number), _) => Ok(number),
        (None, Some("inf")) => Ok(f64::INFINITY),
        (None, Some("nan")) => Ok(f64::NAN),
        _ => Err(format!("Value must be number for {kind} option \"{full_name}\".")),
    }
}

fn scalar_value(option: &UninterpretedOption, scalar: Type, full_name: &str) -> Result<UnknownFieldData, String> {
    let int32 = || integer(option, "int32", (i32::MIN.into(), i32::MAX.into()), full_name).map(|value| value as i32);
    let int64 = || integer(option, "int64", (i64::MIN.into(), i64::MAX.into()), full_name).map(|value| value as i64);
    let uint32 = || integer(option, "uint32", (0, u32::MAX.into()), full_name).map(|value| value as u32);
    let uint64 = || integer(option, "uint64", (0, u64::MAX.into()), full_name).map(|value| value as u64);
    Ok(match scalar {
        Type::TYPE_INT32 => UnknownFieldData::Varint(i64::from(int32()?) as u64),
        Type::TYPE_SINT32 => UnknownFieldData::Varint(zigzag32(int32()?).into()),
        Type::TYPE_SFIXED32 => UnknownFieldData::Fixed32(int32()? as u32),
        Type::TYPE_INT64 => UnknownFieldData::Varint(int64()? as u64),
        Type::TYPE_SINT64 => UnknownFieldData::Varint(zigzag64(int64()?)),
        Type::TYPE_SFIXED64 => UnknownFieldData::Fixed64(int64()? as u64),
        Type::TYPE_UINT32 => UnknownFieldData::Varint(uint32()?.into()),
        Type::TYPE_FIXED32 => UnknownFieldData::Fixed32(uint32()?),
        Type::TYPE_UINT64 => UnknownFieldData::Varint(uint64()?),
        Type::TYPE_FIXED64 => UnknownFieldData::Fixed64(uint64()?),
        Type::TYPE_FLOAT => UnknownFieldData::Fixed32((number(option, "float", full_name)? as f32).to_bits()),
        Type::TYPE_DOUBLE => UnknownFieldData::Fixed64(number(option, "double", full_name)?.to_bits()),
        Type::TYPE_BOOL => match option.identifier_value.as_deref() {
            Some("true") => UnknownFieldData::Varint(1),
            Some("false") => UnknownFieldData::Varint(0),
            Some(_) => {
                return Err(format!("Value must be \"true\" or \"false\" for boolean option \"{full_name}\"."));
            }
            None => return Err(format!("Value must be identifier for boolean option \"{full_name}\".")),
        },
        Type::TYPE_STRING | Type::TYPE_BYTES | Type::TYPE_ENUM | Type::TYPE_MESSAGE | Type::TYPE_GROUP => {
            match &option.string_value {
                Some(value) => UnknownFieldData::LengthDelimited(value.clone()),
                None => return Err(format!("Value must be quoted string for string option \"{full_name}\".")),
            }
        }
    })
}

/// Finds what an aggregate names in the scope of the message it stands for.
struct AggregateFinder<'a, 'n> {
    pool: &'a Pool,
    names: &'n mut Names,
}

impl<'a> Finder<'a> for AggregateFinder<'a, '_> {
    fn extension(&mut self, message: MessageRef<'a>, name: &str) -> Option<FieldRef<'a>> {
        let symbol = self.names.look_up(self.pool, name, message.full_name(), Want::Anything)?;
        if let Some(field) = field_of(self.pool, symbol.kind) {
            return Some(field);
        }
        // An item of a message set may go by the name of its type.
        let Kind::Message(id) = symbol.kind else { return None };
        if !message.is_message_set() {
            return None;
        }
        MessageRef { pool: self.pool, id }.item_of(message)
    }

    fn any_type(&mut self, prefix: &str, name: &str) -> Option<MessageRef<'a>> {
        if !matches!(prefix, "type.googleapis.com/" | "type.googleprod.com/") {
            return None;
        }
        match self.names.find_symbol(self.pool, name)?.kind {
            Kind::Message(id) => Some(MessageRef { pool: self.pool, id }),
            _ => None,
        }
    }
}
