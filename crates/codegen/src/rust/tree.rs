//! The modules that packages become.

use std::collections::BTreeMap;
use std::fmt::Write;

use buffa_codegen::idents::escape_mod_ident;

use super::{Include, finish};
use crate::OutputFile;

#[derive(Default)]
struct Module<'a> {
    file: Option<&'a str>,
    children: BTreeMap<String, Module<'a>>,
}

/// The name of the tree's file, which [`module_tree`] writes.
pub(super) fn file_name(include: Include) -> &'static str {
    if include == Include::OutDir { "_includes.rs" } else { "mod.rs" }
}

/// `mod.rs` (or `_includes.rs`, to be included), with a module for each segment of the packages' names. Of each package
/// it takes the modules and the file.
pub(super) fn module_tree<'a>(packages: impl Iterator<Item = (Vec<String>, &'a str)>, include: Include) -> OutputFile {
    let mut root = Module::default();
    for (modules, file) in packages {
        let leaf = modules.into_iter().fold(&mut root, |module, segment| module.children.entry(segment).or_default());
        leaf.file = Some(file);
    }
    let mut out = finish::HEADER.to_owned();
    root.write(&mut out, 0, include);
    OutputFile::new(file_name(include), out)
}

impl Module<'_> {
    fn write(&self, out: &mut String, depth: usize, include: Include) {
        let indent = "    ".repeat(depth);
        if let Some(file) = self.file {
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
