//! Names to meanings: makes a parsed file part of the pool.
//!
//! The passes and their order are protoc's, because the order of its complaints is: `declare` gives every
//! declaration its full name and checks what can be checked alone, `resolve` finds what names refer to, then
//! options are interpreted and the whole is validated.

mod clash;
mod declare;
mod descriptors;
mod hints;
mod lookup;
mod map_conflicts;
mod options;
mod resolve;
mod validate;

use std::collections::HashMap;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

use crate::diagnostic::Severity;
use crate::elements::each_options;
use crate::feature_support::short_name;
use crate::lexer::Finding;
use crate::limits::{FINDINGS, FINDINGS_TEXT};
use crate::pool::{EDITION_2026, EDITION_FIELD, ExtensionId, File, FileId, Pool, edition_of};
use crate::positions::Positions;
use crate::site::{Locations, Site};
use crate::tag;
use hints::Hints;
use lookup::Names;
pub(crate) use validate::name_site;

/// Links `proto`, whose imports have been loaded as far as they can be. `minds_unused` says that its unused imports
/// matter. On failure the pool is as it was.
pub(crate) fn link(
    pool: &mut Pool,
    proto: FileDescriptorProto,
    positions: Option<Positions>,
    minds_unused: bool,
) -> (Option<FileId>, Vec<Finding>) {
    let checkpoint = pool.checkpoint();
    let mut linker = Linker::new(pool, proto, positions);
    let linked = linker.run(minds_unused);
    let id = linker.id;
    let findings = linker.report.findings;
    if !linked {
        pool.roll_back(id, &checkpoint);
    }
    (linked.then_some(id), findings)
}

/// What there is to say about a file.
pub(crate) struct Report {
    /// The file, for its imports.
    proto: Arc<FileDescriptorProto>,
    positions: Option<Arc<Positions>>,
    /// The two above, once they are asked for.
    locations: Option<Locations>,
    pub(crate) findings: Vec<Finding>,
    /// Bytes in `findings`.
    text: usize,
    pub(crate) had_errors: bool,
}

impl Report {
    pub(crate) fn error(&mut self, site: Site, message: impl Into<String>) {
        self.had_errors = true;
        self.find(site, Severity::Error, message.into());
    }

    pub(crate) fn warn(&mut self, site: Site, message: impl Into<String>) {
        self.find(site, Severity::Warning, message.into());
    }

    /// Whether there is no use in looking for more.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS || self.text >= FINDINGS_TEXT
    }

    fn find(&mut self, site: Site, severity: Severity, message: String) {
        if self.is_full() {
            return;
        }
        let locations = self.locations.get_or_insert_with(|| Locations::of(&self.proto, self.positions.clone()));
        let (line, column) = match site.find(locations) {
            Some((line, column)) => (Some(line), column),
            None => (None, 0),
        };
        self.text += message.len();
        self.findings.push(Finding { line, column, severity, message });
    }
}

pub(crate) struct Linker<'p> {
    pool: &'p mut Pool,
    id: FileId,
    names: Names,
    /// By the message they concern.
    hints: HashMap<usize, Hints>,
    /// The file's extensions, by path.
    extensions: HashMap<Vec<i32>, ExtensionId>,
    /// Bytes in the full names declared so far.
    full_names: usize,
    report: Report,
}

impl<'p> Linker<'p> {
    fn new(pool: &'p mut Pool, proto: FileDescriptorProto, positions: Option<Positions>) -> Self {
        let (proto, positions) = (Arc::new(proto), positions.map(Arc::new));
        let id = pool.add_file(File::new(Arc::clone(&proto), positions.clone()));
        let report = Report { proto, positions, locations: None, findings: Vec::new(), text: 0, had_errors: false };
        Linker {
            pool,
            id,
            names: Names::new(id),
            hints: HashMap::new(),
            extensions: HashMap::new(),
            full_names: 0,
            report,
        }
    }

