//! From the paths a user named to linked descriptors and everything there is to say about them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto, SourceCodeInfo};

use crate::diagnostic::{Diagnostic, Severity};
use crate::final_checks;
use crate::lexer::Finding;
use crate::limits::FINDINGS_TEXT;
use crate::linker;
use crate::parser::{Parsed, parse};
use crate::pool::{EDITION_2026, EDITION_FIELD, FileId, Pool};
use crate::positions::Positions;
use crate::retention;
use crate::site::{Locations, Site};
use crate::source_tree::{SourceError, SourceTree};
use crate::supplied;

/// Compiles files of one source tree. Files stay loaded between calls, so a second call pays only for what is new.
pub struct Compiler<S> {
    tree: S,
    pool: Pool,
    /// Files that did not compile; they are not tried again.
    bad: HashSet<String>,
    /// Files that were read before they were needed.
    ahead: HashMap<String, Result<Parsed, SourceError>>,
    /// Already linked files to fall back on.
    supplied: HashMap<String, FileDescriptorProto>,
    /// The source information of those that were taken.
    supplied_info: HashMap<String, SourceCodeInfo>,
    /// Whether nothing is said of imports that no one needs.
    accepts_unused_imports: bool,
    /// Whether files may be of an edition that is not finished.
    accepts_unfinished_editions: bool,
}

/// What came of a [`Compiler::compile`].
#[derive(Clone, Debug, Default)]
pub struct CompileResult {
    /// The named files and everything they import, each after its imports, each once. With a
    /// `json_name` where its author wrote one ([`complete_json_names`](crate::complete_json_names) adds the others), and
    /// without `source_code_info`, which [`Compiler::source_info`] has. Only meaningful if `ok`.
    pub files: Vec<Arc<FileDescriptorProto>>,
    /// In the order protoc prints them.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether every named file compiled. Warnings do not make it `false`.
    pub ok: bool,
}

/// A file that was linked.
#[derive(Clone, Copy)]
struct Loaded {
    file: FileId,
    /// The input for whose sake: one with another number than the last.
    input: usize,
    /// How many diagnostics there were once that input was linked.
    told_before: usize,
}

/// A file that waits for its imports to be loaded.
struct Pending {
    proto: FileDescriptorProto,
    positions: Option<Positions>,
    imports: std::vec::IntoIter<String>,
}

/// Files that wait, each for the one after it.
#[derive(Default)]
struct Stack {
    files: Vec<Pending>,
    /// Where they stand in the list, by name.
    places: HashMap<String, usize>,
}

/// Edition 2026 as the parser has it; read from bytes it is a number that the field does not know.
fn with_known_edition(mut file: FileDescriptorProto) -> FileDescriptorProto {
    let is_2026 = |field: &buffa::UnknownField| {
        field.number == EDITION_FIELD && field.data == buffa::UnknownFieldData::Varint(EDITION_2026 as u64)
    };
    if file.edition.is_none() && file.__buffa_unknown_fields.iter().any(is_2026) {
        file.edition = Some(Edition::EDITION_MAX);
    }
    file
}

impl<S: SourceTree> Compiler<S> {
    /// A compiler that reads from `tree` and from nowhere else.
    pub fn new(tree: S) -> Self {
        Compiler {
            tree,
            pool: Pool::default(),
            bad: HashSet::new(),
            ahead: HashMap::new(),
            supplied: HashMap::new(),
            supplied_info: HashMap::new(),
            accepts_unused_imports: false,
            accepts_unfinished_editions: false,
        }
    }

    /// From now on [`Compiler::compile`] takes files of editions that are not finished, too. They are an error
    /// otherwise.
    pub fn accept_unfinished_editions(&mut self) {
        self.accepts_unfinished_editions = true;
    }

    /// From now on nothing is said of imports that no one needs.
    pub fn accept_unused_imports(&mut self) {
        self.accepts_unused_imports = true;
    }

    /// From now on files may be of edition 2026 as libprotoc 36 has it, and options are those of its `descriptor.proto`
    /// where files import none. To be called first. Those that the tree reads should be
    /// [`wellknown::find_for_2026`](crate::wellknown::find_for_2026)'s.
    pub fn accept_edition_2026(&mut self) {
        self.pool.accepts_2026 = true;
    }

    /// Where it reads from.
    pub fn tree(&self) -> &S {
        &self.tree
    }

