//! Messages, oneofs and `extend` blocks.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::field_descriptor_proto::Label;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, FieldDescriptorProto, OneofDescriptorProto, SymbolVisibility, UninterpretedOption,
};

use super::{Failed, Parse, Parser, Place, Syntax, add};
use crate::limits::{FIELD_NUMBER_MAX, MESSAGE_NESTING};
use crate::tag;

/// Stands for `max` in a range until the message's options are known.
pub(super) const MAX_SENTINEL: i32 = -1;

impl Parser<'_> {
    pub(super) fn message_definition(
        &mut self,
        siblings: &mut Vec<DescriptorProto>,
        visibility: Option<SymbolVisibility>,
        place: Place,
    ) -> Parse {
        let mut message = DescriptorProto::default();
        self.depth += 1;
        let result = self.message(&mut message, visibility, place);
        self.depth -= 1;
        add(siblings, message);
        result
    }

    fn message(&mut self, message: &mut DescriptorProto, visibility: Option<SymbolVisibility>, place: Place) -> Parse {
        if self.depth >= MESSAGE_NESTING {
            return self.fail("Reached maximum recursion limit for nested messages.");
        }
        self.consume("message")?;
        message.name =
            Some(self.located(place, &[tag::message::NAME], |parser, _| parser.identifier("Expected message name."))?);
        self.message_block(message, place)?;
        if self.syntax == Syntax::Proto3 {
            add_synthetic_oneofs(message);
        }
        message.visibility = visibility;
        Ok(())
    }

    pub(super) fn message_block(&mut self, message: &mut DescriptorProto, place: Place) -> Parse {
        self.end("{", place)?;
        while !self.try_end("}", None) {
            if self.at_end() {
                return self.fail("Reached end of input in message definition (missing '}').");
            }
            if self.message_statement(message, place).is_err() {
                self.skip_statement();
            }
        }
        message.field.shrink_to_fit();
        replace_max_sentinels(message);
        self.refuse_explicit_map_entry(message, place)
    }

    fn message_statement(&mut self, message: &mut DescriptorProto, place: Place) -> Parse {
        if self.try_end(";", None) {
            return Ok(());
        }
        let visibility = self.visibility()?;
        match self.text() {
            b"message" => {
                let steps = [tag::message::NESTED, message.nested_type.len() as i32];
                self.located(place, &steps, |parser, place| {
                    parser.message_definition(&mut message.nested_type, visibility, place)
                })
            }
            b"enum" => {
                let steps = [tag::message::ENUM, message.enum_type.len() as i32];
                self.located(place, &steps, |parser, place| {
                    parser.enum_definition(&mut message.enum_type, visibility, place)
                })
            }
            b"extensions" => {
                self.located(place, &[tag::message::EXTENSION_RANGE], |parser, place| parser.extensions(message, place))
            }
            b"reserved" => self.message_reserved(message, place),
            b"extend" => self.located(place, &[tag::message::EXTENSION], |parser, extend_place| {
                let DescriptorProto { extension, nested_type, .. } = message;
                parser.extend(extension, nested_type, place, tag::message::NESTED, extend_place)
            }),
            b"option" => self.located(place, &[tag::message::OPTIONS], |parser, place| {
                parser.option_statement(&mut message.options.get_or_insert_default().uninterpreted_option, place)
            }),
            b"oneof" => {
                let steps = [tag::message::ONEOF, message.oneof_decl.len() as i32];
                self.located(place, &steps, |parser, oneof_place| parser.oneof(message, oneof_place, place))
            }
            _ => {
                let steps = [tag::message::FIELD, message.field.len() as i32];
                self.located(place, &steps, |parser, field_place| {
                    let mut field = FieldDescriptorProto::default();
                    let messages = &mut message.nested_type;
                    let result = parser.field(&mut field, messages, place, tag::message::NESTED, field_place);
                    add(&mut message.field, field);
                    result
                })
            }
        }
    }

    fn oneof(&mut self, message: &mut DescriptorProto, oneof_place: Place, message_place: Place) -> Parse {
        let index = message.oneof_decl.len();
        add(&mut message.oneof_decl, OneofDescriptorProto::default());
        self.consume("oneof")?;
        let name =
            self.located(oneof_place, &[tag::oneof::NAME], |parser, _| parser.identifier("Expected oneof name."))?;
        message.oneof_decl[index].name = Some(name);
        self.end("{", oneof_place)?;
        loop {
            if self.at_end() {
                return self.fail("Reached end of input in oneof definition (missing '}').");
            }
            if self.at("option") {
                self.located(oneof_place, &[tag::oneof::OPTIONS], |parser, place| {
                    let options = message.oneof_decl[index].options.get_or_insert_default();
                    parser.option_statement(&mut options.uninterpreted_option, place)
                })?;
            } else {
                self.oneof_field(message, index, message_place);
            }
            if self.try_end("}", None) {
                return Ok(());
            }
        }
    }

    fn oneof_field(&mut self, message: &mut DescriptorProto, oneof_index: usize, message_place: Place) {
        if matches!(self.text(), b"required" | b"optional" | b"repeated") {
            self.error("Fields in oneofs must not have labels (required / optional / repeated).");
            self.lexer.next();
        }
        let steps = [tag::message::FIELD, message.field.len() as i32];
        self.located(message_place, &steps, |parser, place| {
            let mut field = FieldDescriptorProto {
                label: Some(Label::LABEL_OPTIONAL),
                oneof_index: Some(oneof_index as i32),
                ..Default::default()
            };
            let messages = &mut message.nested_type;
            let result = parser.field_without_label(&mut field, messages, message_place, tag::message::NESTED, place);
            add(&mut message.field, field);
            if result.is_err() {
                parser.skip_statement();
            }
        });
    }

    /// An `extend` block: extensions go to `extensions`, the groups among them to `messages`.
    pub(super) fn extend(
        &mut self,
        extensions: &mut Vec<FieldDescriptorProto>,
        messages: &mut Vec<DescriptorProto>,
        parent: Place,
        messages_step: i32,
        extend_place: Place,
    ) -> Parse {
        self.consume("extend")?;
        let first = self.current();
        let extendee = self.user_type_name()?;
        let last = self.lexer.previous;
        self.end("{", extend_place)?;
        loop {
            if self.at_end() {
                return self.fail("Reached end of input in extend definition (missing '}').");
            }
            let steps = [extensions.len() as i32];
            self.located(extend_place, &steps, |parser, place| {
                let mut field = FieldDescriptorProto { extendee: Some(extendee.clone()), ..Default::default() };
                parser.locate_tokens(place, &[tag::field::EXTENDEE], first, last);
                let result = parser.field(&mut field, messages, parent, messages_step, place);
                extensions.push(field);
                if result.is_err() {
                    parser.skip_statement();
                }
            });
            if self.try_end("}", None) {
                return Ok(());
            }
        }
    }

    fn refuse_explicit_map_entry(&mut self, message: &DescriptorProto, place: Place) -> Parse {
        let Some(options) = message.options.as_option() else { return Ok(()) };
        let is_map_entry = |option: &UninterpretedOption| {
            option.name.first().is_some_and(|part| !part.is_extension && part.name_part == "map_entry")
        };
        let Some(index) = options.uninterpreted_option.iter().position(is_map_entry) else { return Ok(()) };
        let mut path = self.positions.path(place).to_vec();
        path.extend([tag::message::OPTIONS, tag::options::UNINTERPRETED, index as i32, tag::uninterpreted::NAME]);
        let name = self.positions.paths().rev().find(|(_, other)| *other == path).map(|(place, _)| place);
        let message = "map_entry should not be set explicitly. Use map<KeyType, ValueType> instead.";
        if let Some(name) = name {
            let (line, column) = self.positions.start(name);
            self.lexer.error(line as u32, column as u32, message);
        }
        Err(Failed)
    }
}

