//! The modules that packages become.

use std::collections::BTreeMap;
use std::fmt::Write;

use buffa_codegen::idents::escape_mod_ident;

use super::{Include, finish, package_file};
use crate::OutputFile;

#[derive(Default)]
struct Module<'a> {
    package: Option<&'a str>,
    children: BTreeMap<&'a str, Module<'a>>,
}

/// `mod.rs` (or `_includes.rs`, to be included), with a module for each segment of the packages' names.
pub(super) fn module_tree<'a>(packages: impl Iterator<Item = &'a str>, include: Include) -> OutputFile {
    let mut root = Module::default();
    for package in packages {
        let segments = package.split('.').filter(|segment| !segment.is_empty());
        segments.fold(&mut root, |module, segment| module.children.entry(segment).or_default()).package = Some(package);
    }
    let mut out = finish::HEADER.to_owned();
    root.write(&mut out, 0, include);
    OutputFile::new(if include == Include::OutDir { "_includes.rs" } else { "mod.rs" }, out)
}

impl Module<'_> {
    fn write(&self, out: &mut String, depth: usize, include: Include) {
        let indent = "    ".repeat(depth);
        if let Some(package) = self.package {
            let file = package_file(package);
            // Writing to a string cannot fail.
            let _ = match include {
                Include::Relative => writeln!(out, "{indent}include!(\"{file}\");"),
                Include::OutDir => writeln!(out, "{indent}include!(concat!(env!(\"OUT_DIR\"), \"/{file}\"));"),
            };
        }
        for (segment, child) in &self.children {
            if depth == 0 {
                let _ = writeln!(out, "#[allow({})]", finish::LINTS_OF_MODULES.join(", "));
            }
            let _ = writeln!(out, "{indent}pub mod {} {{", escape_mod_ident(segment));
            child.write(out, depth + 1, include);
            let _ = writeln!(out, "{indent}}}");
        }
    }
}
