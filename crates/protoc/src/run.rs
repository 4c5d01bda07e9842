//! From arguments to files: parse, generate, write.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};
use farcall_codegen::{Generator, GrpcPython, OutputFile, Pyi, Python, Request, Rust, Schema, encode_file};
use farcall_schema::{Compiler, Diagnostic, Drawing, Severity, complete_json_names};

use crate::arguments::{self, Action, Arguments, ErrorFormat, Mapping, Mode, OutputDirective};
use crate::output::{OutputDirectory, with_trailing_slash};
use crate::plugin::Plugin;
use crate::source_tree::DiskTree;
use crate::staging::Staging;
use crate::{Bundled, LIBPROTOC_VERSION, Reader, codec, descriptor_set, help, imports, parallel, report};

/// proto2 and 2024: the editions from and to which the defaults of features are written unless flags say otherwise.
const MINIMUM_EDITION: i32 = Edition::EDITION_PROTO2 as i32;
const MAXIMUM_EDITION: i32 = Edition::EDITION_2024 as i32;

/// An error that is on standard error already, or is this line.
enum Failure {
    Reported,
    Line(String),
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self::Line(line)
    }
}

pub(crate) fn run(
    reader: Reader,
    arguments: &[String],
    bundled: Bundled,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let (program, rest) = match arguments.split_first() {
        Some((program, rest)) => (program.as_str(), rest),
        None => ("protoc", arguments),
    };
    let done = match arguments::parse(program, rest, stderr) {
        Action::Help => codec::write_all(stdout, format!("{}{}", help::usage(program), help::TEXT).as_bytes()),
        Action::Version => codec::write_all(stdout, format!("libprotoc {LIBPROTOC_VERSION}\n").as_bytes()),
        Action::Notices => codec::write_all(stdout, help::NOTICES.as_bytes()),
        Action::Fail => return 1,
        Action::Compile(arguments) => match compile(reader, &arguments, bundled, stdout, stderr) {
            Ok(()) => Ok(()),
            Err(Failure::Reported) => return 1,
            Err(Failure::Line(line)) => Err(line),
        },
    };
    match done {
        Ok(()) => 0,
        Err(line) => {
            // Where it cannot be said, the exit code tells.
            let _ = writeln!(stderr, "{line}");
            1
        }
    }
}

