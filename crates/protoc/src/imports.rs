//! `--direct_dependencies` and `--option_dependencies`: what inputs may import.

use std::collections::HashSet;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use crate::arguments::Arguments;

/// A line for each import of `inputs` that the user did not allow.
pub(crate) fn undeclared(arguments: &Arguments, inputs: &[String], files: &[Arc<FileDescriptorProto>]) -> Vec<String> {
    if arguments.direct_dependencies.is_none() && arguments.option_dependencies.is_none() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for input in inputs {
        let Some(file) = files.iter().find(|file| file.name.as_ref() == Some(input)) else { continue };
        for import in forbidden(&file.dependency, arguments.direct_dependencies.as_ref()) {
            let message = match &arguments.direct_dependencies_violation {
                Some(message) => message.replace("%s", import),
                None => format!("File is imported but not declared in --direct_dependencies: {import}"),
            };
            lines.push(format!("{input}: {message}"));
        }
        for import in forbidden(&file.option_dependency, arguments.option_dependencies.as_ref()) {
            lines.push(format!("{input}: File is option imported but not declared in --option_dependencies: {import}"));
        }
    }
    lines
}

fn forbidden<'a>(imports: &'a [String], allowed: Option<&'a HashSet<String>>) -> impl Iterator<Item = &'a String> {
    imports.iter().filter(move |import| allowed.is_some_and(|allowed| !allowed.contains(*import)))
}
