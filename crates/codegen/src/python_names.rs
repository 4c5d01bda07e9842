//! How `.proto` names become Python modules, files and identifiers.

/// Words that Python reserves; protoc's list, in which `match` and other soft keywords are missing on purpose.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// True if `import a.b.c` would not parse because of a reserved word in it.
pub(crate) fn contains_keyword(module: &str) -> bool {
    module.split('.').any(is_keyword)
}

/// `a/b-c.proto` -> `a/b-c`.
pub(crate) fn strip_proto(file: &str) -> &str {
    file.strip_suffix(".protodevel").or_else(|| file.strip_suffix(".proto")).unwrap_or(file)
}

/// `a/b-c.proto` -> `a.b_c_pb2`.
pub(crate) fn module_name(file: &str) -> String {
    strip_proto(file).replace('-', "_").replace('/', ".") + "_pb2"
}

/// The name under which a module is imported: `a.b_c_pb2` -> `a_dot_b__c__pb2`. Underscores are doubled so that
/// `a.b` and `a_dot_b` stay apart.
pub(crate) fn module_alias(file: &str) -> String {
    module_name(file).replace('_', "__").replace('.', "_dot_")
}

/// The output path of a module: dots in the base name become directories.
pub(crate) fn output_path(file: &str, suffix: &str) -> String {
    module_name(file).replace('.', "/") + suffix
}

/// `import x_pb2` or `from a.b import x_pb2`.
pub(crate) fn import_statement(module: &str) -> String {
    match module.rsplit_once('.') {
        None => format!("import {module}"),
        Some((package, name)) => format!("from {package} import {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_modules() {
        assert_eq!(module_name("a/b-c.d.proto"), "a.b_c.d_pb2");
        assert_eq!(module_alias("a/b-c.proto"), "a_dot_b__c__pb2");
        assert_eq!(output_path("a/b-c.d.proto", ".py"), "a/b_c/d_pb2.py");
        assert_eq!(import_statement("x_pb2"), "import x_pb2");
        assert_eq!(import_statement("a.b.x_pb2"), "from a.b import x_pb2");
        assert!(contains_keyword("class.import_pb2"));
    }
}