/// Gives each `optional` field of proto3 a oneof of its own, after all others.
fn add_synthetic_oneofs(message: &mut DescriptorProto) {
    let DescriptorProto { field, oneof_decl, .. } = message;
    if !field.iter().any(|field| field.proto3_optional == Some(true)) {
        return;
    }
    let names = field.iter().map(|field| &field.name).chain(oneof_decl.iter().map(|oneof| &oneof.name));
    let mut names: HashSet<String> = names.flatten().cloned().collect();
    for field in field.iter_mut().filter(|field| field.proto3_optional == Some(true)) {
        let mut name = field.name.clone().unwrap_or_default();
        if !name.starts_with('_') {
            name.insert(0, '_');
        }
        while names.contains(&name) {
            name.insert(0, 'X');
        }
        names.insert(name.clone());
        field.oneof_index = Some(oneof_decl.len() as i32);
        add(oneof_decl, OneofDescriptorProto { name: Some(name), ..Default::default() });
    }
}

/// `max` means more in a message set, which an option anywhere in the message can make of it.
fn replace_max_sentinels(message: &mut DescriptorProto) {
    let says_message_set = |option: &UninterpretedOption| {
        matches!(&option.name[..], [part] if !part.is_extension && part.name_part == "message_set_wire_format")
            && option.identifier_value.as_deref() == Some("true")
    };
    let is_message_set =
        message.options.as_option().is_some_and(|options| options.uninterpreted_option.iter().any(says_message_set));
    let max = if is_message_set { i32::MAX } else { FIELD_NUMBER_MAX + 1 };
    let extension_ends = message.extension_range.iter_mut().map(|range| &mut range.end);
    let reserved_ends = message.reserved_range.iter_mut().map(|range| &mut range.end);
    for end in extension_ends.chain(reserved_ends).filter(|end| **end == Some(MAX_SENTINEL)) {
        *end = Some(max);
    }
}