fn compile(
    reader: Reader,
    arguments: &Arguments,
    bundled: Bundled,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<(), Failure> {
    if arguments.mode == Mode::DecodeRaw {
        return Ok(codec::decode_raw(stdout)?);
    }
    let (compiler, loaded) = load(reader, arguments, bundled, stderr)?;
    match &arguments.mode {
        Mode::PrintFreeFieldNumbers => return print_free_field_numbers(&loaded, stdout),
        Mode::Encode(name) => {
            return Ok(codec::encode(&compiler, name, arguments.deterministic_output, stdout, stderr)?);
        }
        Mode::Decode(name) => return Ok(codec::decode(&compiler, name, stdout, stderr)?),
        Mode::Generate | Mode::DecodeRaw => {}
    }
    let stripped = stripped(arguments, &compiler, &loaded);
    let schema = Schema::new(stripped.iter().map(Arc::as_ref));
    let mut directories: Vec<(String, OutputDirectory)> = Vec::new();
    let mut failed = false;
    for directive in &arguments.outputs {
        let key = with_trailing_slash(&directive.directory);
        let index = directories.iter().position(|(directory, _)| *directory == key).unwrap_or_else(|| {
            let outputs = OutputDirectory::at(&key);
            directories.push((key, outputs));
            directories.len() - 1
        });
        let outputs = generate_one(arguments, directive, &compiler, &schema, &loaded, stderr)?;
        if wants_packages(directive) {
            directories[index].1.make_packages();
        }
        for problem in directories[index].1.add(outputs) {
            let _ = writeln!(stderr, "{problem}");
            failed = true;
        }
    }
    if failed {
        return Err(Failure::Reported);
    }
    let mut staging = Staging::default();
    for (directory, outputs) in &directories {
        outputs.stage(directory, &mut staging)?;
    }
    if let Some(name) = &arguments.dependency_out {
        let mut targets: Vec<String> =
            directories.iter().flat_map(|(directory, outputs)| outputs.paths(directory)).collect();
        targets.extend(arguments.descriptor_set_out.clone());
        staging.write(name, report::make_rule(&targets, &loaded.paths).as_bytes())?;
    }
    if let Some(name) = &arguments.descriptor_set_out {
        let files = encoded_files(arguments, &compiler, &loaded);
        staging.write_with(name, |out| descriptor_set::write(&files, out))?;
    }
    if let Some(name) = &arguments.edition_defaults_out {
        let (minimum, maximum) = (arguments.edition_defaults_minimum, arguments.edition_defaults_maximum);
        let (minimum, maximum) = (minimum.unwrap_or(MINIMUM_EDITION), maximum.unwrap_or(MAXIMUM_EDITION));
        let defaults = compiler.edition_defaults(minimum, maximum).map_err(|error| format!("{name}: {error}"))?;
        staging.write(name, &defaults)?;
    }
    staging.commit();
    Ok(())
}

fn print_free_field_numbers(loaded: &Loaded, stdout: &mut dyn Write) -> Result<(), Failure> {
    for input in &loaded.inputs {
        let file = loaded.files.iter().find(|file| file.name.as_ref() == Some(input));
        let text = file.map(|file| report::free_field_numbers(file)).unwrap_or_default();
        codec::write_all(stdout, text.as_bytes())?;
    }
    Ok(())
}

/// Runs the generator of one `--x_out`: the one that is built in, else the plugin of that name.
fn generate_one(
    arguments: &Arguments,
    directive: &OutputDirective,
    compiler: &Compiler<DiskTree>,
    schema: &Schema<'_>,
    loaded: &Loaded,
    stderr: &mut dyn Write,
) -> Result<Vec<OutputFile>, Failure> {
    let flag = &directive.flag;
    let request = Request { schema, files_to_generate: &loaded.inputs, parameter: &directive.parameter };
    if let Some(generator) = file_by_file(flag) {
        let file_by_file = |input: &String| {
            let files_to_generate = std::slice::from_ref(input);
            generator.generate(&Request { files_to_generate, ..request })
        };
        let outputs: Result<Vec<_>, String> = parallel::map(&loaded.inputs, file_by_file).into_iter().collect();
        return Ok(outputs.map_err(|error| format!("{flag}: {error}"))?.into_iter().flatten().collect());
    }
    if flag == "--rust_out" {
        let files = completed(schema.files());
        let schema = &Schema::new(&files);
        return Ok(Rust::default()
            .generate(&Request { schema, ..request })
            .map_err(|error| format!("{flag}: {error}"))?);
    }
    let name = arguments::plugin_name(flag);
    let program = arguments.plugins.get(&name).map(String::as_str);
    let options = arguments.plugin_options.iter().find(|(plugin, _)| *plugin == name);
    let parameter = match options {
        Some((_, options)) => arguments::joined(&directive.parameter, options),
        None => directive.parameter.clone(),
    };
    let files: Vec<Arc<FileDescriptorProto>> =
        loaded.files.iter().map(|file| with_source_info(compiler, file, |_| true)).collect();
    let outputs = Plugin { name: &name, program }.generate(&loaded.inputs, &files, schema.files(), &parameter);
    let outputs = outputs.map_err(|failure| {
        let _ = write!(stderr, "{}", failure.notice);
        format!("{flag}: {}", failure.error)
    })?;
    let climbs = |output: &&OutputFile| output.name.contains("..");
    match outputs.iter().find(climbs).filter(|_| !arguments.unsafe_allow_out_dir_escape) {
        Some(output) => Err(Failure::Line(format!(
            "Output file names must never have a relative path. ({}). Use --unsafe_allow_out_dir_escape to disable \
             this error if intentional.",
            output.name
        ))),
        None => Ok(outputs),
    }
}

/// `files` with a `json_name` for every field, as whoever does not read Python's descriptors has them.
fn completed(files: &[&FileDescriptorProto]) -> Vec<FileDescriptorProto> {
    let mut completed: Vec<FileDescriptorProto> = files.iter().copied().cloned().collect();
    completed.iter_mut().for_each(complete_json_names);
    completed
}

/// Relative imports work in packages only.
fn wants_packages(directive: &OutputDirective) -> bool {
    file_by_file(&directive.flag).is_some() && directive.parameter.split(',').any(|option| option == "relative_imports")
}

/// The generators whose files have nothing to do with each other.
fn file_by_file(flag: &str) -> Option<&'static (dyn Generator + Sync)> {
    match flag {
        "--python_out" => Some(&Python),
        "--pyi_out" => Some(&Pyi),
        "--grpc_python_out" => Some(&GrpcPython),
        _ => None,
    }
}

