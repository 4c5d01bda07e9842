//! What protoc tells about files besides code: dependencies for `make`, free field numbers.

use buffa_descriptor::generated::descriptor::{DescriptorProto, FileDescriptorProto};

/// The highest field number, which "INF" stands for.
const MAX_FIELD_NUMBER: i64 = (1 << 29) - 1;

/// A rule for `make`: what was written depends on what was read.
pub(crate) fn make_rule(targets: &[String], prerequisites: &[String]) -> String {
    format!("{}: {}", targets.join(" \\\n"), prerequisites.join("\\\n "))
}

/// A line for each message of `file`, nested ones first.
pub(crate) fn free_field_numbers(file: &FileDescriptorProto) -> String {
    let mut text = String::new();
    let package = file.package.as_deref().unwrap_or_default();
    for message in &file.message_type {
        push_lines(message, package, &mut text);
    }
    text
}

fn push_lines(message: &DescriptorProto, scope: &str, text: &mut String) {
    let name = message.name.as_deref().unwrap_or_default();
    let full_name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
    for nested in &message.nested_type {
        push_lines(nested, &full_name, text);
    }
    text.push_str(&format!("{full_name:<35} free:"));
    let mut next_free = 1;
    for (start, end) in occupied(message) {
        if next_free < start {
            text.push_str(&range(next_free, start - 1));
        }
        next_free = next_free.max(end);
    }
    if next_free <= MAX_FIELD_NUMBER {
        text.push_str(&format!(" {next_free}-INF"));
    }
    text.push('\n');
}

fn range(first: i64, last: i64) -> String {
    if first == last { format!(" {first}") } else { format!(" {first}-{last}") }
}

/// Numbers that are taken, as sorted ranges without their ends.
fn occupied(message: &DescriptorProto) -> Vec<(i64, i64)> {
    let fields = message.field.iter().filter_map(|field| field.number).map(|number| (number, number.saturating_add(1)));
    let extensions = message.extension_range.iter().filter_map(|range| range.start.zip(range.end));
    let reserved = message.reserved_range.iter().filter_map(|range| range.start.zip(range.end));
    let all = fields.chain(extensions).chain(reserved);
    let mut ranges: Vec<(i64, i64)> = all.map(|(start, end)| (i64::from(start), i64::from(end))).collect();
    ranges.sort_unstable();
    ranges
}
