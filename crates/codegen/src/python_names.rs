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

/// `import x_pb2` or `from a.b import x_pb2`, or `from ..b import x_pb2` for a path with dots in front.
pub(crate) fn import_statement(module: &str) -> String {
    match module.rsplit_once('.') {
        None => format!("import {module}"),
        Some((package, name)) => {
            // The dot before the name belongs to the package if nothing else does.
            let dot = if package.bytes().all(|byte| byte == b'.') { "." } else { "" };
            format!("from {package}{dot} import {name}")
        }
    }
}

/// How generated modules name each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imports {
    /// From the output directory, which is on `sys.path`: protoc's way.
    Rooted,
    /// From the module itself, wherever the output directory lies. What the protobuf package holds stays rooted.
    Relative,
}

/// The option that asks for [`Imports::Relative`].
pub(crate) const RELATIVE_IMPORTS: &str = "relative_imports";

impl Imports {
    /// How the module `from` names the module `to`: with dots in front if relative.
    pub(crate) fn path(self, from: &str, to: &str) -> String {
        if self == Imports::Rooted || to.starts_with("google.protobuf.") {
            return to.to_owned();
        }
        let (own, theirs): (Vec<&str>, Vec<&str>) = (from.split('.').collect(), to.split('.').collect());
        let own = &own[..own.len() - 1];
        let shared = own.iter().zip(&theirs[..theirs.len() - 1]).take_while(|(own, their)| own == their).count();
        format!("{}{}", ".".repeat(own.len() - shared + 1), theirs[shared..].join("."))
    }
}

/// `importlib.import_module('a.if.x_pb2')`, for names that an import statement cannot hold.
pub(crate) fn import_call(path: &str) -> String {
    let package = if path.starts_with('.') { ", __package__" } else { "" };
    format!("importlib.import_module('{path}'{package})")
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

    #[test]
    fn relative_imports_climb_to_what_is_shared() {
        for (from, to, statement) in [
            ("x_pb2", "y_pb2", "from . import y_pb2"),
            ("x_pb2", "a.y_pb2", "from .a import y_pb2"),
            ("a.x_pb2", "a.y_pb2", "from . import y_pb2"),
            ("a.x_pb2", "y_pb2", "from .. import y_pb2"),
            ("a.b.x_pb2", "a.c.y_pb2", "from ..c import y_pb2"),
            ("a.b.c.x_pb2", "y_pb2", "from .... import y_pb2"),
            ("a.x_pb2", "a.x_pb2.y_pb2", "from .x_pb2 import y_pb2"),
            ("a.x_pb2", "google.protobuf.any_pb2", "from google.protobuf import any_pb2"),
        ] {
            assert_eq!(import_statement(&Imports::Relative.path(from, to)), statement, "{from} {to}");
        }
        assert_eq!(
            import_call(&Imports::Relative.path("a.x_pb2", "if.y_pb2")),
            "importlib.import_module('..if.y_pb2', __package__)"
        );
        assert_eq!(import_call("if.y_pb2"), "importlib.import_module('if.y_pb2')");
    }
}
