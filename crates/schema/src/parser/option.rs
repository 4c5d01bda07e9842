//! Options, kept as written: what they mean is the linker's to say.

use buffa_descriptor::generated::descriptor::UninterpretedOption;
use buffa_descriptor::generated::descriptor::uninterpreted_option::NamePart;

use super::{Parse, Parser, Place, add};
use crate::tag;
use crate::token::{TokenKind, parse_integer};

impl Parser<'_> {
    /// `option name = value;`
    pub(super) fn option_statement(&mut self, options: &mut Vec<UninterpretedOption>, place: Place) -> Parse {
        self.option(options, place, true)
    }

    /// `name = value`, as between brackets.
    pub(super) fn option_assignment(&mut self, options: &mut Vec<UninterpretedOption>, place: Place) -> Parse {
        self.option(options, place, false)
    }

    fn option(&mut self, options: &mut Vec<UninterpretedOption>, place: Place, is_statement: bool) -> Parse {
        let steps = [tag::options::UNINTERPRETED, options.len() as i32];
        self.located(place, &steps, |parser, place| {
            if is_statement {
                parser.consume("option")?;
            }
            let mut option = UninterpretedOption::default();
            let result = parser.option_body(&mut option, place, is_statement);
            add(options, option);
            result
        })
    }

    fn option_body(&mut self, option: &mut UninterpretedOption, place: Place, is_statement: bool) -> Parse {
        self.located(place, &[tag::uninterpreted::NAME], |parser, name_place| {
            loop {
                let steps = [option.name.len() as i32];
                parser.located(name_place, &steps, |parser, part_place| parser.option_name_part(option, part_place))?;
                if !parser.try_consume(".") {
                    return Ok(());
                }
            }
        })?;
        self.consume("=")?;
        self.located(place, &[], |parser, value_place| parser.option_value(option, value_place))?;
        if is_statement {
            self.end(";", place)?;
        }
        Ok(())
    }

    fn option_name_part(&mut self, option: &mut UninterpretedOption, place: Place) -> Parse {
        add(&mut option.name, NamePart::default());
        let index = option.name.len() - 1;
        let part = &mut option.name[index];
        let steps = [tag::name_part::NAME_PART];
        if !self.at("(") {
            part.name_part = self.located(place, &steps, |parser, _| parser.identifier("Expected identifier."))?;
            return Ok(());
        }
        self.consume("(")?;
        self.located(place, &steps, |parser, _| {
            // Dots may lead, so a name need not start with an identifier.
            if parser.at_kind(TokenKind::Identifier) {
                part.name_part.push_str(&parser.identifier("Expected identifier.")?);
            }
            while parser.try_consume(".") {
                part.name_part.push('.');
                part.name_part.push_str(&parser.identifier("Expected identifier.")?);
            }
            Ok(())
        })?;
        self.consume(")")?;
        part.is_extension = true;
        Ok(())
    }

    fn option_value(&mut self, option: &mut UninterpretedOption, place: Place) -> Parse {
        let negative = self.try_consume("-");
        match self.current().kind {
            TokenKind::Start | TokenKind::End => self.fail("Unexpected end of stream while parsing option value."),
            TokenKind::Identifier => {
                self.add_step(place, tag::uninterpreted::IDENTIFIER);
                let value = self.identifier("Expected identifier.")?;
                match (negative, value.as_str()) {
                    (false, _) => option.identifier_value = Some(value),
                    (true, "inf") => option.double_value = Some(f64::NEG_INFINITY),
                    (true, "nan") => option.double_value = Some(f64::NAN),
                    (true, _) => return self.fail("Identifier after '-' symbol must be inf or nan."),
                }
                Ok(())
            }
            TokenKind::Integer | TokenKind::Float => self.option_number(option, negative, place),
            TokenKind::String => {
                self.add_step(place, tag::uninterpreted::STRING);
                if negative {
                    return self.fail("Invalid '-' symbol before string.");
                }
                option.string_value = Some(self.string("Expected string.")?);
                Ok(())
            }
            TokenKind::Symbol if self.at("{") => {
                self.add_step(place, tag::uninterpreted::AGGREGATE);
                option.aggregate_value = Some(self.uninterpreted_block()?);
                Ok(())
            }
            TokenKind::Symbol | TokenKind::UrlChars => self.fail("Expected option value."),
        }
    }

    fn option_number(&mut self, option: &mut UninterpretedOption, negative: bool, place: Place) -> Parse {
        let max = if negative { i64::MAX as u64 + 1 } else { u64::MAX };
        let integer = Some(self.text()).filter(|_| self.at_kind(TokenKind::Integer));
        match integer.and_then(|text| parse_integer(text, max)) {
            Some(value) if negative => {
                self.add_step(place, tag::uninterpreted::NEGATIVE_INT);
                option.negative_int_value = Some((value as i64).wrapping_neg());
                self.lexer.next();
            }
            Some(value) => {
                self.add_step(place, tag::uninterpreted::POSITIVE_INT);
                option.positive_int_value = Some(value);
                self.lexer.next();
            }
            // An integer too large to be one is taken for a float.
            None => {
                self.add_step(place, tag::uninterpreted::DOUBLE);
                let value = self.number("Expected number.")?;
                option.double_value = Some(if negative { -value } else { value });
            }
        }
        Ok(())
    }

    /// The tokens between braces, one space between each; text format for the linker to read.
    fn uninterpreted_block(&mut self) -> Parse<String> {
        self.consume("{")?;
        let mut value = String::new();
        let mut depth = 1;
        while !self.at_end() {
            match self.text() {
                b"{" => depth += 1,
                b"}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.lexer.next();
                return Ok(value);
            }
            if !value.is_empty() {
                value.push(' ');
            }
            push_token(&mut value, self.text());
            self.lexer.next();
        }
        self.fail("Unexpected end of stream while parsing aggregate value.")
    }
}

/// Adds a token as text. Bytes that are none are escaped, which in a string makes no difference; elsewhere they are
/// an error by now.
fn push_token(out: &mut String, token: &[u8]) {
    for chunk in token.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\{byte:03o}")));
    }
}
