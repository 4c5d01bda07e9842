//! Messages of compiled files, between text format and the wire: `--encode`, `--decode` and `--decode_raw`.

use buffa_descriptor::generated::descriptor::feature_set::Utf8Validation;
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::compiler::Compiler;
use crate::diagnostic::{Diagnostic, Severity};
use crate::dynamic::{Dynamic, MessageRef, Value, decode_fields};
use crate::limits::OPTION_NESTING;
use crate::pool::{Kind, Pool};
use crate::source_tree::SourceTree;
use crate::text_format::{self, Finder};
use crate::text_printer::{message_text, raw_text};

/// What came of [`Compiler::encode_text`].
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// The wire form; `None` if the text is wrong.
    pub bytes: Option<Vec<u8>>,
    /// About the text, whose file is called `input`; in protoc's order.
    pub diagnostics: Vec<Diagnostic>,
    /// Required fields that the text does not set, as paths (`sub.list[2].name`). They are no error.
    pub missing_required: Vec<String>,
    /// Full names of string fields that should be UTF-8 and are not. Most others refuse the message for them.
    pub not_utf8: Vec<String>,
}

/// What came of [`Compiler::decode_to_text`].
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The message in text format, a field to a line; `None` if the bytes are no such message.
    pub text: Option<String>,
    /// As [`Encoded::missing_required`].
    pub missing_required: Vec<String>,
    /// Full names of string fields that must be UTF-8 and are not. They make `text` `None`.
    pub not_utf8: Vec<String>,
}

impl<S: SourceTree> Compiler<S> {
    /// Whether a compiled file declares a message of this full name (without a dot in front).
    pub fn has_message(&self, full_name: &str) -> bool {
        MessageRef::find(self.pool(), full_name).is_some()
    }

    /// Reads a message of type `full_name` from text format. Messages may nest 100 deep. `deterministic` sorts the
    /// entries of maps by key; else they stay as they stand.
    ///
    /// `None` if there is no such type.
    pub fn encode_text(&self, full_name: &str, text: &[u8], deterministic: bool) -> Option<Encoded> {
        let message = MessageRef::find(self.pool(), full_name)?;
        let (parsed, findings) = text_format::parse_partial(message, text, &mut WholePool { pool: self.pool() });
        let diagnostics = findings.into_iter().map(|finding| Diagnostic {
            file: "input".to_owned(),
            line: finding.line,
            column: finding.column,
            severity: finding.severity,
            message: finding.message,
        });
        let mut encoded = Encoded { diagnostics: diagnostics.collect(), ..Encoded::default() };
        let is_wrong = encoded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let Some(mut value) = parsed.filter(|_| !is_wrong) else { return Some(encoded) };
        value.missing_required("", &mut encoded.missing_required);
        find_broken_text(&value, &mut encoded.not_utf8);
        if deterministic {
            sort_maps(&mut value);
        }
        encoded.bytes = Some(value.encode());
        Some(encoded)
    }

    /// Reads a message of type `full_name` from the wire and writes it as text. Messages may nest 100 deep.
    ///
    /// `None` if there is no such type.
    pub fn decode_to_text(&self, full_name: &str, bytes: &[u8]) -> Option<Decoded> {
        let message = MessageRef::find(self.pool(), full_name)?;
        let mut decoded = Decoded::default();
        let Some(mut value) = Dynamic::decode(message, bytes) else { return Some(decoded) };
        find_broken_text(&value, &mut decoded.not_utf8);
        if decoded.not_utf8.is_empty() {
            value.missing_required("", &mut decoded.missing_required);
            complete_maps(&mut value);
            sort_maps(&mut value);
            decoded.text = Some(message_text(&value));
        }
        Some(decoded)
    }
}

/// Writes any message as text, by field numbers. `None` if the bytes are no message.
pub fn decode_raw(bytes: &[u8]) -> Option<String> {
    decode_fields(bytes, OPTION_NESTING).map(|fields| raw_text(&fields))
}

/// Names in brackets are full names, of whatever has been loaded.
struct WholePool<'p> {
    pool: &'p Pool,
}

impl<'p> Finder<'p> for WholePool<'p> {
    fn extension(&mut self, message: MessageRef<'p>, name: &str) -> Option<crate::dynamic::FieldRef<'p>> {
        let found = match self.pool.symbol(name)?.kind {
            Kind::Extension(id) => crate::dynamic::FieldRef::extension(self.pool, id)?,
            Kind::Message(id) if message.is_message_set() => MessageRef { pool: self.pool, id }.item_of(message)?,
            _ => return None,
        };
        (found.parent == message.id).then_some(found)
    }

    fn any_type(&mut self, _prefix: &str, name: &str) -> Option<MessageRef<'p>> {
        MessageRef::find(self.pool, name)
    }
}

fn find_broken_text(message: &Dynamic<'_>, found: &mut Vec<String>) {
    for slot in message.fields.values() {
        let is_checked = || {
            slot.field.proto.r#type == Some(Type::TYPE_STRING)
                && slot.field.features().utf8_validation == Utf8Validation::VERIFY
        };
        let is_broken = |value: &Value<'_>| match value {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).is_err(),
            _ => false,
        };
        if slot.values.iter().any(is_broken) && is_checked() {
            found.push(slot.field.full_name());
        }
        slot.values.iter().filter_map(Value::as_message).for_each(|inner| find_broken_text(inner, found));
    }
}

fn complete_maps(message: &mut Dynamic<'_>) {
    for inner in message.inner_messages() {
        if inner.message.is_map_entry() {
            inner.complete_map_entry();
        }
        complete_maps(inner);
    }
}

/// Entries with the same key stay in order.
fn sort_maps(message: &mut Dynamic<'_>) {
    for slot in message.fields.values_mut() {
        if slot.field.message().is_some_and(MessageRef::is_map_entry) {
            slot.values.sort_by_cached_key(|entry| entry.as_message().map(Key::of));
        }
    }
    message.inner_messages().for_each(sort_maps);
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i128),
    Text(Vec<u8>),
}

impl Key {
    fn of(entry: &Dynamic<'_>) -> Self {
        let Some(slot) = entry.fields.get(&1) else {
            let is_text =
                entry.message.field_by_number(1).is_some_and(|key| key.proto.r#type == Some(Type::TYPE_STRING));
            return if is_text { Key::Text(Vec::new()) } else { Key::Number(0) };
        };
        let declared = slot.field.proto.r#type;
        let is_signed = matches!(declared, Some(Type::TYPE_INT32 | Type::TYPE_INT64));
        match slot.values.last() {
            Some(Value::Bytes(bytes)) => Key::Text(bytes.clone()),
            Some(Value::Varint(value)) if is_signed => Key::Number(i128::from(*value as i64)),
            Some(Value::Varint(value)) if matches!(declared, Some(Type::TYPE_SINT32 | Type::TYPE_SINT64)) => {
                Key::Number(i128::from(crate::text_format::unzigzag(*value)))
            }
            Some(Value::Varint(value)) => Key::Number(i128::from(*value)),
            Some(Value::Fixed32(value)) if declared == Some(Type::TYPE_SFIXED32) => {
                Key::Number(i128::from(*value as i32))
            }
            Some(Value::Fixed32(value)) => Key::Number(i128::from(*value)),
            Some(Value::Fixed64(value)) if declared == Some(Type::TYPE_SFIXED64) => {
                Key::Number(i128::from(*value as i64))
            }
            Some(Value::Fixed64(value)) => Key::Number(i128::from(*value)),
            _ => Key::Number(0),
        }
    }
}
