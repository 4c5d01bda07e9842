//! Enums: open ones start at zero, aliases are declared, names differ by more than their prefix.

use std::collections::BTreeSet;

use buffa_descriptor::generated::descriptor::feature_set::EnumType;
use buffa_descriptor::generated::descriptor::{Edition, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto};

use crate::dynamic::EnumRef;
use crate::feature_support::Support;
use crate::hash::HashMap;
use crate::nodes::Node;
use crate::site::Site;
use crate::tag;

use super::Validator;

impl<'a> Validator<'a> {
    pub(super) fn enumeration(&mut self, definition: EnumRef<'a>, node: &Node<'a, '_>) {
        self.enum_value_names(definition, node);
        let proto = definition.proto();
        let first_is_zero = proto.value.first().is_none_or(|value| value.number.unwrap_or(0) == 0);
        if node.features.enum_type != EnumType::CLOSED && !first_is_zero {
            let site = Site::below(node.path, &[tag::enumeration::VALUE, 0, tag::enum_value::NUMBER]);
            self.error(site, "The first enum value must be zero for open enums.");
        }
        if proto.options.as_option().is_some_and(|options: &EnumOptions| options.allow_alias == Some(true)) {
            return;
        }
        let scope = match definition.full_name().rsplit_once('.') {
            Some((scope, _)) => format!("{scope}."),
            None => String::new(),
        };
        let mut used: HashMap<i32, &str> = HashMap::default();
        let mut next_free = None;
        for (index, value) in proto.value.iter().enumerate() {
            let (name, number) = (value.name.as_deref().unwrap_or_default(), value.number.unwrap_or(0));
            let Some(other) = used.get(&number) else {
                used.insert(number, name);
                continue;
            };
            let mut text = format!(
                "\"{scope}{name}\" uses the same enum value as \"{scope}{other}\". If this is intended, set 'option \
                 allow_alias = true;' to the enum definition."
            );
            let next_free = next_free.get_or_insert_with(|| next_free_numbers(proto));
            if let Some(next) = next_free.get(&number).filter(|&&next| next < i32::MAX.into()) {
                text.push_str(&format!(" The next available enum value is {next}."));
            }
            let site = Site::below(node.path, &[tag::enumeration::VALUE, index as i32, tag::enum_value::NUMBER]);
            self.error(site, text);
        }
    }

    fn enum_value_names(&mut self, definition: EnumRef<'a>, node: &Node<'a, '_>) {
        let proto = definition.proto();
        let prefix: String = proto.name.as_deref().unwrap_or_default().replace('_', "").to_ascii_lowercase();
        let options = proto.options.as_option();
        let is_lenient = options.is_some_and(|options| options.deprecated_legacy_json_field_conflicts == Some(true))
            && self.edition == Edition::EDITION_PROTO2;
        let mut seen: HashMap<String, &EnumValueDescriptorProto> = HashMap::default();
        for (index, value) in proto.value.iter().enumerate() {
            let name = value.name.as_deref().unwrap_or_default();
            let other = *seen.entry(pascal_case(without_prefix(name, &prefix))).or_insert(value);
            if other.name == value.name || other.number == value.number {
                continue;
            }
            let text = format!(
                "Enum name {name} has the same name as {} if you ignore case and strip out the enum name prefix (if \
                 any). (If you are using allow_alias, please assign the same number to each enum value name.)",
                other.name.as_deref().unwrap_or_default()
            );
            let site = Site::below(node.path, &[tag::enumeration::VALUE, index as i32, tag::enum_value::NAME]);
            if is_lenient {
                self.report.warn(site, text);
            } else {
                self.error(site, text);
            }
        }
    }

    pub(super) fn enum_value(&mut self, value: &'a EnumValueDescriptorProto, definition: EnumRef<'a>) {
        let support = value.options.as_option().and_then(|options| options.feature_support.as_option());
        let Some(support) = support else { return };
        let name = value.name.as_deref().unwrap_or_default();
        let full_name = match definition.full_name().rsplit_once('.') {
            Some((scope, _)) => format!("{scope}.{name}"),
            None => name.to_owned(),
        };
        if let Some(complaint) = Support::of(support).complaint(&full_name) {
            self.error(Site::Nowhere, complaint);
        }
    }
}

/// For each number of the enum the lowest one above it that is free.
fn next_free_numbers(definition: &EnumDescriptorProto) -> HashMap<i32, i64> {
    let numbers: BTreeSet<i32> = definition.value.iter().map(|value| value.number.unwrap_or(0)).collect();
    let mut next_free = HashMap::default();
    let mut above: Option<(i32, i64)> = None;
    for &number in numbers.iter().rev() {
        let free = match above {
            Some((next, free)) if i64::from(number) + 1 == i64::from(next) => free,
            _ => i64::from(number) + 1,
        };
        next_free.insert(number, free);
        above = Some((number, free));
    }
    next_free
}

/// `name` without the enum's name before it, if there is something after it.
fn without_prefix<'n>(name: &'n str, prefix: &str) -> &'n str {
    let mut rest = name;
    for letter in prefix.chars() {
        rest = rest.trim_start_matches('_');
        match rest.chars().next() {
            Some(found) if found.to_ascii_lowercase() == letter => rest = &rest[found.len_utf8()..],
            _ => return name,
        }
    }
    match rest.trim_start_matches('_') {
        "" => name,
        rest => rest,
    }
}

fn pascal_case(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut capitalise = true;
    for letter in name.chars() {
        if letter == '_' {
            capitalise = true;
        } else {
            result.push(if capitalise { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
            capitalise = false;
        }
    }
    result
}
