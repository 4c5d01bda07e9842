//! Fields: label, type, name, number, default and JSON name; the groups and map entries they bring along.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{DescriptorProto, Edition, FieldDescriptorProto, MessageOptions};

use super::{Parse, Parser, Place, Syntax, add};
use crate::limits::GROUP_NESTING;
use crate::tag;
use crate::text::{double_text, escape_bytes};
use crate::token::{Token, TokenKind, parse_float, parse_integer};

/// A type as written: a scalar, or a name to be resolved.
enum WrittenType {
    Scalar(Type),
    Named(String),
}

/// Key and value of a `map<…>`.
type MapTypes = (WrittenType, WrittenType);

impl Parser<'_> {
    pub(super) fn field(
        &mut self,
        field: &mut FieldDescriptorProto,
        messages: &mut Vec<DescriptorProto>,
        parent: Place,
        messages_step: i32,
        place: Place,
    ) -> Parse {
        if let Some(label) = self.label(place) {
            field.label = Some(label);
            if label == Label::LABEL_OPTIONAL && self.syntax == Syntax::Proto3 {
                field.proto3_optional = Some(true);
            }
        }
        self.field_without_label(field, messages, parent, messages_step, place)
    }

    /// A field whose label is settled. Its group or map entry goes to `messages`, which lies at `parent` and
    /// `messages_step`.
    pub(super) fn field_without_label(
        &mut self,
        field: &mut FieldDescriptorProto,
        messages: &mut Vec<DescriptorProto>,
        parent: Place,
        messages_step: i32,
        place: Place,
    ) -> Parse {
        let map = self.located(place, &[], |parser, type_place| parser.field_type(field, type_place))?;
        let name_token = self.current();
        field.name =
            Some(self.located(place, &[tag::field::NAME], |parser, _| parser.identifier("Expected field name."))?);
        self.consume_or("=", "Missing field number.")?;
        field.number =
            Some(self.located(place, &[tag::field::NUMBER], |parser, _| parser.integer("Expected field number."))?);
        self.field_options(field, place)?;
        if field.r#type == Some(Type::TYPE_GROUP) {
            let group_place = self.open(Some(parent), &[messages_step, messages.len() as i32]);
            self.start_at_place(group_place, place);
            let mut group = DescriptorProto::default();
            let result = self.group(field, &mut group, name_token, group_place, place);
            self.close(group_place);
            add(messages, group);
            result?;
        } else {
            self.end(";", place)?;
        }
        if let Some(types) = map {
            add(messages, map_entry(field, types));
        }
        Ok(())
    }

    fn label(&mut self, place: Place) -> Option<Label> {
        let label = match self.text() {
            b"optional" => Label::LABEL_OPTIONAL,
            b"repeated" => Label::LABEL_REPEATED,
            b"required" => Label::LABEL_REQUIRED,
            _ => return None,
        };
        if self.syntax == Syntax::Editions {
            match label {
                Label::LABEL_OPTIONAL => self.error(
                    "Label \"optional\" is not supported in editions. By default, all singular fields have presence \
                     unless features.field_presence is set.",
                ),
                Label::LABEL_REQUIRED => self.error(
                    "Label \"required\" is not supported in editions, use features.field_presence = LEGACY_REQUIRED.",
                ),
                Label::LABEL_REPEATED => {}
            }
        }
        self.located(place, &[tag::field::LABEL], |parser, _| parser.lexer.next());
        Some(label)
    }

    fn field_type(&mut self, field: &mut FieldDescriptorProto, type_place: Place) -> Parse<Option<MapTypes>> {
        let mut written = None;
        if self.try_consume("map") {
            if self.at("<") {
                return self.map_type(field, type_place).map(Some);
            }
            // A message or enum that happens to be called "map".
            written = Some(WrittenType::Named("map".into()));
        }
        if field.label.is_none() {
            if self.syntax == Syntax::Proto2 {
                self.error("Expected \"required\", \"optional\", or \"repeated\".");
            }
            field.label = Some(Label::LABEL_OPTIONAL);
        }
        let written = match written {
            Some(written) => written,
            None => self.type_name()?,
        };
        match written {
            WrittenType::Scalar(scalar) => {
                self.add_step(type_place, tag::field::TYPE);
                field.r#type = Some(scalar);
            }
            WrittenType::Named(name) => {
                self.add_step(type_place, tag::field::TYPE_NAME);
                field.type_name = Some(name);
            }
        }
        Ok(None)
    }

    fn map_type(&mut self, field: &mut FieldDescriptorProto, type_place: Place) -> Parse<MapTypes> {
        if field.oneof_index.is_some() {
            return self.fail("Map fields are not allowed in oneofs.");
        }
        if field.label.is_some() {
            return self.fail("Field labels (required/optional/repeated) are not allowed on map fields.");
        }
        if field.extendee.is_some() {
            return self.fail("Map fields are not allowed to be extensions.");
        }
        field.label = Some(Label::LABEL_REPEATED);
        self.consume("<")?;
        let key = self.type_name()?;
        self.consume(",")?;
        let value = self.type_name()?;
        self.consume(">")?;
        self.add_step(type_place, tag::field::TYPE_NAME);
        Ok((key, value))
    }

    fn type_name(&mut self) -> Parse<WrittenType> {
        let is_unstable = self.edition == Edition::EDITION_UNSTABLE;
        if is_unstable && let Some(replacement) = obsolete_scalar(self.text()) {
            let text = self.text_string();
            self.error(format!("Type '{text}' is obsolete in unstable editions, use '{replacement}' instead."));
            self.lexer.next();
            return Ok(WrittenType::Scalar(Type::TYPE_INT32));
        }
        let named = if is_unstable { unstable_scalar_by_name(self.text()) } else { scalar_by_name(self.text()) };
        let Some(scalar) = named else {
            return self.user_type_name().map(WrittenType::Named);
        };
        if scalar == Type::TYPE_GROUP && self.syntax == Syntax::Editions {
            self.error(
                "Group syntax is no longer supported in editions. To get group behavior you can specify \
                 features.message_encoding = DELIMITED on a message field.",
            );
        }
        self.lexer.next();
        Ok(WrittenType::Scalar(scalar))
    }

    /// The name of a message (or of an enum, where a scalar would do as well).
    pub(super) fn user_type_name(&mut self) -> Parse<String> {
        if scalar_by_name(self.text()).is_some() {
            self.error("Expected message type.");
            let name = self.text_string();
            self.lexer.next();
            return Ok(name);
        }
        let mut name = String::new();
        if self.try_consume(".") {
            name.push('.');
        }
        name.push_str(&self.identifier("Expected type name.")?);
        while self.try_consume(".") {
            name.push('.');
            name.push_str(&self.identifier("Expected identifier.")?);
        }
        Ok(name)
    }

    /// A group declares a field and a message in one.
    fn group(
        &mut self,
        field: &mut FieldDescriptorProto,
        group: &mut DescriptorProto,
        name_token: Token,
        group_place: Place,
        place: Place,
    ) -> Parse {
        let name = field.name.clone().unwrap_or_default();
        self.locate_tokens(group_place, &[tag::message::NAME], name_token, name_token);
        self.locate_tokens(place, &[tag::field::TYPE_NAME], name_token, name_token);
        if !name.starts_with(|first: char| first.is_ascii_uppercase()) {
            self.error_at(name_token, "Group names must start with a capital letter.");
        }
        field.name = Some(name.to_ascii_lowercase());
        field.type_name = Some(name.clone());
        group.name = Some(name);
        if !self.at("{") {
            return self.fail("Missing group body.");
        }
        self.group_depth += 1;
        let result = if self.group_depth > GROUP_NESTING {
            self.fail("Reached maximum recursion limit for nested messages.")
        } else {
            self.message_block(group, group_place)
        };
        self.group_depth -= 1;
        result
    }

    fn field_options(&mut self, field: &mut FieldDescriptorProto, place: Place) -> Parse {
        if !self.at("[") {
            return Ok(());
        }
        self.located(place, &[tag::field::OPTIONS], |parser, options_place| {
            parser.consume("[")?;
            loop {
                if parser.at("default") {
                    parser.default_value(field, place)?;
                } else if parser.at("json_name") {
                    parser.json_name(field, place)?;
                } else {
                    let options = &mut field.options.get_or_insert_default().uninterpreted_option;
                    parser.option_assignment(options, options_place)?;
                }
                if !parser.try_consume(",") {
                    return parser.consume("]");
                }
            }
        })
    }

    fn default_value(&mut self, field: &mut FieldDescriptorProto, place: Place) -> Parse {
        if field.default_value.take().is_some() {
            self.error("Already set option \"default\".");
        }
        self.consume("default")?;
        self.consume("=")?;
        self.located(place, &[tag::field::DEFAULT_VALUE], |parser, _| {
            let value = match field.r#type {
                Some(scalar) => parser.scalar_default(scalar)?,
                None => {
                    // An enum's value if it is an enum, which only the linker can tell.
                    let text = parser.text_string();
                    parser.lexer.next();
                    text
                }
            };
            field.default_value = Some(value);
            Ok(())
        })
    }

    fn scalar_default(&mut self, scalar: Type) -> Parse<String> {
        const INTEGER: &str = "Expected integer for field default value.";
        match scalar {
            Type::TYPE_INT32 | Type::TYPE_SINT32 | Type::TYPE_SFIXED32 => self.signed_default(i32::MAX as u64),
            Type::TYPE_INT64 | Type::TYPE_SINT64 | Type::TYPE_SFIXED64 => self.signed_default(i64::MAX as u64),
            Type::TYPE_UINT32 | Type::TYPE_FIXED32 | Type::TYPE_UINT64 | Type::TYPE_FIXED64 => {
                let is_32 = matches!(scalar, Type::TYPE_UINT32 | Type::TYPE_FIXED32);
                if self.try_consume("-") {
                    self.error("Unsigned field can't have negative default value.");
                }
                let max = if is_32 { u64::from(u32::MAX) } else { u64::MAX };
                Ok(self.integer64(max, INTEGER)?.to_string())
            }
            Type::TYPE_FLOAT | Type::TYPE_DOUBLE => {
                let sign = if self.try_consume("-") { "-" } else { "" };
                let value = self.number("Expected number.")?;
                Ok(format!("{sign}{}", double_text(value)))
            }
            Type::TYPE_BOOL => match self.text() {
                word @ (b"true" | b"false") => {
                    self.lexer.next();
                    Ok(if word == b"true" { "true" } else { "false" }.to_owned())
                }
                _ => self.fail("Expected \"true\" or \"false\"."),
            },
            Type::TYPE_STRING => self.utf8_string("Expected string for field default value."),
            Type::TYPE_BYTES => Ok(escape_bytes(&self.string("Expected string.")?)),
            Type::TYPE_ENUM => self.identifier("Expected enum identifier for field default value."),
            Type::TYPE_MESSAGE | Type::TYPE_GROUP => self.fail("Messages can't have default values."),
        }
    }

    fn signed_default(&mut self, max: u64) -> Parse<String> {
        let negative = self.try_consume("-");
        let value = self.integer64(max + u64::from(negative), "Expected integer for field default value.")?;
        Ok(format!("{}{value}", if negative { "-" } else { "" }))
    }

    /// A float, an integer, `inf` or `nan`.
    pub(super) fn number(&mut self, complaint: &str) -> Parse<f64> {
        let text = self.text();
        let value = match self.current().kind {
            TokenKind::Float => parse_float(text),
            TokenKind::Integer => match parse_integer(text, u64::MAX) {
                Some(value) => Some(value as f64),
                // Octal and hexadecimal numbers are never floats.
                None if text.starts_with(b"0") => None,
                None => parse_float(text),
            },
            _ => match text {
                b"inf" => Some(f64::INFINITY),
                b"nan" => Some(f64::NAN),
                _ => return self.fail(complaint),
            },
        };
        if value.is_none() && self.at_kind(TokenKind::Integer) {
            self.error("Integer out of range.");
        }
        self.lexer.next();
        Ok(value.unwrap_or(0.0))
    }

    fn json_name(&mut self, field: &mut FieldDescriptorProto, place: Place) -> Parse {
        if field.json_name.take().is_some() {
            self.error("Already set option \"json_name\".");
        }
        self.located(place, &[tag::field::JSON_NAME], |parser, name_place| {
            parser.consume("json_name")?;
            parser.consume("=")?;
            parser.located(name_place, &[], |parser, _| {
                field.json_name = Some(parser.utf8_string("Expected string for JSON name.")?);
                Ok(())
            })
        })
    }
}

