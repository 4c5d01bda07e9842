//! What protoc checks once all files are loaded: lives of options, their targets, numbers no one may use.

use buffa_descriptor::generated::descriptor::field_options::{FeatureSupport, OptionTargetType};
use buffa_descriptor::generated::descriptor::{Edition, FieldOptions};

use crate::builtin;
use crate::diagnostic::Severity;
use crate::dynamic::{Dynamic, MessageRef, Value};
use crate::feature_support::{Support, short_name};
use crate::lexer::Finding;
use crate::limits::RESERVED_NUMBERS;
use crate::nodes::{Item, Node, visit};
use crate::pool::{File, FileId, Pool, number_of};
use crate::site::{Locations, Site};

/// An options message with extensions known.
fn dynamic_options<'a>(pool: &'a Pool, node: &Node<'a, '_>) -> Option<Dynamic<'a>> {
    let options = node.options?;
    let name = options.message_name();
    let message = MessageRef::find(pool, name).or_else(|| MessageRef::find(builtin::pool(pool.accepts_2026), name))?;
    Dynamic::decode(message, &options.encode())
}

/// Whether the options of this edition say nothing that could be out of time or place.
fn is_plain(node: &Node<'_, '_>, edition: Edition) -> bool {
    (edition as i32) < Edition::EDITION_2024 as i32 && node.options.is_none_or(|options| options.is_plain())
}

/// Reports options and features used before or after their time. Warnings are for files the user named.
pub(crate) fn lifetimes(pool: &Pool, file: FileId, is_input: bool) -> Vec<Finding> {
    let edition = pool.file(file).edition();
    let now = number_of(edition);
    let mut findings = Vec::new();
    let mut locations = None;
    visit(pool, file, &mut |node| {
        if is_plain(&node, edition) {
            return;
        }
        let Some(mut options) = dynamic_options(pool, &node) else { return };
        // Features come first: protoc keeps them apart from the options.
        let features = options.take_features();
        let mut results = Vec::new();
        for message in features.iter().chain([&options]) {
            let mut found = Vec::new();
            message_lifetimes(message, now, &mut found);
            // Of one message, errors come before warnings.
            found.sort_by_key(|(severity, _)| *severity != Severity::Error);
            results.extend(found);
        }
        let site = crate::linker::name_site(&node);
        for (severity, message) in results {
            if severity == Severity::Error || is_input {
                let locations = locations.get_or_insert_with(|| {
                    let File { proto, positions, .. } = pool.file(file);
                    Locations::of(proto, positions.clone())
                });
                findings.push(finding(locations, &site, severity, message));
            }
        }
    });
    findings
}

fn finding(locations: &Locations, site: &Site, severity: Severity, message: String) -> Finding {
    let (line, column) = match site.find(locations) {
        Some((line, column)) => (Some(line), column),
        None => (None, 0),
    };
    Finding { line, column, severity, message }
}

fn message_lifetimes(message: &Dynamic<'_>, now: i32, results: &mut Vec<(Severity, String)>) {
    for slot in message.fields.values() {
        for value in &slot.values {
            match value {
                Value::Message(inner) => message_lifetimes(inner, now, results),
                Value::Varint(number) => {
                    if let Some(definition) = slot.field.enumeration() {
                        let number = *number as i32;
                        let value = definition.value(number);
                        let options = value.and_then(|value| value.options.as_option());
                        if let Some(support) = options.and_then(|options| options.feature_support.as_option()) {
                            let name = value.and_then(|value| value.name.as_deref()).unwrap_or_default();
                            let scope = definition.full_name().rsplit_once('.');
                            let scope = scope.map_or(String::new(), |(scope, _)| format!("{scope}."));
                            lifetime(support, &format!("{scope}{name}"), now, results);
                        }
                    }
                }
                _ => {}
            }
        }
        let options: Option<&FieldOptions> = slot.field.proto.options.as_option();
        if let Some(support) = options.and_then(|options| options.feature_support.as_option()) {
            lifetime(support, &slot.field.full_name(), now, results);
        }
    }
}

