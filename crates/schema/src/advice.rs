//! What a person can do about a diagnostic, where that is plain.
//!
//! It goes by protoc's sentences, which are all that a diagnostic has; the names in them are what advice is made of.

use crate::drawing::{DRAWN_LINE, Place, Source};

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string", "bytes",
];

/// Options that need no import.
const OPTIONS: [&str; 29] = [
    "allow_alias",
    "cc_enable_arenas",
    "csharp_namespace",
    "ctype",
    "debug_redact",
    "deprecated",
    "deprecated_legacy_json_field_conflicts",
    "features",
    "go_package",
    "idempotency_level",
    "java_generate_equals_and_hash",
    "java_multiple_files",
    "java_outer_classname",
    "java_package",
    "java_string_check_utf8",
    "json_name",
    "jstype",
    "lazy",
    "message_set_wire_format",
    "objc_class_prefix",
    "optimize_for",
    "packed",
    "php_class_prefix",
    "php_namespace",
    "py_generic_services",
    "retention",
    "ruby_package",
    "swift_prefix",
    "targets",
];

/// Sentences that say enough to know what to do, by how they begin.
const PLAIN: [(&str, &str); 14] = [
    ("Missing field number.", "give the field a number of its own: ` = 1`"),
    ("Import ", "imports are looked up below each directory given with -I"),
    ("No edition or syntax specified", "add `syntax = \"proto3\";` as the first line"),
    ("File recursively imports itself", "move what both need to a file that both import"),
    ("Required fields are not allowed in proto3", "remove `required`: a reader of proto3 cannot rely on a field"),
    (
        "Explicit default values are not allowed in proto3",
        "remove the default, or write `edition = \"2023\";` for `syntax`",
    ),
    ("Label \"optional\" is not supported in editions", "remove `optional`"),
    (
        "Fields in oneofs must not have labels",
        "remove the label; for several values use a message that has a repeated field",
    ),
    (
        "Field labels (required/optional/repeated) are not allowed on map",
        "remove the label: a map holds many entries as it is",
    ),
    ("Key in map fields cannot be", "keys are strings, integers or bools"),
    ("Expected message type.", "methods take and return messages: put the value into a field of one"),
    ("Field name \"", "choose another name, or take this one out of `reserved`"),
    ("Field numbers cannot be greater", "numbers go from 1 to 536870911"),
    ("Field numbers 19000 through 19999", "leave these numbers out"),
];

/// The way out, where there is a plain one.
pub(crate) fn advice(message: &str, source: Option<&Source>, place: Option<&Place>) -> Option<String> {
    by_names(message, source)
        .or_else(|| by_source(message, source?, place))
        .or_else(|| PLAIN.iter().find(|(start, _)| message.starts_with(start)).map(|(_, advice)| (*advice).to_owned()))
}

/// Advice that the names in the sentence make.
fn by_names(message: &str, source: Option<&Source>) -> Option<String> {
    let quoted: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
    let is = |start: &str, end: &str| message.starts_with(start) && message.trim_end().ends_with(end);
    match quoted[..] {
        [name] if is("\"", "is not defined.") => {
            let names = source.map_or(&[][..], |source| &source.types).iter().map(String::as_str);
            let similar = nearest(name, SCALARS.into_iter().chain(names))?;
            Some(format!("did you mean `{similar}`?"))
        }
        [_, file, _] if message.contains("which is not imported by") => Some(format!("add `import \"{file}\";`")),
        [name] if message.contains("\" unknown. Ensure that your proto definition file imports") => {
            match name.strip_prefix('(') {
                Some(extension) => Some(format!("import the file that declares `{}`", extension.trim_end_matches(')'))),
                None => nearest(name, OPTIONS.into_iter()).map(|similar| format!("did you mean `{similar}`?")),
            }
        }
        [value, _, enumeration] if message.starts_with("Note that enum values use C++ scoping") => {
            Some(format!("put the name of the enum in front: `{}_{value}`", upper_snake(enumeration)))
        }
        [_, _] if message.starts_with("Field number ") => {
            let next = message.rsplit_once("Next available field number is ")?.1.trim_end_matches('.');
            Some(format!("`{next}` is free"))
        }
        [_, _] if is("\"", ".") && message.contains("\" is already defined in \"") => {
            Some("give one of the two another name".to_owned())
        }
        [_] if is("Field \"", ".") && message.contains("uses reserved number") => {
            Some("give the field a number that was never in use".to_owned())
        }
        _ if is("Import ", " is unused.") => Some("remove the import".to_owned()),
        _ => None,
    }
}

/// Advice that the text around makes.
fn by_source(message: &str, source: &Source, place: Option<&Place>) -> Option<String> {
    if message.starts_with("Expected \"required\", \"optional\", or \"repeated\"") && !source.has_syntax {
        return Some("without a syntax this file is proto2: add `syntax = \"proto3\";` as its first line".to_owned());
    }
    if message == "Expected \";\"." {
        let place = place?;
        let is_first = place.before().trim().is_empty();
        return Some(match source.line_before(place.line).filter(|_| is_first) {
            Some(line) => format!("put a `;` at the end of line {}", line + 1),
            None => format!("put a `;` before `{}`", place.token()),
        });
    }
    if message.starts_with("Reached end of input in ") {
        return source.open_brace().map(|line| format!("the `{{` in line {} is not closed", line + 1));
    }
    if message == "The first enum value must be zero for open enums." {
        let lines = source.lines.get(..=place?.line)?.iter().rev();
        let name = lines.filter_map(|line| line.trim_start().strip_prefix("enum ")).next()?;
        let name = name.trim().trim_end_matches('{').trim_end();
        return Some(format!("begin with `{}_UNSPECIFIED = 0;`", upper_snake(name)));
    }
    None
}

/// `FooBar` gives `FOO_BAR`.
fn upper_snake(name: &str) -> String {
    let mut upper = String::new();
    let mut previous = '_';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !(previous == '_' || previous.is_ascii_uppercase()) {
            upper.push('_');
        }
        upper.push(letter.to_ascii_uppercase());
        previous = letter;
    }
    upper
}

fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = name.len() / 3;
    // Names that differ in length by more cannot be near.
    let near =
        candidates.filter(|candidate| candidate.len().abs_diff(name.len()) <= allowed && name.len() <= DRAWN_LINE);
    let lower = name.to_ascii_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase());
    let ranked = near.map(|candidate| (distance(candidate), candidate));
    ranked.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::upper_snake;

    #[test]
    fn names_of_enums_become_prefixes() {
        for (name, prefix) in [("Size", "SIZE"), ("BoxSize", "BOX_SIZE"), ("HTTPCode", "HTTPCODE"), ("a_b", "A_B")] {
            assert_eq!(upper_snake(name), prefix);
        }
    }
}
