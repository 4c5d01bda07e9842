//! `extensions` and `reserved`.

use buffa_descriptor::generated::descriptor::descriptor_proto::{ExtensionRange, ReservedRange};
use buffa_descriptor::generated::descriptor::enum_descriptor_proto::EnumReservedRange;
use buffa_descriptor::generated::descriptor::{DescriptorProto, EnumDescriptorProto};

use super::message::MAX_SENTINEL;
use super::{Parse, Parser, Place, Syntax};
use crate::tag;
use crate::token::{Token, TokenKind, is_identifier};

/// How the two kinds of `reserved` differ.
struct ReservedKind {
    name_step: i32,
    range_step: i32,
    literal_complaint: &'static str,
    identifier_complaint: &'static str,
    first_complaint: &'static str,
    number_complaint: &'static str,
    /// Enum numbers may be negative, and their ranges include their end.
    is_enum: bool,
}

const IN_MESSAGE: ReservedKind = ReservedKind {
    name_step: tag::message::RESERVED_NAME,
    range_step: tag::message::RESERVED_RANGE,
    literal_complaint: "Expected field name string literal.",
    identifier_complaint: "Expected field name identifier.",
    first_complaint: "Expected field name or number range.",
    number_complaint: "Expected field number range.",
    is_enum: false,
};

const IN_ENUM: ReservedKind = ReservedKind {
    name_step: tag::enumeration::RESERVED_NAME,
    range_step: tag::enumeration::RESERVED_RANGE,
    literal_complaint: "Expected enum value string literal.",
    identifier_complaint: "Expected enum value identifier.",
    first_complaint: "Expected enum value or number range.",
    number_complaint: "Expected enum number range.",
    is_enum: true,
};