fn lifetime(support: &FeatureSupport, name: &str, now: i32, results: &mut Vec<(Severity, String)>) {
    let support = Support::of(support);
    if let Some(introduced) = support.introduced.filter(|&introduced| now < introduced) {
        let message = format!(
            "{name} wasn't introduced until edition {} and can't be used in edition {}",
            short_name(introduced),
            short_name(now)
        );
        results.push((Severity::Error, message));
    }
    if let Some(removed) = support.removed.filter(|&removed| now >= removed) {
        let reason = support.removal_error.map_or(String::new(), |reason| format!(": {reason}"));
        let message = format!("{name} has been removed in edition {}{reason}", short_name(removed));
        results.push((Severity::Error, message));
    } else if let Some(deprecated) = support.deprecated.filter(|&deprecated| now >= deprecated) {
        let message = format!(
            "{name} has been deprecated in edition {}: {}",
            short_name(deprecated),
            support.warning.unwrap_or_default()
        );
        results.push((Severity::Warning, message));
    }
}

/// Reports field numbers that are kept for the implementation.
pub(crate) fn reserved_numbers(pool: &Pool, file: FileId) -> Vec<Finding> {
    let mut findings = Vec::new();
    visit(pool, file, &mut |node| {
        if let Item::Field(field) = node.item
            && RESERVED_NUMBERS.contains(&field.number())
        {
            let message = format!(
                "Field numbers {} through {} are reserved for the protocol buffer library implementation.",
                RESERVED_NUMBERS.start(),
                RESERVED_NUMBERS.end()
            );
            findings.push(Finding { line: None, column: 0, severity: Severity::Error, message });
        }
    });
    findings
}

/// Whether this file, by its name, may be of an edition that is not finished: protoc's own and its tests may.
pub fn may_be_unfinished(name: &str) -> bool {
    ["google/protobuf/", "upb/", "test_messages_edition_unstable"].iter().any(|start| name.starts_with(start))
}

/// Reports an edition that is not finished.
pub(crate) fn edition(pool: &Pool, file: FileId) -> Option<Finding> {
    let file = pool.file(file);
    let edition = number_of(file.edition());
    if may_be_unfinished(file.name()) || edition <= Edition::EDITION_2024 as i32 {
        return None;
    }
    let message = format!(
        "is a file using edition {}, which is later than the protoc maximum supported edition 2024.",
        short_name(edition)
    );
    Some(Finding { line: None, column: 0, severity: Severity::Error, message })
}

/// Reports options on things they are not for.
pub(crate) fn targets(pool: &Pool, file: FileId) -> Vec<Finding> {
    let edition = pool.file(file).edition();
    let mut findings = Vec::new();
    visit(pool, file, &mut |node| {
        if is_plain(&node, edition) {
            return;
        }
        if let Some(options) = dynamic_options(pool, &node) {
            message_targets(&options, target_of(&node.item), &mut findings);
        }
    });
    findings
}

fn message_targets(message: &Dynamic<'_>, (target, name): (OptionTargetType, &str), findings: &mut Vec<Finding>) {
    for slot in message.fields.values() {
        let targets = slot.field.proto.options.as_option().map_or(&[][..], |options| &options.targets);
        if !targets.is_empty() && !targets.contains(&target) {
            let message = format!("Option {} cannot be set on an entity of type `{name}`.", slot.field.full_name());
            findings.push(Finding { line: None, column: 0, severity: Severity::Error, message });
        }
        for value in &slot.values {
            if let Value::Message(inner) = value {
                message_targets(inner, (target, name), findings);
            }
        }
    }
}

fn target_of(item: &Item<'_>) -> (OptionTargetType, &'static str) {
    match item {
        Item::File(_) => (OptionTargetType::TARGET_TYPE_FILE, "file"),
        Item::Message(_) => (OptionTargetType::TARGET_TYPE_MESSAGE, "message"),
        Item::Field(_) => (OptionTargetType::TARGET_TYPE_FIELD, "field"),
        Item::Oneof(_) => (OptionTargetType::TARGET_TYPE_ONEOF, "oneof"),
        Item::Range => (OptionTargetType::TARGET_TYPE_EXTENSION_RANGE, "extension range"),
        Item::Enum(_) => (OptionTargetType::TARGET_TYPE_ENUM, "enum"),
        Item::EnumValue(..) => (OptionTargetType::TARGET_TYPE_ENUM_ENTRY, "enum entry"),
        Item::Service(_) => (OptionTargetType::TARGET_TYPE_SERVICE, "service"),
        Item::Method(_) => (OptionTargetType::TARGET_TYPE_METHOD, "method"),
    }
}