    fn run(&mut self, minds_unused: bool) -> bool {
        self.check_edition();
        if !self.declare(minds_unused) {
            return false;
        }
        let resolutions = self.resolve();
        self.suggest_field_numbers();
        self.miss_option_imports();
        if self.report.had_errors {
            self.detect_map_conflicts();
            return false;
        }
        self.apply(resolutions);
        self.use_imports_of_known_options();
        let pending = self.interpret_fields();
        self.check_features();
        self.interpret_extensions(pending);
        if !self.report.had_errors {
            self.validate();
        }
        if self.report.had_errors {
            self.detect_map_conflicts();
            return false;
        }
        self.report_unused_imports();
        self.validate_style();
        !self.report.had_errors
    }

    fn check_edition(&mut self) {
        let proto = self.proto();
        if let Some(syntax) = proto.syntax.as_deref().filter(|syntax| !matches!(*syntax, "proto2" | "proto3"))
            && proto.edition.is_none()
            && !proto.__buffa_unknown_fields.iter().any(|field| field.number == EDITION_FIELD)
        {
            self.error(Site::At(vec![tag::file::SYNTAX]), format!("Unrecognized syntax: {syntax}"));
        }
        let is_2026 = proto.__buffa_unknown_fields.iter().any(|field| field.number == EDITION_FIELD);
        if is_2026 && self.pool.accepts_2026 {
            return;
        }
        let edition = if is_2026 { EDITION_2026 } else { edition_of(&proto) as i32 };
        let name = short_name(edition);
        let site = Site::At(vec![tag::file::SYNTAX]);
        if edition < Edition::EDITION_PROTO2 as i32 {
            self.error(site, format!("Edition {name} is earlier than the minimum supported edition PROTO2"));
        } else if edition > Edition::EDITION_2024 as i32 && edition != Edition::EDITION_UNSTABLE as i32 {
            self.error(site, format!("Edition {name} is later than the maximum supported edition 2024"));
        }
    }

    /// An option import may be missing as long as there are no options.
    fn miss_option_imports(&mut self) {
        let found = &self.pool.file(self.id).option_dependencies;
        let missing: Vec<usize> = (0..found.len()).filter(|&index| found[index].is_none()).collect();
        if missing.is_empty() {
            return;
        }
        let mut proto = (*self.proto()).clone();
        let mut has_options = false;
        each_options(&mut proto, &mut |_, _, options| has_options |= !options.take_uninterpreted().is_empty());
        for index in missing.into_iter().filter(|_| has_options) {
            self.import_error(&proto.option_dependency[index]);
        }
    }

    fn error(&mut self, site: Site, message: impl Into<String>) {
        self.report.error(site, message);
    }

    fn warn(&mut self, site: Site, message: impl Into<String>) {
        self.report.warn(site, message);
    }

    /// The file as it is now.
    fn proto(&self) -> Arc<FileDescriptorProto> {
        Arc::clone(&self.pool.file(self.id).proto)
    }

    /// Changes the file. Positions must stay where they are.
    fn change<T>(&mut self, change: impl FnOnce(&mut FileDescriptorProto) -> T) -> T {
        // With the other handle let go, the pool's is changed in place.
        self.report.proto = Arc::default();
        let result = change(self.pool.proto_mut(self.id));
        self.report.proto = self.proto();
        result
    }

    /// Changes positions, as [`Linker::change`] does the file.
    fn change_positions(&mut self, change: impl FnOnce(&mut Positions)) {
        // Warnings may have been located already.
        self.report.locations = None;
        self.report.positions = None;
        if let Some(positions) = self.pool.positions_mut(self.id) {
            change(positions);
        }
        self.report.positions = self.pool.file(self.id).positions.clone();
    }

    fn report_unused_imports(&mut self) {
        let names: Vec<String> = self.names.unused.iter().map(|&file| self.pool.file(file).name().to_owned()).collect();
        for name in names {
            let message = format!("Import {name} is unused.");
            self.warn(Site::Import(name), message);
        }
    }
}