/// The message that a map field repeats.
fn map_entry(field: &mut FieldDescriptorProto, (key, value): MapTypes) -> DescriptorProto {
    let name = map_entry_name(field.name.as_deref().unwrap_or_default());
    field.type_name = Some(name.clone());
    let member = |name: &str, number, written| {
        let mut member = FieldDescriptorProto {
            name: Some(name.into()),
            number: Some(number),
            label: Some(Label::LABEL_OPTIONAL),
            ..Default::default()
        };
        match written {
            WrittenType::Scalar(scalar) => member.r#type = Some(scalar),
            WrittenType::Named(name) => member.type_name = Some(name),
        }
        copy_options_to_map_member(field, &mut member);
        member
    };
    let fields = vec![member("key", 1, key), member("value", 2, value)];
    let options = MessageOptions { map_entry: Some(true), ..Default::default() };
    DescriptorProto { name: Some(name), field: fields, options: Some(options).into(), ..Default::default() }
}

/// Features of a map field hold for its key and value.
fn copy_options_to_map_member(field: &FieldDescriptorProto, member: &mut FieldDescriptorProto) {
    let Some(options) = field.options.as_option() else { return };
    for option in &options.uninterpreted_option {
        let Some(first) = option.name.first().filter(|part| !part.is_extension) else { continue };
        let applies = match first.name_part.as_str() {
            "features" => true,
            "enforce_utf8" => option.name.len() == 1 && member.r#type == Some(Type::TYPE_STRING),
            _ => false,
        };
        if applies {
            member.options.get_or_insert_default().uninterpreted_option.push(option.clone());
        }
    }
}

