//! Names as the style guide wants them, which edition 2024 enforces; and names and numbers of things that generated code
//! has trouble with, which edition 2026 refuses.

use std::collections::HashMap;

use crate::features::{NO_LIMITS, STYLE_2024, STYLE_2026};
use crate::limits::{MAX_FIELDS_2026, MAX_ONEOF_FIELDS_2026, MAX_ONEOFS_2026, MAX_VALUES_2026};
use crate::nodes::{Item, Node};
use crate::pool::Kind;

use super::{Validator, name_site};

const OPT_OUT_OF_COLLISIONS: &str = " (features.enforce_naming_style = STYLE2024 can be used to opt out of this check)";
const OPT_OUT_OF_LIMITS: &str =
    " (features.enforce_proto_limits = LEGACY_NO_EXPLICIT_LIMITS can be used to opt out of this check)";
const CONSEQUENCE: &str = "This can cause collisions in generated code.";
const OPT_OUT: &str = " (features.enforce_naming_style = STYLE_LEGACY can be used to opt out of this check)";

impl<'a> Validator<'a> {
    pub(super) fn naming(&mut self, node: &Node<'a, '_>) {
        let style = node.features.enforce_naming_style;
        if style != STYLE_2024 && style != STYLE_2026 {
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
        if style == STYLE_2026
            && let Some(complaint) = self.collision(node, name)
        {
            self.error(name_site(node), format!("{kind} name {name} {complaint}{OPT_OUT_OF_COLLISIONS}"));
        }
    }

    /// Why the name of a field or oneof may be that of something else in generated code, if so.
    fn collision(&self, node: &Node<'a, '_>, name: &str) -> Option<String> {
        let message = match node.item {
            Item::Field(field) => self.pool.message_name(field.parent).to_owned(),
            Item::Oneof(_) => self.name_around(node.path),
            _ => return None,
        };
        let is_there = |name: &str| {
            let symbol = self.pool.symbol(&format!("{message}.{name}"));
            symbol.is_some_and(|symbol| matches!(symbol.kind, Kind::Field(..) | Kind::Oneof))
        };
        for start in ["has_", "get_", "set_", "clear_"] {
            if let Some(other) = name.strip_prefix(start).filter(|other| is_there(other)) {
                return Some(format!("should not begin with {start} if a field named {other} exists. {CONSEQUENCE}"));
            }
        }
        if let Some(other) = name.strip_suffix("_value").filter(|other| is_there(other)) {
            return Some(format!("should not end with _value if a field named {other} exists. {CONSEQUENCE}"));
        }
        (name == "descriptor").then(|| format!("should not be named descriptor. {CONSEQUENCE}"))
    }

    /// The full name of the message around what is at `path`.
    fn name_around(&self, path: &[i32]) -> String {
        let file = &self.pool.file(self.file).proto;
        let mut name = self.pool.file(self.file).package().to_owned();
        let mut messages = &file.message_type;
        for index in
            path[..path.len().saturating_sub(2)].chunks(2).filter_map(|step| usize::try_from(*step.last()?).ok())
        {
            let Some(message) = messages.get(index) else { break };
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(message.name.as_deref().unwrap_or_default());
            messages = &message.nested_type;
        }
        name
    }

    /// Bounds that edition 2026 puts on what is in one declaration. `oneofs` are the numbers of fields of those seen, by
    /// the path of their message.
    pub(super) fn proto_limits(&mut self, node: &Node<'a, '_>, oneofs: &mut HashMap<Vec<i32>, Vec<usize>>) {
        if let Item::Message(message) = node.item {
            let proto = message.proto();
            let mut counts = vec![0; proto.oneof_decl.len()];
            for index in proto.field.iter().filter_map(|field| usize::try_from(field.oneof_index?).ok()) {
                if let Some(count) = counts.get_mut(index) {
                    *count += 1;
                }
            }
            oneofs.insert(node.path.to_vec(), counts);
        }
        if node.features.enforce_proto_limits == NO_LIMITS {
            return;
        }
        let mut check = |kind: &str, name: &Option<String>, count: usize, limit: usize, what: &str| {
            if count > limit {
                let name = name.as_deref().unwrap_or_default();
                let text = format!("{kind} name {name} should not contain more than {limit} {what}{OPT_OUT_OF_LIMITS}");
                self.report.error(name_site(node), text);
            }
        };
        match node.item {
            Item::Message(message) => {
                let proto = message.proto();
                check("Message", &proto.name, proto.field.len(), MAX_FIELDS_2026, "fields");
                // There are none of `optional` fields in editions.
                check("Message", &proto.name, proto.oneof_decl.len(), MAX_ONEOFS_2026, "oneofs");
            }
            Item::Enum(definition) => {
                let proto = definition.proto();
                check("Enum", &proto.name, proto.value.len(), MAX_VALUES_2026, "values");
            }
            Item::Oneof(oneof) => {
                let Some((scope, [_, index])) = node.path.split_last_chunk::<2>() else { return };
                let counts = oneofs.get(scope).zip(usize::try_from(*index).ok());
                let count = counts.and_then(|(counts, index)| counts.get(index)).copied().unwrap_or_default();
                check("Oneof", &oneof.name, count, MAX_ONEOF_FIELDS_2026, "fields");
            }
            _ => {}
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
