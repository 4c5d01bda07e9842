//! From arguments to files: parse, generate, write.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;
use farcall_codegen::{Generator, GrpcPython, OutputFile, Pyi, Python, Request, Rust, Schema};
use farcall_schema::{Compiler, Diagnostic, Severity};

use crate::arguments::{self, Action, Arguments, ErrorFormat, Mapping};
use crate::output::{OutputDirectory, with_trailing_slash};
use crate::source_tree::DiskTree;
use crate::{Bundled, LIBPROTOC_VERSION, descriptor_set, help};

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

pub(crate) fn run(arguments: &[String], bundled: Bundled, stdout: &mut dyn Write, stderr: &mut dyn Write) -> u8 {
    let (program, rest) = match arguments.split_first() {
        Some((program, rest)) => (program.as_str(), rest),
        None => ("protoc", arguments),
    };
    let printed = match arguments::parse(program, rest, stderr) {
        Action::Help => write!(stdout, "{}", help::TEXT),
        Action::Version => writeln!(stdout, "libprotoc {LIBPROTOC_VERSION}"),
        Action::Fail => return 1,
        Action::Compile(arguments) => {
            return match compile(&arguments, bundled, stderr) {
                Ok(()) => 0,
                Err(Failure::Reported) => 1,
                Err(Failure::Line(line)) => {
                    let _ = writeln!(stderr, "{line}");
                    1
                }
            };
        }
    };
    u8::from(printed.and_then(|()| stdout.flush()).is_err())
}

fn compile(arguments: &Arguments, bundled: Bundled, stderr: &mut dyn Write) -> Result<(), Failure> {
    let loaded = load(arguments, bundled, stderr)?;
    let schema = Schema::new(loaded.files.iter().map(Arc::as_ref));
    let mut directories: Vec<(String, OutputDirectory)> = Vec::new();
    let mut failed = false;
    for directive in &arguments.outputs {
        let key = with_trailing_slash(&directive.directory);
        let index = directories.iter().position(|(directory, _)| *directory == key).unwrap_or_else(|| {
            directories.push((key, OutputDirectory::default()));
            directories.len() - 1
        });
        let request = Request { schema: &schema, files_to_generate: &loaded.inputs, parameter: &directive.parameter };
        let outputs =
            generator(&directive.flag)?.generate(&request).map_err(|error| format!("{}: {error}", directive.flag))?;
        for problem in directories[index].1.add(outputs) {
            let _ = writeln!(stderr, "{problem}");
            failed = true;
        }
    }
    if failed {
        return Err(Failure::Reported);
    }
    for (directory, outputs) in &directories {
        outputs.write(directory)?;
    }
    if let Some(name) = &arguments.descriptor_set_out {
        descriptor_set::write(name, files_for_set(arguments, &loaded))?;
    }
    Ok(())
}

fn generator(flag: &str) -> Result<Box<dyn Generator>, String> {
    Ok(match flag {
        "--python_out" => Box::new(Python),
        "--pyi_out" => Box::new(Pyi),
        "--grpc_python_out" => Box::new(GrpcPython),
        "--rust_out" => Box::new(Rust::default()),
        unknown => return Err(format!("{unknown}: plugins are not supported yet")),
    })
}

struct Loaded {
    /// The inputs and their imports, each after its imports.
    files: Vec<Arc<FileDescriptorProto>>,
    /// The inputs' virtual paths.
    inputs: Vec<String>,
    /// Removes options of source retention.
    strip: Box<dyn Fn(&FileDescriptorProto) -> FileDescriptorProto>,
}

fn load(arguments: &Arguments, bundled: Bundled, stderr: &mut dyn Write) -> Result<Loaded, Failure> {
    let supplied = descriptor_set::read(&arguments.descriptor_set_in)?;
    let supplied_names: HashSet<&str> = supplied.iter().filter_map(|file| file.name.as_deref()).collect();
    let tree = DiskTree::new(&arguments.roots, bundled);
    let mut inputs = Vec::new();
    for input in &arguments.inputs {
        inputs.push(tree.virtual_path(input, supplied_names.contains(input.as_str()))?);
    }
    if !arguments.descriptor_set_in.is_empty() && arguments.roots.is_empty() {
        let files = descriptor_set::closure(supplied, &inputs)?;
        return Ok(Loaded {
            files: files.into_iter().map(Arc::new).collect(),
            inputs,
            strip: Box::new(FileDescriptorProto::clone),
        });
    }
    let mut compiler = Compiler::new(tree);
    for file in supplied {
        compiler.add_descriptor(file);
    }
    let paths: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let result = compiler.compile(&paths);
    let mut fatal = !result.ok;
    for diagnostic in &result.diagnostics {
        let _ = match arguments.error_format {
            ErrorFormat::Gcc => writeln!(stderr, "{diagnostic}"),
            ErrorFormat::Msvs => writeln!(stderr, "{}", diagnostic.msvs()),
        };
        fatal |= arguments.fatal_warnings && diagnostic.severity == Severity::Warning;
    }
    if fatal {
        return Err(Failure::Reported);
    }
    Ok(Loaded { files: result.files, inputs, strip: Box::new(move |file| compiler.strip_source_retention(file)) })
}

fn files_for_set(arguments: &Arguments, loaded: &Loaded) -> Vec<FileDescriptorProto> {
    let wanted = |file: &&Arc<FileDescriptorProto>| {
        arguments.include_imports || loaded.inputs.iter().any(|input| file.name.as_deref() == Some(input))
    };
    let files = loaded.files.iter().filter(wanted).map(|file| {
        let mut file = if arguments.retain_options { (**file).clone() } else { (loaded.strip)(file) };
        if !arguments.include_source_info {
            file.source_code_info.take();
        }
        file
    });
    files.collect()
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
    let mut outcome = Outcome { diagnostics: result.diagnostics, ..Outcome::default() };
    if !result.ok {
        return outcome;
    }
    let schema = Schema::new(result.files.iter().map(Arc::as_ref));
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
