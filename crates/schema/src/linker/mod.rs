//! Names to meanings: makes a parsed file part of the pool.
//!
//! The passes and their order are protoc's, because the order of its complaints is: `declare` gives every
//! declaration its full name and checks what can be checked alone, `resolve` finds what names refer to, then
//! options are interpreted and the whole is validated.

mod declare;
mod hints;
mod lookup;
mod resolve;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use crate::diagnostic::Severity;
use crate::lexer::Finding;
use crate::pool::{File, FileId, Pool};
use crate::site::Site;
use hints::Hints;
use lookup::Miss;

/// Links `proto`, whose imports have been loaded as far as they can be. `is_input` says that the user named the
/// file, so that its unused imports matter. On failure the pool is as it was.
pub(crate) fn link(pool: &mut Pool, proto: FileDescriptorProto, is_input: bool) -> (Option<FileId>, Vec<Finding>) {
    let checkpoint = pool.checkpoint();
    let mut linker = Linker::new(pool, proto);
    let linked = linker.run(is_input);
    let id = linker.id;
    let findings = linker.findings;
    if !linked {
        pool.roll_back(&checkpoint);
    }
    (linked.then_some(id), findings)
}

pub(crate) struct Linker<'p> {
    pub(crate) pool: &'p mut Pool,
    pub(crate) id: FileId,
    /// The file as parsed; what the pool holds changes as names are resolved.
    pub(crate) proto: Arc<FileDescriptorProto>,
    /// Files whose names may be used: imports, and what they import publicly.
    visible: HashSet<FileId>,
    /// Files whose extensions may be used in options only.
    visible_options: HashSet<FileId>,
    /// Imports nothing has needed so far.
    unused: BTreeSet<FileId>,
    /// Why the last look-up found nothing.
    miss: Miss,
    /// By the message they concern.
    hints: HashMap<usize, Hints>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) had_errors: bool,
}

impl<'p> Linker<'p> {
    fn new(pool: &'p mut Pool, proto: FileDescriptorProto) -> Self {
        let proto = Arc::new(proto);
        let dependencies = Vec::new();
        let file = File { proto: Arc::clone(&proto), dependencies, option_dependencies: Vec::new() };
        let id = pool.add_file(file);
        Linker {
            pool,
            id,
            proto,
            visible: HashSet::new(),
            visible_options: HashSet::new(),
            unused: BTreeSet::new(),
            miss: Miss::default(),
            hints: HashMap::new(),
            findings: Vec::new(),
            had_errors: false,
        }
    }

    fn run(&mut self, is_input: bool) -> bool {
        if !self.declare(is_input) {
            return false;
        }
        let resolutions = self.resolve();
        self.suggest_field_numbers();
        if self.had_errors {
            return false;
        }
        self.apply(resolutions);
        self.report_unused_imports();
        !self.had_errors
    }

    pub(crate) fn error(&mut self, site: Site, message: impl Into<String>) {
        self.had_errors = true;
        self.find(site, Severity::Error, message.into());
    }

    pub(crate) fn warn(&mut self, site: Site, message: impl Into<String>) {
        self.find(site, Severity::Warning, message.into());
    }

    fn find(&mut self, site: Site, severity: Severity, message: String) {
        let (line, column) = match site.find(&self.proto) {
            Some((line, column)) => (Some(line), column),
            None => (None, 0),
        };
        self.findings.push(Finding { line, column, severity, message });
    }

    fn report_unused_imports(&mut self) {
        let names: Vec<String> =
            self.unused.iter().map(|&file| self.pool.file(file).name().to_owned()).collect();
        for name in names {
            let message = format!("Import {name} is unused.");
            self.warn(Site::Import(name), message);
        }
    }
}