struct Loaded {
    /// The inputs and their imports, each after its imports.
    files: Vec<Arc<FileDescriptorProto>>,
    /// The inputs' virtual paths.
    inputs: Vec<String>,
    /// Where `files` were read from; those that are not on disk are missing.
    paths: Vec<String>,
}

/// `files` for generators: without options of source retention, and with as much source information as is read.
fn stripped(arguments: &Arguments, compiler: &Compiler<DiskTree>, loaded: &Loaded) -> Vec<Arc<FileDescriptorProto>> {
    if arguments.outputs.is_empty() {
        return Vec::new();
    }
    let all_python = arguments.outputs.iter().all(|directive| file_by_file(&directive.flag).is_some());
    parallel::map(&loaded.files, |file| {
        let wanted = |path: &[i32]| !all_python || farcall_codegen::is_read_for_python(path);
        compiler.strip_source_retention(&with_source_info(compiler, file, wanted))
    })
}

/// `file` with those locations whose paths are `wanted`.
fn with_source_info(
    compiler: &Compiler<DiskTree>,
    file: &Arc<FileDescriptorProto>,
    wanted: impl Fn(&[i32]) -> bool,
) -> Arc<FileDescriptorProto> {
    let mut file = Arc::clone(file);
    if let Some(info) = file.name.as_deref().and_then(|name| compiler.source_info(name, wanted)) {
        Arc::make_mut(&mut file).source_code_info = Some(info).into();
    }
    file
}

fn load(
    reader: Reader,
    arguments: &Arguments,
    bundled: Bundled,
    stderr: &mut dyn Write,
) -> Result<(Compiler<DiskTree>, Loaded), Failure> {
    let supplied = descriptor_set::read(&arguments.descriptor_set_in)?;
    let supplied_names: HashSet<String> = supplied.iter().filter_map(|file| file.name.clone()).collect();
    let mut tree = DiskTree::new(&arguments.roots, bundled).beside(supplied_names);
    tree.for_2026 = arguments.experimental_editions;
    let mut inputs = Vec::new();
    for input in &arguments.inputs {
        inputs.push(tree.virtual_path(input)?);
    }
    let mut compiler = Compiler::new(tree);
    for file in supplied {
        compiler.add_descriptor(file);
    }
    if arguments.roots.is_empty() {
        // Whoever made the sets has been told.
        compiler.accept_unused_imports();
    }
    if arguments.experimental_editions {
        compiler.accept_edition_2026();
    }
    // That is said below, and of the virtual path: protoc does so.
    compiler.accept_unfinished_editions();
    let paths: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let result = compiler.compile(&paths);
    let tree = compiler.tree();
    let mut fatal = !result.ok;
    let (format, colour) = match reader {
        Reader::Program => (ErrorFormat::Gcc, false),
        Reader::Person { colour } => (ErrorFormat::Pretty, colour),
    };
    let format = arguments.error_format.unwrap_or(format);
    let mut drawing = Drawing::new(tree, |file| tree.disk_path(file), colour);
    for diagnostic in &result.diagnostics {
        let _ = match format {
            ErrorFormat::Pretty => writeln!(stderr, "{}\n", drawing.draw(diagnostic)),
            plain => writeln!(stderr, "{}", rendered(diagnostic, tree, plain)),
        };
        fatal |= arguments.fatal_warnings && diagnostic.severity == Severity::Warning;
    }
    drop(drawing);
    if fatal {
        return Err(Failure::Reported);
    }
    if let Some(error) = compiler.unfinished_edition(&paths).filter(|_| !arguments.experimental_editions) {
        return Err(Failure::Line(error.to_string()));
    }
    let refused = imports::refused(arguments, &inputs, &result.files);
    if !refused.is_empty() {
        refused.iter().for_each(|line| drop(writeln!(stderr, "{line}")));
        return Err(Failure::Reported);
    }
    let names = result.files.iter().filter_map(|file| file.name.as_deref());
    let paths = names.filter_map(|name| tree.disk_path(name)).collect();
    let loaded = Loaded { files: result.files, inputs, paths };
    Ok((compiler, loaded))
}

