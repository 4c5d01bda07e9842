//! `--direct_dependencies`, `--option_dependencies` and `--disallow_services`: what inputs may hold.

use std::collections::HashSet;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use crate::arguments::Arguments;

/// A line for each import of `inputs` that the user did not allow, and for the first of them with a service if none may
/// have one.
pub(crate) fn refused(arguments: &Arguments, inputs: &[String], files: &[Arc<FileDescriptorProto>]) -> Vec<String> {
    let Arguments { direct_dependencies, option_dependencies, disallow_services, .. } = arguments;
    if direct_dependencies.is_none() && option_dependencies.is_none() && !disallow_services {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for input in inputs {
        let Some(file) = files.iter().find(|file| file.name.as_ref() == Some(input)) else { continue };
        if *disallow_services && !file.service.is_empty() {
            lines.push(format!("{input}: This file contains services, but --disallow_services was used."));
            break;
        }
        let mut refuse = |import: &str, message: &Option<String>, default: &str| {
            lines.push(format!("{input}: {}", message.as_deref().unwrap_or(default).replace("%s", import)));
        };
        for import in forbidden(&file.dependency, direct_dependencies.as_ref()) {
            let default = "File is imported but not declared in --direct_dependencies: %s";
            refuse(import, &arguments.direct_dependencies_violation, default);
        }
        for import in forbidden(&file.option_dependency, option_dependencies.as_ref()) {
            let default = "File is option imported but not declared in --option_dependencies: %s";
            refuse(import, &arguments.option_dependencies_violation, default);
        }
    }
    lines
}

fn forbidden<'a>(imports: &'a [String], allowed: Option<&'a HashSet<String>>) -> impl Iterator<Item = &'a String> {
    imports.iter().filter(move |import| allowed.is_some_and(|allowed| !allowed.contains(*import)))
}
