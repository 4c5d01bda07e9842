//! Names as the style guide wants them, which edition 2024 enforces.

use buffa_descriptor::generated::descriptor::feature_set::EnforceNamingStyle;

use crate::nodes::{Item, Node};

use super::{Validator, name_site};

const OPT_OUT: &str = " (features.enforce_naming_style = STYLE_LEGACY can be used to opt out of this check)";

impl<'a> Validator<'a> {
    pub(super) fn naming(&mut self, node: &Node<'a, '_>) {
        if node.features.enforce_naming_style != EnforceNamingStyle::STYLE2024 {
            return;
        }
        let (kind, name, complaint): (_, _, fn(&str) -> Option<&'static str>) = match node.item {
            Item::File(file) => ("Package", &file.package, lower_snake_case),
            Item::Message(message) => ("Message", &message.proto().name, title_case),
            Item::Oneof(oneof) => ("Oneof", &oneof.name, lower_snake_case),
            Item::Field(field) => ("Field", &field.proto.name, lower_snake_case),
            Item::Enum(definition) => ("Enum", &definition.proto().name, title_case),
            Item::EnumValue(value, _) => ("Enum value", &value.name, upper_snake_case),
            Item::Service(service) => ("Service", &service.name, title_case),
            Item::Method(method) => ("Method", &method.name, title_case),
            Item::Range => return,
        };
        let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else { return };
        if let Some(complaint) = complaint(name) {
            self.error(name_site(node), format!("{kind} name {name} {complaint}{OPT_OUT}"));
        }
    }
}

fn title_case(name: &str) -> Option<&'static str> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some("should be TitleCase");
    }
    (!name.starts_with(|first: char| first.is_ascii_uppercase())).then_some("should begin with a capital letter")
}

fn lower_snake_case(name: &str) -> Option<&'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
    if !name.bytes().all(is_allowed) {
        return Some("should be lower_snake_case");
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("should begin with a lower case letter");
    }
    bad_underscores(name)
}

fn upper_snake_case(name: &str) -> Option<&'static str> {
    if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return Some("should be UPPER_SNAKE_CASE");
    }
    if !name.starts_with(|first: char| first.is_ascii_uppercase()) {
        return Some("should begin with an upper case letter");
    }
    bad_underscores(name)
}

fn bad_underscores(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    let is_bad = name.starts_with('_')
        || name.ends_with('_')
        || bytes.windows(2).any(|pair| pair[0] == b'_' && !pair[1].is_ascii_alphabetic());
    is_bad.then_some("contains style violating underscores")
}
