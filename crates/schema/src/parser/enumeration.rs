//! Enums and their values.

use buffa_descriptor::generated::descriptor::{EnumDescriptorProto, EnumValueDescriptorProto, SymbolVisibility};

use super::{Parse, Parser, Place, add};
use crate::hash::HashSet;
use crate::tag;

impl Parser<'_> {
    pub(super) fn enum_definition(
        &mut self,
        siblings: &mut Vec<EnumDescriptorProto>,
        visibility: Option<SymbolVisibility>,
        place: Place,
    ) -> Parse {
        let mut definition = EnumDescriptorProto::default();
        let result = self.enum_body(&mut definition, place);
        definition.visibility = visibility;
        add(siblings, definition);
        result
    }

    fn enum_body(&mut self, definition: &mut EnumDescriptorProto, place: Place) -> Parse {
        self.consume("enum")?;
        definition.name =
            Some(self.located(place, &[tag::enumeration::NAME], |parser, _| parser.identifier("Expected enum name."))?);
        self.end("{", place)?;
        while !self.try_end("}", None) {
            if self.at_end() {
                return self.fail("Reached end of input in enum definition (missing '}').");
            }
            if self.enum_statement(definition, place).is_err() {
                self.skip_statement();
            }
        }
        self.check_allow_alias(definition)
    }

    fn enum_statement(&mut self, definition: &mut EnumDescriptorProto, place: Place) -> Parse {
        if self.try_end(";", None) {
            return Ok(());
        }
        match self.text() {
            b"option" => self.located(place, &[tag::enumeration::OPTIONS], |parser, place| {
                parser.option_statement(&mut definition.options.get_or_insert_default().uninterpreted_option, place)
            }),
            b"reserved" => self.enum_reserved(definition, place),
            _ => {
                let steps = [tag::enumeration::VALUE, definition.value.len() as i32];
                self.located(place, &steps, |parser, place| {
                    let mut value = EnumValueDescriptorProto::default();
                    let result = parser.enum_value(&mut value, place);
                    add(&mut definition.value, value);
                    result
                })
            }
        }
    }

    fn enum_value(&mut self, value: &mut EnumValueDescriptorProto, place: Place) -> Parse {
        value.name =
            Some(self.located(place, &[tag::enum_value::NAME], |parser, _| {
                parser.identifier("Expected enum constant name.")
            })?);
        self.consume_or("=", "Missing numeric value for enum constant.")?;
        value.number = Some(
            self.located(place, &[tag::enum_value::NUMBER], |parser, _| parser.signed_integer("Expected integer."))?,
        );
        if self.at("[") {
            self.located(place, &[tag::enum_value::OPTIONS], |parser, place| {
                parser.consume("[")?;
                loop {
                    let options = &mut value.options.get_or_insert_default().uninterpreted_option;
                    parser.option_assignment(options, place)?;
                    if !parser.try_consume(",") {
                        return parser.consume("]");
                    }
                }
            })?;
        }
        self.end(";", place)
    }

    /// `allow_alias` must be true and used, or absent.
    fn check_allow_alias(&mut self, definition: &EnumDescriptorProto) -> Parse {
        let Some(options) = definition.options.as_option() else { return Ok(()) };
        let alias = options
            .uninterpreted_option
            .iter()
            .find(|option| matches!(&option.name[..], [part] if !part.is_extension && part.name_part == "allow_alias"));
        let Some(alias) = alias else { return Ok(()) };
        let name = definition.name.as_deref().unwrap_or_default();
        if alias.identifier_value.as_deref() != Some("true") {
            return self.fail(format!(
                "\"{name}\" declares 'option allow_alias = false;' which has no effect. Please remove the declaration."
            ));
        }
        let mut numbers = HashSet::default();
        if definition.value.iter().all(|value| numbers.insert(value.number.unwrap_or(0))) {
            return self.fail(format!(
                "\"{name}\" declares support for enum aliases but no enum values share field numbers. Please remove \
                 the unnecessary 'option allow_alias = true;' declaration."
            ));
        }
        Ok(())
    }
}