    /// Supplies an already linked file (as from `--descriptor_set_in`); it is used where `tree` has no such file.
    pub fn add_descriptor(&mut self, file: FileDescriptorProto) {
        self.supplied.insert(file.name.clone().unwrap_or_default(), with_known_edition(file));
    }

    /// Compiles the files at these virtual paths, in this order, with all their imports. Stops at the first that
    /// does not compile, as protoc does.
    pub fn compile(&mut self, paths: &[&str]) -> CompileResult {
        let inputs: HashSet<&str> = paths.iter().copied().collect();
        let mut result = CompileResult { ok: true, ..Default::default() };
        let mut told = Told::default();
        let mut roots = Vec::new();
        let mut loaded = Vec::new();
        self.read_ahead(paths);
        for path in paths {
            match self.load(path, &inputs, &mut told, &mut loaded) {
                Some(id) => roots.push(id),
                None => {
                    result.ok = false;
                    break;
                }
            }
        }
        result.ok &= self.check_lifetimes(&loaded, &inputs, &mut told);
        if result.ok {
            result.ok = self.check(&roots, &mut told);
        }
        result.diagnostics = told.diagnostics;
        result.files = self.in_order(&roots);
        self.ahead.clear();
        result
    }

    /// The checks that wait until all files are there.
    fn check(&self, roots: &[FileId], told: &mut Told) -> bool {
        let mut ok = true;
        for checks in [final_checks::reserved_numbers, final_checks::targets] {
            let findings = self.for_each(roots.len(), |index| checks(&self.pool, roots[index]));
            for (&root, findings) in roots.iter().zip(findings) {
                ok &= findings.is_empty();
                told.report(self.pool.file(root).name(), findings);
            }
        }
        if ok && !self.accepts_unfinished_editions {
            let late = self.late_edition(roots);
            ok = late.is_none();
            told.diagnostics.extend(late);
        }
        ok
    }

    fn late_edition(&self, roots: &[FileId]) -> Option<Diagnostic> {
        let (root, finding) = roots.iter().find_map(|&root| Some((root, final_checks::edition(&self.pool, root)?)))?;
        Some(diagnostic(self.pool.file(root).name(), finding))
    }

    /// What [`Compiler::compile`] would have said of the first of these compiled files that is of an edition that is
    /// not finished.
    pub fn unfinished_edition(&self, paths: &[&str]) -> Option<Diagnostic> {
        let roots: Vec<FileId> = paths.iter().filter_map(|path| self.pool.file_by_path(path)).collect();
        self.late_edition(&roots)
    }

    /// Where the declarations of the compiled file `name` stand in its source, and what is written around them: those
    /// whose paths are `wanted`. `None` for a file that was supplied without.
    pub fn source_info(&self, name: &str, wanted: impl Fn(&[i32]) -> bool) -> Option<SourceCodeInfo> {
        if let Some(info) = self.supplied_info.get(name) {
            let location = info.location.iter().filter(|location| wanted(&location.path)).cloned().collect();
            return Some(SourceCodeInfo { location, ..SourceCodeInfo::default() });
        }
        let positions = self.pool.file(self.pool.file_by_path(name)?).positions.as_ref()?;
        Some(positions.source_code_info(wanted))
    }

