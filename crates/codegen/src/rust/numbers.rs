//! Extensions whose numbers `buffa-codegen` does not take: those of message sets may be larger than a field's.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::schema::{file_name, package};

/// The highest number of a field.
const MAX: i32 = (1 << 29) - 1;

/// Takes such extensions out of `files`. Returns the package of each and a comment that says so, where its file is among
/// those to generate.
pub(super) fn leave_out(files: &mut [FileDescriptorProto], to_generate: &[String]) -> Vec<(String, String)> {
    let wanted: HashSet<&str> = to_generate.iter().map(String::as_str).collect();
    let mut comments = Vec::new();
    for file in files {
        let package = package(file).to_owned();
        let mut names = Vec::new();
        take(&mut file.extension, &package, &mut names);
        for message in &mut file.message_type {
            take_inside(message, &package, &mut names);
        }
        if wanted.contains(file_name(file)) {
            comments.extend(names.into_iter().map(|comment| (package.clone(), comment)));
        }
    }
    comments
}

fn take_inside(message: &mut DescriptorProto, scope: &str, comments: &mut Vec<String>) {
    let name = message.name.as_deref().unwrap_or_default();
    let scope = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
    take(&mut message.extension, &scope, comments);
    for nested in &mut message.nested_type {
        take_inside(nested, &scope, comments);
    }
}

fn take(extensions: &mut Vec<FieldDescriptorProto>, scope: &str, comments: &mut Vec<String>) {
    extensions.retain(|extension| {
        let number = extension.number.unwrap_or_default();
        if number > MAX {
            let dot = if scope.is_empty() { "" } else { "." };
            let name = extension.name.as_deref().unwrap_or_default();
            comments.push(format!("// Left out: extension `{scope}{dot}{name}`, for {number} is more than {MAX}.\n"));
        }
        number <= MAX
    });
}

/// The index that the extension at `index` of what [`leave_out`] left has among all of `extensions`.
pub(super) fn original_index(extensions: &[FieldDescriptorProto], index: usize) -> usize {
    let mut left = extensions.iter().enumerate().filter(|(_, extension)| extension.number.unwrap_or_default() <= MAX);
    left.nth(index).map_or(index, |(original, _)| original)
}