/// A diagnostic as protoc prints it: with the path on disk, where the file is on disk.
fn rendered(diagnostic: &Diagnostic, tree: &DiskTree, format: ErrorFormat) -> String {
    let Diagnostic { file, line, column, severity, message } = diagnostic;
    let path = tree.disk_path(file).unwrap_or_else(|| file.clone());
    let (kind, prefix) = match severity {
        Severity::Error => ("error", ""),
        Severity::Warning => ("warning", "warning: "),
        // protoc logs these, without a position.
        Severity::Note => return message.clone(),
    };
    match (line, format) {
        (None, _) => format!("{path}: {prefix}{message}"),
        (Some(line), ErrorFormat::Gcc | ErrorFormat::Pretty) => {
            format!("{path}:{}:{}: {prefix}{message}", line + 1, column + 1)
        }
        (Some(line), ErrorFormat::Msvs) => {
            format!("{path}({}) : {kind} in column={}: {prefix}{message}", line + 1, column + 1)
        }
    }
}

/// The files of `--descriptor_set_out`.
fn encoded_files(arguments: &Arguments, compiler: &Compiler<DiskTree>, loaded: &Loaded) -> Vec<Vec<u8>> {
    let inputs: HashSet<&str> = loaded.inputs.iter().map(String::as_str).collect();
    let wanted = |file: &&Arc<FileDescriptorProto>| {
        arguments.include_imports || file.name.as_deref().is_some_and(|name| inputs.contains(name))
    };
    let files: Vec<&Arc<FileDescriptorProto>> = loaded.files.iter().filter(wanted).collect();
    parallel::map(&files, |&file| {
        let file =
            if arguments.include_source_info { with_source_info(compiler, file, |_| true) } else { Arc::clone(file) };
        let mut file = if arguments.retain_options { file } else { compiler.strip_source_retention(&file) };
        complete_json_names(Arc::make_mut(&mut file));
        encode_file(&file)
    })
}

/// What [`generate`] gives.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether `files` is complete.
    pub ok: bool,
    /// One entry for the named file and for each of its imports, each after its imports.
    pub files: Vec<OutputFile>,
    /// Errors and warnings, in protoc's order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Which modules [`generate`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// `_pb2.py`
    Protos,
    /// `_pb2_grpc.py`
    Services,
}

/// Writes the Python modules of the file at `virtual_path` and of everything it imports, without touching the disk
/// but to read `.proto` files under `include_paths`. This is what imports a `.proto` at run time.
pub fn generate(virtual_path: &str, include_paths: &[String], what: Generated) -> Outcome {
    let roots: Vec<Mapping> =
        include_paths.iter().map(|disk| Mapping { virtual_path: String::new(), disk: disk.clone() }).collect();
    let mut compiler = Compiler::new(DiskTree::new(&roots, Bundled::Absent));
    let result = compiler.compile(&[virtual_path]);
    // Nobody who imports a file at run time can mend its imports.
    let diagnostics = result.diagnostics.into_iter().filter(|diagnostic| !is_unused_import(diagnostic)).collect();
    let mut outcome = Outcome { diagnostics, ..Outcome::default() };
    if !result.ok {
        return outcome;
    }
    let stripped =
        |file| compiler.strip_source_retention(&with_source_info(&compiler, file, farcall_codegen::is_read_for_python));
    let files: Vec<Arc<FileDescriptorProto>> = result.files.iter().map(stripped).collect();
    let schema = Schema::new(files.iter().map(Arc::as_ref));
    let names: Vec<String> = result.files.iter().filter_map(|file| file.name.clone()).collect();
    let request = Request { schema: &schema, files_to_generate: &names, parameter: "" };
    let generated = match what {
        Generated::Protos => Python.generate(&request),
        Generated::Services => GrpcPython.generate(&request),
    };
    match generated {
        Ok(files) => {
            outcome.ok = true;
            outcome.files = files;
        }
        Err(message) => outcome.diagnostics.push(Diagnostic {
            file: virtual_path.to_owned(),
            line: None,
            column: 0,
            severity: Severity::Error,
            message,
        }),
    }
    outcome
}

fn is_unused_import(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Warning
        && diagnostic.message.starts_with("Import ")
        && diagnostic.message.ends_with(" is unused.")
}