/// `foo_map` gives `FooMapEntry`.
pub(crate) fn map_entry_name(field_name: &str) -> String {
    let mut name = String::with_capacity(field_name.len() + 5);
    let mut capitalise = true;
    for letter in field_name.chars() {
        if letter == '_' {
            capitalise = true;
        } else {
            name.push(if capitalise { letter.to_ascii_uppercase() } else { letter });
            capitalise = false;
        }
    }
    name.push_str("Entry");
    name
}

fn scalar_by_name(name: &[u8]) -> Option<Type> {
    Some(match name {
        b"double" => Type::TYPE_DOUBLE,
        b"float" => Type::TYPE_FLOAT,
        b"uint64" => Type::TYPE_UINT64,
        b"fixed64" => Type::TYPE_FIXED64,
        b"fixed32" => Type::TYPE_FIXED32,
        b"bool" => Type::TYPE_BOOL,
        b"string" => Type::TYPE_STRING,
        b"group" => Type::TYPE_GROUP,
        b"bytes" => Type::TYPE_BYTES,
        b"uint32" => Type::TYPE_UINT32,
        b"sfixed32" => Type::TYPE_SFIXED32,
        b"sfixed64" => Type::TYPE_SFIXED64,
        b"int32" => Type::TYPE_INT32,
        b"int64" => Type::TYPE_INT64,
        b"sint32" => Type::TYPE_SINT32,
        b"sint64" => Type::TYPE_SINT64,
        _ => return None,
    })
}

/// Scalars of the unstable edition, where integers are fixed unless their name says otherwise.
fn unstable_scalar_by_name(name: &[u8]) -> Option<Type> {
    Some(match name {
        b"uint64" => Type::TYPE_FIXED64,
        b"uint32" => Type::TYPE_FIXED32,
        b"int32" => Type::TYPE_SFIXED32,
        b"int64" => Type::TYPE_SFIXED64,
        b"varint32" => Type::TYPE_INT32,
        b"varint64" => Type::TYPE_INT64,
        b"uvarint32" => Type::TYPE_UINT32,
        b"uvarint64" => Type::TYPE_UINT64,
        b"zigzag32" => Type::TYPE_SINT32,
        b"zigzag64" => Type::TYPE_SINT64,
        _ => return scalar_by_name(name),
    })
}

/// What to write in the unstable edition instead of a scalar that it lacks.
fn obsolete_scalar(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"fixed32" => "uint32",
        b"fixed64" => "uint64",
        b"sfixed32" => "int32",
        b"sfixed64" => "int64",
        b"sint32" => "zigzag32",
        b"sint64" => "zigzag64",
        _ => return None,
    })
}
