//! What must hold of a file whose names are resolved and whose options are known.

mod declarations;
mod editions;
mod enums;
mod fields;
mod json;
mod maps;
mod naming;
mod proto3;

use std::collections::HashMap;

use buffa_descriptor::generated::descriptor::file_options::OptimizeMode;
use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

use crate::features::is_legacy;
use crate::nodes::{Item, Node, visit};
use crate::pool::{FileId, Pool};
use crate::site::Site;
use crate::tag;

use super::{Linker, Report};

/// A file being validated.
struct Validator<'a> {
    pool: &'a Pool,
    file: FileId,
    edition: Edition,
    report: &'a mut Report,
}

impl Linker<'_> {
    /// Features must make sense before anything is made of them.
    pub(super) fn check_features(&mut self) {
        let edition = self.pool.file(self.id).edition();
        let report = &mut self.report;
        visit(self.pool, self.id, &mut |node| {
            if node.own.is_none() && !matches!(node.item, Item::File(_)) {
                return;
            }
            let site = feature_site(&node);
            if node.own.is_some() && is_legacy(edition) {
                report.error(site.clone(), "Features are only valid under editions.");
            }
            if let Some(complaint) = node.features.complaint() {
                report.error(site, complaint);
            }
        });
    }

    pub(super) fn validate(&mut self) {
        let edition = self.pool.file(self.id).edition();
        let mut validator = Validator { pool: self.pool, file: self.id, edition, report: &mut self.report };
        visit(self.pool, self.id, &mut |node| validator.node(&node));
    }

    /// What is only said of files that are otherwise right.
    pub(super) fn validate_style(&mut self) {
        let edition = self.pool.file(self.id).edition();
        if is_legacy(edition) {
            return;
        }
        let mut validator = Validator { pool: self.pool, file: self.id, edition, report: &mut self.report };
        visit(self.pool, self.id, &mut |node| validator.naming(&node));
        if !validator.report.had_errors {
            let mut oneofs = HashMap::new();
            visit(self.pool, self.id, &mut |node| validator.proto_limits(&node, &mut oneofs));
        }
        if !validator.report.had_errors {
            visit(self.pool, self.id, &mut |node| validator.message_visibility(&node));
            visit(self.pool, self.id, &mut |node| validator.enum_visibility(&node));
        }
    }
}

/// Where protoc points when it speaks of an element as a whole.
pub(crate) fn name_site(node: &Node<'_, '_>) -> Site {
    match node.item {
        Item::File(_) => Site::At(vec![tag::file::PACKAGE]),
        Item::Oneof(_) | Item::Range => Site::Nowhere,
        _ => Site::below(node.path, &[1]),
    }
}

fn feature_site(node: &Node<'_, '_>) -> Site {
    match node.item {
        Item::File(_) => Site::At(vec![tag::file::SYNTAX]),
        _ => name_site(node),
    }
}

pub(super) fn is_lite(file: &FileDescriptorProto) -> bool {
    file.options.as_option().is_some_and(|options| options.optimize_for == Some(OptimizeMode::LITE_RUNTIME))
}

impl<'a> Validator<'a> {
    fn error(&mut self, site: Site, message: impl Into<String>) {
        self.report.error(site, message);
    }

    fn node(&mut self, node: &Node<'a, '_>) {
        match node.item {
            Item::File(file) => self.file(file, node),
            Item::Message(message) => {
                self.json_names(message, node);
                self.extension_ranges(message, node);
            }
            Item::Field(field) => self.field(field, node),
            Item::Enum(definition) => self.enumeration(definition, node),
            Item::EnumValue(value, definition) => self.enum_value(value, definition),
            Item::Service(_) => {
                let file = &self.pool.file(self.file).proto;
                let generic = file.options.as_option().is_some_and(|options| {
                    options.cc_generic_services == Some(true) || options.java_generic_services == Some(true)
                });
                if is_lite(file) && generic {
                    self.error(
                        name_site(node),
                        "Files with optimize_for = LITE_RUNTIME cannot define services unless you set both options \
                         cc_generic_services and java_generic_services to false.",
                    );
                }
            }
            Item::Oneof(_) | Item::Range | Item::Method(_) => {}
        }
    }

    fn file(&mut self, file: &'a FileDescriptorProto, node: &Node<'a, '_>) {
        if !is_legacy(self.edition) {
            self.file_features(file, node);
        }
        if !is_lite(file) {
            let dependencies = self.pool.file(self.file).dependencies.iter().map(|&id| self.pool.file(id));
            let lite = dependencies.map(|file| &file.proto).find(|file| is_lite(file));
            if let Some(lite) = lite {
                let name = lite.name.clone().unwrap_or_default();
                let message = format!(
                    "Files that do not use optimize_for = LITE_RUNTIME cannot import files which do use this option.  This \
                     file is not lite, but it imports \"{name}\" which is."
                );
                self.error(Site::Import(name), message);
            }
        }
        if self.edition == Edition::EDITION_PROTO3 {
            self.proto3_file();
        }
    }
}