    /// `file` (one this compiler returned, with source information or without) lacking the options that are retained
    /// in source only: what `--descriptor_set_out` without `--retain_options` and the descriptors in generated code
    /// hold. Copies it only if it has some.
    pub fn strip_source_retention(&self, file: &Arc<FileDescriptorProto>) -> Arc<FileDescriptorProto> {
        let mut file = Arc::clone(file);
        if let Some(id) = file.name.as_deref().and_then(|name| self.pool.file_by_path(name)) {
            retention::strip(&self.pool, id, &mut file);
        }
        file
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// All that was compiled.
    pub(crate) fn into_pool(self) -> Pool {
        self.pool
    }

    /// Does `work(0)` to `work(count - 1)`, at the same time if the tree can.
    fn for_each<R: Send + Sync>(&self, count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let answers: Vec<OnceLock<R>> = (0..count).map(|_| OnceLock::new()).collect();
        self.tree.for_each(count, &|index| {
            answers[index].get_or_init(|| work(index));
        });
        let answer = |(index, answer): (usize, OnceLock<R>)| answer.into_inner().unwrap_or_else(|| work(index));
        answers.into_iter().enumerate().map(answer).collect()
    }

    /// Checks the lifetimes of options, which protoc does after each input, before it goes on to the next: what it
    /// would not have come to say is taken back.
    fn check_lifetimes(&self, loaded: &[Loaded], inputs: &HashSet<&str>, told: &mut Told) -> bool {
        let name = |index: usize| self.pool.file(loaded[index].file).name();
        let check =
            |index: usize| final_checks::lifetimes(&self.pool, loaded[index].file, inputs.contains(name(index)));
        let findings = self.for_each(loaded.len(), check);
        if findings.iter().all(Vec::is_empty) {
            return true;
        }
        let before = std::mem::take(told);
        let mut before = before.diagnostics.into_iter();
        let mut taken = 0;
        let mut failed = None;
        for (index, findings) in findings.into_iter().enumerate() {
            let Loaded { input, told_before, .. } = loaded[index];
            if failed.is_some_and(|failed| failed != input) {
                return false;
            }
            before.by_ref().take(told_before - taken).for_each(|diagnostic| told.push(diagnostic));
            taken = told_before;
            if findings.iter().any(|finding| finding.severity == Severity::Error) {
                failed = Some(input);
            }
            told.report(name(index), findings);
        }
        if failed.is_none() {
            before.for_each(|diagnostic| told.push(diagnostic));
        }
        failed.is_none()
    }

    /// Loads a file and what it imports, depth first. A chain of imports may be as long as it likes: what waits is
    /// kept in a list, not on the stack.
    fn load(
        &mut self,
        path: &str,
        inputs: &HashSet<&str>,
        told: &mut Told,
        loaded: &mut Vec<Loaded>,
    ) -> Option<FileId> {
        if let Some(id) = self.pool.file_by_path(path) {
            return Some(id);
        }
        self.bad.clear();
        let mut linked_here = Vec::new();
        let mut stack = Stack::default();
        self.begin(path, &mut stack, told);
        while let Some(pending) = stack.files.last_mut() {
            if let Some(import) = pending.imports.next() {
                if self.pool.file_by_path(&import).is_none() {
                    self.begin(&import, &mut stack, told);
                }
                continue;
            }
            let Some(Pending { proto, positions, .. }) = stack.files.pop() else { break };
            let name = proto.name.clone().unwrap_or_default();
            stack.places.remove(&name);
            let minds_unused = !self.accepts_unused_imports && inputs.contains(name.as_str());
            let (linked, findings) = linker::link(&mut self.pool, proto, positions, minds_unused);
            told.report(&name, findings);
            match linked {
                Some(id) => linked_here.push(id),
                None => {
                    self.bad.insert(name);
                }
            }
        }
        let (input, told_before) = (loaded.last().map_or(0, |last| last.input + 1), told.diagnostics.len());
        loaded.extend(linked_here.into_iter().map(|file| Loaded { file, input, told_before }));
        self.pool.file_by_path(path)
    }

    /// Reads and parses a file and puts it on the stack, unless it is known to be bad or turns out so.
    fn begin(&mut self, path: &str, stack: &mut Stack, told: &mut Told) {
        if self.bad.contains(path) {
            return;
        }
        let Some((proto, positions)) = self.parse(path, told) else {
            self.bad.insert(path.to_owned());
            return;
        };
        if let Some(&first) = stack.places.get(path) {
            report_cycle(&proto, positions, &stack.files[first..], told);
            self.bad.insert(path.to_owned());
            return;
        }
        let imports: Vec<String> = proto.dependency.iter().chain(&proto.option_dependency).cloned().collect();
        stack.places.insert(path.to_owned(), stack.files.len());
        stack.files.push(Pending { proto, positions, imports: imports.into_iter() });
    }

    /// Reads and parses files and what they import, wave after wave, the files of a wave at the same time. What
    /// there is to say of them is said when their turn comes.
    fn read_ahead(&mut self, paths: &[&str]) {
        let mut seen: HashSet<String> = HashSet::new();
        let mut wave: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        loop {
            wave.retain(|path| self.pool.file_by_path(path).is_none() && seen.insert(path.clone()));
            if wave.is_empty() {
                return;
            }
            let tree = &self.tree;
            let answers: Vec<OnceLock<_>> = wave.iter().map(|_| OnceLock::new()).collect();
            tree.for_each(wave.len(), &|index| {
                let path = &wave[index];
                answers[index].get_or_init(|| tree.read(path).map(|source| parse(path, &source)));
            });
            // A file that was passed over is read when its turn comes.
            let parsed: Vec<_> = answers.into_iter().map(OnceLock::into_inner).collect();
            let imports = |parsed: &Option<Result<Parsed, SourceError>>| match parsed {
                Some(Ok(Parsed { file, .. })) => {
                    file.dependency.iter().chain(&file.option_dependency).cloned().collect()
                }
                _ => Vec::new(),
            };
            let next = parsed.iter().flat_map(imports).collect();
            let read = std::mem::replace(&mut wave, next).into_iter().zip(parsed);
            self.ahead.extend(read.filter_map(|(path, parsed)| Some((path, parsed?))));
        }
    }

    fn parse(&mut self, path: &str, told: &mut Told) -> Option<(FileDescriptorProto, Option<Positions>)> {
        let ahead = self.ahead.remove(path);
        let parsed = match ahead.unwrap_or_else(|| self.tree.read(path).map(|source| parse(path, &source))) {
            Ok(parsed) => parsed,
            Err(error) => {
                if let Some(file) = self.supplied.get(path) {
                    let mut file = file.clone();
                    if let Some(info) = file.source_code_info.take() {
                        self.supplied_info.insert(path.to_owned(), info);
                    }
                    supplied::normalise(&mut file);
                    return Some((file, None));
                }
                let message = match error {
                    SourceError::NoTree => return None,
                    SourceError::NotFound => "File not found.".to_owned(),
                    SourceError::Other(text) => text,
                };
                let finding = Finding { line: None, column: 0, severity: Severity::Error, message };
                told.report(path, vec![finding]);
                return None;
            }
        };
        let failed = parsed.has_errors();
        let Parsed { file, positions, findings } = parsed;
        told.report(path, findings);
        (!failed).then_some((file, Some(positions)))
    }

    /// The files and all they import, imports first.
    fn in_order(&self, roots: &[FileId]) -> Vec<Arc<FileDescriptorProto>> {
        let mut seen: HashSet<FileId> = HashSet::new();
        let mut files = Vec::new();
        for &root in roots {
            if !seen.insert(root) {
                continue;
            }
            let open = |id: FileId| (id, self.pool.file(id).all_dependencies());
            let mut stack = vec![open(root)];
            while let Some((id, dependencies)) = stack.last_mut() {
                match dependencies.next() {
                    Some(dependency) if seen.insert(dependency) => stack.push(open(dependency)),
                    Some(_) => {}
                    None => {
                        files.push(Arc::clone(&self.pool.file(*id).proto));
                        stack.pop();
                    }
                }
            }
        }
        files
    }
}

/// `cycle` starts with the first coming of the file that `proto` is the second coming of.
fn report_cycle(proto: &FileDescriptorProto, positions: Option<Positions>, cycle: &[Pending], told: &mut Told) {
    let name = proto.name.as_deref().unwrap_or_default();
    let names: Vec<&str> = cycle.iter().map(|pending| pending.proto.name.as_deref().unwrap_or_default()).collect();
    let message = format!("File recursively imports itself: {} -> {name}", names.join(" -> "));
    let culprit = names.get(1).copied().unwrap_or(name);
    let locations = Locations::of(proto, positions.map(Arc::new));
    let site = Site::Import(culprit.to_owned()).find(&locations);
    let (line, column) = site.map_or((None, 0), |(line, column)| (Some(line), column));
    told.report(name, vec![Finding { line, column, severity: Severity::Error, message }]);
}

/// What has been said, up to a bound.
#[derive(Default)]
struct Told {
    diagnostics: Vec<Diagnostic>,
    /// Bytes in `diagnostics`.
    text: usize,
}

impl Told {
    fn report(&mut self, file: &str, findings: Vec<Finding>) {
        for finding in findings {
            self.push(diagnostic(file, finding));
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        if self.text < FINDINGS_TEXT {
            self.text += diagnostic.file.len() + diagnostic.message.len();
            self.diagnostics.push(diagnostic);
        }
    }
}

fn diagnostic(file: &str, finding: Finding) -> Diagnostic {
    let Finding { line, column, severity, message } = finding;
    Diagnostic { file: file.to_owned(), line, column, severity, message }
}
