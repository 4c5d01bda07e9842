//! Messages to text format, as C++ prints them.

use buffa::{UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::dynamic::{Dynamic, FieldRef, Slot, Value, decode_fields};
use crate::text::{double_text, escape_bytes, float_text};
use crate::text_format::{is_group_like, unzigzag};

/// Bytes of unknown type are taken for messages this many times over.
const GUESSES: u32 = 10;

/// A message whose type is known.
pub(crate) fn message_text(message: &Dynamic<'_>) -> String {
    let mut printer = Printer::default();
    printer.message(message);
    printer.text
}

/// A message of which only the wire form is known.
pub(crate) fn raw_text(fields: &UnknownFields) -> String {
    let mut printer = Printer::default();
    printer.unknown_fields(fields, GUESSES);
    printer.text
}

#[derive(Default)]
struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, parts: &[&str]) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.extend(parts.iter().copied());
        self.text.push('\n');
    }

    fn block(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.line(&[name, " {"]);
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.line(&["}"]);
    }

    fn message(&mut self, message: &Dynamic<'_>) {
        for slot in message.fields.values() {
            self.slot(message, slot);
        }
        self.unknown_fields(&message.unknown, GUESSES);
    }

    fn slot(&mut self, message: &Dynamic<'_>, slot: &Slot<'_>) {
        let name = name_of(slot.field, message);
        for value in &slot.values {
            match value {
                Value::Message(inner) => self.block(&name, |printer| printer.message(inner)),
                scalar => self.line(&[&name, ": ", &scalar_text(slot.field, scalar)]),
            }
        }
    }

    fn unknown_fields(&mut self, fields: &UnknownFields, guesses: u32) {
        for UnknownField { number, data } in fields {
            let number = number.to_string();
            match data {
                UnknownFieldData::Varint(value) => self.line(&[&number, ": ", &value.to_string()]),
                UnknownFieldData::Fixed32(value) => self.line(&[&number, ": ", &format!("0x{value:08x}")]),
                UnknownFieldData::Fixed64(value) => self.line(&[&number, ": ", &format!("0x{value:016x}")]),
                UnknownFieldData::Group(group) => {
                    self.block(&number, |printer| printer.unknown_fields(group, guesses.saturating_sub(1)));
                }
                UnknownFieldData::LengthDelimited(bytes) => self.guess(&number, bytes, guesses),
            }
        }
    }

    /// What may be a message is printed as one.
    fn guess(&mut self, number: &str, bytes: &[u8], guesses: u32) {
        let inner = if bytes.is_empty() || guesses == 0 { None } else { decode_fields(bytes, guesses) };
        match inner {
            Some(fields) => self.block(number, |printer| printer.unknown_fields(&fields, guesses - 1)),
            None => self.line(&[number, ": \"", &escape_bytes(bytes), "\""]),
        }
    }
}

fn name_of(field: FieldRef<'_>, message: &Dynamic<'_>) -> String {
    if field.extension.is_some() {
        // An item of a message set goes by the name of its type.
        let item =
            field.message().filter(|item| message.message.is_message_set() && is_declared_in(field, item.full_name()));
        return format!("[{}]", item.map_or_else(|| field.full_name(), |item| item.full_name().to_owned()));
    }
    match field.message().filter(|_| is_group_like(field, message.message)) {
        Some(group) => group.proto().name.clone().unwrap_or_default(),
        None => field.name().to_owned(),
    }
}

fn is_declared_in(extension: FieldRef<'_>, scope: &str) -> bool {
    extension.full_name().rsplit_once('.').is_some_and(|(declared_in, _)| declared_in == scope)
}

fn scalar_text(field: FieldRef<'_>, value: &Value<'_>) -> String {
    let declared = field.proto.r#type.unwrap_or(Type::TYPE_INT32);
    match (value, declared) {
        (Value::Varint(value), Type::TYPE_INT32 | Type::TYPE_INT64) => (*value as i64).to_string(),
        (Value::Varint(value), Type::TYPE_SINT32 | Type::TYPE_SINT64) => unzigzag(*value).to_string(),
        (Value::Varint(value), Type::TYPE_BOOL) => (*value != 0).to_string(),
        (Value::Varint(value), Type::TYPE_ENUM) => {
            let number = *value as i32;
            let name = field.enumeration().and_then(|definition| definition.name_of(number));
            name.map_or_else(|| number.to_string(), str::to_owned)
        }
        (Value::Varint(value), _) => value.to_string(),
        (Value::Fixed32(bits), Type::TYPE_FLOAT) => float_text(f32::from_bits(*bits)),
        (Value::Fixed32(bits), Type::TYPE_SFIXED32) => (*bits as i32).to_string(),
        (Value::Fixed32(bits), _) => bits.to_string(),
        (Value::Fixed64(bits), Type::TYPE_DOUBLE) => double_text(f64::from_bits(*bits)),
        (Value::Fixed64(bits), Type::TYPE_SFIXED64) => (*bits as i64).to_string(),
        (Value::Fixed64(bits), _) => bits.to_string(),
        (Value::Bytes(bytes), _) => format!("\"{}\"", escape_bytes(bytes)),
        (Value::Message(_), _) => String::new(),
    }
}