impl Parser<'_> {
    pub(super) fn extensions(&mut self, message: &mut DescriptorProto, extensions_place: Place) -> Parse {
        self.consume("extensions")?;
        let first_range = message.extension_range.len();
        loop {
            let steps = [message.extension_range.len() as i32];
            self.located(extensions_place, &steps, |parser, place| {
                message.extension_range.push(ExtensionRange::default());
                let (start, end) = parser.extension_range(place)?;
                if let Some(range) = message.extension_range.last_mut() {
                    range.start = Some(start);
                    range.end = Some(end);
                }
                Ok(())
            })?;
            if !self.try_consume(",") {
                break;
            }
        }
        if self.at("[") {
            self.extension_range_options(message, first_range, extensions_place)?;
        }
        self.end(";", extensions_place)
    }

    fn extension_range(&mut self, place: Place) -> Parse<(i32, i32)> {
        let first = self.current();
        let start = self
            .located(place, &[tag::range::START], |parser, _| parser.extension_bound("Expected field number range."))?;
        if !self.try_consume("to") {
            self.locate_tokens(place, &[tag::range::END], first, first);
            return Ok((start, start + 1));
        }
        let end = self.located(place, &[tag::range::END], |parser, _| {
            if parser.try_consume("max") { Ok(None) } else { parser.extension_bound("Expected integer.").map(Some) }
        })?;
        Ok((start, end.map_or(MAX_SENTINEL, |end| end + 1)))
    }

    fn extension_bound(&mut self, complaint: &str) -> Parse<i32> {
        let bound = self.integer(complaint)?;
        if bound == i32::MAX { self.fail("Field number out of bounds.") } else { Ok(bound) }
    }

    /// Options after a list of ranges hold for each range of the list, and so do their locations.
    fn extension_range_options(&mut self, message: &mut DescriptorProto, first_range: usize, place: Place) -> Parse {
        let first_recorded = self.positions.len();
        let range_step = self.positions.path(place).len();
        let options = &mut message.extension_range[first_range].options.get_or_insert_default().uninterpreted_option;
        self.located(place, &[first_range as i32, tag::range::OPTIONS], |parser, place| {
            parser.consume("[")?;
            loop {
                parser.option_assignment(options, place)?;
                if !parser.try_consume(",") {
                    return parser.consume("]");
                }
            }
        })?;
        let recorded = first_recorded..self.positions.len();
        for index in first_range + 1..message.extension_range.len() {
            self.positions.repeat(recorded.clone(), range_step, index as i32);
        }
        if let [first, rest @ ..] = &mut message.extension_range[first_range..] {
            rest.iter_mut().for_each(|range| range.options = first.options.clone());
        }
        Ok(())
    }

    pub(super) fn message_reserved(&mut self, message: &mut DescriptorProto, place: Place) -> Parse {
        let DescriptorProto { reserved_name, reserved_range, .. } = message;
        self.reserved(&IN_MESSAGE, place, reserved_name, reserved_range, |start, end| ReservedRange {
            start: Some(start),
            end: Some(end),
            ..Default::default()
        })
    }

    pub(super) fn enum_reserved(&mut self, definition: &mut EnumDescriptorProto, place: Place) -> Parse {
        let EnumDescriptorProto { reserved_name, reserved_range, .. } = definition;
        self.reserved(&IN_ENUM, place, reserved_name, reserved_range, |start, end| EnumReservedRange {
            start: Some(start),
            end: Some(end),
            ..Default::default()
        })
    }

    fn reserved<Range>(
        &mut self,
        kind: &ReservedKind,
        parent: Place,
        names: &mut Vec<String>,
        ranges: &mut Vec<Range>,
        new_range: impl Fn(i32, i32) -> Range,
    ) -> Parse {
        let first = self.current();
        self.consume("reserved")?;
        let is_editions = self.syntax == Syntax::Editions;
        let is_names = match self.current().kind {
            TokenKind::String if is_editions => {
                return self.fail("Reserved names must be identifiers in editions, not string literals.");
            }
            TokenKind::Identifier if !is_editions => {
                return self.fail("Reserved names must be string literals. (Only editions supports identifiers.)");
            }
            TokenKind::String | TokenKind::Identifier => true,
            _ => false,
        };
        let step = if is_names { kind.name_step } else { kind.range_step };
        self.located(parent, &[step], |parser, place| {
            parser.start_at(place, first);
            let mut is_first = true;
            loop {
                let index = if is_names { names.len() } else { ranges.len() };
                parser.located(place, &[index as i32], |parser, place| {
                    if is_names {
                        names.push(parser.reserved_name(kind, is_editions)?);
                    } else {
                        let (start, end) = parser.reserved_range(kind, place, is_first)?;
                        ranges.push(new_range(start, end));
                    }
                    Ok(())
                })?;
                is_first = false;
                if !parser.try_consume(",") {
                    return parser.end(";", place);
                }
            }
        })
    }

    fn reserved_name(&mut self, kind: &ReservedKind, is_editions: bool) -> Parse<String> {
        if is_editions {
            return self.identifier(kind.identifier_complaint);
        }
        let token = self.current();
        let name = self.utf8_string(kind.literal_complaint)?;
        if !is_identifier(name.as_bytes()) {
            self.warn_at(token, format!("Reserved name \"{name}\" is not a valid identifier."));
        }
        Ok(name)
    }

    fn reserved_range(&mut self, kind: &ReservedKind, place: Place, is_first: bool) -> Parse<(i32, i32)> {
        let first: Token = self.current();
        let bound = |parser: &mut Self, complaint: &str| {
            if kind.is_enum { parser.signed_integer(complaint) } else { parser.integer(complaint) }
        };
        // In a message the end is exclusive.
        let past = |end: i32| if kind.is_enum { end } else { end.wrapping_add(1) };
        let start = self.located(place, &[tag::range::START], |parser, _| {
            bound(parser, if is_first { kind.first_complaint } else { kind.number_complaint })
        })?;
        if !self.try_consume("to") {
            self.locate_tokens(place, &[tag::range::END], first, first);
            return Ok((start, past(start)));
        }
        let end = self.located(place, &[tag::range::END], |parser, _| {
            if parser.try_consume("max") {
                return Ok(if kind.is_enum { i32::MAX } else { MAX_SENTINEL });
            }
            bound(parser, "Expected integer.").map(past)
        })?;
        Ok((start, end))
    }
}
